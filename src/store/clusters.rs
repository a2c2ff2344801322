//! Which Kafka cluster each configured name stands for, by the cluster's own id, and the id of this
//! installation.
//!
//! Rows belong to a name, and a name to a cluster id. When the cluster behind a name is another one
//! than before, the rows of the old one are parked under a name that has its id; when a cluster is
//! found under a new name, its rows are renamed.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError, TransactionError, journal};
use crate::model::{ClusterName, RunEvent, RunId, RunState, WallTime};

/// What was found when a cluster's id was compared with the stored one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identification {
    /// A name earlier in the configuration that stands for the same cluster. This name must not act
    /// (I43).
    pub same_as: Option<ClusterName>,
    /// The name stood for another cluster, whose rows are now kept under this name.
    pub parked_as: Option<ClusterName>,
    /// The cluster had this name before, and its rows are now kept under the new one.
    pub renamed_from: Option<ClusterName>,
}

/// Runs that nobody continues, because no configured cluster has their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrphanedRuns {
    pub cluster: ClusterName,
    /// Temporary changes in effect, active and stuck runs that no person has acknowledged.
    pub runs: u32,
}

/// An orphan: a run that changed something and is not over.
const UNFINISHED: &str = "(state IN ('acting', 'settling', 'observing', 'expiring', 'rolling_back')
     OR (state = 'kept' AND expires_at IS NOT NULL) OR state = 'stuck')";

impl Store {
    /// The id of this installation: made with the state file, and never changed.
    pub async fn installation(&self) -> Result<String, StoreError> {
        self.call("read the installation's id", |tx| {
            Ok(tx.query_row("SELECT id FROM installation", [], |row| row.get("id"))?)
        })
        .await
    }

    /// Stores which names are configured, in the order of the configuration.
    pub async fn configure_clusters(&self, names: Vec<ClusterName>) -> Result<(), StoreError> {
        self.call("store the names of the clusters", move |tx| {
            tx.execute("UPDATE clusters SET position = NULL", [])?;
            for (position, name) in (0_i64..).zip(&names) {
                tx.execute(
                    "INSERT INTO clusters (name, position) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                    params![name, position],
                )?;
            }

            Ok(())
        })
        .await
    }

    /// Compares the Kafka cluster id behind `name` with the stored one, and stores it. Parks the
    /// rows of another cluster that had the name, and takes over those of this cluster under a name
    /// that is no longer configured.
    pub async fn identify_cluster(
        &self,
        name: &ClusterName,
        kafka_id: &str,
        now: WallTime,
    ) -> Result<Identification, StoreError> {
        let (name, kafka_id) = (name.clone(), kafka_id.to_owned());
        self.call("identify a cluster", move |tx| {
            let stored: Option<(Option<String>, Option<i64>)> = tx
                .query_row(
                    "SELECT kafka_id, position FROM clusters WHERE name = ?1",
                    [&name],
                    |row| Ok((row.get("kafka_id")?, row.get("position")?)),
                )
                .optional()?;
            let (stored_id, position) = stored.unwrap_or_default();

            let mut found = Identification::default();
            if let Some(old_id) = stored_id.filter(|it| *it != kafka_id) {
                found.parked_as = Some(park(tx, &name, &old_id, now)?);
            }

            let position = match position {
                Some(it) => it,
                None => tx.query_row(
                    "SELECT coalesce(max(position), -1) + 1 FROM clusters",
                    [],
                    |row| row.get(0),
                )?,
            };
            tx.execute(
                "INSERT INTO clusters (name, kafka_id, position) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE
                 SET kafka_id = excluded.kafka_id, position = excluded.position
                 WHERE kafka_id IS NOT excluded.kafka_id OR position IS NOT excluded.position",
                params![name, kafka_id, position],
            )?;

            found.same_as = earlier_name(tx, &kafka_id, position)?;
            if found.same_as.is_none() {
                found.renamed_from = take_over(tx, &name, &kafka_id, now)?;
            }

            Ok(found)
        })
        .await
    }

    /// Unfinished runs of names that are not configured, by name.
    pub async fn orphaned_runs(&self) -> Result<Vec<OrphanedRuns>, StoreError> {
        self.call("read the orphaned runs", |tx| {
            let mut query = tx.prepare_cached(&format!(
                "SELECT cluster, count(*) AS runs FROM runs WHERE {UNFINISHED} AND NOT acknowledged
                 AND cluster NOT IN (SELECT name FROM clusters WHERE position IS NOT NULL)
                 GROUP BY cluster ORDER BY cluster"
            ))?;
            let found = query.query_map([], |row| {
                Ok(OrphanedRuns { cluster: row.get("cluster")?, runs: row.get("runs")? })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// A configured name before `position` that stands for the same cluster.
fn earlier_name(
    tx: &Transaction<'_>,
    kafka_id: &str,
    position: i64,
) -> rusqlite::Result<Option<ClusterName>> {
    tx.query_row(
        "SELECT name FROM clusters WHERE kafka_id = ?1 AND position < ?2
         ORDER BY position LIMIT 1",
        params![kafka_id, position],
        |row| row.get("name"),
    )
    .optional()
}

/// Moves the rows of the cluster that had `name` to a name that has its id. Returns that name.
fn park(
    tx: &Transaction<'_>,
    name: &ClusterName,
    old_id: &str,
    now: WallTime,
) -> Result<ClusterName, TransactionError> {
    let parked = ClusterName::new(format!("{name} (cluster id {old_id})"));
    let text = format!("`{name}` is another Kafka cluster now: this run belongs to `{parked}`");

    tx.execute(
        "INSERT INTO clusters (name, kafka_id) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET kafka_id = excluded.kafka_id",
        params![parked, old_id],
    )?;
    move_rows(tx, name, &parked, &text, now)?;

    Ok(parked)
}

/// Moves the rows of this cluster from names that are no longer configured to `name`. Returns the
/// last of them.
fn take_over(
    tx: &Transaction<'_>,
    name: &ClusterName,
    kafka_id: &str,
    now: WallTime,
) -> Result<Option<ClusterName>, TransactionError> {
    let mut query =
        tx.prepare_cached("SELECT name FROM clusters WHERE kafka_id = ?1 AND position IS NULL")?;
    let former = query.query_map([kafka_id], |row| row.get("name"))?;
    let former: Vec<ClusterName> = former.collect::<rusqlite::Result<_>>()?;

    for old in &former {
        let text = format!("the cluster `{old}` is configured as `{name}` now");
        move_rows(tx, old, name, &text, now)?;
        tx.execute("DELETE FROM clusters WHERE name = ?1", [old])?;
    }

    Ok(former.last().cloned())
}

/// Gives everything of the cluster `from` to `to`: runs and what they wrote, not alerts, whose
/// labels have the old name. Waiting runs are cancelled: what they were to cure has changed.
fn move_rows(
    tx: &Transaction<'_>,
    from: &ClusterName,
    to: &ClusterName,
    text: &str,
    now: WallTime,
) -> Result<(), TransactionError> {
    tx.execute(
        "UPDATE episodes SET closed_at = ?2 WHERE cluster = ?1 AND closed_at IS NULL",
        params![from, now],
    )?;
    tx.execute("DELETE FROM alerts WHERE cluster = ?1", [from])?;
    cancel_waiting(tx, from, text, now)?;

    let mut unfinished =
        tx.prepare_cached(&format!("SELECT id FROM runs WHERE cluster = ?1 AND {UNFINISHED}"))?;
    let unfinished = unfinished.query_map([from], |row| row.get("id"))?;

    for run in unfinished.collect::<rusqlite::Result<Vec<RunId>>>()? {
        journal::append(tx, run, now, "cluster", text)?;
    }

    // A row that exists under both names stays as the new name has it.
    for table in tables_by_cluster(tx)? {
        tx.execute(
            &format!("UPDATE OR IGNORE {table} SET cluster = ?2 WHERE cluster = ?1"),
            params![from, to],
        )?;
        tx.execute(&format!("DELETE FROM {table} WHERE cluster = ?1"), [from])?;
    }

    Ok(())
}

/// Every table whose rows belong to a cluster.
fn tables_by_cluster(tx: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    let mut query = tx.prepare_cached(
        "SELECT t.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.name = 'cluster' ORDER BY 1",
    )?;
    let names = query.query_map([], |row| row.get(0))?;
    names.collect()
}

fn cancel_waiting(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    text: &str,
    now: WallTime,
) -> Result<(), TransactionError> {
    let mut query = tx.prepare_cached(
        "SELECT id, state FROM runs WHERE cluster = ?1 AND ended_at IS NULL
         AND state IN ('queued', 'held', 'awaiting_approval', 'rehearsed')",
    )?;
    let waiting = query.query_map([cluster], |row| Ok((row.get("id")?, row.get("state")?)))?;
    let waiting: Vec<(RunId, RunState)> = waiting.collect::<rusqlite::Result<_>>()?;

    for (run, state) in waiting {
        let refused =
            |problem| TransactionError::Refused(StoreError::InvalidTransition { run, problem });

        // A run between its rehearsal and its first write has written nothing.
        let state = if state == RunState::Rehearsed {
            state.after(RunEvent::Requeue).map_err(refused)?
        } else {
            state
        };
        let cancelled = state.after(RunEvent::Cancel).map_err(refused)?;

        tx.execute(
            "UPDATE runs SET state = ?2, hold = NULL, note = ?3, ended_at = ?4 WHERE id = ?1",
            params![run, cancelled, text, now],
        )?;
        journal::append(tx, run, now, "state", &format!("{cancelled}: {text}"))?;
    }

    Ok(())
}
