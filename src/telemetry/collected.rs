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

impl CollectorName {
    /// What it reads, as text for people.
    pub const fn reads(self) -> &'static str {
        match self {
            Self::Topology => "brokers, topics and partitions",
            Self::MinInsync => "min.insync.replicas of the topics",
            Self::Quorum => "the controllers",
            Self::Reassignments => "reassignments",
            Self::Offsets => "offsets of the partitions",
            Self::Groups => "consumer groups and their members",
            Self::Committed => "committed offsets of the groups",
            Self::Lag => "lag of the groups",
            Self::LogDirs => "log directories",
            Self::Configs => "configuration of the brokers",
            Self::Containers => "containers of the brokers",
        }
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
