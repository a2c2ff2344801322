//! One SQLite file: alerts and episodes, runs, steps, the journal. Cooldown, caps and quarantine
//! are queries over runs.
//!
//! Invariant: every method is one transaction; when it returns `Ok`, what it wrote is on the disk.
//! Invariant: a run's state moves only through the table in [`RunState::after`].
//!
//! [`RunState::after`]: crate::model::RunState::after

mod alerts;
mod history;
mod journal;
mod keys;
mod migrate;
mod rows;
mod runs;
mod steps;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use alerts::{Answered, Episode, Routed, TakenAlerts};
pub use history::{Past, PastEnd};
pub use keys::KeyAt;
pub use rows::{
    Extent, JournalLine, Measurement, NewRun, RunDetail, RunRow, StepRow, StepState, Times, Urgency,
};
pub use runs::{NewClaim, Newness, RunUpdate};
pub use steps::StepUpdate;

/// The layout this program reads and writes, kept in SQLite's `user_version`.
const SCHEMA_VERSION: i32 = 3;

/// How long SQLite waits for another connection, such as an operator's shell.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("{doing}")]
    Sqlite {
        doing: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// A row holds what this program never wrote.
    #[error("{doing}: `{value}` is not known; was the file written by a newer version?")]
    Unreadable { doing: &'static str, value: String },
    /// The run cannot go there from where it stands.
    #[error("run {run}: {problem}")]
    Impossible {
        run: i64,
        /// The state and the event.
        problem: String,
    },
    /// A table has reached its limit.
    #[error("{0}")]
    Full(String),
}

/// The store. Cheap to clone; one connection behind a lock.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(..)")
    }
}

/// Names what was being done when SQLite refused.
fn doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |source| StoreError::Sqlite { doing, source }
}

impl Store {
    /// Opens or creates the file.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is no store, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::with(Connection::open(path).map_err(doing("open the store"))?)
    }

    /// A store that lives as long as the process, for tests.
    ///
    /// # Errors
    ///
    /// When SQLite refuses.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::with(Connection::open_in_memory().map_err(doing("open a store in memory"))?)
    }

    fn with(connection: Connection) -> Result<Self, StoreError> {
        let prepare = || -> rusqlite::Result<i32> {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // FULL: a commit is on the disk when it returns. I2 and I22 rest on it.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_query_value(None, "user_version", |row| row.get(0))
        };
        let version = prepare().map_err(doing("prepare the store"))?;
        match version {
            0 => create(&connection).map_err(doing("create the store's tables"))?,
            SCHEMA_VERSION => (),
            1..SCHEMA_VERSION => {
                migrate::from(version, &connection).map_err(doing("bring the store up to date"))?
            }
            other => {
                return Err(StoreError::Unreadable {
                    doing: "read the store's version",
                    value: other.to_string(),
                });
            }
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// The one place where SQLite is called: off the async threads, in one transaction.
    async fn call<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = lock(&connection);
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(doing(what))?;
            let value = work(&transaction)?;
            transaction.commit().map_err(doing(what))?;
            Ok(value)
        });
        match done.await {
            Ok(result) => result,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}

/// A panic inside a transaction rolled it back; the connection is as good as before.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
        include_str!("schema.sql")
    ))
}
