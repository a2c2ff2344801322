//! The steps of runs.

use rusqlite::{Row, Transaction, params};

use super::{StepRow, StepState, Store, StoreError, doing, journal, keys, rows::word};
use crate::model::{OnUndo, RunId, Subject, WallTime};

/// One step's new state, with the journal's line.
#[derive(Clone, Debug, PartialEq)]
pub struct StepUpdate {
    pub run: RunId,
    pub index: u32,
    pub state: StepState,
    pub text: String,
}

impl Store {
    /// Sets a step's state and writes the journal's line, in one transaction. Intent comes here
    /// before the deed (I22).
    ///
    /// # Errors
    ///
    /// When it could not be stored. Then no deed may follow.
    pub async fn move_step(&self, change: StepUpdate, now: WallTime) -> Result<(), StoreError> {
        self.call("move a step", move |tx| {
            tx.execute(
                "UPDATE steps SET state = ?3, at = ?4 WHERE run = ?1 AND idx = ?2",
                params![change.run.0, change.index, change.state.label(), now.0],
            )
            .map_err(doing("move a step"))?;
            if change.state == StepState::Began {
                tx.execute(
                    "UPDATE runs SET written_at = coalesce(written_at, ?2) WHERE id = ?1",
                    params![change.run.0, now.0],
                )
                .map_err(doing("mark the run as writing"))?;
            }
            keys::follow(tx, &change, now)?;
            let text = format!("step {}: {}: {}", change.index, change.state, change.text);
            journal::append(tx, change.run, now, ("step", &text))
        })
        .await
    }
}

/// A plan made again replaces the one of an earlier look; nothing of that one was written.
pub(super) fn replace(tx: &Transaction<'_>, run: RunId, steps: &[StepRow]) -> rusqlite::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    tx.execute("DELETE FROM steps WHERE run = ?1", [run.0])?;
    for step in steps {
        tx.execute(
            "INSERT INTO steps (run, idx, stage, wave, subject, key, from_value, from_stored,
             to_value, on_undo, state, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                run.0,
                step.index,
                step.stage,
                step.wave,
                step.subject.to_string(),
                step.key,
                step.from,
                step.from_stored,
                step.to,
                step.on_undo.label(),
                step.state.label(),
                step.at.0
            ],
        )?;
    }
    Ok(())
}

pub(super) fn of(tx: &Transaction<'_>, run: RunId) -> Result<Vec<StepRow>, StoreError> {
    let mut query = tx
        .prepare_cached(
            "SELECT run, idx, stage, wave, subject, key, from_value, from_stored, to_value, on_undo,
             state, at FROM steps WHERE run = ?1 ORDER BY idx",
        )
        .map_err(doing("read the steps"))?;
    let mut rows = query.query([run.0]).map_err(doing("read the steps"))?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next().map_err(doing("read the steps"))? {
        steps.push(step_row(row)?);
    }
    Ok(steps)
}

fn step_row(row: &Row<'_>) -> Result<StepRow, StoreError> {
    let number = |at: usize| row.get(at).map_err(doing("read a step"));
    let text = |at: usize| row.get::<_, String>(at).map_err(doing("read a step"));
    let maybe = |at: usize| row.get::<_, Option<String>>(at).map_err(doing("read a step"));
    Ok(StepRow {
        run: RunId(row.get(0).map_err(doing("read a step"))?),
        index: number(1)?,
        stage: number(2)?,
        wave: number(3)?,
        subject: word(&text(4)?, Subject::parse)?,
        key: text(5)?,
        from: text(6)?,
        from_stored: maybe(7)?,
        to: maybe(8)?,
        on_undo: word(&text(9)?, OnUndo::from_label)?,
        state: word(&text(10)?, StepState::from_label)?,
        at: WallTime(row.get(11).map_err(doing("read a step"))?),
    })
}
