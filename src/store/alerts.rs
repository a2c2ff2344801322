//! Alerts and episodes. An episode begins with the first firing of its labels and ends when all of
//! its alerts are resolved; alerts that differ only in `severity` share one (I4, I5).

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError, TransactionError, columns::Json};
use crate::{
    alert::{Alert, AlertStatus, Labels},
    model::{AlertOutcome, ClusterName, WallTime},
};

/// Maximum number of open episodes of a cluster. A cluster has one for each alert and broker, topic
/// or group; more than this is a flood, and the sender gets an error and retries.
const EPISODES_OPEN_MAX: i64 = 50_000;

/// An episode without a notification for this long is closed: its `resolved` was lost. Alertmanager
/// repeats a firing alert every `repeat_interval` (4 h by default).
const SILENCE_MAX: Duration = Duration::from_hours(24);

/// How long closed episodes without a run are kept.
const CLOSED_RETENTION: Duration = Duration::from_hours(7 * 24);

/// How long runs that wrote nothing are kept. Runs that wrote are never deleted.
const IDLE_RUN_RETENTION: Duration = Duration::from_hours(30 * 24);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    pub id: i64,
    /// When its first alert was stored.
    pub opened: WallTime,
    /// Labels of its firing alerts; they differ in `severity` only.
    pub alerts: Vec<Labels>,
}

/// An alert of a configured cluster.
#[derive(Clone, Debug)]
pub struct RoutedAlert {
    pub cluster: ClusterName,
    pub alert: Alert,
    /// Whether a playbook matches the alert. One that none matches is stored all the same, and
    /// counted as unmatched.
    pub is_matched: bool,
}

/// Number of alerts by outcome.
pub type AlertCounts = BTreeMap<AlertOutcome, u64>;

impl Store {
    /// Stores alerts of configured clusters: opens, repeats and closes episodes.
    ///
    /// # Errors
    ///
    /// When the alerts could not be stored, or a cluster has too many open episodes. Then none of
    /// the alerts is stored.
    pub async fn take_alerts(
        &self,
        alerts: Vec<RoutedAlert>,
        now: WallTime,
    ) -> Result<AlertCounts, StoreError> {
        self.call("store the alerts", move |tx| {
            let mut counts = AlertCounts::new();
            for RoutedAlert { cluster, alert, is_matched } in &alerts {
                let outcome = match alert.status {
                    AlertStatus::Firing => fire(tx, cluster, alert, now)?,
                    AlertStatus::Resolved => resolve(tx, cluster, alert, now)?,
                };
                let has_fired = matches!(outcome, AlertOutcome::New | AlertOutcome::Repeated);
                let outcome =
                    if has_fired && !is_matched { AlertOutcome::Unmatched } else { outcome };
                let count = counts.entry(outcome).or_default();

                *count = count.saturating_add(1);
            }

            check_open_episodes(tx)?;

            Ok(counts)
        })
        .await
    }

    /// Closes silent episodes, deletes what is past its retention, and returns the open episodes of
    /// `cluster`, oldest first.
    pub async fn open_episodes(
        &self,
        cluster: &ClusterName,
        now: WallTime,
    ) -> Result<Vec<Episode>, StoreError> {
        let cluster = cluster.clone();
        self.call("read the open episodes", move |tx| {
            sweep(tx, now)?;

            let mut query = tx.prepare_cached(
                "SELECT e.id, e.opened_at, a.labels
                 FROM episodes e JOIN alerts a ON a.episode = e.id
                 WHERE e.cluster = ?1 AND e.closed_at IS NULL ORDER BY e.id, a.fingerprint",
            )?;
            let mut rows = query.query([&cluster])?;
            let mut episodes: Vec<Episode> = Vec::new();
            while let Some(row) = rows.next()? {
                let id = row.get("id")?;
                let Json(labels) = row.get("labels")?;

                match episodes.last_mut() {
                    Some(last) if last.id == id => last.alerts.push(labels),
                    _ => {
                        let opened = row.get("opened_at")?;
                        episodes.push(Episode { id, opened, alerts: vec![labels] });
                    }
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
    let open: Option<i64> = tx
        .prepare_cached(
            "UPDATE episodes SET seen_at = ?3
             WHERE cluster = ?1 AND key = ?2 AND closed_at IS NULL RETURNING id",
        )?
        .query_row(params![cluster, alert.episode_key(), now], |row| row.get("id"))
        .optional()?;

    let (episode, outcome) = match open {
        Some(id) => (id, AlertOutcome::Repeated),
        None => (open_episode(tx, cluster, alert, now)?, AlertOutcome::New),
    };

    tx.prepare_cached(
        "INSERT INTO alerts (cluster, fingerprint, episode, labels) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (cluster, fingerprint) DO UPDATE SET episode = ?3, labels = ?4",
    )?
    .execute(params![cluster, alert.fingerprint, episode, Json(&alert.labels)])?;

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
    .execute(params![cluster, alert.episode_key(), now])?;
    Ok(tx.last_insert_rowid())
}

/// Removes the alert from its episode, and closes the episode when it was the last one: a resolved
/// warning does not end a critical alert.
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
        .query_row(params![cluster, alert.fingerprint], |row| row.get("episode"))
        .optional()?;

    let Some(episode) = episode else { return Ok(AlertOutcome::ResolvedUnknown) };

    tx.prepare_cached(
        "UPDATE episodes SET closed_at = ?2, seen_at = ?2 WHERE id = ?1 AND closed_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM alerts WHERE episode = ?1)",
    )?
    .execute(params![episode, now])?;

    Ok(AlertOutcome::Resolved)
}

fn check_open_episodes(tx: &Transaction<'_>) -> Result<(), TransactionError> {
    let most: Option<i64> = tx.query_row(
        "SELECT max(n) FROM
         (SELECT count(*) AS n FROM episodes WHERE closed_at IS NULL GROUP BY cluster)",
        [],
        |row| row.get(0),
    )?;
    if most.unwrap_or(0) > EPISODES_OPEN_MAX {
        let problem = format!(
            "more than {EPISODES_OPEN_MAX} alerts of a cluster are open: none of this notification is \
             stored; find the rule or the sender that floods Alertmanager"
        );
        return Err(TransactionError::Refused(StoreError::Full(problem)));
    }
    Ok(())
}

fn sweep(tx: &Transaction<'_>, now: WallTime) -> rusqlite::Result<()> {
    let silent_since = now.before(SILENCE_MAX);
    tx.execute(
        "DELETE FROM alerts WHERE episode IN
         (SELECT id FROM episodes WHERE closed_at IS NULL AND seen_at < ?1)",
        [silent_since],
    )?;
    tx.execute(
        "UPDATE episodes SET closed_at = ?2 WHERE closed_at IS NULL AND seen_at < ?1",
        [silent_since, now],
    )?;

    tx.execute(
        "DELETE FROM episodes WHERE closed_at < ?1
         AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.episode = episodes.id)",
        [now.before(CLOSED_RETENTION)],
    )?;

    let idle = "SELECT id FROM runs WHERE written_at IS NULL AND ended_at < ?1";
    let idle_until = now.before(IDLE_RUN_RETENTION);
    let forgotten = format!("DELETE FROM journal WHERE principal IS NULL AND run IN ({idle})");
    tx.execute(&forgotten, [idle_until])?;
    tx.execute(&format!("DELETE FROM runs WHERE id IN ({idle})"), [idle_until])?;

    Ok(())
}
