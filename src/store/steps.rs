//! The steps of runs.

use rusqlite::{Row, Transaction, params};
use sha2::{Digest, Sha256};

use super::{
    StepProgress, StepRow, StepState, Store, StoreError, columns::Json, journal, ownership,
};
use crate::model::{RunId, WallTime};

/// A step's new state, and its line in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct StepUpdate {
    pub run: RunId,
    pub index: u32,
    pub state: StepState,
    pub text: String,
}

/// Digest of what a plan changes and in which order, in hexadecimal: equal plans have equal
/// digests. `None` without a plan.
pub fn plan_digest(steps: &[StepRow]) -> Option<String> {
    if steps.is_empty() {
        return None;
    }

    let mut hash = Sha256::new();
    for step in steps {
        hash.update(format!("{} {} ", step.stage, step.wave));
        // Fields in the order of their declaration: the same change is always the same text.
        hash.update(serde_json::to_vec(&step.change).unwrap_or_default());
        hash.update("\n");
    }

    Some(format!("{:x}", hash.finalize()))
}

impl Store {
    /// Stores a step's new state and its line in the journal, in one transaction. An intent is
    /// stored before its request is sent (I22): after an error, nothing may be sent.
    pub async fn move_step(&self, step: StepUpdate, now: WallTime) -> Result<(), StoreError> {
        self.call("store the state of a step", move |tx| {
            tx.execute(
                "UPDATE steps SET state = ?3, at = ?4 WHERE run = ?1 AND idx = ?2",
                params![step.run, step.index, step.state, now],
            )?;
            if step.state == StepState::Began {
                tx.execute(
                    "UPDATE runs SET written_at = coalesce(written_at, ?2) WHERE id = ?1",
                    params![step.run, now],
                )?;
            }

            ownership::update(tx, &step, now)?;

            let text = format!("step {}: {}: {}", step.index, step.state, step.text);
            Ok(journal::append(tx, step.run, now, "step", &text)?)
        })
        .await
    }

    /// Stores what the next look at a step has to know.
    pub async fn set_progress(
        &self,
        run: RunId,
        index: u32,
        progress: StepProgress,
    ) -> Result<(), StoreError> {
        self.call("store the progress of a step", move |tx| {
            tx.execute(
                "UPDATE steps SET progress = ?3 WHERE run = ?1 AND idx = ?2",
                params![run, index, Json(&progress)],
            )?;
            Ok(())
        })
        .await
    }
}

/// Replaces the plan of an earlier check, of which nothing was written. No steps: keeps that plan.
pub(super) fn replace(tx: &Transaction<'_>, run: RunId, steps: &[StepRow]) -> rusqlite::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }

    tx.execute("DELETE FROM steps WHERE run = ?1", [run])?;

    let mut insert = tx.prepare_cached(
        "INSERT INTO steps (run, idx, stage, wave, change, state, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for step in steps {
        insert.execute(params![
            run,
            step.index,
            step.stage,
            step.wave,
            Json(&step.change),
            step.state,
            step.at
        ])?;
    }

    Ok(())
}

/// The steps of a run, in order.
pub(super) fn read(tx: &Transaction<'_>, run: RunId) -> rusqlite::Result<Vec<StepRow>> {
    let mut query = tx.prepare_cached("SELECT * FROM steps WHERE run = ?1 ORDER BY idx")?;
    let steps = query.query_map([run], step_row)?;
    steps.collect()
}

pub(super) fn step_row(row: &Row<'_>) -> rusqlite::Result<StepRow> {
    let Json(change) = row.get("change")?;
    let progress: Option<Json<StepProgress>> = row.get("progress")?;
    Ok(StepRow {
        run: row.get("run")?,
        index: row.get("idx")?,
        stage: row.get("stage")?,
        wave: row.get("wave")?,
        change,
        state: row.get("state")?,
        at: row.get("at")?,
        progress: progress.map(|Json(it)| it).unwrap_or_default(),
    })
}
