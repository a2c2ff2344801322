//! The TLS settings and credentials of one cluster, read from files and reread when these change.
//!
//! Invariant: loaded credentials stay in use until usable ones replace them.
//! Invariant: credentials that no broker has accepted yet are sent to one broker at a time, with a
//! back-off in between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::Mutex as AsyncMutex, task::spawn_blocking};
use tracing::{info, warn};

use super::{
    backoff::Backoff,
    connection_error::ConnectionError,
    options::{FILE_CHECK_INTERVAL, WireOptions},
};
use crate::{
    model::MonotonicTime,
    security::{FileStamps, LoadedSecurity, Security, SecurityError, SecuritySetting},
};

/// Loads and caches the credentials of one cluster.
#[derive(Debug)]
pub(super) struct CredentialStore {
    security: Security,
    /// The bootstrap servers, for log lines.
    cluster: String,
    cache: AsyncMutex<CredentialCache>,
    acceptance: Mutex<Acceptance>,
}

/// One successful reading of the files.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    /// Increases each time the files are reread.
    pub(super) generation: u64,
    pub(super) security: Arc<LoadedSecurity>,
}

#[derive(Debug, Default)]
struct CredentialCache {
    checked_at: Option<MonotonicTime>,
    stamps: Option<FileStamps>,
    current: Option<Credentials>,
    /// Why the last reading failed.
    errors: Option<Vec<SecurityError>>,
}

/// Whether brokers accept the credentials.
#[derive(Debug, Default)]
struct Acceptance {
    /// The generation that at least one broker has accepted.
    accepted: Option<u64>,
    /// Applies to all brokers until one accepts the credentials.
    backoff: Backoff,
}

impl CredentialStore {
    pub(super) fn new(options: &WireOptions) -> Self {
        let security = options.security.clone();
        // Without TLS and SASL there is nothing to read, so the files are never checked.
        let plaintext = (security == Security::default()).then(Credentials::default);

        Self {
            security,
            cluster: options.bootstrap.join(","),
            cache: AsyncMutex::new(CredentialCache {
                current: plaintext,
                ..CredentialCache::default()
            }),
            acceptance: Mutex::default(),
        }
    }

    /// The credentials in use. Checks the files if [`FILE_CHECK_INTERVAL`] has passed.
    pub(super) async fn current(&self, now: MonotonicTime) -> Result<Credentials, ConnectionError> {
        let mut cache = self.cache.lock().await;
        let recent = |at: MonotonicTime| now.0.saturating_sub(at.0) < FILE_CHECK_INTERVAL;
        if !cache.checked_at.is_some_and(recent) {
            self.reload_if_changed(&mut cache, now).await;
        }

        cache.get()
    }

    /// The credentials in use, after a check of the files.
    pub(super) async fn latest(&self, now: MonotonicTime) -> Result<Credentials, ConnectionError> {
        let mut cache = self.cache.lock().await;
        self.reload_if_changed(&mut cache, now).await;
        cache.get()
    }

    async fn reload_if_changed(&self, cache: &mut CredentialCache, now: MonotonicTime) {
        if self.security.files().is_empty() && cache.current.is_some() {
            return;
        }

        // Set first: a file system that hangs must not take a thread from each call.
        cache.checked_at = Some(now);

        let security = self.security.clone();
        // After a failure the files are always reread: the stamps may not show what was wrong.
        let previous = cache.stamps.clone().filter(|_| cache.errors.is_none());
        let reload = spawn_blocking(move || {
            let stamps = FileStamps::of(&security);
            let changed = previous.as_ref() != Some(&stamps);
            changed.then(|| (stamps, LoadedSecurity::load(&security)))
        });

        // The task is lost only when the process ends; then nobody waits for its result.
        let Ok(reloaded) = reload.await else { return };

        if let Some((stamps, loaded)) = reloaded {
            cache.stamps = Some(stamps);
            self.store(cache, loaded);
        }
    }

    fn store(
        &self,
        cache: &mut CredentialCache,
        loaded: Result<LoadedSecurity, Vec<SecurityError>>,
    ) {
        let cluster = &self.cluster;
        match loaded {
            Ok(security) => {
                let generation = cache.current.as_ref().map_or(0, |it| it.generation);
                if cache.current.is_some() {
                    info!(cluster, "Kafka credentials have changed, opening new connections.");
                }

                cache.current = Some(Credentials {
                    generation: generation.saturating_add(1),
                    security: Arc::new(security),
                });
                cache.errors = None;
            }
            Err(errors) => {
                if cache.current.is_some() && cache.errors.as_ref() != Some(&errors) {
                    let problem = describe(&errors);
                    warn!(
                        cluster,
                        problem, "Changed Kafka credentials are unusable, keeping the previous."
                    );
                }
                cache.errors = Some(errors);
            }
        }
    }

    /// The last refusal, while the back-off that it caused applies to all brokers.
    pub(super) fn backoff(&self, now: MonotonicTime, generation: u64) -> Option<ConnectionError> {
        self.acceptance().backoff.active(now, generation)
    }

    /// A broker has accepted the credentials of this generation.
    pub(super) fn record_accepted(&self, generation: u64) {
        *self.acceptance() = Acceptance { accepted: Some(generation), backoff: Backoff::default() };
    }

    /// A broker has refused the credentials of this generation. If another broker has accepted
    /// them, the problem is that broker's. If none has, they are not sent to the other brokers
    /// either: several failed logins lock an account.
    pub(super) fn record_refused(
        &self,
        now: MonotonicTime,
        generation: u64,
        peer: &str,
        error: &ConnectionError,
    ) {
        let mut acceptance = self.acceptance();
        if acceptance.accepted != Some(generation) {
            let error = error.clone().into_io();
            let text = format!("{peer} refused the same credentials a moment ago: {error}");
            acceptance.backoff.record_failure(now, generation, ConnectionError::AuthRefused(text));
        }
    }

    fn acceptance(&self) -> MutexGuard<'_, Acceptance> {
        self.acceptance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialCache {
    fn get(&self) -> Result<Credentials, ConnectionError> {
        self.current.clone().ok_or_else(|| {
            let errors = self.errors.as_deref().unwrap_or_default();
            let is_sasl = |it: &SecurityError| {
                matches!(it.setting, SecuritySetting::PasswordFile | SecuritySetting::TokenFile)
            };

            let text = describe(errors);
            if errors.iter().all(is_sasl) {
                ConnectionError::NoCredentials(text)
            } else {
                ConnectionError::Tls(text)
            }
        })
    }
}

fn describe(errors: &[SecurityError]) -> String {
    if errors.is_empty() {
        return "the files that `security` names have not been read yet".to_owned();
    }
    let errors: Vec<String> = errors.iter().map(|it| format!("security.{it}")).collect();
    errors.join("; ")
}
