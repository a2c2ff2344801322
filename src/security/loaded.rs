//! Reads the files that [`Security`] names, and builds a TLS client configuration from them.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, client::Resumption, crypto::ring, pki_types::ServerName,
    sign::CertifiedKey,
};

use super::{IdentityFiles, SECRET_BYTES_MAX, Sasl, Secret, Security, TlsFiles, pem, read_limited};
use crate::model::closed_list;

/// Reads a file. A parameter, so that tests need no files.
pub type FileReader<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

closed_list! {
    /// A setting, by its path below `security` in the configuration.
    pub enum SecuritySetting {
        CaFile = "tls.ca_file",
        CertFile = "tls.cert_file",
        KeyFile = "tls.key_file",
        ServerName = "tls.server_name",
        Tls = "tls",
        PasswordFile = "sasl.password_file",
        TokenFile = "sasl.token_file",
    }
}

impl SecuritySetting {
    /// Whether it names a file that only its owner should be able to read.
    pub const fn is_secret(self) -> bool {
        match self {
            Self::KeyFile | Self::PasswordFile | Self::TokenFile => true,
            Self::CaFile | Self::CertFile | Self::ServerName | Self::Tls => false,
        }
    }
}

/// Why a setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SecurityError {
    pub setting: SecuritySetting,
    /// Contains the file's name, never its content.
    pub problem: String,
}

/// What connections are opened with: the content of the files.
#[derive(Clone, Debug, Default)]
pub struct LoadedSecurity {
    /// `None`: connections are not encrypted.
    pub tls: Option<ClientTls>,
    /// The password or the token, with SASL.
    pub secret: Option<Secret>,
}

#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Contains the trusted CAs and our certificate.
    pub config: Arc<ClientConfig>,
    /// The name expected in every broker's certificate. `None`: the host that we connect to.
    pub server_name: Option<ServerName<'static>>,
}

impl LoadedSecurity {
    /// Reads the files with `read`. Takes the system's CAs from `system_roots` if `security` names
    /// no CA file.
    ///
    /// # Errors
    ///
    /// All problems, not only the first.
    pub fn read(
        security: &Security,
        read: FileReader<'_>,
        system_roots: &dyn Fn() -> Result<RootCertStore, String>,
    ) -> Result<Self, Vec<SecurityError>> {
        let mut loader = Loader { read, errors: Vec::new() };
        let tls = security.tls.as_ref().and_then(|it| loader.tls(it, system_roots));
        let secret = security.sasl.as_ref().and_then(|it| loader.secret(it));

        if loader.errors.is_empty() { Ok(Self { tls, secret }) } else { Err(loader.errors) }
    }

    /// Reads the files and CAs of this machine. Blocks.
    ///
    /// # Errors
    ///
    /// As [`LoadedSecurity::read`].
    pub fn load(security: &Security) -> Result<Self, Vec<SecurityError>> {
        Self::read(security, &|path| read_limited(path, SECRET_BYTES_MAX), &system_roots)
    }
}

/// The CAs that this system trusts. Blocks.
///
/// # Errors
///
/// If there are none.
pub fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();

    // Most system stores contain a few certificates that rustls cannot use. Skip them.
    let (added, _) = roots.add_parsable_certificates(found.certs);

    if added == 0 {
        return Err("this system has no trusted CAs; set ca_file".to_owned());
    }

    Ok(roots)
}

/// Reads files and collects the errors.
struct Loader<'a> {
    read: FileReader<'a>,
    errors: Vec<SecurityError>,
}

impl Loader<'_> {
    fn tls(
        &mut self,
        files: &TlsFiles,
        system_roots: &dyn Fn() -> Result<RootCertStore, String>,
    ) -> Option<ClientTls> {
        // Read everything before the first `?`, to report all errors.
        let roots = match &files.ca_file {
            Some(path) => self.file(SecuritySetting::CaFile, path, pem::roots),
            None => self.check(SecuritySetting::Tls, system_roots()),
        };
        let identity = files.identity.as_ref().map(|it| self.identity(it));
        let server_name = files.server_name.as_ref().map(|it| self.server_name(it));

        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        let config = self.check(SecuritySetting::Tls, config.map_err(|error| error.to_string()))?;
        let config = config.with_root_certificates(roots?);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config.with_client_cert_resolver(Arc::new(
                rustls::sign::SingleCertAndKey::from(identity?),
            )),
        };

        // Connections are few and long-lived: verify the certificate of each one.
        config.resumption = Resumption::disabled();

        let server_name = match server_name {
            None => None,
            Some(name) => Some(name?),
        };

        Some(ClientTls { config: Arc::new(config), server_name })
    }

    fn identity(&mut self, files: &IdentityFiles) -> Option<CertifiedKey> {
        let chain = self.file(SecuritySetting::CertFile, &files.cert_file, pem::certificates);
        let key = self.file(SecuritySetting::KeyFile, &files.key_file, pem::key);
        let (chain, key) = (chain?, key?);

        let identity = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let identity = identity.map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                let (key, cert) = (files.key_file.display(), files.cert_file.display());
                return format!("{key} does not match the first certificate in {cert}");
            }
            format!("{}: {error}", files.key_file.display())
        });

        self.check(SecuritySetting::KeyFile, identity)
    }

    fn server_name(&mut self, name: &str) -> Option<ServerName<'static>> {
        let parsed = ServerName::try_from(name.to_owned());
        let parsed = parsed.map_err(|_| format!("`{name}` is not a host name or IP address"));
        self.check(SecuritySetting::ServerName, parsed)
    }

    fn secret(&mut self, sasl: &Sasl) -> Option<Secret> {
        let (setting, path) = sasl.secret_file();
        match sasl {
            Sasl::Plain(_) | Sasl::ScramSha256(_) | Sasl::ScramSha512(_) => {
                self.file(setting, path, parse_password)
            }
            Sasl::OAuthBearer { .. } => self.file(setting, path, parse_token),
        }
    }

    fn file<T>(
        &mut self,
        setting: SecuritySetting,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Option<T> {
        let shown = path.display();
        let content = (self.read)(path).map_err(|error| format!("read {shown}: {error}"));
        let parsed =
            content.and_then(|it| parse(&it).map_err(|problem| format!("{shown} {problem}")));

        self.check(setting, parsed)
    }

    /// Records the error, if there is one.
    fn check<T>(&mut self, setting: SecuritySetting, result: Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.errors.push(SecurityError { setting, problem })).ok()
    }
}

/// Removes one line break at the end, which editors add. A password may start or end with spaces.
pub(super) fn parse_password(content: &[u8]) -> Result<Secret, String> {
    let text = str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);

    if text.is_empty() {
        return Err("is empty".to_owned());
    }

    if text.contains(['\0', '\n']) {
        return Err("contains more than one line".to_owned());
    }

    Ok(Secret::new(text.to_owned()))
}

/// A token is one word (RFC 6750), so it cannot end the message that carries it.
pub(super) fn parse_token(content: &[u8]) -> Result<Secret, String> {
    let text = str::from_utf8(content).unwrap_or_default().trim();
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
        return Err("contains no token: one word of printable ASCII is expected".to_owned());
    }
    Ok(Secret::new(text.to_owned()))
}
