//! How an HTTP server is reached as a client: credentials, TLS, headers and a proxy, as in
//! Prometheus's own `http_config`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    FileStamps, LoadedSecurity, PasswordFile, SECRET_BYTES_MAX, Secret, Security, TlsFiles,
    loaded::{parse_password, parse_token},
    read_limited,
};

/// The default sends no credentials and uses no proxy, whatever the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpOptions {
    pub authorization: Option<HttpAuthorization>,
    /// For `https`. The default trusts the CAs of the system.
    pub tls: TlsFiles,
    /// Sent with each request, such as `X-Scope-OrgID`. Not secret.
    pub headers: BTreeMap<String, String>,
    pub proxy_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAuthorization {
    Token {
        /// The scheme of the header, `Bearer` by default.
        scheme: String,
        /// The file that contains the token.
        credentials_file: PathBuf,
    },
    Basic(PasswordFile),
}

impl HttpAuthorization {
    /// The file with the password or the token.
    pub fn secret_file(&self) -> &Path {
        match self {
            Self::Token { credentials_file, .. } => credentials_file,
            Self::Basic(it) => &it.password_file,
        }
    }

    /// Reads the secret from the content of its file.
    ///
    /// # Errors
    ///
    /// The problem as a phrase that follows the file's name. It never quotes the content.
    pub fn parse_secret(&self, content: &[u8]) -> Result<Secret, String> {
        match self {
            Self::Token { .. } => parse_token(content),
            Self::Basic(_) => parse_password(content),
        }
    }
}

impl HttpOptions {
    fn security(&self) -> Security {
        Security { tls: Some(self.tls.clone()), sasl: None }
    }

    /// Metadata of every file that is named. Blocks.
    pub fn stamps(&self) -> FileStamps {
        let security = self.security();
        let files = security.files().into_iter().map(|it| it.1);
        let secret = self.authorization.as_ref().map(HttpAuthorization::secret_file);

        FileStamps::of_paths(files.chain(secret))
    }

    /// Reads the password or the token, if there is one. Blocks.
    ///
    /// # Errors
    ///
    /// What cannot be used, with the file's name and without its content.
    pub fn read_secret(&self) -> Result<Option<Secret>, String> {
        let Some(authorization) = &self.authorization else { return Ok(None) };
        let file = authorization.secret_file();
        let shown = file.display();
        let content = read_limited(file, SECRET_BYTES_MAX);
        let content = content.map_err(|error| format!("read {shown}: {error}"))?;

        authorization.parse_secret(&content).map(Some).map_err(|it| format!("{shown} {it}"))
    }

    /// Reads the files of `tls`; `None` if it names nothing. Blocks.
    ///
    /// # Errors
    ///
    /// As [`HttpOptions::read_secret`].
    pub fn read_tls(&self) -> Result<Option<super::ClientTls>, String> {
        if self.tls == TlsFiles::default() {
            return Ok(None);
        }

        let loaded = LoadedSecurity::load(&self.security());
        loaded.map(|it| it.tls).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            errors.join("; ")
        })
    }
}
