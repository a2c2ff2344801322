//! Runs for people: filtered lists with a cursor, and an overview of one cluster.

use rusqlite::{Transaction, params};

use super::{RunRow, Store, StoreError, columns::Json, runs::select};
use crate::model::{ClusterName, HoldReason, RunId, RunState, WallTime};

/// Maximum runs of each kind in an overview.
const OVERVIEW_MAX: u32 = 100;

/// Which runs to list, newest first. Only those that match every field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub cluster: Option<ClusterName>,
    /// Any of these; empty means all.
    pub states: Vec<RunState>,
    pub playbook: Option<String>,
    /// Created at this time or later.
    pub since: Option<WallTime>,
    /// Only runs with a smaller number.
    pub before: Option<RunId>,
    pub limit: u32,
}

/// What is going on in one cluster. Each list has at most 100 runs, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterOverview {
    /// Writing, watched or being undone.
    pub active: Vec<RunRow>,
    pub awaiting_approval: Vec<RunRow>,
    /// Stuck runs that nobody has acknowledged.
    pub stuck: Vec<RunRow>,
    pub queued: u32,
    pub held: Vec<HeldCount>,
}

/// Number of runs that are held for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldCount {
    pub reason: HoldReason,
    pub runs: u32,
}

impl Store {
    /// The runs that match, newest first.
    pub async fn list_runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        self.call("read the runs", move |tx| {
            let RunFilter { cluster, states, playbook, since, before, limit } = filter;
            let states: Vec<&str> = states.iter().map(|it| it.label()).collect();
            let matching = "WHERE (?1 IS NULL OR cluster = ?1)
                 AND (?2 = '[]' OR state IN (SELECT value FROM json_each(?2)))
                 AND (?3 IS NULL OR playbook = ?3) AND (?4 IS NULL OR created_at >= ?4)
                 AND (?5 IS NULL OR id < ?5) ORDER BY id DESC LIMIT ?6";
            let values = params![cluster, Json(&states), playbook, since, before, limit];

            Ok(select(tx, matching, values)?)
        })
        .await
    }

    /// What is going on in `cluster`.
    pub async fn overview(&self, cluster: &ClusterName) -> Result<ClusterOverview, StoreError> {
        let cluster = cluster.clone();
        self.call("read the open runs", move |tx| {
            let list = |matching: &str| {
                let matching = format!("WHERE cluster = ?1 AND {matching} ORDER BY id LIMIT ?2");
                select(tx, &matching, params![cluster, OVERVIEW_MAX])
            };

            Ok(ClusterOverview {
                active: list(
                    "state IN ('acting', 'settling', 'observing', 'expiring', 'rolling_back')",
                )?,
                awaiting_approval: list("state = 'awaiting_approval'")?,
                stuck: list("state = 'stuck' AND NOT acknowledged")?,
                queued: tx.query_row(
                    "SELECT count(*) FROM runs WHERE cluster = ?1 AND state = 'queued'
                     AND ended_at IS NULL",
                    [&cluster],
                    |row| row.get(0),
                )?,
                held: held(tx, &cluster)?,
            })
        })
        .await
    }
}

fn held(tx: &Transaction<'_>, cluster: &ClusterName) -> rusqlite::Result<Vec<HeldCount>> {
    let mut query = tx.prepare_cached(
        "SELECT hold, count(*) AS runs FROM runs WHERE cluster = ?1 AND state = 'held'
         AND ended_at IS NULL AND hold IS NOT NULL GROUP BY hold ORDER BY runs DESC, hold",
    )?;
    let counts = query.query_map([cluster], |row| {
        Ok(HeldCount { reason: row.get("hold")?, runs: row.get("runs")? })
    })?;
    counts.collect()
}
