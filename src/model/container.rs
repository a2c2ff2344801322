//! Containers of brokers and of consumers.

use super::{BrokerId, GroupName};

/// What one broker's container uses. A value the engine does not report is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerUsage {
    pub broker: BrokerId,
    /// CPU seconds used since its start.
    pub cpu_seconds: Option<f64>,
    /// CPU limit in cores; without a limit the host's cores.
    pub cpu_limit_cores: Option<f64>,
    /// Scheduler periods in which it was throttled.
    pub throttled_periods: Option<u64>,
    /// Anonymous memory in bytes (rss in cgroup v1, anon in v2): not the page cache.
    pub memory_anonymous_bytes: Option<u64>,
    /// Working set in bytes: memory without inactive file pages, which the out-of-memory killer
    /// goes by.
    pub memory_working_set_bytes: Option<u64>,
    /// Bytes read from disks since its start. Some kernels do not report it.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to disks since its start. Some kernels do not report it.
    pub block_write_bytes: Option<u64>,
    /// Memory limit in bytes; without a limit the host's memory.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes received on all networks since its start.
    pub network_receive_bytes: Option<u64>,
    /// Bytes sent on all networks since its start.
    pub network_transmit_bytes: Option<u64>,
}

/// A container with a consumer, found by its role, cluster and group labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerContainer {
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
    /// Reasons against cloning it, for people; empty when there are none (I37).
    pub objections: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloneState {
    /// There is no container of that name.
    Absent,
    /// It exists and has never run.
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
