//! Past runs, as far as they limit the next one: cooldown (I25), caps, quarantine (I26).

use std::{ops::Range, time::Duration};

use rusqlite::{Transaction, params};

use super::{Store, StoreError};
use crate::model::{ClusterName, Mode, RollbackReason, RunId, RunState, Target, WallTime};

/// Number of past runs of a target that are read. More rollbacks in a row change nothing: the
/// cooldown has long reached its maximum.
const ENDED_MAX: u32 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedRun {
    pub state: RunState,
    pub rollback_reason: Option<RollbackReason>,
    pub at: WallTime,
}

/// A time that lies further ahead than this was stored while the clock ran ahead. It limits
/// nothing: otherwise a clock that is set right would stop remediation until then.
const CLOCK_ERROR_MAX: Duration = Duration::from_mins(5);

/// The past runs of one playbook on one target, and of their cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunHistory {
    /// Ended runs of the playbook on the target, newest first, without cancelled ones, dry runs,
    /// and, where the mode is `act`, rehearsed ones.
    pub ended: Vec<EndedRun>,
    /// When a person last released the target, or all of the cluster.
    pub released: Option<WallTime>,
    /// Number of runs of the cluster that wrote anything in the last hour.
    pub wrote_last_hour: u32,
    /// Number of runs of the cluster that wrote anything in the last day.
    pub wrote_last_day: u32,
    /// Number of runs of the cluster that are stuck and not acknowledged.
    pub stuck: u32,
}

impl RunHistory {
    /// Number of rollbacks in a row, newest first, since the last release. Only those count whose
    /// change was bad or could not be made.
    pub fn rollbacks_in_a_row(&self) -> u32 {
        let since = self.released.unwrap_or_default();

        // A rehearsal, or a run that gave way to another one, proves nothing about the effect of a
        // change: it does not end the row.
        let failed = |it: &EndedRun| it.state.is_failure(it.rollback_reason);
        let says_something = |it: &&EndedRun| {
            it.state != RunState::Rehearsed && (it.state != RunState::RolledBack || failed(it))
        };
        let tried = self.ended.iter().filter(says_something);

        u32::try_from(tried.take_while(|it| failed(it) && it.at > since).count())
            .unwrap_or(u32::MAX)
    }

    /// When the cooldown after the last run ends: `cooldown`, doubled for each rollback in a row,
    /// at most `cooldown_max`. `None` without a past run.
    pub fn cooldown_end(&self, cooldown: Duration, cooldown_max: Duration) -> Option<WallTime> {
        let last = self.ended.first()?;
        let doublings = self.rollbacks_in_a_row().min(16);
        let doubled = cooldown.saturating_mul(2_u32.saturating_pow(doublings)).min(cooldown_max);

        Some(last.at.after(doubled.max(cooldown)))
    }
}

impl Store {
    /// The past runs that limit the next run of `playbook` on `target`.
    pub async fn history(
        &self,
        cluster: &ClusterName,
        playbook: String,
        target: Target,
        mode: Mode,
        now: WallTime,
    ) -> Result<RunHistory, StoreError> {
        let cluster = cluster.clone();

        self.call("read the past runs", move |tx| {
            let until = now.after(CLOCK_ERROR_MAX);
            let wrote_since = |since: WallTime| {
                tx.query_row(
                    "SELECT count(*) FROM runs WHERE cluster = ?1 AND written_at > ?2
                     AND written_at <= ?3",
                    params![cluster, since, until],
                    |row| row.get(0),
                )
            };
            let stuck = tx.query_row(
                "SELECT count(*) FROM runs WHERE cluster = ?1 AND state = ?2 AND NOT acknowledged",
                params![cluster, RunState::Stuck],
                |row| row.get(0),
            )?;
            let released = tx.query_row(
                "SELECT max(at) FROM (SELECT at FROM releases WHERE cluster = ?1 UNION ALL
                 SELECT at FROM target_releases
                 WHERE cluster = ?1 AND playbook = ?2 AND target = ?3)",
                params![cluster, playbook, target],
                |row| row.get(0),
            )?;

            let wrote_last_hour = wrote_since(now.before(Duration::from_hours(1)))?;
            let wrote_last_day = wrote_since(now.before(Duration::from_hours(24)))?;
            let ended = ended(tx, &PastRuns { cluster, playbook, target, mode, until })?;

            Ok(RunHistory { ended, released, wrote_last_hour, wrote_last_day, stuck })
        })
        .await
    }

    /// When each run of `cluster` but `but` that wrote anything had an effect, as far as it ended
    /// after `since`. At most 1,000, the newest.
    pub async fn writes_since(
        &self,
        cluster: &ClusterName,
        since: WallTime,
        but: RunId,
    ) -> Result<Vec<Range<WallTime>>, StoreError> {
        let cluster = cluster.clone();

        self.call("read the times of past runs", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT written_at, coalesce(ended_at, effective_at, written_at) FROM runs
                 WHERE cluster = ?1 AND id <> ?3 AND written_at IS NOT NULL
                 AND coalesce(ended_at, effective_at, written_at) >= ?2
                 ORDER BY id DESC LIMIT 1000",
            )?;
            let rows = query.query_map(params![cluster, since, but], |row| {
                Ok(row.get::<_, WallTime>(0)?..row.get::<_, WallTime>(1)?)
            })?;

            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// When a temporary change of `cluster` last expired.
    pub async fn last_expired(
        &self,
        cluster: &ClusterName,
        now: WallTime,
    ) -> Result<Option<WallTime>, StoreError> {
        let cluster = cluster.clone();

        self.call("read the last expired run", move |tx| {
            Ok(tx.query_row(
                "SELECT max(ended_at) FROM runs WHERE cluster = ?1 AND state = ?2
                 AND ended_at <= ?3",
                params![cluster, RunState::Expired, now.after(CLOCK_ERROR_MAX)],
                |row| row.get(0),
            )?)
        })
        .await
    }

    /// Every playbook and target of `cluster` with an ended run, at most 1,000.
    pub async fn targets(
        &self,
        cluster: &ClusterName,
    ) -> Result<Vec<(String, Target)>, StoreError> {
        let cluster = cluster.clone();

        self.call("read the targets of past runs", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT DISTINCT playbook, target FROM runs
                 WHERE cluster = ?1 AND ended_at IS NOT NULL AND state <> 'cancelled' LIMIT 1000",
            )?;
            let found = query
                .query_map([&cluster], |row| Ok((row.get("playbook")?, row.get("target")?)))?;

            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Which past runs limit a run.
struct PastRuns {
    cluster: ClusterName,
    playbook: String,
    target: Target,
    mode: Mode,
    until: WallTime,
}

fn ended(tx: &Transaction<'_>, past: &PastRuns) -> rusqlite::Result<Vec<EndedRun>> {
    let mut query = tx.prepare_cached(
        "SELECT state, rollback_reason, ended_at FROM runs
         WHERE cluster = ?1 AND playbook = ?2 AND target = ?3
         AND ended_at <= ?4 AND state <> 'cancelled' AND NOT dry_run
         AND (state <> 'rehearsed' OR ?5 <> 'act')
         ORDER BY ended_at DESC, id DESC LIMIT ?6",
    )?;
    let PastRuns { cluster, playbook, target, mode, until } = past;
    let runs = query.query_map(
        params![cluster, playbook, target, until, mode.label(), ENDED_MAX],
        |row| {
            Ok(EndedRun {
                state: row.get("state")?,
                rollback_reason: row.get("rollback_reason")?,
                at: row.get("ended_at")?,
            })
        },
    )?;

    runs.collect()
}
