//! What the files held when they were read.

use std::{fs, io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, client::Resumption, crypto::ring, pki_types::ServerName,
    sign::CertifiedKey,
};

use super::{IdentityFiles, Sasl, Secret, Security, TlsFiles, pem};
use crate::model::closed_list;

/// Reads a file. A seam, so that tests need none.
pub type FileReader<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

closed_list! {
    /// Which part of the settings is meant, by its path below `security`.
    pub enum SecuritySetting {
        /// The CAs that brokers' certificates lead to.
        CaFile = "tls.ca_file",
        CertFile = "tls.cert_file",
        KeyFile = "tls.key_file",
        /// The name in brokers' certificates.
        ServerName = "tls.server_name",
        Tls = "tls",
        PasswordFile = "sasl.password_file",
        TokenFile = "sasl.token_file",
    }
}

impl SecuritySetting {
    /// Whether it is a file that only its owner should read.
    pub const fn is_secret(self) -> bool {
        match self {
            Self::KeyFile | Self::PasswordFile | Self::TokenFile => true,
            Self::CaFile | Self::CertFile | Self::ServerName | Self::Tls => false,
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct SecurityError {
    pub part: SecuritySetting,
    /// With the file's name, without its content.
    pub problem: String,
}

/// What connections are made with.
#[derive(Clone, Debug, Default)]
pub struct LoadedSecurity {
    /// Set when connections are encrypted.
    pub tls: Option<ClientTls>,
    /// The password or the token, where there is SASL.
    pub secret: Option<Secret>,
}

/// The client's side of TLS.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Trusts, and presents, what the files say.
    pub config: Arc<ClientConfig>,
    /// Expected in every broker's certificate; `None`: the host that is connected to.
    pub server_name: Option<ServerName<'static>>,
}

impl LoadedSecurity {
    /// Reads what `security` names, with `read`; the system's CAs, where they are wanted, come from
    /// `system`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, not only the first.
    pub fn read(
        security: &Security,
        read: FileReader<'_>,
        system: &dyn Fn() -> Result<RootCertStore, String>,
    ) -> Result<Self, Vec<SecurityError>> {
        let mut reading = Reading { read, wrong: Vec::new() };
        let tls = security.tls.as_ref().and_then(|it| reading.tls(it, system));
        let secret = security.sasl.as_ref().and_then(|it| reading.secret(it));
        if reading.wrong.is_empty() { Ok(Self { tls, secret }) } else { Err(reading.wrong) }
    }

    /// The same from this machine's files. Blocks.
    ///
    /// # Errors
    ///
    /// As [`LoadedSecurity::read`].
    pub fn load(security: &Security) -> Result<Self, Vec<SecurityError>> {
        Self::read(security, &|path| fs::read(path), &system_roots)
    }
}

/// The CAs that this system trusts. Blocks.
///
/// # Errors
///
/// When there are none.
pub fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // System stores hold a few that nothing can be verified with; they are left out.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        return Err("this system trusts no CA; name one in ca_file".to_owned());
    }
    Ok(roots)
}

struct Reading<'a> {
    read: FileReader<'a>,
    wrong: Vec<SecurityError>,
}

impl Reading<'_> {
    fn tls(
        &mut self,
        files: &TlsFiles,
        system: &dyn Fn() -> Result<RootCertStore, String>,
    ) -> Option<ClientTls> {
        let roots = match &files.ca_file {
            Some(path) => self.file(SecuritySetting::CaFile, path, pem::roots),
            None => self.kept(SecuritySetting::Tls, system()),
        };
        let identity = files.identity.as_ref().map(|it| self.identity(it));
        let server_name = files.server_name.as_ref().map(|it| self.name(it));
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        let config = self.kept(SecuritySetting::Tls, config.map_err(|error| error.to_string()))?;
        let config = config.with_root_certificates(roots?);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config.with_client_cert_resolver(Arc::new(
                rustls::sign::SingleCertAndKey::from(identity?),
            )),
        };
        // Connections are few and long: each is verified from the beginning.
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
        let both = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let both = both.map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                let (key, cert) = (files.key_file.display(), files.cert_file.display());
                return format!("{key} is not the key of the first certificate in {cert}");
            }
            format!("{}: {error}", files.key_file.display())
        });
        self.kept(SecuritySetting::KeyFile, both)
    }

    fn name(&mut self, name: &str) -> Option<ServerName<'static>> {
        let parsed = ServerName::try_from(name.to_owned());
        let parsed = parsed.map_err(|_| format!("`{name}` is no host name and no IP address"));
        self.kept(SecuritySetting::ServerName, parsed)
    }

    fn secret(&mut self, sasl: &Sasl) -> Option<Secret> {
        let (part, path) = sasl.secret_file();
        match sasl {
            Sasl::Plain(_) | Sasl::ScramSha256(_) | Sasl::ScramSha512(_) => {
                self.file(part, path, password)
            }
            Sasl::OAuthBearer { .. } => self.file(part, path, token),
        }
    }

    fn file<T>(
        &mut self,
        part: SecuritySetting,
        path: &Path,
        meaning: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Option<T> {
        let shown = path.display();
        let content = (self.read)(path).map_err(|error| format!("read {shown}: {error}"));
        let meant =
            content.and_then(|it| meaning(&it).map_err(|problem| format!("{shown} {problem}")));
        self.kept(part, meant)
    }

    fn kept<T>(&mut self, part: SecuritySetting, found: Result<T, String>) -> Option<T> {
        found.map_err(|problem| self.wrong.push(SecurityError { part, problem })).ok()
    }
}

/// A password may begin or end with a blank, but not with a line's end: editors add that one.
fn password(content: &[u8]) -> Result<Secret, String> {
    let text = str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.contains(['\0', '\n']) {
        return Err("holds more than one line".to_owned());
    }
    Ok(Secret::new(text.to_owned()))
}

/// One word (RFC 6750): so nothing in it can end the message that it travels in.
fn token(content: &[u8]) -> Result<Secret, String> {
    let text = str::from_utf8(content).unwrap_or_default().trim();
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
        return Err("holds no token: one word of printable ASCII".to_owned());
    }
    Ok(Secret::new(text.to_owned()))
}
