//! What the connections of one cluster are secured with: read from files, and read again when they
//! change.
//!
//! Invariant: what was read stays in use until something usable takes its place.
//! Invariant: credentials that no broker has accepted are shown to one broker at a time, with a
//! pause between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::Mutex as AsyncMutex, task::spawn_blocking};
use tracing::{info, warn};

use super::{
    backoff::Backoff,
    connection_error::ConnectionError,
    options::{FILES_LOOK_EVERY, WireOptions},
};
use crate::{
    model::MonotonicTime,
    security::{FileStamps, LoadedSecurity, Security, SecurityError, SecuritySetting},
};

/// The credentials of one cluster.
#[derive(Debug)]
pub(super) struct CredentialStore {
    security: Security,
    cluster: String,
    held: AsyncMutex<CredentialCache>,
    trust: Mutex<Trust>,
}

/// One reading of the files.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    pub(super) generation: u64,
    pub(super) material: Arc<LoadedSecurity>,
}

#[derive(Debug, Default)]
struct CredentialCache {
    looked_at: Option<MonotonicTime>,
    stamp: Option<FileStamps>,
    current: Option<Credentials>,
    /// Why the latest reading was of no use.
    unusable: Option<Vec<SecurityError>>,
}

/// What brokers think of the credentials.
#[derive(Debug, Default)]
struct Trust {
    /// The generation that some broker has accepted.
    accepted: Option<u64>,
    /// Of all brokers, while none has.
    pause: Backoff,
}

impl CredentialStore {
    pub(super) fn new(options: &WireOptions) -> Self {
        let security = options.security.clone();
        // Nothing to read: plain connections cost no look at files.
        let plain = (security == Security::default()).then(Credentials::default);
        Self {
            security,
            cluster: options.bootstrap.join(","),
            held: AsyncMutex::new(CredentialCache { current: plain, ..CredentialCache::default() }),
            trust: Mutex::default(),
        }
    }

    /// Those in use. Looks at the files when the last look is a while ago.
    pub(super) async fn in_use(&self, now: MonotonicTime) -> Result<Credentials, ConnectionError> {
        let mut held = self.held.lock().await;
        let fresh = |at: MonotonicTime| now.0.saturating_sub(at.0) < FILES_LOOK_EVERY;
        if !held.looked_at.is_some_and(fresh) {
            self.look(&mut held, now).await;
        }
        held.answer()
    }

    /// Those in use after a look at the files.
    pub(super) async fn latest(&self, now: MonotonicTime) -> Result<Credentials, ConnectionError> {
        let mut held = self.held.lock().await;
        self.look(&mut held, now).await;
        held.answer()
    }

    async fn look(&self, held: &mut CredentialCache, now: MonotonicTime) {
        let nothing_to_look_at = self.security.files().is_empty() && held.current.is_some();
        if nothing_to_look_at {
            return;
        }
        // First: a file system that hangs must not get a thread from each call.
        held.looked_at = Some(now);
        let security = self.security.clone();
        // What was of no use is read again each time: what was wrong may not be in the stamp.
        let before = held.stamp.clone().filter(|_| held.unusable.is_none());
        let looked = spawn_blocking(move || {
            let stamp = FileStamps::of(&security);
            let changed = before.as_ref() != Some(&stamp);
            changed.then(|| (stamp, LoadedSecurity::load(&security)))
        });
        // It is lost only when the process ends; then nobody waits for what it found.
        let Ok(found) = looked.await else { return };
        if let Some((stamp, read)) = found {
            held.stamp = Some(stamp);
            self.take(held, read);
        }
    }

    fn take(&self, held: &mut CredentialCache, read: Result<LoadedSecurity, Vec<SecurityError>>) {
        let cluster = &self.cluster;
        match read {
            Ok(material) => {
                let generation = held.current.as_ref().map_or(0, |it| it.generation);
                if held.current.is_some() {
                    info!(cluster, "Kafka credentials reread: connections are opened anew.");
                }
                let material = Arc::new(material);
                held.current =
                    Some(Credentials { generation: generation.saturating_add(1), material });
                held.unusable = None;
            }
            Err(unusable) => {
                let problem = describe(&unusable);
                if held.current.is_some() && held.unusable.as_ref() != Some(&unusable) {
                    warn!(
                        cluster,
                        problem,
                        "Kafka credentials have changed and cannot be used: those before stay."
                    );
                }
                held.unusable = Some(unusable);
            }
        }
    }

    /// Why no broker is tried now, while none has accepted these credentials.
    pub(super) fn pausing(&self, now: MonotonicTime, generation: u64) -> Option<ConnectionError> {
        self.trust().pause.holds(now, generation)
    }

    /// A broker has accepted them.
    pub(super) fn accepted(&self, generation: u64) {
        *self.trust() = Trust { accepted: Some(generation), pause: Backoff::default() };
    }

    /// A broker has refused them. If another has accepted them, that is between it and us; if none
    /// has, they are not shown to the next one either: several wrong attempts lock an account.
    pub(super) fn refused(
        &self,
        now: MonotonicTime,
        generation: u64,
        peer: &str,
        ending: &ConnectionError,
    ) {
        let mut trust = self.trust();
        if trust.accepted != Some(generation) {
            let words = ending.clone().into_io();
            let words = format!("{peer} did not accept the same a moment ago: {words}");
            trust.pause.begin(now, generation, ConnectionError::AuthRefused(words));
        }
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialCache {
    fn answer(&self) -> Result<Credentials, ConnectionError> {
        self.current.clone().ok_or_else(|| {
            let unusable = self.unusable.as_deref().unwrap_or_default();
            let of_sasl = |it: &SecurityError| {
                matches!(it.part, SecuritySetting::PasswordFile | SecuritySetting::TokenFile)
            };
            let words = describe(unusable);
            if unusable.iter().all(of_sasl) {
                ConnectionError::NoCredentials(words)
            } else {
                ConnectionError::Tls(words)
            }
        })
    }
}

fn describe(unusable: &[SecurityError]) -> String {
    if unusable.is_empty() {
        return "the files that `security` names have not been read yet".to_owned();
    }
    let each: Vec<String> = unusable.iter().map(|it| format!("security.{it}")).collect();
    each.join("; ")
}
