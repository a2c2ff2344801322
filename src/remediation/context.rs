//! The configuration, seams and handles that every stage of a cluster's pipeline uses.

use std::{
    fs::File,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, watch};

use super::identity::ClusterIdentity;

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

/// The pipeline of one cluster. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seams have none")]
pub struct Context {
    pub cluster: Arc<ClusterConfig>,
    /// Whether no other cluster is configured: then an alert without `kafka_cluster` is about
    /// this one.
    pub is_only_cluster: bool,
    pub remediation: Arc<RemediationConfig>,
    pub kafka: SharedKafka,
    /// `None` if the cluster has no `prometheus` configured.
    pub prometheus: Option<SharedPrometheus>,
    /// The engine that runs the cluster's containers; `None` if none is configured.
    pub docker: Option<SharedDocker>,
    pub clock: SharedClock,
    pub store: Store,
    pub telemetry: Arc<Telemetry>,
    pub latest: Latest,
    pub pause: PauseFile,
    /// Wakes the worker when something new is stored.
    pub wake: Arc<Notify>,
    /// The id of this installation, in its state file.
    pub installation: Arc<str>,
    pub identity: IdentityCell,
}

/// What is known of the cluster's identity. Written by the cluster's worker.
#[derive(Clone, Debug)]
pub struct IdentityCell(Arc<watch::Sender<ClusterIdentity>>);

impl Default for IdentityCell {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(ClusterIdentity::default())))
    }
}

impl IdentityCell {
    pub(super) fn get(&self) -> ClusterIdentity {
        self.0.borrow().clone()
    }

    pub(super) fn set(&self, identity: ClusterIdentity) {
        self.0.send_replace(identity);
    }
}

impl Context {
    pub(super) fn now(&self) -> WallTime {
        self.clock.wall()
    }

    /// The playbook of a run; `None` if it is no longer configured.
    pub(super) fn playbook(&self, run: &RunRow) -> Option<&Playbook> {
        self.remediation.playbooks.iter().find(|it| it.name == run.playbook)
    }

    /// # Errors
    ///
    /// [`DockerError::NotConfigured`] if the cluster has no engine.
    pub(super) fn engine(&self) -> Result<&SharedDocker, DockerError> {
        self.docker.as_ref().ok_or(DockerError::NotConfigured)
    }

    pub(super) fn scrape_interval(&self) -> Duration {
        let configured = self.cluster.prometheus.as_ref().map(|it| it.scrape_interval);
        configured.unwrap_or(Duration::from_secs(15))
    }

    /// Values for a template: from the configuration and live metadata, never directly from a label
    /// (I35). If the target is the cluster, `$broker_id` is its canary.
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

/// Remediation is paused while this file exists (I31). It survives a restart, and a person can
/// create it with `touch` when the process does not respond.
///
/// If the file cannot be created, a pause holds in memory until the process ends.
#[derive(Clone, Debug)]
pub struct PauseFile {
    /// `None` for a process without a state directory.
    path: Option<PathBuf>,
    paused: Arc<AtomicBool>,
    /// Whether remediation was paused when this process last looked or changed it.
    was_set: Arc<AtomicBool>,
}

impl PauseFile {
    pub fn in_dir(state_dir: &Path) -> Self {
        let file = Self { path: Some(state_dir.join("paused")), ..Self::in_memory() };
        file.was_set.store(file.is_set(), Ordering::SeqCst);
        file
    }

    /// A pause that ends with the process.
    pub fn in_memory() -> Self {
        Self { path: None, paused: Arc::default(), was_set: Arc::default() }
    }

    /// Whether remediation is paused. It is if the directory cannot be read.
    pub fn is_set(&self) -> bool {
        let file = self.path.as_ref().is_some_and(|it| it.try_exists().unwrap_or(true));
        file || self.paused.load(Ordering::SeqCst)
    }

    /// # Errors
    ///
    /// If the file cannot be created. The pause is in effect nevertheless, until the process ends.
    pub fn set(&self) -> std::io::Result<()> {
        let created = self.path.as_ref().map(|path| {
            // Without content: an empty file can be created on a disk that is full.
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600).open(path).map(drop)
        });

        // Not with a file: whoever removes it resumes.
        self.paused.store(!matches!(created, Some(Ok(()))), Ordering::SeqCst);

        self.was_set.store(true, Ordering::SeqCst);

        created.unwrap_or(Ok(()))
    }

    /// Does nothing if the file does not exist.
    pub fn clear(&self) -> std::io::Result<()> {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error);
        }

        self.paused.store(false, Ordering::SeqCst);
        self.was_set.store(false, Ordering::SeqCst);

        Ok(())
    }

    /// Whether remediation is paused, if someone made or removed the file without this process
    /// since the last call. All clones share one answer.
    pub(super) fn changed_by_hand(&self) -> Option<bool> {
        let is_set = self.is_set();
        (self.was_set.swap(is_set, Ordering::SeqCst) != is_set).then_some(is_set)
    }
}
