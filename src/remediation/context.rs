//! What every stage of one cluster's pipeline holds.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    clock::SharedClock,
    config::{ClusterConfig, RemediationConfig},
    docker::{DockerError, SharedDocker},
    kafka::SharedKafka,
    model::{BrokerId, Target, WallTime},
    playbook::{Playbook, Values},
    prometheus::SharedPrometheus,
    snapshot::Latest,
    store::{RunRow, Store},
    telemetry::Telemetry,
};

/// What every stage of one cluster's pipeline holds. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seams have none")]
pub struct Context {
    pub cluster: Arc<ClusterConfig>,
    pub remediation: Arc<RemediationConfig>,
    pub kafka: SharedKafka,
    /// The Prometheus that knows it; none where none is configured.
    pub prometheus: Option<SharedPrometheus>,
    /// The Docker engine that runs its containers; none where none is configured.
    pub docker: Option<SharedDocker>,
    pub clock: SharedClock,
    pub store: Store,
    /// What this process says about itself.
    pub telemetry: Arc<Telemetry>,
    pub latest: Latest,
    pub pause: PauseFile,
    /// Wakes the worker: something new is stored.
    pub wake: Arc<Notify>,
}

impl Context {
    pub(super) fn now(&self) -> WallTime {
        self.clock.wall()
    }

    /// The playbook of a run; none when the configuration has lost it.
    pub(super) fn playbook(&self, run: &RunRow) -> Option<&Playbook> {
        self.remediation.playbooks.iter().find(|it| it.name == run.playbook)
    }

    /// The Docker engine.
    ///
    /// # Errors
    ///
    /// [`DockerError::NotConfigured`] where the cluster has none.
    pub(super) fn engine(&self) -> Result<&SharedDocker, DockerError> {
        self.docker.as_ref().ok_or(DockerError::NotConfigured)
    }

    pub(super) fn scrape_interval(&self) -> Duration {
        let configured = self.cluster.prometheus.as_ref().map(|it| it.scrape_interval);
        configured.unwrap_or(Duration::from_secs(15))
    }

    /// Values for a template: from the configuration and live metadata, never from a label as it
    /// came (I35). Where the target is the cluster, its canary is the broker.
    pub(super) fn values(&self, target: &Target, canary: Option<BrokerId>) -> Values {
        let mut values = Values::from([("kafka_cluster", self.cluster.name.to_string())]);
        match target {
            Target::Cluster => values.extend(canary.map(|it| ("broker_id", it.to_string()))),
            Target::Broker(id) => drop(values.insert("broker_id", id.to_string())),
            Target::Group(name) => drop(values.insert("consumergroup", name.to_string())),
        }
        values
    }
}

/// Remediation is paused while this file exists (I31): it survives a restart, and a person can make
/// it with `touch` when nothing else answers.
#[derive(Clone, Debug)]
pub struct PauseFile(PathBuf);

impl PauseFile {
    /// The file in a state directory.
    pub fn in_dir(state_dir: &Path) -> Self {
        Self(state_dir.join("paused"))
    }

    /// Whether it is there. A directory that cannot be read counts as paused.
    pub fn is_set(&self) -> bool {
        self.0.try_exists().unwrap_or(true)
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// When the file cannot be made.
    pub fn set(&self) -> std::io::Result<()> {
        std::fs::write(&self.0, "Remediation is paused while this file exists.\n")
    }

    /// Removes it.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be removed.
    pub fn clear(&self) -> std::io::Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
