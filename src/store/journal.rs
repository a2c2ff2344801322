//! The journal: what happened to a run, in words, in order. Append-only (I32).

use rusqlite::{Transaction, params};

use super::{JournalLine, Store, StoreError, doing};
use crate::model::{RunId, WallTime};

/// Longest line, in characters; a broker's answer is cut there.
const TEXT_MAX: usize = 4000;

impl Store {
    /// Adds one line.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn note(
        &self,
        run: RunId,
        now: WallTime,
        entry: &'static str,
        text: String,
    ) -> Result<(), StoreError> {
        self.call("write the journal", move |tx| append(tx, run, now, (entry, &text))).await
    }
}

/// Adds one line inside a transaction that also changes what it speaks of.
pub(super) fn append(
    tx: &Transaction<'_>,
    run: RunId,
    now: WallTime,
    (entry, text): (&str, &str),
) -> Result<(), StoreError> {
    let text: String = text.chars().take(TEXT_MAX).collect();
    tx.prepare_cached("INSERT INTO journal (run, at, entry, text) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute(params![run.0, now.0, entry, text]))
        .map_err(doing("write the journal"))?;
    Ok(())
}

/// All lines of a run, oldest first.
pub(super) fn of(tx: &Transaction<'_>, run: RunId) -> rusqlite::Result<Vec<JournalLine>> {
    let mut query =
        tx.prepare_cached("SELECT at, entry, text FROM journal WHERE run = ?1 ORDER BY id")?;
    query
        .query_map([run.0], |row| {
            Ok(JournalLine { at: WallTime(row.get(0)?), entry: row.get(1)?, text: row.get(2)? })
        })?
        .collect()
}
