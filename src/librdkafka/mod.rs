//! How clients of librdkafka connect: bootstrap servers, TLS and SASL, from the same settings as
//! `kafka::wire`. The probe and `load` start from this configuration and add their own settings.
//!
//! librdkafka reads the files once, when a client is created; [`ClientConnection::stamps`] tells
//! when they have changed.
//!
//! Invariant: a secret is in the configuration of a client only, whose `Debug` leaves it out. No
//! message contains one.

use rdkafka::ClientConfig;

use crate::security::{
    FileStamps, LoadedSecurity, Sasl, Secret, Security, SecurityError, TlsFiles, UnsupportedSetting,
};

/// Makes librdkafka search the usual places for the CAs that the system trusts.
const SYSTEM_CAS: &str = "probe";

/// A cluster, and how to connect to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientConnection {
    pub bootstrap_servers: Vec<String>,
    pub security: Security,
}

/// Why no client can be configured. Contains names of files, never their content.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionSettingsError {
    #[error("security.{} is not supported here: {}", .0.setting, .0.reason)]
    Unsupported(UnsupportedSetting),
    #[error("{}", listed(.0))]
    Files(Vec<SecurityError>),
}

fn listed(errors: &[SecurityError]) -> String {
    let errors: Vec<String> = errors.iter().map(|it| format!("security.{it}")).collect();
    errors.join("; ")
}

impl ClientConnection {
    /// The settings that every client of the cluster shares. Reads the files and so blocks.
    ///
    /// # Errors
    ///
    /// If a file cannot be used, or a setting has no equivalent in librdkafka.
    pub fn client_config(&self) -> Result<ClientConfig, ConnectionSettingsError> {
        if let Some(unsupported) = self.security.unsupported_by_librdkafka() {
            return Err(ConnectionSettingsError::Unsupported(unsupported));
        }

        // Checks the certificates too: librdkafka's own messages name no setting of ours.
        let loaded =
            LoadedSecurity::load(&self.security).map_err(ConnectionSettingsError::Files)?;
        let secret = loaded.secret.as_ref().map(Secret::reveal);

        Ok(self.configured(secret.unwrap_or_default()))
    }

    /// Metadata of the files that are named. Blocks.
    pub fn stamps(&self) -> FileStamps {
        FileStamps::of(&self.security)
    }

    fn configured(&self, password: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        let protocol = match (&self.security.tls, &self.security.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config
            .set("bootstrap.servers", self.bootstrap_servers.join(","))
            .set("security.protocol", protocol);

        if let Some(tls) = &self.security.tls {
            set_tls(&mut config, tls);
        }

        if let Some(sasl) = &self.security.sasl {
            set_sasl(&mut config, sasl, password);
        }

        config
    }
}

fn set_tls(config: &mut ClientConfig, tls: &TlsFiles) {
    let ca = tls.ca_file.as_ref().map(|it| it.display().to_string());
    config
        .set("ssl.ca.location", ca.as_deref().unwrap_or(SYSTEM_CAS))
        // The defaults of librdkafka, on which everything depends.
        .set("enable.ssl.certificate.verification", "true")
        .set("ssl.endpoint.identification.algorithm", "https");

    if let Some(identity) = &tls.identity {
        config
            .set("ssl.certificate.location", identity.cert_file.display().to_string())
            .set("ssl.key.location", identity.key_file.display().to_string());
    }
}

fn set_sasl(config: &mut ClientConfig, sasl: &Sasl, password: &str) {
    config
        .set("sasl.mechanism", sasl.mechanism().label())
        .set("sasl.username", sasl.username().unwrap_or_default())
        .set("sasl.password", password);
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::security::{IdentityFiles, PasswordFile};

    fn connection(security: Security) -> ClientConnection {
        let bootstrap_servers = vec!["kafka-1:9093".to_owned(), "kafka-2:9093".to_owned()];
        ClientConnection { bootstrap_servers, security }
    }

    fn password_file(password_file: PathBuf) -> PasswordFile {
        PasswordFile { username: "monitor".to_owned(), password_file }
    }

    #[track_caller]
    fn check(security: Security, want: &[(&str, Option<&str>)]) {
        let config = connection(security).configured("pencil");
        for (key, want) in want {
            assert_eq!(config.get(key), *want, "{key}");
        }
    }

    #[test]
    fn the_protocol_follows_from_tls_and_sasl() {
        let sasl = || Some(Sasl::Plain(password_file("p".into())));
        let tls = || Some(TlsFiles::default());
        let servers = ("bootstrap.servers", Some("kafka-1:9093,kafka-2:9093"));

        for (tls, sasl, want) in [
            (None, None, "plaintext"),
            (tls(), None, "ssl"),
            (None, sasl(), "sasl_plaintext"),
            (tls(), sasl(), "sasl_ssl"),
        ] {
            check(Security { tls, sasl }, &[("security.protocol", Some(want)), servers]);
        }
    }

    #[test]
    fn files_mechanism_and_password_are_those_of_the_configuration() {
        let identity = Some(IdentityFiles { cert_file: "c.pem".into(), key_file: "k.pem".into() });
        let tls = TlsFiles { ca_file: Some("ca.pem".into()), identity, server_name: None };
        let sasl = Sasl::ScramSha512(password_file("p".into()));
        check(
            Security { tls: Some(tls), sasl: Some(sasl) },
            &[
                ("ssl.ca.location", Some("ca.pem")),
                ("ssl.certificate.location", Some("c.pem")),
                ("ssl.key.location", Some("k.pem")),
                ("enable.ssl.certificate.verification", Some("true")),
                ("ssl.endpoint.identification.algorithm", Some("https")),
                ("sasl.mechanism", Some("SCRAM-SHA-512")),
                ("sasl.username", Some("monitor")),
                ("sasl.password", Some("pencil")),
            ],
        );

        let system = Security { tls: Some(TlsFiles::default()), sasl: None };
        check(system, &[("ssl.ca.location", Some("probe")), ("sasl.mechanism", None)]);
    }

    #[test]
    fn librdkafka_has_tls_every_mechanism_that_is_mapped_and_every_codec() {
        let sasl = Some(Sasl::ScramSha512(password_file("p".into())));
        let config = connection(Security { tls: Some(TlsFiles::default()), sasl });
        let native = config.configured("pencil").create_native_config().unwrap();
        let features = native.get("builtin.features").unwrap();

        for feature in ["ssl", "sasl_plain", "sasl_scram", "gzip", "snappy", "lz4", "zstd"] {
            assert!(features.split(',').any(|it| it == feature), "{feature} in {features}");
        }
    }

    #[test]
    fn no_debug_output_contains_the_password() {
        let sasl = Some(Sasl::Plain(password_file("p".into())));
        let config = connection(Security { tls: None, sasl }).configured("pencil");
        assert!(!format!("{config:?}").contains("pencil"));
    }

    #[test]
    fn what_has_no_equivalent_or_no_file_is_an_error_that_names_the_setting() {
        let name =
            TlsFiles { server_name: Some("kafka.example.com".into()), ..TlsFiles::default() };
        let token = Sasl::OAuthBearer { token_file: "token".into() };
        let missing = Sasl::Plain(password_file("/nonexistent/password".into()));

        for (security, want) in [
            (Security { tls: Some(name), sasl: None }, "security.tls.server_name is not supported"),
            (
                Security { tls: None, sasl: Some(token) },
                "security.sasl.token_file is not supported",
            ),
            (Security { tls: None, sasl: Some(missing) }, "security.sasl.password_file: read"),
        ] {
            let error = connection(security).client_config().unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
