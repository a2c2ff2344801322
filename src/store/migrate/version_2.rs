//! Converts the rows of version 2, which kept a change as five texts: `subject`, `key`,
//! `from_value`, `from_stored` and `to_value`.

use percent_encoding::percent_decode_str;
use rusqlite::{Row, Transaction, params};

use super::super::columns::{Json, unknown};
use crate::model::{
    BrokerConfigChange, BrokerConfigRemoval, BrokerId, Change, ClientQuotaChange, ConsumerClone,
    LeaderChange, PreferredLeaderElection, QuotaEntity, QuotaKey, RemovedKey, ResourceKey,
    TopicName,
};

/// Moves the rows of `old_steps`, `old_written` and `old_hands_off` into the new tables.
pub(super) fn convert(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    steps(tx)?;
    written(tx)?;
    hands_off(tx)?;

    tx.execute_batch("DROP TABLE old_steps; DROP TABLE old_written; DROP TABLE old_hands_off;")
}

fn steps(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut insert = tx.prepare(
        "INSERT INTO steps SELECT run, idx, stage, wave, ?3, state, at FROM old_steps
         WHERE run = ?1 AND idx = ?2",
    )?;
    let mut query = tx.prepare("SELECT * FROM old_steps")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let text = StepText::read(row)?;
        let change = text.change().ok_or_else(|| unknown(&text.subject))?;
        let (run, index): (i64, u32) = (row.get("run")?, row.get("idx")?);
        insert.execute(params![run, index, Json(&change)])?;
    }
    Ok(())
}

fn written(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut insert = tx.prepare(
        "INSERT INTO written SELECT cluster, ?5, run, idx, value FROM old_written
         WHERE cluster = ?1 AND run = ?2 AND idx = ?3 AND key = ?4",
    )?;
    let mut query = tx.prepare("SELECT * FROM old_written")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (subject, key): (String, String) = (row.get("subject")?, row.get("key")?);
        let resources = resources(&subject, &key).ok_or_else(|| unknown(&subject))?;
        let cluster: String = row.get("cluster")?;
        let (run, index): (i64, u32) = (row.get("run")?, row.get("idx")?);

        for resource in &resources {
            insert.execute(params![cluster, run, index, key, Json(resource)])?;
        }
    }
    Ok(())
}

fn hands_off(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    // A resource may be there twice: as a key of its own, and as one of several.
    let mut insert = tx.prepare("INSERT OR IGNORE INTO hands_off VALUES (?1, ?2, ?3, ?4)")?;
    let mut query = tx.prepare("SELECT * FROM old_hands_off ORDER BY at")?;
    let mut rows = query.query([])?;

    while let Some(row) = rows.next()? {
        let (subject, key): (String, String) = (row.get("subject")?, row.get("key")?);
        let resources = resources(&subject, &key).ok_or_else(|| unknown(&subject))?;
        let cluster: String = row.get("cluster")?;
        let (run, at): (i64, i64) = (row.get("run")?, row.get("at")?);

        for resource in &resources {
            insert.execute(params![cluster, Json(resource), run, at])?;
        }
    }
    Ok(())
}

/// What a step changed.
enum StepSubject {
    /// `broker 1`
    Broker(BrokerId),
    /// `broker-keys 1`: several keys in one request, separated by a blank.
    BrokerKeys(BrokerId),
    /// `client greedy`, `user batch, client greedy`
    Quota(QuotaEntity),
    /// `leaders`
    Leaders,
    /// `container orders-2`
    Container(String),
}

impl StepSubject {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("broker", id)) => BrokerId::parse(id).map(Self::Broker),
            Some(("broker-keys", id)) => BrokerId::parse(id).map(Self::BrokerKeys),
            Some(("container", name)) => Some(Self::Container(name.to_owned())),
            Some(_) => entity(text).map(Self::Quota),
            None => (text == "leaders").then_some(Self::Leaders),
        }
    }
}

/// A step as version 2 kept it.
struct StepText {
    subject: String,
    key: String,
    from: String,
    from_stored: Option<String>,
    to: Option<String>,
    wave: u32,
}

impl StepText {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            subject: row.get("subject")?,
            key: row.get("key")?,
            from: row.get("from_value")?,
            from_stored: row.get("from_stored")?,
            to: row.get("to_value")?,
            wave: row.get("wave")?,
        })
    }

    fn change(&self) -> Option<Change> {
        let rate = |text: &String| text.parse().ok();
        Some(match StepSubject::parse(&self.subject)? {
            StepSubject::Broker(broker) => Change::BrokerConfig(BrokerConfigChange {
                broker,
                key: self.key.clone(),
                from: self.from.clone(),
                from_stored: self.from_stored.clone(),
                to: self.to.clone()?,
            }),
            StepSubject::BrokerKeys(broker) => {
                Change::RemoveBrokerConfig(BrokerConfigRemoval { broker, keys: self.removed()? })
            }
            StepSubject::Quota(entity) => Change::ClientQuota(ClientQuotaChange {
                entity,
                key: QuotaKey::from_label(&self.key)?,
                from: match &self.from_stored {
                    Some(text) => Some(rate(text)?),
                    None => None,
                },
                to: self.to.as_ref().and_then(rate)?,
            }),
            StepSubject::Leaders => Change::PreferredLeaders(PreferredLeaderElection {
                batch: self.wave.saturating_add(1),
                partitions: self.leaders()?,
            }),
            StepSubject::Container(name) => {
                Change::ConsumerClone(ConsumerClone { template: self.key.clone(), name })
            }
        })
    }

    fn removed(&self) -> Option<Vec<RemovedKey>> {
        let keys: Vec<&str> = self.key.split(' ').collect();
        let from: Vec<&str> = self.from.split(' ').collect();
        let stored: Vec<&str> = self.from_stored.as_ref()?.split(' ').collect();
        if from.len() != keys.len() || stored.len() != keys.len() {
            return None;
        }

        let parts = keys.into_iter().zip(from).zip(stored);
        let removed = parts.map(|((key, from), stored)| RemovedKey {
            key: key.to_owned(),
            from: from.to_owned(),
            from_stored: stored.to_owned(),
        });
        Some(removed.collect())
    }

    /// `orders/0=2 orders/1=-` before, `orders/0=1 orders/1=1` after, in the same order.
    fn leaders(&self) -> Option<Vec<LeaderChange>> {
        let before = self.from.split(' ');
        let after = self.to.as_ref()?.split(' ');
        let pairs = before.zip(after).map(|(before, after)| {
            let (partition, from) = before.split_once('=')?;
            let (topic, index) = partition.rsplit_once('/')?;
            let to = after.strip_prefix(partition)?.strip_prefix('=')?;
            Some(LeaderChange {
                topic: TopicName::new(topic),
                partition: index.parse().ok()?,
                from: BrokerId::parse(from),
                to: BrokerId::parse(to)?,
            })
        });
        pairs.collect()
    }
}

/// The resources that a subject and a key stood for. Leaders are none.
fn resources(subject: &str, key: &str) -> Option<Vec<ResourceKey>> {
    let of_broker = |broker, key: &str| ResourceKey::BrokerConfig { broker, key: key.to_owned() };
    Some(match StepSubject::parse(subject)? {
        StepSubject::Broker(broker) => vec![of_broker(broker, key)],
        StepSubject::BrokerKeys(broker) => key.split(' ').map(|it| of_broker(broker, it)).collect(),
        StepSubject::Quota(entity) => {
            vec![ResourceKey::ClientQuota { entity, key: QuotaKey::from_label(key)? }]
        }
        StepSubject::Leaders => Vec::new(),
        StepSubject::Container(name) => vec![ResourceKey::Container { name }],
    })
}

/// Reads `user batch, client greedy`; names are percent-encoded.
fn entity(text: &str) -> Option<QuotaEntity> {
    let mut entity = QuotaEntity { user: None, client_id: None };
    for part in text.split(", ") {
        let (kind, name) = part.split_once(' ')?;
        let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
        let field = match kind {
            "user" if entity.client_id.is_none() => &mut entity.user,
            "client" => &mut entity.client_id,
            _ => return None,
        };
        if field.replace(name).is_some() {
            return None;
        }
    }
    Some(entity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_read_as_version_2_wrote_it() {
        for (user, client_id) in [
            (None, Some("greedy")),
            (Some("batch"), None),
            (Some("batch"), Some("greedy-1.a_b")),
            (Some("a, client b"), None),
            (None, Some("\u{1b}[31mä")),
            (None, Some("")),
        ] {
            let written =
                QuotaEntity { user: user.map(Into::into), client_id: client_id.map(Into::into) };
            assert_eq!(entity(&written.to_string()), Some(written));
        }
        for text in ["", "client", "client a, user b", "client a, client b", "topic t", "user %ff"]
        {
            assert_eq!(entity(text), None, "{text}");
        }
    }
}
