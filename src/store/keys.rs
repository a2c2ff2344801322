//! Whose value stands in a key: what this program wrote and has not undone, and what someone else
//! changed after it (I12).

use rusqlite::{Transaction, params};

use super::{StepState, StepUpdate, Store, StoreError, doing};
use crate::model::{ClusterName, Subject, WallTime};

/// A key of a subject, with the value this program wrote last, or the mark that someone changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAt {
    pub subject: Subject,
    pub key: String,
    /// What this program wrote last (none: it took the value away); none where only the mark is
    /// there.
    pub wrote: Option<Option<String>>,
    /// Whether someone else changed it after that.
    pub hands_off: bool,
}

/// Keeps both tables in step with the journal, inside the step's own transaction.
pub(super) fn follow(
    tx: &Transaction<'_>,
    change: &StepUpdate,
    now: WallTime,
) -> Result<(), StoreError> {
    match change.state {
        StepState::Applied => wrote(tx, change),
        StepState::Undone => tx
            .execute(
                "DELETE FROM written WHERE run = ?1 AND idx = ?2",
                params![change.run.0, change.index],
            )
            .map(drop)
            .map_err(doing("forget what was undone")),
        StepState::Drifted => tx
            .execute(
                "INSERT OR IGNORE INTO hands_off (cluster, subject, key, run, at)
                 SELECT r.cluster, s.subject, s.key, s.run, ?3
                 FROM steps s JOIN runs r ON r.id = s.run WHERE s.run = ?1 AND s.idx = ?2",
                params![change.run.0, change.index, now.0],
            )
            .map(drop)
            .map_err(doing("mark a key as changed by someone else")),
        StepState::Planned
        | StepState::Began
        | StepState::Failed
        | StepState::UndoBegan
        | StepState::UndoFailed => Ok(()),
    }
}

fn wrote(tx: &Transaction<'_>, change: &StepUpdate) -> Result<(), StoreError> {
    let read = || -> rusqlite::Result<(String, String, String, Option<String>)> {
        tx.query_row(
            "SELECT r.cluster, s.subject, s.key, s.to_value
             FROM steps s JOIN runs r ON r.id = s.run WHERE s.run = ?1 AND s.idx = ?2",
            params![change.run.0, change.index],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
    };
    let (cluster, subject, key, value) = read().map_err(doing("read a step"))?;
    let (subject, keys) = match Subject::parse(&subject) {
        Some(subject @ (Subject::Broker(_) | Subject::Quota(_))) => (subject, vec![&*key]),
        Some(Subject::BrokerKeys(id)) => (Subject::Broker(id), key.split(' ').collect()),
        // Leaders and containers are no values that someone could change under us.
        Some(Subject::Leaders | Subject::Container(_)) | None => return Ok(()),
    };
    for key in keys {
        tx.execute(
            "INSERT OR REPLACE INTO written (cluster, subject, key, run, idx, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![cluster, subject.to_string(), key, change.run.0, change.index, value],
        )
        .map_err(doing("keep whose value it is"))?;
    }
    Ok(())
}

impl Store {
    /// Every key of `cluster` that this program wrote, or that is marked.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn keys(&self, cluster: &ClusterName) -> Result<Vec<KeyAt>, StoreError> {
        let cluster = cluster.clone();
        self.call("read whose values they are", move |tx| {
            let mut query = tx
                .prepare_cached(
                    "SELECT subject, key, 1, value, hands_off FROM (
                        SELECT w.subject, w.key, w.value,
                               EXISTS (SELECT 1 FROM hands_off h WHERE h.cluster = w.cluster
                                       AND h.subject = w.subject AND h.key = w.key) AS hands_off,
                               row_number() OVER (PARTITION BY w.subject, w.key
                                                  ORDER BY w.run DESC, w.idx DESC) AS n
                        FROM written w WHERE w.cluster = ?1) WHERE n = 1
                     UNION ALL
                     SELECT h.subject, h.key, 0, NULL, 1 FROM hands_off h WHERE h.cluster = ?1
                     AND NOT EXISTS (SELECT 1 FROM written w WHERE w.cluster = h.cluster
                                     AND w.subject = h.subject AND w.key = h.key)
                     ORDER BY 1, 2",
                )
                .map_err(doing("read whose values they are"))?;
            let rows = query
                .query_map([cluster.as_str()], |row| {
                    let wrote: bool = row.get(2)?;
                    let value: Option<String> = row.get(3)?;
                    Ok((row.get::<_, String>(0)?, row.get(1)?, wrote.then_some(value), row.get(4)?))
                })
                .map_err(doing("read whose values they are"))?;
            let mut keys = Vec::new();
            for row in rows {
                let (subject, key, wrote, hands_off) = row.map_err(doing("read a key"))?;
                if let Some(subject) = Subject::parse(&subject) {
                    keys.push(KeyAt { subject, key, wrote, hands_off });
                }
            }
            Ok(keys)
        })
        .await
    }

    /// Marks a key that someone else changed after this program wrote it.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn mark_changed(
        &self,
        cluster: &ClusterName,
        (subject, key): (Subject, String),
        now: WallTime,
    ) -> Result<(), StoreError> {
        let cluster = cluster.clone();
        self.call("mark a key as changed by someone else", move |tx| {
            tx.execute(
                "INSERT OR IGNORE INTO hands_off (cluster, subject, key, run, at)
                 VALUES (?1, ?2, ?3, 0, ?4)",
                params![cluster.as_str(), subject.to_string(), key, now.0],
            )
            .map_err(doing("mark a key as changed by someone else"))?;
            Ok(())
        })
        .await
    }

    /// Lifts the marks and the quarantines of `cluster`; what a released key holds now is nobody's.
    /// Returns the keys released.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn release(
        &self,
        cluster: &ClusterName,
        now: WallTime,
    ) -> Result<Vec<(Subject, String)>, StoreError> {
        let marked: Vec<_> =
            self.keys(cluster).await?.into_iter().filter(|it| it.hands_off).collect();
        let cluster = cluster.clone();
        self.call("release a cluster", move |tx| {
            for it in &marked {
                for table in ["written", "hands_off"] {
                    tx.execute(
                        &format!(
                            "DELETE FROM {table} WHERE cluster = ?1 AND subject = ?2 AND key = ?3"
                        ),
                        params![cluster.as_str(), it.subject.to_string(), it.key],
                    )
                    .map_err(doing("release a key"))?;
                }
            }
            tx.execute(
                "INSERT INTO releases (cluster, at) VALUES (?1, ?2)
                 ON CONFLICT (cluster) DO UPDATE SET at = excluded.at",
                params![cluster.as_str(), now.0],
            )
            .map_err(doing("lift the quarantines"))?;
            Ok(marked.into_iter().map(|it| (it.subject, it.key)).collect())
        })
        .await
    }
}
