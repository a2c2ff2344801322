//! TLS and SASL settings of connections to a cluster, and the files that they name.
//!
//! `config` validates the files with the same code that the Kafka adapter reads them with later,
//! and `http` reads its own certificates with it. Knows nothing of Kafka's protocol, and caches
//! nothing.
//!
//! Invariant: secrets are in files, never in the configuration, and no message contains one.

mod file_stamps;
mod http_client;
mod limited;
mod loaded;
pub mod pem;
mod secret;

use std::path::{Path, PathBuf};

pub use file_stamps::FileStamps;
pub use http_client::{HttpAuthorization, HttpOptions};
pub use limited::{SECRET_BYTES_MAX, read_limited};
pub use loaded::{
    ClientTls, FileReader, LoadedSecurity, SecurityError, SecuritySetting, system_roots,
};
pub use secret::Secret;

use crate::model::closed_list;

/// Security settings of the connections to one cluster. The default is plain text without SASL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// `None`: connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// How we authenticate. Independent of a client certificate.
    pub sasl: Option<Sasl>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CAs that brokers' certificates are verified against. `None`: those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// Our client certificate, for brokers that require one.
    pub identity: Option<IdentityFiles>,
    /// The name expected in every broker's certificate. `None`: the host that we connect to.
    pub server_name: Option<String>,
}

/// A client certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// PEM: the certificate, then the intermediate CAs.
    pub cert_file: PathBuf,
    /// PEM: the private key, not encrypted.
    pub key_file: PathBuf,
}

closed_list! {
    /// The supported SASL mechanisms, by their registered names.
    pub enum Mechanism {
        /// Sends the password itself (RFC 4616).
        Plain = "PLAIN",
        /// Both sides prove that they know the password (RFC 7677).
        ScramSha256 = "SCRAM-SHA-256",
        /// As `SCRAM-SHA-256`, with the longer hash.
        ScramSha512 = "SCRAM-SHA-512",
        /// Sends a token from an identity provider (RFC 7628, KIP-255).
        OAuthBearer = "OAUTHBEARER",
    }
}

/// A SASL mechanism with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    Plain(PasswordFile),
    ScramSha256(PasswordFile),
    ScramSha512(PasswordFile),
    OAuthBearer {
        /// Contains the token. Whoever issues it replaces it before it expires.
        token_file: PathBuf,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordFile {
    pub username: String,
    /// Contains the password. A line break at the end is ignored.
    pub password_file: PathBuf,
}

/// A setting of [`Security`] that a client has no equivalent of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedSetting {
    pub setting: SecuritySetting,
    pub reason: &'static str,
}

impl Security {
    /// A setting that librdkafka, the client of the probe and of `load`, cannot follow, and why.
    pub fn unsupported_by_librdkafka(&self) -> Option<UnsupportedSetting> {
        let server_name = self.tls.as_ref().is_some_and(|it| it.server_name.is_some());
        if server_name {
            return Some(UnsupportedSetting {
                setting: SecuritySetting::ServerName,
                reason: "librdkafka expects the name of the host that it connects to",
            });
        }

        match self.sasl.as_ref()?.mechanism() {
            Mechanism::Plain | Mechanism::ScramSha256 | Mechanism::ScramSha512 => None,
            Mechanism::OAuthBearer => Some(UnsupportedSetting {
                setting: SecuritySetting::TokenFile,
                reason: "librdkafka is used with PLAIN and SCRAM only",
            }),
        }
    }

    /// The files that are named, with their settings.
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

    /// `None` for a token, which contains the user itself.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Plain(it) | Self::ScramSha256(it) | Self::ScramSha512(it) => Some(&it.username),
            Self::OAuthBearer { .. } => None,
        }
    }

    /// The file with the password or the token.
    pub fn secret_file(&self) -> (SecuritySetting, &Path) {
        match self {
            Self::Plain(it) | Self::ScramSha256(it) | Self::ScramSha512(it) => {
                (SecuritySetting::PasswordFile, &it.password_file)
            }
            Self::OAuthBearer { token_file } => (SecuritySetting::TokenFile, token_file),
        }
    }
}
