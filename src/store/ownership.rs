//! Who wrote a resource: what this program wrote and has not undone, in the order of writing (I42),
//! and what someone else changed after it (I12).

use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    StepRow, StepState, StepUpdate, Store, StoreError, columns::Json, journal, steps::step_row,
};
use crate::model::{Change, ClusterName, ResourceKey, RunId, RunState, WallTime, Written};

/// A resource that this program wrote, or that someone else changed after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    pub resource: ResourceKey,
    /// What this program wrote last; `None` where only `hands_off` is known.
    pub written: Option<Written>,
    /// Whether someone else changed it after that. A person releases it.
    pub hands_off: bool,
}

/// One step in the stack of a resource: written by a run of ours, and not undone.
#[derive(Clone, Debug, PartialEq)]
pub struct StackedStep {
    /// Higher than that of each step below it.
    pub seq: i64,
    pub step: StepRow,
    /// State of the step's run.
    pub run_state: RunState,
}

/// Updates both tables inside the transaction that stores a step's new state.
pub(super) fn update(
    tx: &Transaction<'_>,
    step: &StepUpdate,
    now: WallTime,
) -> rusqlite::Result<()> {
    match step.state {
        StepState::Began => add_written(tx, step, false),
        StepState::Applied => add_written(tx, step, true),
        StepState::Undone => {
            tx.execute(
                "DELETE FROM written WHERE run = ?1 AND idx = ?2",
                params![step.run, step.index],
            )?;
            Ok(())
        }
        StepState::Drifted => add_hands_off(tx, step, now),
        StepState::Planned
        | StepState::Failed
        | StepState::Superseded
        | StepState::UndoBegan
        | StepState::UndoFailed => Ok(()),
    }
}

/// Puts a step on top of the stack of each of its resources before its request is sent, since that
/// may take effect unnoticed.
fn add_written(tx: &Transaction<'_>, step: &StepUpdate, applied: bool) -> rusqlite::Result<()> {
    let Some((cluster, change)) = change_of(tx, step)? else { return Ok(()) };
    let value = match change.written() {
        Some(Written::Value(value)) => Some(value),
        Some(Written::Removed) => None,
        None => return Ok(()),
    };

    for resource in change.resources() {
        tx.execute(
            "INSERT INTO written (cluster, resource, run, idx, value, seq, applied)
             VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(seq), 0) + 1 FROM written), ?6)
             ON CONFLICT DO UPDATE SET applied = excluded.applied",
            params![cluster, Json(&resource), step.run, step.index, value, applied],
        )?;
    }

    Ok(())
}

fn add_hands_off(tx: &Transaction<'_>, step: &StepUpdate, now: WallTime) -> rusqlite::Result<()> {
    let Some((cluster, change)) = change_of(tx, step)? else { return Ok(()) };

    for resource in change.resources() {
        tx.execute(
            "INSERT OR IGNORE INTO hands_off (cluster, resource, run, at) VALUES (?1, ?2, ?3, ?4)",
            params![cluster, Json(&resource), step.run, now],
        )?;
    }
    Ok(())
}

fn change_of(
    tx: &Transaction<'_>,
    step: &StepUpdate,
) -> rusqlite::Result<Option<(ClusterName, Change)>> {
    tx.query_row(
        "SELECT r.cluster, s.change FROM steps s JOIN runs r ON r.id = s.run
         WHERE s.run = ?1 AND s.idx = ?2",
        params![step.run, step.index],
        |row| {
            let Json(change) = row.get("change")?;
            Ok((row.get("cluster")?, change))
        },
    )
    .optional()
}

impl Store {
    /// Every resource of `cluster` that this program wrote, or that someone else changed after it.
    pub async fn ownership(&self, cluster: &ClusterName) -> Result<Vec<Ownership>, StoreError> {
        let cluster = cluster.clone();
        self.call("read who wrote which value", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT resource, 1 AS is_written, value, hands_off FROM (
                    SELECT w.resource, w.value,
                           EXISTS (SELECT 1 FROM hands_off h WHERE h.cluster = w.cluster
                                   AND h.resource = w.resource) AS hands_off,
                           row_number() OVER (PARTITION BY w.resource ORDER BY w.seq DESC) AS n
                    FROM written w WHERE w.cluster = ?1 AND w.applied) WHERE n = 1
                 UNION ALL
                 SELECT h.resource, 0, NULL, 1 FROM hands_off h WHERE h.cluster = ?1
                 AND NOT EXISTS (SELECT 1 FROM written w WHERE w.cluster = h.cluster
                                 AND w.resource = h.resource AND w.applied)
                 ORDER BY resource",
            )?;
            let found = query.query_map([&cluster], |row| {
                let Json(resource) = row.get("resource")?;
                let value: Option<String> = row.get("value")?;
                let is_written: bool = row.get("is_written")?;
                let written = is_written.then(|| value.map_or(Written::Removed, Written::Value));

                Ok(Ownership { resource, written, hands_off: row.get("hands_off")? })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The steps that wrote a resource of `cluster` and are not undone, the last one first.
    pub async fn stack(
        &self,
        cluster: &ClusterName,
        resource: ResourceKey,
    ) -> Result<Vec<StackedStep>, StoreError> {
        let cluster = cluster.clone();
        self.call("read who wrote a value before", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT w.seq, r.state AS run_state, s.* FROM written w
                 JOIN steps s ON s.run = w.run AND s.idx = w.idx JOIN runs r ON r.id = w.run
                 WHERE w.cluster = ?1 AND w.resource = ?2 ORDER BY w.seq DESC",
            )?;
            let found = query.query_map(params![cluster, Json(&resource)], |row| {
                Ok(StackedStep {
                    seq: row.get("seq")?,
                    step: step_row(row)?,
                    run_state: row.get("run_state")?,
                })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Marks a resource that someone else changed after this program wrote it.
    pub async fn mark_hands_off(
        &self,
        cluster: &ClusterName,
        resource: ResourceKey,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let cluster = cluster.clone();
        self.call("mark a value as changed by someone else", move |tx| {
            tx.execute(
                "INSERT OR IGNORE INTO hands_off (cluster, resource, run, at)
                 VALUES (?1, ?2, 0, ?3)",
                params![cluster, Json(&resource), now],
            )?;
            Ok(())
        })
        .await
    }
}

/// The resources of `cluster` that someone else changed.
pub(super) fn hands_off(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
) -> rusqlite::Result<Vec<ResourceKey>> {
    let mut query =
        tx.prepare_cached("SELECT resource FROM hands_off WHERE cluster = ?1 ORDER BY resource")?;
    let found = query.query_map([cluster], |row| row.get("resource").map(|Json(it)| it))?;
    found.collect()
}

/// From now on, this program has written nothing to the resource.
pub(super) fn forget(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    resource: &ResourceKey,
) -> rusqlite::Result<()> {
    for table in ["written", "hands_off"] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE cluster = ?1 AND resource = ?2"),
            params![cluster, Json(resource)],
        )?;
    }
    Ok(())
}

/// The steps that wrote the resource are nobody's any more: what is there is what a person wants.
pub(super) fn disown(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    resource: &ResourceKey,
    now: WallTime,
) -> rusqlite::Result<()> {
    let mut query = tx.prepare_cached(
        "UPDATE steps SET state = 'drifted', at = ?3
         WHERE state IN ('applied', 'superseded', 'undo_failed') AND (run, idx) IN
         (SELECT run, idx FROM written WHERE cluster = ?1 AND resource = ?2)
         RETURNING run, idx",
    )?;
    let steps = query.query_map(params![cluster, Json(resource), now], |row| {
        Ok((row.get::<_, RunId>("run")?, row.get::<_, u32>("idx")?))
    })?;

    for step in steps.collect::<rusqlite::Result<Vec<_>>>()? {
        let (run, index) = step;
        let text = format!("step {index}: drifted: a person has released {resource}");
        journal::append(tx, run, now, "step", &text)?;
    }

    Ok(())
}
