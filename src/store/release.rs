//! Releases by a person: of quarantines, and of values that someone else changed.

use rusqlite::{Transaction, params};

use super::{Store, StoreError, journal, journal::NewLine, ownership};
use crate::model::{ClusterName, Principal, ResourceKey, Target, WallTime};

/// What to release. Without a playbook, a target and a key: everything of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub cluster: ClusterName,
    /// With `target`: the quarantine of this playbook on that target.
    pub playbook: Option<String>,
    pub target: Option<Target>,
    /// Of a value that someone else changed: `num.io.threads`; with a target, of that broker.
    pub key: Option<String>,
}

impl Release {
    /// Everything that is quarantined or changed by someone else.
    pub fn all(cluster: &ClusterName) -> Self {
        Self { cluster: cluster.clone(), playbook: None, target: None, key: None }
    }

    /// Whether it ends the quarantine of `playbook` on `target`.
    pub fn includes(&self, playbook: &str, target: &Target) -> bool {
        self.key.is_none()
            && self.playbook.as_ref().is_none_or(|it| it == playbook)
            && self.target.as_ref().is_none_or(|it| it == target)
    }

    /// Whether it releases the value.
    fn includes_value(&self, resource: &ResourceKey) -> bool {
        let Some(wanted) = &self.key else { return self.playbook.is_none() };
        let (key, broker) = match resource {
            ResourceKey::BrokerConfig { broker, key } => (key.clone(), Some(*broker)),
            ResourceKey::ClientQuota { key, .. } => (key.to_string(), None),
            ResourceKey::Container { name } => (name.clone(), None),
        };
        let is_named = key == *wanted || resource.to_string() == *wanted;

        is_named && self.target.as_ref().is_none_or(|it| it.broker() == broker && broker.is_some())
    }

    fn words(&self) -> String {
        match (&self.key, &self.playbook, &self.target) {
            (Some(key), _, Some(target)) => format!("{key} of {target}"),
            (Some(key), _, None) => key.clone(),
            (None, Some(playbook), Some(target)) => {
                format!("the quarantine of {playbook} on {target}")
            }
            (None, ..) => "all quarantines and changed values".to_owned(),
        }
    }
}

impl Store {
    /// Ends quarantines, and releases resources that someone else changed: this program then owns
    /// none of those. Returns them.
    pub async fn release(
        &self,
        release: Release,
        now: WallTime,
        by: &Principal,
    ) -> Result<Vec<ResourceKey>, StoreError> {
        let by = by.clone();
        self.call("release a cluster", move |tx| {
            let mut released = ownership::hands_off(tx, &release.cluster)?;
            released.retain(|it| release.includes_value(it));

            for resource in &released {
                ownership::disown(tx, &release.cluster, resource, now)?;
                ownership::forget(tx, &release.cluster, resource)?;
            }

            if release.key.is_none() {
                end_quarantines(tx, &release, now)?;
            }

            let line = NewLine {
                cluster: Some(release.cluster.clone()),
                entry: "order",
                text: format!("{by} released {}", release.words()),
                by: Some(by),
                ..NewLine::default()
            };
            journal::insert(tx, &line, now)?;

            Ok(released)
        })
        .await
    }
}

fn end_quarantines(tx: &Transaction<'_>, release: &Release, now: WallTime) -> rusqlite::Result<()> {
    if let (Some(playbook), Some(target)) = (&release.playbook, &release.target) {
        tx.execute(
            "INSERT INTO target_releases (cluster, playbook, target, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (cluster, playbook, target) DO UPDATE SET at = excluded.at",
            params![release.cluster, playbook, target, now],
        )?;
    } else {
        tx.execute(
            "INSERT INTO releases (cluster, at) VALUES (?1, ?2)
             ON CONFLICT (cluster) DO UPDATE SET at = excluded.at",
            params![release.cluster, now],
        )?;
    }

    Ok(())
}
