//! The state directory: its lock, the store and the pause file.
//!
//! A process that only exports metrics has no state, so it uses no directory: several may run on
//! one machine. The exception is a store with open runs, whose changes must still be undone.

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{info, warn};

use super::AppError;
use crate::{
    config::RemediationConfig,
    model::ClusterName,
    remediation::PauseFile,
    store::{Store, StoreError},
    telemetry::chain,
};

const LOCK_FILE: &str = "lock";
const STORE_FILE: &str = "state.db";

/// What this process keeps, until it ends.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) pause: PauseFile,
    lock: Option<StateLock>,
}

impl State {
    pub(super) fn open(remediation: &RemediationConfig) -> Result<Self, AppError> {
        let dir = &remediation.state_dir;
        if only_exports(remediation) {
            match open_runs_in(dir) {
                Ok(Some(state)) => {
                    warn!(
                        state_dir = %dir.display(),
                        "The state directory has runs that are not finished: using it, although \
                         only metrics are exported."
                    );
                    return Ok(state);
                }
                Ok(None) => (),
                Err(error) => {
                    let error = chain(&error);
                    warn!(error, "The state directory is not used: only metrics are exported.");
                }
            }

            return Self::in_memory();
        }

        // Only for this user: what is in it says what was changed, and on whose order.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| AppError::StateDir { path: dir.clone(), source })?;
        Self::in_dir(dir)
    }

    /// Whether the state survives the process.
    pub(super) fn has_dir(&self) -> bool {
        self.lock.is_some()
    }

    /// The id of this installation. Stores the names of the configured clusters.
    pub(super) async fn installation(
        &self,
        clusters: Vec<ClusterName>,
    ) -> Result<Arc<str>, AppError> {
        let unreadable = |source| AppError::Store { path: PathBuf::from(STORE_FILE), source };
        self.store.configure_clusters(clusters).await.map_err(unreadable)?;
        Ok(self.store.installation().await.map_err(unreadable)?.into())
    }

    fn in_dir(dir: &Path) -> Result<Self, AppError> {
        let lock = StateLock::take(dir)?;
        let path = dir.join(STORE_FILE);
        let store = Store::open(&path).map_err(|source| AppError::Store { path, source })?;

        Ok(Self { store, pause: PauseFile::in_dir(dir), lock: Some(lock) })
    }

    fn in_memory() -> Result<Self, AppError> {
        let store = Store::in_memory();
        let path = PathBuf::from("memory");
        let store = store.map_err(|source| AppError::Store { path, source })?;
        info!("Running without a state directory: only metrics are exported.");

        Ok(Self { store, pause: PauseFile::in_memory(), lock: None })
    }
}

/// Whether nothing in the configuration can lead to a run.
pub(super) fn only_exports(remediation: &RemediationConfig) -> bool {
    remediation.playbooks.is_empty() && remediation.access.is_empty()
}

/// The state in `dir`, if there is a store with open runs. Not if another process holds the lock:
/// then it looks after them.
fn open_runs_in(dir: &Path) -> Result<Option<State>, AppError> {
    if !dir.join(STORE_FILE).try_exists().unwrap_or(false) {
        return Ok(None);
    }

    let state = match State::in_dir(dir) {
        Err(AppError::StateLocked { .. }) => return Ok(None),
        opened => opened?,
    };

    let open = state.store.has_open_runs().map_err(|source| unreadable(dir, source))?;

    Ok(open.then_some(state))
}

fn unreadable(dir: &Path, source: StoreError) -> AppError {
    AppError::Store { path: dir.join(STORE_FILE), source }
}

/// The lock of the state directory, held until the process ends: one process per directory (I10).
#[derive(Debug)]
struct StateLock {
    _file: File,
}

impl StateLock {
    /// Locks `dir`, which must exist.
    fn take(dir: &Path) -> Result<Self, AppError> {
        let path = dir.join(LOCK_FILE);
        let unusable = |source| AppError::StateDir { path: dir.to_owned(), source };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;

        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(AppError::StateLocked { path }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}
