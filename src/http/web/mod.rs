//! The web configuration in force (`--web.config.file`): TLS, users, headers, the rate of requests.
//!
//! Its files are looked at again at each handshake and each request. What has changed is built
//! whole, then takes the place of what was there; what cannot be used is logged once and changes
//! nothing, so that a certificate that is half written, or a slip in an editor, ends no service.

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

/// Passwords that are checked at once: each takes a core for some 80 ms.
const CHECKS_MAX: usize = 1;
/// A disk that does not answer delays nobody longer; what is in force stays in force.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a web configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The file is not as it should be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that it names cannot be read.
    #[error("{key}: read {}", path.display())]
    Read {
        /// The key that names it.
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// What a key names is not what it should be.
    #[error("{key}: {problem}")]
    ServerTls {
        key: &'static str,
        /// What is wrong; never what stands there.
        problem: String,
    },
    /// Clients would not find the server that they knew.
    #[error("tls_server_config: TLS cannot come or go while the process runs; restart it")]
    TlsToggled,
}

/// The web configuration, kept up to date. Clones share it.
#[derive(Clone, Debug)]
pub struct Web(Arc<SharedWeb>);

#[derive(Debug)]
struct SharedWeb {
    /// `None` without a file.
    path: Option<PathBuf>,
    active: watch::Sender<Arc<ActiveConfig>>,
    /// What was read; held by the one who looks, while others go on with what is in force.
    digests: Arc<AsyncMutex<FileDigests>>,
    /// Why the files as they are now are not in force.
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

    /// What the file at `path` says.
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

    /// Whether certificates of clients are held against an authority.
    pub fn verifies_clients(&self) -> bool {
        self.0.active.borrow().tls.as_ref().is_some_and(ServerTls::verifies_clients)
    }

    /// Whether whoever listens on the way learns the users' passwords.
    pub fn takes_passwords_in_clear(&self) -> bool {
        let active = self.0.active.borrow();
        active.tls.is_none() && !active.users.is_empty()
    }

    /// Why the files as they are now are not in force.
    pub(super) fn fault(&self) -> Option<String> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in force, after a look at the files.
    pub(super) async fn current(&self) -> Arc<ActiveConfig> {
        if let Some(path) = self.0.path.clone()
            && let Ok(mut digests) = Arc::clone(&self.0.digests).try_lock_owned()
        {
            let web = self.clone();
            let reload = spawn_blocking(move || web.reload_if_changed(&path, &mut digests));
            if tokio::time::timeout(RELOAD_TIMEOUT, reload).await.is_err() {
                warn!("The files of the web configuration are slow to read.");
            }
        }
        Arc::clone(&self.0.active.borrow())
    }

    fn reload_if_changed(&self, path: &Path, digests: &mut FileDigests) {
        if digests.still_match() {
            return;
        }
        let mut reader = HashingReader::default();
        let made = load(path, &mut reader);
        *digests = reader.digests();
        let fault = match made {
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
            error!(reason, "Web configuration refused, the one before stays in force.");
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
