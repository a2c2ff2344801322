//! One SQLite file: alerts and episodes, runs, steps, the journal. Cooldown, caps and quarantine
//! are queries over runs.
//!
//! Invariant: every method is one transaction; when it returns `Ok`, its writes are on the disk.
//! Unless a method says more, it fails only when the file cannot be read or written.
//! Invariant: a run's state changes only as [`RunState::after`] allows.
//!
//! [`RunState::after`]: crate::model::RunState::after

mod alerts;
mod baselines;
mod cases;
mod closed_lists;
mod clusters;
mod columns;
mod deflated;
mod history;
mod journal;
mod listing;
mod measurement;
mod migrate;
mod ownership;
mod release;
mod rows;
mod runs;
mod steps;

use std::{
    fmt,
    fs::File,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tracing::info;

pub use alerts::{
    AlertCounts, Episode, EpisodeSubject, FiringUpdate, GAP_MIN, RoutedAlert, StoredAlerts,
    VaryingLabels,
};
pub use baselines::{BASELINES_MAX, BaselineStored, NewBaseline};
pub use cases::CASES_MAX;
pub use clusters::{Identification, OrphanedRuns};
pub use history::{EndedRun, RunHistory};
pub use journal::{JournalFilter, NewLine};
pub use listing::{ClusterOverview, HeldCount, RunFilter};
pub use measurement::{Measurement, ObservationPlan};
pub use ownership::{Ownership, StackedStep};
pub use release::Release;
pub use rows::{
    JournalLine, NewRun, Priority, RunDetail, RunRow, StepProgress, StepRow, StepState, Times,
};
pub use runs::{Added, Claims, EpisodeAttempt, NewAttempt, NewClaim, RunUpdate};
pub use steps::{StepUpdate, plan_digest};

use crate::model::{InvalidTransition, RunId, RunState};

/// The layout that this program reads and writes, kept in SQLite's `user_version`.
const SCHEMA_VERSION: i32 = 5;

/// Largest file that is checked at the start: that takes about a second.
const CHECKED_BYTES_MAX: u64 = 256 << 20;

/// How long SQLite waits for a lock of another connection, such as an operator's shell.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The store could not be read or written. Nothing of the transaction is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("failed to {action}")]
    Sqlite {
        action: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the file has version {0}, which this program does not know: a newer version wrote it")]
    UnknownVersion(i32),
    /// A row holds a word of a closed list that this version does not have.
    #[error(
        "{column} has the value `{word}`, which this program does not know: a newer version wrote it"
    )]
    UnknownWord { column: &'static str, word: String },
    #[error("the file is no store of kafka-optimizer: it is an SQLite file with other tables")]
    Foreign,
    /// Not an SQLite file, or a damaged one.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("failed to {action}: the disk is full")]
    DiskFull { action: &'static str },
    /// The transition table does not allow the event in the run's state.
    #[error("run {run}: {problem}")]
    InvalidTransition { run: RunId, problem: InvalidTransition },
    /// A table has reached its limit.
    #[error("{0}")]
    Full(String),
}

/// Why a transaction is rolled back.
enum TransactionError {
    Sqlite(rusqlite::Error),
    Refused(StoreError),
}

impl From<rusqlite::Error> for TransactionError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl TransactionError {
    fn during(self, action: &'static str) -> StoreError {
        match self {
            Self::Sqlite(source) => failed_to(action)(source),
            Self::Refused(error) => error,
        }
    }
}

/// The store. Cheap to clone; one connection behind a lock.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    /// Whether SQLite failed in the last transaction that failed, and none wrote after it.
    has_failed: Arc<AtomicBool>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(..)")
    }
}

fn failed_to(action: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { action },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged(source.to_string())
        }
        _ => StoreError::Sqlite { action, source },
    }
}

impl Store {
    /// Opens or creates the file, and migrates the file of an older version.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is no store, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // Only for this user: it says what was changed and on whose order. SQLite gives its other
        // files the same permissions. If it cannot be created, SQLite says why.
        let mut options = File::options();
        let _made = options.write(true).create_new(true).mode(0o600).open(path);

        let store = Self::with(Connection::open(path).map_err(failed_to("open the store"))?)?;
        let bytes = path.metadata().map_or(0, |it| it.len());

        if bytes <= CHECKED_BYTES_MAX {
            store.check_file()?;
        } else {
            info!(bytes, "The state store is too large to be checked at the start.");
        }

        store.check_closed_lists()?;

        Ok(store)
    }

    /// Finds pages that are damaged, which would otherwise fail when they are needed.
    fn check_file(&self) -> Result<(), StoreError> {
        let result: String = lock(&self.connection)
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(failed_to("check the store"))?;
        if result == "ok" { Ok(()) } else { Err(StoreError::Damaged(result)) }
    }

    /// Finds words of a newer version, which would otherwise fail whatever lists the runs.
    fn check_closed_lists(&self) -> Result<(), StoreError> {
        closed_lists::check(&lock(&self.connection))
    }

    /// Whether the store could be read and written when it was last used.
    pub fn is_usable(&self) -> bool {
        !self.has_failed.load(Ordering::Relaxed)
    }

    /// A store that lives as long as the process, for tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::with(Connection::open_in_memory().map_err(failed_to("open a store in memory"))?)
    }

    fn with(connection: Connection) -> Result<Self, StoreError> {
        let prepare = || -> rusqlite::Result<i32> {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;

            // FULL: a commit is on the disk when it returns. I2 and I22 rely on it.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_query_value(None, "user_version", |row| row.get(0))
        };

        match prepare().map_err(failed_to("prepare the store"))? {
            0 if has_tables(&connection).map_err(failed_to("read the store's tables"))? => {
                return Err(StoreError::Foreign);
            }
            0 => create(&connection).map_err(failed_to("create the store's tables"))?,
            SCHEMA_VERSION => (),
            old @ 1..SCHEMA_VERSION => migrate::from(old, &connection)
                .map_err(failed_to("migrate the store from an older version"))?,
            other => return Err(StoreError::UnknownVersion(other)),
        }

        Ok(Self { connection: Arc::new(Mutex::new(connection)), has_failed: Arc::default() })
    }

    /// Whether a run of any cluster is not finished: it has not ended, its temporary change is in
    /// effect, or it is stuck. Blocks.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn has_open_runs(&self) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM runs WHERE ended_at IS NULL
            OR (state = ?1 AND (undo_requested OR expires_at IS NOT NULL))
            OR (state = ?2 AND NOT acknowledged))";

        lock(&self.connection)
            .query_row(query, [RunState::Kept, RunState::Stuck], |row| row.get(0))
            .map_err(failed_to("read the open runs"))
    }

    /// Runs `work` in one transaction, off the async threads. Every access to SQLite goes through
    /// here. `action` completes "failed to …" in errors.
    async fn call<T, F>(&self, action: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, TransactionError> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let has_failed = self.has_failed.load(Ordering::Relaxed);
        let transact = move || -> Result<T, TransactionError> {
            let mut connection = lock(&connection);
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx)?;

            // A read succeeds on a full disk: only a write proves that the store works again.
            if has_failed {
                tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }

            tx.commit()?;
            Ok(value)
        };

        match tokio::task::spawn_blocking(transact).await {
            Ok(result) => {
                let failed = matches!(result, Err(TransactionError::Sqlite(_)));
                self.has_failed.store(failed, Ordering::Relaxed);
                result.map_err(|failure| failure.during(action))
            }
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}

/// A panic inside a transaction rolls it back; the connection can still be used.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_master)", [], |row| row.get(0))
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
        include_str!("schema.sql")
    ))
}
