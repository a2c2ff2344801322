//! The seam to a Docker engine, in this program's words.
//!
//! [`engine`] implements it; so does the simulated world of the tests. Nothing here retries: a
//! stage that calls decides.
//!
//! Invariant (I36): only containers with our labels for role and cluster are looked at, and the
//! only methods that can change anything are [`Docker::start_clone`] and [`Docker::remove_clone`].
//! They change clones and nothing else.

pub mod engine;
mod error;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::DockerError;

use crate::model::{BrokerId, GroupName};

/// Names a container's part: `broker` or `consumer`.
pub const ROLE_LABEL: &str = "kafka-optimizer.role";
/// Names the cluster as the configuration does.
pub const CLUSTER_LABEL: &str = "kafka-optimizer.cluster";
/// Names the broker's `node.id`.
pub const BROKER_LABEL: &str = "kafka-optimizer.broker-id";

/// Names the consumer group that a container's process is a member of.
pub const GROUP_LABEL: &str = "kafka-optimizer.group";
/// On a clone: the run that made it.
pub const RUN_LABEL: &str = "kafka-optimizer.run";
/// On a clone: the full id of the container it was made from.
pub const CLONE_OF_LABEL: &str = "kafka-optimizer.clone-of";

/// What one broker's container uses. A value the engine does not report is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerUse {
    pub broker: BrokerId,
    /// CPU seconds used since its start.
    pub cpu_seconds: Option<f64>,
    /// CPU limit in cores; without a limit the host's cores.
    pub cpu_limit_cores: Option<f64>,
    /// Scheduler periods in which it was throttled.
    pub throttled_periods: Option<u64>,
    /// Anonymous memory in bytes (rss in cgroup v1, anon in v2): not the page cache.
    pub memory_anonymous_bytes: Option<u64>,
    /// Memory in bytes without the page cache that the kernel gives back first: what decides
    /// whether the container is killed.
    pub memory_working_set_bytes: Option<u64>,
    /// Bytes read from disks since its start. Some kernels do not say.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to disks since its start. Some kernels do not say.
    pub block_write_bytes: Option<u64>,
    /// Memory limit in bytes; without a limit the host's memory.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes received on all networks since its start.
    pub network_receive_bytes: Option<u64>,
    /// Bytes sent on all networks since its start.
    pub network_transmit_bytes: Option<u64>,
}

/// A container whose process consumes, found by its labels for role, cluster and group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    pub id: String,
    /// Its name, without the leading slash.
    pub name: String,
    /// The group that its process is a member of.
    pub group: GroupName,
    /// The run that made it, when it is a clone.
    pub run: Option<i64>,
    /// Whether its process runs: not restarting, not paused.
    pub running: bool,
    /// How often the engine has restarted it.
    pub restarts: u32,
    /// Why no clone of it may be made, in words; empty when one may (I37).
    pub objections: Vec<String>,
}

/// Where a clone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloneState {
    /// There is no container of that name.
    Absent,
    /// It is there and has never run.
    Created,
    /// It runs, and has not been restarted.
    Running,
    /// It does not stay up: it is restarting, has been restarted, or has ended.
    Restarting,
    /// A container of that name is not this run's clone.
    Foreign,
}

/// Name of a clone, and the run that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloneName {
    pub name: String,
    /// The run that makes it.
    pub run: i64,
    /// The cluster, as the configuration names it.
    pub cluster: String,
}

/// What this program needs of a Docker engine.
///
/// Each call has its own deadline inside the implementation and ends with
/// [`DockerError::NoAnswer`] when it passes.
#[async_trait]
pub trait Docker: Send + Sync + 'static {
    /// What the broker containers of `cluster` use, by broker; all are asked at once. Containers
    /// are found by their labels. One that fails is left out.
    async fn broker_use(&self, cluster: &str) -> Result<Vec<ContainerUse>, DockerError>;

    /// The consumer containers of `cluster`, clones among them, by name; running or not.
    async fn consumers(&self, cluster: &str) -> Result<Vec<Consumer>, DockerError>;

    /// Where a clone stands.
    async fn clone_state(&self, clone: &CloneName) -> Result<CloneState, DockerError>;

    /// Makes a clone of the container `of` and starts it. One that exists is started if it is not
    /// running. Refused, with nothing touched, when there are objections to a clone of it, or when
    /// a container of that name is not this run's clone.
    ///
    /// A success says that its process was started, not that it stays up. After an error whose
    /// outcome is unknown the clone may be there without running.
    async fn start_clone(&self, of: &str, clone: &CloneName) -> Result<(), DockerError>;

    /// Stops a clone, with its own time-out for that, and removes it with its anonymous volumes.
    /// One that is gone is fine. Refused, with nothing touched, when the container of that name is
    /// not this run's clone.
    async fn remove_clone(&self, clone: &CloneName) -> Result<(), DockerError>;
}

/// An engine that stages share.
pub type SharedDocker = Arc<dyn Docker>;
