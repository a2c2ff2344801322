//! Who wrote a resource last: what this program wrote and has not undone, and what someone else
//! changed after it (I12).

use rusqlite::{OptionalExtension, Transaction, params};

use super::{StepState, StepUpdate, Store, StoreError, columns::Json};
use crate::model::{Change, ClusterName, ResourceKey, WallTime, Written};

/// A resource that this program wrote, or that someone else changed after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    pub resource: ResourceKey,
    /// What this program wrote last; `None` where only `hands_off` is known.
    pub written: Option<Written>,
    /// Whether someone else changed it after that. A person releases it.
    pub hands_off: bool,
}

/// Updates both tables inside the transaction that stores a step's new state.
pub(super) fn update(
    tx: &Transaction<'_>,
    step: &StepUpdate,
    now: WallTime,
) -> rusqlite::Result<()> {
    match step.state {
        StepState::Applied => add_written(tx, step),
        StepState::Undone => {
            tx.execute(
                "DELETE FROM written WHERE run = ?1 AND idx = ?2",
                params![step.run, step.index],
            )?;
            Ok(())
        }
        StepState::Drifted => add_hands_off(tx, step, now),
        StepState::Planned
        | StepState::Began
        | StepState::Failed
        | StepState::UndoBegan
        | StepState::UndoFailed => Ok(()),
    }
}

fn add_written(tx: &Transaction<'_>, step: &StepUpdate) -> rusqlite::Result<()> {
    let Some((cluster, change)) = change_of(tx, step)? else { return Ok(()) };
    let value = match change.written() {
        Some(Written::Value(value)) => Some(value),
        Some(Written::Removed) => None,
        None => return Ok(()),
    };

    for resource in change.resources() {
        tx.execute(
            "INSERT OR REPLACE INTO written (cluster, resource, run, idx, value)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![cluster, Json(&resource), step.run, step.index, value],
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
                           row_number() OVER (PARTITION BY w.resource
                                              ORDER BY w.run DESC, w.idx DESC) AS n
                    FROM written w WHERE w.cluster = ?1) WHERE n = 1
                 UNION ALL
                 SELECT h.resource, 0, NULL, 1 FROM hands_off h WHERE h.cluster = ?1
                 AND NOT EXISTS (SELECT 1 FROM written w WHERE w.cluster = h.cluster
                                 AND w.resource = h.resource)
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
