//! One SQLite file: alerts and episodes, runs, steps, the journal. Cooldown, caps and quarantine are
//! queries over runs.

mod rows;

pub use rows::{JournalLine, NewRun, Objective, RunDetail, RunRow, StepRow, StepState, Times};

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct StoreError {
    /// What was being done.
    pub doing: &'static str,
    /// What SQLite said.
    #[source]
    pub source: rusqlite::Error,
}
