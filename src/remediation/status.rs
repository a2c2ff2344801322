//! What is going on, for people: the mode, the pause, and each cluster's runs.

use super::{Remediator, context::Context, guard};
use crate::{
    model::{ClusterName, Mode, Target},
    store::{ClusterOverview, RunFilter, RunHistory, RunRow, StoreError},
};

#[derive(Clone, Debug, PartialEq)]
pub struct RemediationStatus {
    pub mode: Mode,
    pub paused: bool,
    pub clusters: Vec<ClusterRemediation>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClusterRemediation {
    pub name: ClusterName,
    pub runs: ClusterOverview,
    pub temporary_changes: Vec<RunRow>,
    pub quarantined: Vec<QuarantinedTarget>,
    /// Resources that someone else changed and nobody has released, in words.
    pub changed_by_others: Vec<String>,
}

/// A target on which a playbook's runs were rolled back three times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedTarget {
    pub playbook: String,
    pub target: Target,
}

impl Remediator {
    /// The runs that match, newest first.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        self.shared.store.list_runs(filter).await
    }

    /// What is going on now.
    pub async fn status(&self) -> Result<RemediationStatus, StoreError> {
        let temporary = self.shared.store.temporary_changes().await?;
        let active = self.active();
        let mut clusters = Vec::with_capacity(active.clusters.len());

        for context in &active.clusters {
            let name = &context.cluster.name;
            let owned = context.store.ownership(name).await?;
            let changed = owned.iter().filter(|it| it.hands_off);
            let temporary = temporary.iter().filter(|it| it.cluster == *name);
            clusters.push(ClusterRemediation {
                runs: context.store.overview(name).await?,
                temporary_changes: temporary.cloned().collect(),
                quarantined: quarantined(context).await?,
                changed_by_others: changed.map(|it| it.resource.to_string()).collect(),
                name: name.clone(),
            });
        }

        Ok(RemediationStatus {
            mode: active.remediation.mode,
            paused: self.shared.pause.is_set(),
            clusters,
        })
    }
}

/// A playbook and a target with the past runs of it.
pub(super) struct PastTarget {
    pub(super) playbook: String,
    pub(super) target: Target,
    pub(super) history: RunHistory,
}

/// Every playbook and target of a cluster with an ended run.
pub(super) async fn past_targets(context: &Context) -> Result<Vec<PastTarget>, StoreError> {
    let (name, mode, now) = (&context.cluster.name, context.remediation.mode, context.now());
    let mut found = Vec::new();

    for (playbook, target) in context.store.targets(name).await? {
        let history = context.store.history(name, playbook.clone(), target.clone(), mode, now);
        found.push(PastTarget { history: history.await?, playbook, target });
    }

    Ok(found)
}

/// The playbooks and targets of a cluster that are quarantined.
pub(super) async fn quarantined(context: &Context) -> Result<Vec<QuarantinedTarget>, StoreError> {
    let past = past_targets(context).await?.into_iter();
    let quarantined = past.filter(|it| guard::is_quarantined(&it.history));
    Ok(quarantined
        .map(|it| QuarantinedTarget { playbook: it.playbook, target: it.target })
        .collect())
}
