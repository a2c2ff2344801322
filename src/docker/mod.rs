//! The seam to a Docker engine, in this program's words. Read-only: list and stats.

pub mod engine;

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::BrokerId;

/// Names a container's part: `broker`.
pub const ROLE_LABEL: &str = "kafka-optimizer.role";
/// Names the cluster as the configuration does.
pub const CLUSTER_LABEL: &str = "kafka-optimizer.cluster";
/// Names the broker's `node.id`.
pub const BROKER_LABEL: &str = "kafka-optimizer.broker-id";

/// What one broker's container uses. A value the engine does not report is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerUse {
    /// The broker in it.
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

/// The engine could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("ask the Docker engine: {0}")]
pub struct DockerError(pub String);

/// What this program needs of a Docker engine.
#[async_trait]
pub trait Docker: Send + Sync + 'static {
    /// What the broker containers of `cluster` use, by broker; all are asked at once. Containers
    /// are found by their labels. One that fails is left out.
    async fn broker_use(&self, cluster: &str) -> Result<Vec<ContainerUse>, DockerError>;
}

/// An engine that stages share.
pub type SharedDocker = Arc<dyn Docker>;
