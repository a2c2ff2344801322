//! What past runs say about the next: cooldown (I25), caps, quarantine (I26).

use std::time::Duration;

use rusqlite::{Transaction, params};

use super::{Store, StoreError, doing};
use crate::model::{ClusterName, RunState, Target, WallTime};

/// How far back runs of a target are looked at; more rollbacks in a row change nothing.
const ENDS_LOOKED_AT: u32 = 20;

/// How one run of a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastEnd {
    pub state: RunState,
    /// When.
    pub at: WallTime,
}

/// The past of one playbook on one target, and of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Ends of runs of this playbook on this target that did not just wait, newest first.
    pub ends: Vec<PastEnd>,
    /// When the quarantines of the cluster were lifted last.
    pub released: Option<WallTime>,
    /// Runs of the cluster that wrote anything in the last hour.
    pub wrote_last_hour: u32,
    /// Runs of the cluster that wrote anything in the last day.
    pub wrote_last_day: u32,
    /// Runs of the cluster that are stuck and not acknowledged.
    pub stuck: u32,
}

impl Past {
    /// How many of the newest runs were rolled back in a row, since the last release.
    pub fn rollbacks_in_a_row(&self) -> u32 {
        let since = self.released.unwrap_or_default();
        let fell = |end: &&PastEnd| end.state == RunState::RolledBack && since < end.at;
        // A rehearsal proves nothing about what a change would do: it ends no row of rollbacks.
        let tried = self.ends.iter().filter(|end| end.state != RunState::Rehearsed);
        u32::try_from(tried.take_while(fell).count()).unwrap_or(u32::MAX)
    }

    /// When the rest after the last run ends: `cooldown`, doubled for each rollback in a row, at
    /// most `cooldown_max`.
    pub fn cooldown_end(&self, cooldown: Duration, cooldown_max: Duration) -> Option<WallTime> {
        let last = self.ends.first()?;
        let doublings = self.rollbacks_in_a_row().min(16);
        let rest = cooldown.saturating_mul(2_u32.saturating_pow(doublings)).min(cooldown_max);
        Some(last.at.after(rest.max(cooldown)))
    }
}

impl Store {
    /// The past of `playbook` on a target.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn past(
        &self,
        cluster: &ClusterName,
        (playbook, target): (String, Target),
        now: WallTime,
    ) -> Result<Past, StoreError> {
        let cluster = cluster.clone();
        self.call("read past runs", move |tx| {
            let ends = ends(tx, &cluster, (&playbook, &target)).map_err(doing("read past runs"))?;
            let count = |query: &str, since: WallTime| -> Result<u32, StoreError> {
                tx.query_row(query, params![cluster.as_str(), since.0], |row| row.get(0))
                    .map_err(doing("count past runs"))
            };
            let wrote = "SELECT count(*) FROM runs WHERE cluster = ?1 AND written_at > ?2";
            let stuck = "SELECT count(*) FROM runs WHERE cluster = ?1 AND state = 'stuck'
                         AND acknowledged = 0 AND ?2 = ?2";
            let released: Option<i64> = tx
                .query_row(
                    "SELECT max(at) FROM releases WHERE cluster = ?1",
                    [cluster.as_str()],
                    |row| row.get(0),
                )
                .map_err(doing("read the release"))?;
            Ok(Past {
                ends,
                released: released.map(WallTime),
                wrote_last_hour: count(wrote, now.before(Duration::from_hours(1)))?,
                wrote_last_day: count(wrote, now.before(Duration::from_hours(24)))?,
                stuck: count(stuck, now)?,
            })
        })
        .await
    }

    /// When a measure of `cluster` was last taken back.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn last_expired(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<WallTime>, StoreError> {
        let cluster = cluster.clone();
        self.call("read the last measure", move |tx| {
            let last: Option<i64> = tx
                .query_row(
                    "SELECT max(ended_at) FROM runs WHERE cluster = ?1 AND state = 'expired'",
                    [cluster.as_str()],
                    |row| row.get(0),
                )
                .map_err(doing("read the last measure"))?;
            Ok(last.map(WallTime))
        })
        .await
    }

    /// Every (playbook, target) of `cluster` that has ended a run.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn targets(
        &self,
        cluster: &ClusterName,
    ) -> Result<Vec<(String, Target)>, StoreError> {
        let cluster = cluster.clone();
        self.call("read the targets of past runs", move |tx| {
            let read = || -> rusqlite::Result<Vec<(String, String)>> {
                tx.prepare_cached(
                    "SELECT DISTINCT playbook, target FROM runs
                     WHERE cluster = ?1 AND ended_at IS NOT NULL AND state <> 'cancelled' LIMIT 1000",
                )?
                .query_map([cluster.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
            };
            let found = read().map_err(doing("read the targets of past runs"))?;
            let known = |(playbook, target): (String, String)| {
                Some((playbook, Target::parse(&target)?))
            };
            Ok(found.into_iter().filter_map(known).collect())
        })
        .await
    }
}

fn ends(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    (playbook, target): (&str, &Target),
) -> rusqlite::Result<Vec<PastEnd>> {
    // A cancelled run did nothing, nor did a person's rehearsal: they earn no rest.
    let mut query = tx.prepare_cached(
        "SELECT state, ended_at FROM runs WHERE cluster = ?1 AND playbook = ?2 AND target = ?3
         AND ended_at IS NOT NULL AND state <> 'cancelled' AND extent <> 'rehearse_only'
         ORDER BY ended_at DESC, id DESC LIMIT ?4",
    )?;
    let rows = query.query_map(
        params![cluster.as_str(), playbook, target.to_string(), ENDS_LOOKED_AT],
        |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
    )?;
    let mut ends = Vec::new();
    for row in rows {
        let (state, ended) = row?;
        if let Some(state) = RunState::from_label(&state) {
            ends.push(PastEnd { state, at: WallTime(ended) });
        }
    }
    Ok(ends)
}
