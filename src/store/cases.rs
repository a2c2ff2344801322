//! What verdicts depended on, so that they can be computed again.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, deflated::Deflated};
use crate::{model::RunId, verdict::VerdictCase};

/// Cases that are kept, those of the newest runs: with a day of one-minute bins of three brokers
/// one takes 100 KB, with the longest history and nine brokers 3 MB.
pub const CASES_MAX: u32 = 500;

impl Store {
    /// Stores what the verdict on a run depended on, instead of what was stored before. The oldest
    /// is dropped beyond [`CASES_MAX`].
    pub async fn set_case(&self, run: RunId, case: VerdictCase) -> Result<(), StoreError> {
        self.call("store what a verdict depends on", move |tx| {
            tx.execute(
                "INSERT INTO cases (run, content) VALUES (?1, ?2)
                 ON CONFLICT (run) DO UPDATE SET content = excluded.content",
                params![run, Deflated(&case)],
            )?;
            tx.execute(
                "DELETE FROM cases WHERE run NOT IN
                 (SELECT run FROM cases ORDER BY run DESC LIMIT ?1)",
                [CASES_MAX],
            )?;
            Ok(())
        })
        .await
    }

    /// What the verdict on a run depended on. `None` if it has none, or is too old.
    pub async fn case(&self, run: RunId) -> Result<Option<VerdictCase>, StoreError> {
        self.call("read what a verdict depends on", move |tx| {
            let content = "SELECT content FROM cases WHERE run = ?1";
            let found = tx.query_row(content, [run], |row| row.get::<_, Deflated<VerdictCase>>(0));
            Ok(found.optional()?.map(|Deflated(it)| it))
        })
        .await
    }
}
