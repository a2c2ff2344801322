//! Alerts and episodes. An episode begins with the first firing of an alert about a target and ends
//! when all of its alerts are resolved, or when Prometheus no longer reports it (I4, I5).
//!
//! Alerts that a playbook matches are one episode per playbook and target, whatever their other
//! labels are: a label that changes with each evaluation, or by replica, is no new incident. Other
//! alerts are one episode for each set of labels but `severity`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{EpisodeAttempt, Priority, Store, StoreError, TransactionError, columns::Json};
use crate::{
    alert::{Alert, AlertStatus, Labels},
    model::{AlertOutcome, ClusterName, EpisodeEnd, Target, WallTime},
};

/// Maximum number of open episodes of a cluster. A cluster has one for each alert and broker, topic
/// or group; more than this is a flood, and the sender gets an error and retries.
const EPISODES_OPEN_MAX: i64 = 50_000;

/// An episode without a notification for this long is closed: its `resolved` was lost. Alertmanager
/// repeats a firing alert every `repeat_interval` (4 h by default).
const SILENCE_MAX: Duration = Duration::from_hours(24);

/// How long closed episodes without a run are kept. An episode that a playbook matches is closed
/// after so long a silence even if Prometheus cannot be asked.
const CLOSED_RETENTION: Duration = Duration::from_hours(7 * 24);

/// How long runs that wrote nothing are kept. Runs that wrote are never deleted.
const IDLE_RUN_RETENTION: Duration = Duration::from_hours(30 * 24);

/// For how long Prometheus must not report an alert before a later `startsAt` is a new incident.
pub const GAP_MIN: Duration = Duration::from_mins(1);

/// An alert with other labels that fires so soon after the last one was resolved is the same
/// incident: a label changed.
const LABEL_CHANGE_MAX: Duration = Duration::from_mins(5);

const SEVERITY_LABEL: &str = "severity";
const CRITICAL: &str = "critical";

/// An open episode of an alert that a playbook matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    pub id: i64,
    pub playbook: String,
    /// `None` if the labels name no target.
    pub target: Option<Target>,
    /// When its first alert was stored.
    pub opened: WallTime,
    /// When it was last notified, or last touched because Prometheus reports it.
    pub seen: WallTime,
    /// Since when Prometheus does not report it; `None` while it does.
    pub not_firing_since: Option<WallTime>,
    pub priority: Priority,
    /// The attempts of its playbook, newest first.
    pub attempts: Vec<EpisodeAttempt>,
}

/// What a playbook acts on because of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpisodeSubject {
    pub playbook: String,
    /// `None` if the labels name no target.
    pub target: Option<Target>,
}

/// An alert of a configured cluster.
#[derive(Clone, Debug)]
pub struct RoutedAlert {
    pub cluster: ClusterName,
    pub alert: Alert,
    /// One for each playbook that matches the alert. One that none matches is stored all the same,
    /// and counted as unmatched.
    pub subjects: Vec<EpisodeSubject>,
}

/// Number of alerts by outcome.
pub type AlertCounts = BTreeMap<AlertOutcome, u64>;

/// Labels in which the alerts of one episode differ. Reported once for each episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaryingLabels {
    pub cluster: ClusterName,
    pub subject: EpisodeSubject,
    pub labels: Vec<String>,
}

/// What became of stored alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredAlerts {
    pub counts: AlertCounts,
    pub varying: Vec<VaryingLabels>,
}

/// What Prometheus reports of open episodes, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FiringUpdate {
    /// No longer reported, since now.
    pub absent: Vec<i64>,
    /// Reported again, after less than [`GAP_MIN`].
    pub again: Vec<i64>,
    /// Reported again, after at least [`GAP_MIN`].
    pub again_after_gap: Vec<i64>,
    /// Reported, without a notification for long.
    pub silent: Vec<i64>,
    /// Not reported for so long that they are over.
    pub gone: Vec<i64>,
}

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
    ) -> Result<StoredAlerts, StoreError> {
        self.call("store the alerts", move |tx| {
            let mut stored = StoredAlerts::default();

            // Firing alerts first: if a label changed, the old alert is resolved in the same
            // notification, and the episode goes on.
            let (firing, resolved): (Vec<_>, Vec<_>) =
                alerts.iter().partition(|it| it.alert.status == AlertStatus::Firing);
            for routed in firing {
                let outcome = fire_all(tx, routed, now, &mut stored.varying)?;
                count(&mut stored.counts, outcome);
            }

            for routed in resolved {
                count(&mut stored.counts, resolve(tx, &routed.cluster, &routed.alert, now)?);
            }

            check_open_episodes(tx)?;

            Ok(stored)
        })
        .await
    }

    /// The open episodes of `cluster` that a playbook matches, with their last attempts, oldest
    /// first.
    pub async fn open_episodes(&self, cluster: &ClusterName) -> Result<Vec<Episode>, StoreError> {
        let cluster = cluster.clone();
        self.call("read the open episodes", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT e.id, e.playbook, e.target, e.opened_at, e.seen_at, e.not_firing_since,
                 e.priority, c.attempt, r.state, r.rollback_reason, r.ended_at
                 FROM episodes e
                 LEFT JOIN claims c ON c.episode = e.id AND c.playbook = e.playbook
                 LEFT JOIN runs r ON r.id = c.run
                 WHERE e.cluster = ?1 AND e.closed_at IS NULL AND e.playbook IS NOT NULL
                 ORDER BY e.id, c.attempt DESC",
            )?;
            let mut rows = query.query([&cluster])?;
            let mut episodes: Vec<Episode> = Vec::new();

            while let Some(row) = rows.next()? {
                let id: i64 = row.get("id")?;
                match episodes.last_mut() {
                    Some(last) if last.id == id => last.attempts.extend(attempt(row)?),
                    _ => episodes.push(episode(row)?),
                }
            }

            Ok(episodes)
        })
        .await
    }

    /// Labels of one alert of each of these episodes.
    pub async fn episode_labels(&self, episodes: Vec<i64>) -> Result<Vec<Labels>, StoreError> {
        self.call("read the alerts of episodes", move |tx| {
            let mut query = tx.prepare_cached("SELECT labels FROM episodes WHERE id = ?1")?;
            let labels = episodes.into_iter().map(|id| -> rusqlite::Result<Labels> {
                let Json(labels) = query.query_row([id], |row| row.get("labels"))?;
                Ok(labels)
            });
            Ok(labels.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Stores what Prometheus reports of open episodes.
    pub async fn follow_episodes(
        &self,
        update: FiringUpdate,
        now: WallTime,
    ) -> Result<(), StoreError> {
        if update == FiringUpdate::default() {
            return Ok(());
        }

        self.call("store which alerts fire", move |tx| {
            let each = |sql: &str, ids: &[i64]| -> rusqlite::Result<()> {
                let mut statement = tx.prepare_cached(sql)?;
                for id in ids {
                    statement.execute(params![id, now])?;
                }
                Ok(())
            };
            each("UPDATE episodes SET not_firing_since = ?2 WHERE id = ?1", &update.absent)?;
            each(
                "UPDATE episodes SET not_firing_since = NULL, seen_at = ?2 WHERE id = ?1",
                &update.again,
            )?;
            each(
                "UPDATE episodes SET gap_at = not_firing_since, not_firing_since = NULL,
                 seen_at = ?2 WHERE id = ?1",
                &update.again_after_gap,
            )?;
            each("UPDATE episodes SET seen_at = ?2 WHERE id = ?1", &update.silent)?;

            for id in &update.gone {
                close(tx, *id, EpisodeEnd::NotFiring, now)?;
            }

            Ok(())
        })
        .await
    }

    /// Closes silent episodes, and deletes what is past its retention. `is_answered` says whether
    /// Prometheus has just been asked about the episodes of `cluster`: what it reports is not
    /// silent.
    pub async fn sweep_episodes(
        &self,
        cluster: &ClusterName,
        is_answered: bool,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let cluster = cluster.clone();
        self.call("close silent episodes", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT id FROM episodes WHERE closed_at IS NULL AND seen_at < ?1
                 AND (playbook IS NULL OR (cluster = ?2 AND ?3) OR seen_at < ?4)",
            )?;
            let (silent, oldest) = (now.before(SILENCE_MAX), now.before(CLOSED_RETENTION));
            let silent = query
                .query_map(params![silent, cluster, is_answered, oldest], |row| row.get("id"))?;

            for id in silent.collect::<rusqlite::Result<Vec<i64>>>()? {
                close(tx, id, EpisodeEnd::Silent, now)?;
            }

            delete_expired(tx, now)?;
            Ok(())
        })
        .await
    }

    /// Assigns the open alerts of `cluster` to the episodes of the playbooks that match them now.
    /// Attempts that were claimed stay claimed.
    pub async fn rematch_episodes(
        &self,
        cluster: &ClusterName,
        subjects: impl Fn(&Labels) -> Vec<EpisodeSubject> + Send + 'static,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let cluster = cluster.clone();
        self.call("match the open alerts", move |tx| {
            for alert in open_alerts(tx, &cluster)? {
                alert.assign(tx, &cluster, &subjects(&alert.labels))?;
            }

            let mut query = tx.prepare_cached(
                "SELECT id FROM episodes e WHERE cluster = ?1 AND closed_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM alerts WHERE episode = e.id)",
            )?;
            let empty = query.query_map([&cluster], |row| row.get("id"))?;

            for id in empty.collect::<rusqlite::Result<Vec<i64>>>()? {
                close(tx, id, EpisodeEnd::Unmatched, now)?;
            }

            Ok(())
        })
        .await
    }
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Option<EpisodeAttempt>> {
    let number: Option<u32> = row.get("attempt")?;
    let Some(number) = number else { return Ok(None) };

    Ok(Some(EpisodeAttempt {
        number,
        state: row.get("state")?,
        rollback_reason: row.get("rollback_reason")?,
        ended: row.get("ended_at")?,
    }))
}

fn episode(row: &Row<'_>) -> rusqlite::Result<Episode> {
    Ok(Episode {
        id: row.get("id")?,
        playbook: row.get("playbook")?,
        target: row.get("target")?,
        opened: row.get("opened_at")?,
        seen: row.get("seen_at")?,
        not_firing_since: row.get("not_firing_since")?,
        priority: row.get("priority")?,
        attempts: attempt(row)?.into_iter().collect(),
    })
}

fn count(counts: &mut AlertCounts, outcome: AlertOutcome) {
    let count = counts.entry(outcome).or_default();
    *count = count.saturating_add(1);
}

/// What identifies an episode among the open ones of its cluster.
fn key(alert: &Alert, subject: Option<&EpisodeSubject>) -> String {
    match subject {
        None => alert.episode_key(),
        Some(EpisodeSubject { playbook, target: Some(target) }) => {
            format!("{playbook} on {target}")
        }
        Some(EpisodeSubject { playbook, target: None }) => {
            format!("{playbook} on {}", alert.episode_key())
        }
    }
}

/// Stores a firing alert in the episode of each playbook that matches it.
fn fire_all(
    tx: &Transaction<'_>,
    routed: &RoutedAlert,
    now: WallTime,
    varying: &mut Vec<VaryingLabels>,
) -> rusqlite::Result<AlertOutcome> {
    let RoutedAlert { cluster, alert, subjects } = routed;
    if subjects.is_empty() {
        fire(tx, cluster, alert, None, now)?;
        return Ok(AlertOutcome::Unmatched);
    }

    let mut outcome = AlertOutcome::Repeated;
    for subject in subjects {
        let fired = fire(tx, cluster, alert, Some(subject), now)?;
        if fired.is_new {
            outcome = AlertOutcome::New;
        }

        if !fired.varying.is_empty() {
            varying.push(VaryingLabels {
                cluster: cluster.clone(),
                subject: subject.clone(),
                labels: fired.varying,
            });
        }
    }

    Ok(outcome)
}

/// Result of a firing alert for one episode.
#[derive(Default)]
struct Fired {
    is_new: bool,
    /// Labels in which it differs from the episode's last alert, if that was not reported yet.
    varying: Vec<String>,
}

/// An episode, as a firing alert finds it.
struct LatestEpisode {
    id: i64,
    starts_at: WallTime,
    closed: Option<WallTime>,
    not_firing_since: Option<WallTime>,
    gap: Option<WallTime>,
    is_varying: bool,
    ended_by: Option<EpisodeEnd>,
    labels: Labels,
}

impl LatestEpisode {
    /// The open episode with this key, or else the last one that was closed.
    fn read(
        tx: &Transaction<'_>,
        cluster: &ClusterName,
        key: &str,
    ) -> rusqlite::Result<Option<Self>> {
        tx.prepare_cached(
            "SELECT id, starts_at, closed_at, not_firing_since, gap_at, is_varying, ended_by, labels
             FROM episodes WHERE cluster = ?1 AND key = ?2
             ORDER BY closed_at IS NULL DESC, id DESC LIMIT 1",
        )?
        .query_row(params![cluster, key], |row| {
            let Json(labels) = row.get("labels")?;
            Ok(Self {
                id: row.get("id")?,
                starts_at: row.get("starts_at")?,
                closed: row.get("closed_at")?,
                not_firing_since: row.get("not_firing_since")?,
                gap: row.get("gap_at")?,
                is_varying: row.get("is_varying")?,
                ended_by: row.get("ended_by")?,
                labels,
            })
        })
        .optional()
    }

    /// Whether an alert that started then is another incident: the `resolved` of this one was lost.
    /// Two Prometheus servers have other start times for one incident, so Prometheus must have been
    /// seen not to report it in between.
    fn is_over(&self, starts_at: WallTime, now: WallTime) -> bool {
        let absent = self.not_firing_since.filter(|it| now.since(*it) >= GAP_MIN);
        starts_at > self.starts_at && absent.or(self.gap).is_some_and(|it| starts_at >= it)
    }

    /// Whether an alert belongs to this closed episode: it is a late notification of the same
    /// firing, or only a label changed.
    fn goes_on(&self, alert: &Alert, starts_at: WallTime, now: WallTime) -> bool {
        let label_changed = alert.labels != self.labels
            && self.ended_by == Some(EpisodeEnd::Resolved)
            && self.closed.is_some_and(|it| now.since(it) <= LABEL_CHANGE_MAX);
        starts_at <= self.starts_at || label_changed
    }
}

fn fire(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    alert: &Alert,
    subject: Option<&EpisodeSubject>,
    now: WallTime,
) -> rusqlite::Result<Fired> {
    let key = key(alert, subject);

    // No incident of the future may hide the next one.
    let starts_at = alert.starts_at.min(now);
    let mut fired = Fired::default();

    let id = match LatestEpisode::read(tx, cluster, &key)? {
        Some(open) if open.closed.is_none() && !open.is_over(starts_at, now) => {
            if subject.is_some() && !open.is_varying {
                fired.varying = differing(&open.labels, &alert.labels);
            }
            open.id
        }
        Some(closed) if closed.closed.is_some() && closed.goes_on(alert, starts_at, now) => {
            reopen(tx, closed.id)?;
            if subject.is_some() && !closed.is_varying {
                fired.varying = differing(&closed.labels, &alert.labels);
            }
            closed.id
        }
        found => {
            if let Some(open) = found.filter(|it| it.closed.is_none()) {
                close(tx, open.id, EpisodeEnd::Replaced, now)?;
            }

            fired.is_new = true;
            let opened =
                NewEpisode { cluster, key: &key, subject, opened: now, seen: now, starts_at };
            opened.insert(tx, &alert.labels)?
        }
    };

    if !fired.is_new {
        tx.prepare_cached(
            "UPDATE episodes SET seen_at = ?2, starts_at = max(starts_at, ?3), labels = ?4,
             priority = CASE WHEN ?5 = 'critical' THEN ?5 ELSE priority END,
             is_varying = is_varying OR ?6 WHERE id = ?1",
        )?
        .execute(params![
            id,
            now,
            starts_at,
            Json(&alert.labels),
            priority(&alert.labels),
            !fired.varying.is_empty(),
        ])?;
    }

    insert_alert(tx, cluster, &alert.fingerprint, id, &alert.labels)?;

    Ok(fired)
}

fn priority(labels: &Labels) -> Priority {
    let is_critical = labels.get(SEVERITY_LABEL).is_some_and(|it| it == CRITICAL);
    if is_critical { Priority::Critical } else { Priority::Normal }
}

/// Names of the labels in which two alerts differ, but for `severity`.
fn differing(one: &Labels, other: &Labels) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ = names.into_iter().filter(|it| one.get(*it) != other.get(*it));
    differ.filter(|it| *it != SEVERITY_LABEL).cloned().collect()
}

struct NewEpisode<'a> {
    cluster: &'a ClusterName,
    key: &'a str,
    subject: Option<&'a EpisodeSubject>,
    opened: WallTime,
    seen: WallTime,
    starts_at: WallTime,
}

impl NewEpisode<'_> {
    fn insert(&self, tx: &Transaction<'_>, labels: &Labels) -> rusqlite::Result<i64> {
        tx.prepare_cached(
            "INSERT INTO episodes (cluster, key, playbook, target, opened_at, seen_at, starts_at,
             priority, labels) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            self.cluster,
            self.key,
            self.subject.map(|it| &it.playbook),
            self.subject.and_then(|it| it.target.as_ref()),
            self.opened,
            self.seen,
            self.starts_at,
            priority(labels),
            Json(labels),
        ])?;
        Ok(tx.last_insert_rowid())
    }
}

fn insert_alert(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    fingerprint: &str,
    episode: i64,
    labels: &Labels,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO alerts (cluster, fingerprint, episode, labels) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (cluster, fingerprint, episode) DO UPDATE SET labels = ?4",
    )?
    .execute(params![cluster, fingerprint, episode, Json(labels)])?;
    Ok(())
}

/// Opens a closed episode again. Its attempts stay claimed, but for runs that were cancelled
/// because it was closed.
fn reopen(tx: &Transaction<'_>, episode: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "DELETE FROM claims WHERE episode = ?1 AND run IN
         (SELECT r.id FROM runs r JOIN episodes e ON e.id = ?1
          WHERE r.state = 'cancelled' AND r.ended_at >= e.closed_at)",
    )?
    .execute([episode])?;
    tx.prepare_cached(
        "UPDATE episodes SET closed_at = NULL, ended_by = NULL, not_firing_since = NULL,
         gap_at = NULL WHERE id = ?1",
    )?
    .execute([episode])?;
    Ok(())
}

fn close(
    tx: &Transaction<'_>,
    episode: i64,
    end: EpisodeEnd,
    now: WallTime,
) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM alerts WHERE episode = ?1")?.execute([episode])?;
    tx.prepare_cached(
        "UPDATE episodes SET closed_at = ?2, ended_by = ?3 WHERE id = ?1 AND closed_at IS NULL",
    )?
    .execute(params![episode, now, end])?;
    Ok(())
}

/// Removes the alert from its episodes, and closes those of which it was the last one: a resolved
/// warning does not end a critical alert.
fn resolve(
    tx: &Transaction<'_>,
    cluster: &ClusterName,
    alert: &Alert,
    now: WallTime,
) -> rusqlite::Result<AlertOutcome> {
    // The fingerprint is the sender's; the labels tell alerts with the same one apart.
    let mut exact = tx.prepare_cached(
        "DELETE FROM alerts WHERE cluster = ?1 AND fingerprint = ?2 AND labels = ?3
         RETURNING episode",
    )?;
    let found = exact
        .query_map(params![cluster, alert.fingerprint, Json(&alert.labels)], |row| row.get(0))?;
    let mut episodes: Vec<i64> = found.collect::<rusqlite::Result<_>>()?;

    if episodes.is_empty() {
        let mut by_fingerprint = tx.prepare_cached(
            "DELETE FROM alerts WHERE cluster = ?1 AND fingerprint = ?2 RETURNING episode",
        )?;
        let found =
            by_fingerprint.query_map(params![cluster, alert.fingerprint], |row| row.get(0))?;
        episodes = found.collect::<rusqlite::Result<_>>()?;
    }

    if episodes.is_empty() {
        return Ok(AlertOutcome::ResolvedUnknown);
    }

    for episode in episodes {
        let is_last: bool = tx
            .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM alerts WHERE episode = ?1)")?
            .query_row([episode], |row| row.get(0))?;
        if is_last {
            close(tx, episode, EpisodeEnd::Resolved, now)?;
        }
    }

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

fn delete_expired(tx: &Transaction<'_>, now: WallTime) -> rusqlite::Result<()> {
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

/// An alert of open episodes, with what it brings to another episode.
struct OpenAlert {
    fingerprint: String,
    labels: Labels,
    episode: i64,
    key: String,
    opened: WallTime,
    seen: WallTime,
    starts_at: WallTime,
}

/// One for each alert and episode.
fn open_alerts(tx: &Transaction<'_>, cluster: &ClusterName) -> rusqlite::Result<Vec<OpenAlert>> {
    let mut query = tx.prepare_cached(
        "SELECT a.fingerprint, a.labels, a.episode, e.key, e.opened_at, e.seen_at, e.starts_at
         FROM alerts a JOIN episodes e ON e.id = a.episode
         WHERE a.cluster = ?1 AND e.closed_at IS NULL ORDER BY e.id, a.fingerprint",
    )?;
    let alerts = query.query_map([cluster], |row| {
        let Json(labels) = row.get("labels")?;
        Ok(OpenAlert {
            fingerprint: row.get("fingerprint")?,
            labels,
            episode: row.get("episode")?,
            key: row.get("key")?,
            opened: row.get("opened_at")?,
            seen: row.get("seen_at")?,
            starts_at: row.get("starts_at")?,
        })
    })?;
    alerts.collect()
}

impl OpenAlert {
    /// Moves the alert to the episodes of `subjects`, unless its episode is one of them.
    fn assign(
        &self,
        tx: &Transaction<'_>,
        cluster: &ClusterName,
        subjects: &[EpisodeSubject],
    ) -> rusqlite::Result<()> {
        let alert = Alert {
            position: 0,
            status: AlertStatus::Firing,
            labels: self.labels.clone(),
            starts_at: self.starts_at,
            fingerprint: self.fingerprint.clone(),
        };
        let wanted: Vec<Option<&EpisodeSubject>> = match subjects {
            [] => vec![None],
            all => all.iter().map(Some).collect(),
        };

        let mut stays = false;
        for subject in wanted {
            let key = key(&alert, subject);
            if key == self.key {
                stays = true;
                continue;
            }

            let open = LatestEpisode::read(tx, cluster, &key)?.filter(|it| it.closed.is_none());
            let episode = if let Some(found) = open {
                found.id
            } else {
                let Self { opened, seen, starts_at, .. } = *self;
                let new = NewEpisode { cluster, key: &key, subject, opened, seen, starts_at };
                new.insert(tx, &self.labels)?
            };
            insert_alert(tx, cluster, &self.fingerprint, episode, &self.labels)?;

            if let Some(subject) = subject {
                tx.prepare_cached(
                    "INSERT OR IGNORE INTO claims (episode, playbook, attempt, run)
                     SELECT ?2, playbook, attempt, run FROM claims
                     WHERE episode = ?1 AND playbook = ?3",
                )?
                .execute(params![self.episode, episode, subject.playbook])?;
            }
        }

        if !stays {
            tx.prepare_cached(
                "DELETE FROM alerts WHERE cluster = ?1 AND fingerprint = ?2 AND episode = ?3",
            )?
            .execute(params![cluster, self.fingerprint, self.episode])?;
        }

        Ok(())
    }
}
