//! How a cluster wants to be spoken to, in librdkafka's words.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    config::Secret,
    security::{self, PasswordFile, Security},
};

/// How the probe's clients speak to brokers. The default is neither encrypted nor authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Encrypted, to brokers that prove who they are.
    pub tls: Option<TlsFiles>,
    /// How we prove who we are.
    pub sasl: Option<Sasl>,
}

/// The files of a TLS connection, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CAs that brokers' certificates lead to; those that the system trusts when left out.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How we prove who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`: a user, and where the password is.
    Password {
        /// As brokers name it.
        mechanism: &'static str,
        /// The user.
        username: String,
        /// Holds the password; a line's end behind it does not count.
        password_file: PathBuf,
    },
    /// `OAUTHBEARER`: where the token is, which is read again before it ends.
    Token {
        /// Holds the token; whoever issues it writes a new one before it ends.
        token_file: PathBuf,
    },
}

/// A file with a password cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read {}", path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The properties that make a client speak so. Passwords are read now.
pub(super) fn properties(access: &Access) -> Result<Vec<(&'static str, Secret)>, Unreadable> {
    let protocol = match (&access.tls, &access.sasl) {
        (None, None) => return Ok(Vec::new()),
        (Some(_), None) => "SSL",
        (None, Some(_)) => "SASL_PLAINTEXT",
        (Some(_), Some(_)) => "SASL_SSL",
    };
    let mut found = vec![("security.protocol", plain(protocol))];
    if let Some(tls) = &access.tls {
        // A library that brings its own OpenSSL does not know where this system keeps its CAs.
        let ca = tls.ca.as_deref().unwrap_or_else(|| Path::new("probe"));
        found.push(("ssl.ca.location", file(ca)));
        // A certificate of another host proves nothing.
        found.push(("ssl.endpoint.identification.algorithm", plain("https")));
        if let Some((certificate, key)) = &tls.identity {
            found.push(("ssl.certificate.location", file(certificate)));
            found.push(("ssl.key.location", file(key)));
        }
    }
    match &access.sasl {
        None => (),
        Some(Sasl::Password { mechanism, username, password_file }) => {
            found.push(("sasl.mechanisms", plain(mechanism)));
            found.push(("sasl.username", plain(username)));
            found.push(("sasl.password", Secret::new(read(password_file)?)));
        }
        Some(Sasl::Token { .. }) => found.push(("sasl.mechanisms", plain("OAUTHBEARER"))),
    }
    Ok(found)
}

/// As the configuration has it. A `server_name` is not carried over: librdkafka knows brokers by
/// the host that it connects to.
impl From<&Security> for Access {
    fn from(security: &Security) -> Self {
        let tls = security.tls.as_ref().map(|it| TlsFiles {
            ca: it.ca_file.clone(),
            identity: it.identity.as_ref().map(|it| (it.cert_file.clone(), it.key_file.clone())),
        });
        let sasl = security.sasl.as_ref().map(|it| match it {
            security::Sasl::Plain(file)
            | security::Sasl::ScramSha256(file)
            | security::Sasl::ScramSha512(file) => {
                let PasswordFile { username, password_file } = file.clone();
                Sasl::Password { mechanism: it.mechanism().label(), username, password_file }
            }
            security::Sasl::OAuthBearer { token_file } => {
                Sasl::Token { token_file: token_file.clone() }
            }
        });
        Self { tls, sasl }
    }
}

impl Access {
    /// The token as its file holds it now.
    pub(super) fn token(&self) -> Option<Result<Secret, Unreadable>> {
        match &self.sasl {
            Some(Sasl::Token { token_file }) => Some(read(token_file).map(Secret::new)),
            Some(Sasl::Password { .. }) | None => None,
        }
    }
}

/// A secret without the line's end behind it.
fn read(path: &Path) -> Result<String, Unreadable> {
    let text =
        fs::read_to_string(path).map_err(|source| Unreadable { path: path.to_owned(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn plain(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn file(path: &Path) -> Secret {
    Secret::new(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(file: &Path) -> Sasl {
        let username = "probe".to_owned();
        Sasl::Password { mechanism: "SCRAM-SHA-512", username, password_file: file.to_owned() }
    }

    #[track_caller]
    fn check(access: &Access, want: &[(&str, &str)]) {
        let found = properties(access).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|it| (it.0, it.1.reveal())).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn the_settings_of_the_cluster_are_those_of_the_probe() {
        let identity = security::IdentityFiles { cert_file: "/c".into(), key_file: "/k".into() };
        let tls = security::TlsFiles {
            ca_file: Some("/ca".into()),
            identity: Some(identity),
            server_name: None,
        };
        let file = PasswordFile { username: "probe".to_owned(), password_file: "/p".into() };
        let secured = Security { tls: Some(tls), sasl: Some(security::Sasl::ScramSha512(file)) };
        let files = TlsFiles { ca: Some("/ca".into()), identity: Some(("/c".into(), "/k".into())) };
        let want = Access { tls: Some(files), sasl: Some(password(Path::new("/p"))) };
        assert_eq!(Access::from(&secured), want);
        let token = security::Sasl::OAuthBearer { token_file: "/t".into() };
        let access = Access::from(&Security { tls: None, sasl: Some(token) });
        assert_eq!(access.sasl, Some(Sasl::Token { token_file: "/t".into() }));
        assert_eq!(Access::from(&Security::default()), Access::default());
    }

    #[test]
    fn a_cluster_without_security_needs_no_property() {
        check(&Access::default(), &[]);
    }

    #[test]
    fn tls_checks_who_the_broker_is() {
        let system = TlsFiles::default();
        let checked = ("ssl.endpoint.identification.algorithm", "https");
        check(
            &Access { tls: Some(system), sasl: None },
            &[("security.protocol", "SSL"), ("ssl.ca.location", "probe"), checked],
        );
        let ours = TlsFiles {
            ca: Some("/ca.pem".into()),
            identity: Some(("/own.pem".into(), "/own.key".into())),
        };
        check(
            &Access { tls: Some(ours), sasl: None },
            &[
                ("security.protocol", "SSL"),
                ("ssl.ca.location", "/ca.pem"),
                checked,
                ("ssl.certificate.location", "/own.pem"),
                ("ssl.key.location", "/own.key"),
            ],
        );
    }

    #[test]
    fn a_password_comes_from_its_file_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "pass word \n").unwrap();
        let access = Access { tls: None, sasl: Some(password(&path)) };
        check(
            &access,
            &[
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanisms", "SCRAM-SHA-512"),
                ("sasl.username", "probe"),
                ("sasl.password", "pass word "),
            ],
        );
        assert!(!format!("{:?}", properties(&access).unwrap()).contains("pass word"));
        let missing = Access { sasl: Some(password(&dir.path().join("none"))), ..access };
        assert!(properties(&missing).unwrap_err().to_string().ends_with("none"));
    }

    #[test]
    fn a_token_is_read_each_time_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let token_file = dir.path().join("token");
        let access = Access {
            tls: Some(TlsFiles::default()),
            sasl: Some(Sasl::Token { token_file: token_file.clone() }),
        };
        assert!(access.token().unwrap().is_err());
        for text in ["first", "second"] {
            fs::write(&token_file, format!("{text}\n")).unwrap();
            assert_eq!(access.token().unwrap().unwrap().reveal(), text);
        }
        let found = properties(&access).unwrap();
        assert_eq!(found[0].1.reveal(), "SASL_SSL");
        assert_eq!(
            found.last().map(|it| (it.0, it.1.reveal())),
            Some(("sasl.mechanisms", "OAUTHBEARER"))
        );
        assert_eq!(Access::default().token().map(|_| ()), None);
    }
}
