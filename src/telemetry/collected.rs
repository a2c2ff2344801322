//! What a round of collection reports about itself.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{ReadFailure, WallTime, closed_list};

closed_list! {
    /// The parts of a collection round.
    pub enum CollectorName {
        Topology = "topology",
        /// `min.insync.replicas` of topics.
        MinInsync = "min_insync",
        Quorum = "quorum",
        Reassignments = "reassignments",
        Offsets = "offsets",
        /// Groups, their state and members.
        Groups = "groups",
        Committed = "committed",
        Lag = "lag",
        LogDirs = "log_dirs",
        Configs = "configs",
        Containers = "containers",
    }
}

/// How a collector's part of a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorDone {
    pub collector: CollectorName,
    /// The first request that failed, in words; `None` when all were answered.
    pub failure: Option<String>,
    pub took: Duration,
    /// When it ended.
    pub at: WallTime,
    /// Values that could not be read. Those at 0 may be left out.
    pub unknown: BTreeMap<ReadFailure, u64>,
}

/// A round of collection, as it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundDone {
    pub took: Duration,
    /// Requests sent to the cluster meanwhile.
    pub requests: u64,
}
