//! The journal: what happened to a run, in words, in order. Append-only (I32).

use rusqlite::{Transaction, params};

use super::{JournalLine, Store, StoreError};
use crate::model::{RunId, WallTime};

/// Longest line, in characters; a longer broker's answer is cut.
const TEXT_MAX: usize = 4000;

impl Store {
    /// Appends one line to the journal of `run`.
    pub async fn note(
        &self,
        run: RunId,
        now: WallTime,
        entry: &'static str,
        text: String,
    ) -> Result<(), StoreError> {
        self.call("write the journal", move |tx| Ok(append(tx, run, now, entry, &text)?)).await
    }
}

/// Appends one line inside the transaction that changes what the line is about.
pub(super) fn append(
    tx: &Transaction<'_>,
    run: RunId,
    now: WallTime,
    entry: &str,
    text: &str,
) -> rusqlite::Result<()> {
    let text: String = text.chars().take(TEXT_MAX).collect();
    tx.prepare_cached("INSERT INTO journal (run, at, entry, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![run, now, entry, text])?;
    Ok(())
}

/// All lines of a run, oldest first.
pub(super) fn read(tx: &Transaction<'_>, run: RunId) -> rusqlite::Result<Vec<JournalLine>> {
    let mut query =
        tx.prepare_cached("SELECT at, entry, text FROM journal WHERE run = ?1 ORDER BY id")?;
    let lines = query.query_map([run], |row| {
        Ok(JournalLine { at: row.get("at")?, entry: row.get("entry")?, text: row.get("text")? })
    })?;
    lines.collect()
}
