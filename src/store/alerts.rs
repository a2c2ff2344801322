//! Alerts and episodes. An episode lasts from the first firing of its labels until all of its
//! alerts are resolved; alerts that differ only in `severity` share one (I4, I5).

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError, doing};
use crate::{
    alert::{Alert, AlertStatus, Labels},
    model::{AlertOutcome, ClusterName, WallTime},
};

/// Open episodes a cluster may have. A cluster has one for each alert and broker, topic or group;
/// more than this is a flood, and the sender is told to come back.
const EPISODES_OPEN_MAX: i64 = 50_000;

/// An episode that nobody has spoken of for so long is over: its end was lost. Alertmanager repeats
/// a firing alert every `repeat_interval` (4 h as shipped).
const SILENCE_MAX: Duration = Duration::from_hours(24);

/// How long closed episodes without a run are kept.
const CLOSED_KEPT: Duration = Duration::from_hours(7 * 24);

/// How long runs that wrote nothing are kept; those that did are kept for ever.
const IDLE_RUNS_KEPT: Duration = Duration::from_hours(30 * 24);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    pub id: i64,
    /// When its first alert was stored.
    pub opened: WallTime,
    /// Labels of the alerts that fire in it; they differ in `severity` only.
    pub alerts: Vec<Labels>,
}

/// An alert of a known cluster, and whether a playbook answers it.
#[derive(Clone, Debug)]
pub struct Routed {
    pub cluster: ClusterName,
    pub alert: Alert,
    /// How its firing is counted: a first or repeated firing, or one that no playbook answers.
    pub answered: Answered,
}

/// Whether a playbook answers an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    Yes,
    /// None does; stored all the same.
    No,
}

/// What became of stored alerts.
pub type TakenAlerts = BTreeMap<AlertOutcome, u64>;

impl Store {
    /// Stores alerts of known clusters: opens, repeats and closes episodes.
    ///
    /// # Errors
    ///
    /// When nothing of it could be stored.
    pub async fn take_alerts(
        &self,
        alerts: Vec<Routed>,
        now: WallTime,
    ) -> Result<TakenAlerts, StoreError> {
        self.call("store the alerts", move |tx| {
            let mut taken = TakenAlerts::new();
            for Routed { cluster, alert, answered } in &alerts {
                let outcome = match alert.status {
                    AlertStatus::Firing => fire(tx, cluster, alert, now),
                    AlertStatus::Resolved => resolve(tx, cluster, alert, now),
                };
                let outcome = match (outcome.map_err(doing("store an alert"))?, answered) {
                    (AlertOutcome::New | AlertOutcome::Repeated, Answered::No) => {
                        AlertOutcome::Unmatched
                    }
                    (outcome, _) => outcome,
                };
                let count = taken.entry(outcome).or_default();
                *count = count.saturating_add(1);
            }
            refuse_a_flood(tx)?;
            Ok(taken)
        })
        .await
    }

    /// Closes episodes that nobody speaks of any more and forgets those long over; returns the open
    /// ones of `cluster`, oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn open_episodes(
        &self,
        cluster: &ClusterName,
        now: WallTime,
    ) -> Result<Vec<Episode>, StoreError> {
        let cluster = cluster.clone();
        self.call("read the open episodes", move |tx| {
            sweep(tx, now).map_err(doing("close silent episodes"))?;
            let mut query = tx
                .prepare_cached(
                    "SELECT e.id, e.opened_at, a.labels
                     FROM episodes e JOIN alerts a ON a.episode = e.id
                     WHERE e.cluster = ?1 AND e.closed_at IS NULL ORDER BY e.id, a.fingerprint",
                )
                .map_err(doing("read the open episodes"))?;
            let rows = query
                .query_map([cluster.as_str()], |row| {
                    Ok((row.get(0)?, WallTime(row.get(1)?), row.get::<_, String>(2)?))
                })
                .map_err(doing("read the open episodes"))?;
            let mut episodes: Vec<Episode> = Vec::new();
            for row in rows {
                let (id, opened, labels) = row.map_err(doing("read an episode"))?;
                let labels = serde_json::from_str(&labels).map_err(|_| StoreError::Unreadable {
                    doing: "read an alert's labels",
                    value: labels,
                })?;
                match episodes.last_mut() {
                    Some(last) if last.id == id => last.alerts.push(labels),
                    _ => episodes.push(Episode { id, opened, alerts: vec![labels] }),
                }
            }
            Ok(episodes)
        })
        .await
    }
}

fn fire(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    alert: &Alert,
    now: WallTime,
) -> rusqlite::Result<AlertOutcome> {
    let key = alert.episode_key();
    let open: Option<i64> = tx
        .prepare_cached(
            "UPDATE episodes SET seen_at = ?3
             WHERE cluster = ?1 AND key = ?2 AND closed_at IS NULL RETURNING id",
        )?
        .query_row(params![cluster.as_str(), key, now.0], |row| row.get(0))
        .optional()?;
    let labels = serde_json::to_string(&alert.labels).unwrap_or_default();
    let (episode, outcome) = match open {
        Some(id) => (id, AlertOutcome::Repeated),
        None => (open_episode(tx, cluster, alert, now)?, AlertOutcome::New),
    };
    tx.prepare_cached(
        "INSERT INTO alerts (cluster, fingerprint, episode, labels) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (cluster, fingerprint) DO UPDATE SET episode = ?3, labels = ?4",
    )?
    .execute(params![cluster.as_str(), alert.fingerprint, episode, labels])?;
    Ok(outcome)
}

fn open_episode(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    alert: &Alert,
    now: WallTime,
) -> rusqlite::Result<i64> {
    tx.prepare_cached(
        "INSERT INTO episodes (cluster, key, opened_at, seen_at) VALUES (?1, ?2, ?3, ?3)",
    )?
    .execute(params![cluster.as_str(), alert.episode_key(), now.0])?;
    Ok(tx.last_insert_rowid())
}

/// Only the alert that is resolved leaves its episode; a resolved warning does not end a critical
/// one.
fn resolve(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    alert: &Alert,
    now: WallTime,
) -> rusqlite::Result<AlertOutcome> {
    let episode: Option<i64> = tx
        .prepare_cached(
            "DELETE FROM alerts WHERE cluster = ?1 AND fingerprint = ?2 RETURNING episode",
        )?
        .query_row(params![cluster.as_str(), alert.fingerprint], |row| row.get(0))
        .optional()?;
    let Some(episode) = episode else { return Ok(AlertOutcome::ResolvedUnknown) };
    tx.prepare_cached(
        "UPDATE episodes SET closed_at = ?2, seen_at = ?2 WHERE id = ?1 AND closed_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM alerts WHERE episode = ?1)",
    )?
    .execute(params![episode, now.0])?;
    Ok(AlertOutcome::Resolved)
}

fn refuse_a_flood(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let fullest: Option<i64> = tx
        .query_row(
            "SELECT max(n) FROM
             (SELECT count(*) AS n FROM episodes WHERE closed_at IS NULL GROUP BY cluster)",
            [],
            |row| row.get(0),
        )
        .map_err(doing("count the open episodes"))?;
    if EPISODES_OPEN_MAX < fullest.unwrap_or(0) {
        return Err(StoreError::Full(format!("more than {EPISODES_OPEN_MAX} episodes are open")));
    }
    Ok(())
}

fn sweep(tx: &Transaction<'_>, now: WallTime) -> rusqlite::Result<()> {
    let silent_since = now.before(SILENCE_MAX).0;
    tx.execute(
        "DELETE FROM alerts WHERE episode IN
         (SELECT id FROM episodes WHERE closed_at IS NULL AND seen_at < ?1)",
        [silent_since],
    )?;
    tx.execute(
        "UPDATE episodes SET closed_at = ?2 WHERE closed_at IS NULL AND seen_at < ?1",
        [silent_since, now.0],
    )?;
    tx.execute(
        "DELETE FROM episodes WHERE closed_at < ?1
         AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.episode = episodes.id)",
        [now.before(CLOSED_KEPT).0],
    )?;
    let forgotten = "SELECT id FROM runs WHERE written_at IS NULL AND ended_at < ?1";
    for text in [
        format!("DELETE FROM journal WHERE run IN ({forgotten})"),
        format!("DELETE FROM runs WHERE id IN ({forgotten})"),
    ] {
        tx.execute(&text, [now.before(IDLE_RUNS_KEPT).0])?;
    }
    Ok(())
}
