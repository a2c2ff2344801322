//! What the collectors report about their rounds.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{ReadFailure, WallTime, closed_list};

closed_list! {
    /// The collectors; each does a part of a collection round.
    pub enum CollectorName {
        Topology = "topology",
        /// The topic config `min.insync.replicas`.
        MinInsync = "min_insync",
        Quorum = "quorum",
        Reassignments = "reassignments",
        Offsets = "offsets",
        /// Groups with their state and members.
        Groups = "groups",
        Committed = "committed",
        Lag = "lag",
        LogDirs = "log_dirs",
        Configs = "configs",
        Containers = "containers",
    }
}

/// Result of one collector in one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorDone {
    pub collector: CollectorName,
    /// Error of the first request that failed; `None` if all succeeded.
    pub failure: Option<String>,
    pub took: Duration,
    /// End of the collector's round.
    pub at: WallTime,
    /// Number of values that could not be read, by reason. Zeros may be omitted.
    pub unknown: BTreeMap<ReadFailure, u64>,
}

/// A finished collection round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundDone {
    pub took: Duration,
    /// Requests sent to the cluster during the round.
    pub requests: u64,
}
