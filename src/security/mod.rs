//! How connections to a cluster are secured: which files say so, and what is in them.
//!
//! `config` checks the files with the very code that an adapter reads them with later; `http` reads
//! its own certificates with it. Knows nothing of Kafka's protocol, and keeps nothing.
//!
//! Invariant: a secret is in a file, never in the configuration, and no text made here shows one.

mod file_stamps;
mod loaded;
pub mod pem;
mod secret;

use std::path::{Path, PathBuf};

pub use file_stamps::FileStamps;
pub use loaded::{
    ClientTls, FileReader, LoadedSecurity, SecurityError, SecuritySetting, system_roots,
};
pub use secret::Secret;

use crate::model::closed_list;

/// How connections to one cluster are secured. The default is not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Encrypted, to brokers that prove who they are; `None` is plain text.
    pub tls: Option<TlsFiles>,
    /// How we prove who we are, besides a certificate of our own.
    pub sasl: Option<Sasl>,
}

/// The files of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CAs that a broker's certificate must lead to; `None`: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for brokers that want one.
    pub identity: Option<IdentityFiles>,
    /// The name that a broker's certificate must carry; `None`: the host that is connected to.
    pub server_name: Option<String>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate, and those between it and its CA.
    pub cert_file: PathBuf,
    /// Its key, not encrypted.
    pub key_file: PathBuf,
}

closed_list! {
    /// The SASL mechanisms that are spoken, by the names that brokers know them by.
    pub enum Mechanism {
        /// The password as it is (RFC 4616).
        Plain = "PLAIN",
        /// A proof of the password, and the broker's proof that it knows it (RFC 7677).
        ScramSha256 = "SCRAM-SHA-256",
        /// The same with a longer hash.
        ScramSha512 = "SCRAM-SHA-512",
        /// A token that somebody else issued (RFC 7628, KIP-255).
        OAuthBearer = "OAUTHBEARER",
    }
}

/// How we prove who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// `PLAIN`.
    Plain(PasswordFile),
    /// `SCRAM-SHA-256`.
    ScramSha256(PasswordFile),
    /// `SCRAM-SHA-512`.
    ScramSha512(PasswordFile),
    /// `OAUTHBEARER`.
    OAuthBearer {
        /// Holds the token; whoever issues it writes a new one before it ends.
        token_file: PathBuf,
    },
}

/// A user, and where the password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordFile {
    pub username: String,
    /// Holds the password; a line's end behind it does not count.
    pub password_file: PathBuf,
}

impl Security {
    /// Each file that is named, and what for.
    pub fn files(&self) -> Vec<(SecuritySetting, &Path)> {
        let mut files = Vec::new();
        if let Some(tls) = &self.tls {
            files.extend(tls.ca_file.as_deref().map(|it| (SecuritySetting::CaFile, it)));
            if let Some(identity) = &tls.identity {
                files.push((SecuritySetting::CertFile, &identity.cert_file));
                files.push((SecuritySetting::KeyFile, &identity.key_file));
            }
        }
        files.extend(self.sasl.as_ref().map(Sasl::secret_file));
        files
    }
}

impl Sasl {
    pub const fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain(_) => Mechanism::Plain,
            Self::ScramSha256(_) => Mechanism::ScramSha256,
            Self::ScramSha512(_) => Mechanism::ScramSha512,
            Self::OAuthBearer { .. } => Mechanism::OAuthBearer,
        }
    }

    /// The user; a token says itself whose it is.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Plain(it) | Self::ScramSha256(it) | Self::ScramSha512(it) => Some(&it.username),
            Self::OAuthBearer { .. } => None,
        }
    }

    /// Where the password or the token is.
    pub fn secret_file(&self) -> (SecuritySetting, &Path) {
        match self {
            Self::Plain(it) | Self::ScramSha256(it) | Self::ScramSha512(it) => {
                (SecuritySetting::PasswordFile, &it.password_file)
            }
            Self::OAuthBearer { token_file } => (SecuritySetting::TokenFile, token_file),
        }
    }
}
