//! Adds the summaries of baselines, of which version 4 kept only the whole.

use rusqlite::{Transaction, params};

use super::super::{columns::Json, deflated::Deflated};
use crate::baseline::NamedBaseline;

/// Moves the rows of `old_baselines` into the new table.
pub(super) fn convert(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut insert = tx.prepare(
        "INSERT INTO baselines SELECT cluster, name, recorded_at, ?3, content FROM old_baselines
         WHERE cluster = ?1 AND name = ?2",
    )?;
    let mut query = tx.prepare("SELECT content FROM old_baselines")?;
    let mut rows = query.query([])?;

    while let Some(row) = rows.next()? {
        let Deflated(baseline): Deflated<NamedBaseline> = row.get(0)?;
        let summary = Json(&baseline.summary());
        insert.execute(params![baseline.cluster, baseline.name.as_str(), summary])?;
    }

    drop(rows);
    tx.execute_batch("DROP TABLE old_baselines;")
}
