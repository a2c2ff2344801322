//! The web configuration (`--web.config.file`): TLS, users, headers and the rate limit.
//!
//! Its files are checked for changes at each handshake and each request. A changed configuration
//! replaces the active one only if it is valid; an invalid one is logged once. So a half-written
//! certificate or a typo does not interrupt service.

mod admission;
mod client_certs;
mod files;
mod passwords;
mod tls;
mod token_bucket;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, watch},
    task::spawn_blocking,
};
use tracing::{error, info, warn};

pub(super) use admission::admission;
pub(super) use client_certs::VerifiedClient;
pub(super) use tls::ServerTls;

use files::{FileDigests, HashingReader};
use passwords::Users;
use token_bucket::TokenBucket;

use crate::{
    config::{ConfigError, web},
    telemetry::chain,
};

/// Maximum concurrent password checks: each takes about 80 ms of a core.
const CHECKS_MAX: usize = 1;
/// Maximum delay of a request by a slow disk; the active configuration stays in effect.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a web configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The file is not a valid web configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file named in the configuration cannot be read.
    #[error("{key}: read {}", path.display())]
    Read {
        /// The key that names the file.
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The value of a key cannot be used.
    #[error("{key}: {problem}")]
    ServerTls {
        key: &'static str,
        /// What is wrong; never contains the value, which may be secret.
        problem: String,
    },
    /// TLS was switched on or off.
    #[error("tls_server_config: TLS cannot be switched on or off at run time; restart the process")]
    TlsToggled,
}

/// The web configuration, reloaded when its files change. Clones share it.
#[derive(Clone, Debug)]
pub struct Web(Arc<SharedWeb>);

#[derive(Debug)]
struct SharedWeb {
    /// `None` without `--web.config.file`.
    path: Option<PathBuf>,
    active: watch::Sender<Arc<ActiveConfig>>,
    /// Digests of the files of the last attempt. Locked during a reload; meanwhile other requests
    /// use the active configuration.
    digests: Arc<AsyncMutex<FileDigests>>,
    /// Why the current files were rejected.
    fault: Mutex<Option<String>>,
    checks: Arc<Semaphore>,
}

#[derive(Debug, Default)]
pub(super) struct ActiveConfig {
    pub(super) tls: Option<ServerTls>,
    headers: HeaderMap,
    users: Users,
    bucket: Option<TokenBucket>,
}

impl Web {
    pub fn plain() -> Self {
        Self::new(None, ActiveConfig::default(), FileDigests::default())
    }

    /// Reads the file at `path` and the files that it names.
    ///
    /// # Errors
    ///
    /// See [`WebError`].
    pub fn open(path: &Path) -> Result<Self, WebError> {
        let mut reader = HashingReader::default();
        let active = load(path, &mut reader)?;
        Ok(Self::new(Some(path.to_owned()), active, reader.digests()))
    }

    fn new(path: Option<PathBuf>, active: ActiveConfig, digests: FileDigests) -> Self {
        Self(Arc::new(SharedWeb {
            path,
            active: watch::Sender::new(Arc::new(active)),
            digests: Arc::new(AsyncMutex::new(digests)),
            fault: Mutex::new(None),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
        }))
    }

    /// Whether client certificates are verified against a CA.
    pub fn verifies_clients(&self) -> bool {
        self.0.active.borrow().tls.as_ref().is_some_and(ServerTls::verifies_clients)
    }

    /// Whether passwords are sent in clear text: there are users, but no TLS.
    pub fn has_users_without_tls(&self) -> bool {
        let active = self.0.active.borrow();
        active.tls.is_none() && !active.users.is_empty()
    }

    /// Why the current files were rejected; `None` if they are in effect.
    pub(super) fn fault(&self) -> Option<String> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The active configuration, after a reload if the files have changed.
    pub(super) async fn current(&self) -> Arc<ActiveConfig> {
        if let Some(path) = self.0.path.clone()
            && let Ok(mut digests) = Arc::clone(&self.0.digests).try_lock_owned()
        {
            let web = self.clone();
            let reload = spawn_blocking(move || web.reload_if_changed(&path, &mut digests));
            if tokio::time::timeout(RELOAD_TIMEOUT, reload).await.is_err() {
                warn!(timeout = ?RELOAD_TIMEOUT, "Reading the web configuration timed out.");
            }
        }

        Arc::clone(&self.0.active.borrow())
    }

    fn reload_if_changed(&self, path: &Path, digests: &mut FileDigests) {
        if digests.still_match() {
            return;
        }

        let mut reader = HashingReader::default();
        let loaded = load(path, &mut reader);
        *digests = reader.digests();
        let fault = match loaded {
            Ok(active) if active.tls.is_some() != self.0.active.borrow().tls.is_some() => {
                Some(WebError::TlsToggled)
            }
            Ok(active) => {
                self.0.active.send_replace(Arc::new(active));
                info!("Web configuration loaded.");
                None
            }
            Err(error) => Some(error),
        };

        let fault = fault.map(|it| chain(&it));
        if let Some(reason) = &fault {
            error!(reason, "Web configuration rejected, the previous one stays in effect.");
        }

        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

fn load(path: &Path, reader: &mut HashingReader) -> Result<ActiveConfig, WebError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let text = reader.read(path).map_err(read)?;
    let text = String::from_utf8(text).map_err(|error| read(io::Error::other(error)))?;
    let config = web::parse(&text, path.parent().unwrap_or(Path::new("")))?;
    let mut headers = HeaderMap::new();
    for (name, value) in config.headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        let value = HeaderValue::from_str(&value).map_err(|error| WebError::ServerTls {
            key: "http_server_config.headers",
            problem: error.to_string(),
        })?;

        headers.insert(name, value);
    }

    Ok(ActiveConfig {
        tls: config.tls.map(|it| ServerTls::new(&it, reader)).transpose()?,
        headers,
        users: Users::new(config.users),
        bucket: config.rate_limit.map(TokenBucket::new),
    })
}
