//! What a round of collection reports about itself.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{WallTime, closed_list};

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

closed_list! {
    /// Why a value could not be read.
    pub enum UnknownReason {
        /// No connection could be made, or it broke.
        Connection = "connection",
        /// No answer within the deadline.
        Timeout = "timeout",
        /// The broker answered with an error.
        Refused = "refused",
        /// The answer could not be decoded, or the versions do not meet.
        Protocol = "protocol",
        /// The connection could not be encrypted, or the broker not be trusted.
        Tls = "tls",
        /// The broker does not accept our credentials, or there are none to show.
        Authentication = "authentication",
        /// The broker still owes an answer of an earlier round, so it was not asked again.
        Busy = "busy",
        /// The partition has no leader to ask.
        Leaderless = "leaderless",
        /// The broker asked is not the leader.
        NotLeader = "not_leader",
        /// No leader, or it is coming up.
        Unavailable = "unavailable",
        /// Topic, partition or group unknown there.
        Unknown = "unknown",
        /// Not authorised.
        Unauthorized = "unauthorized",
        /// The broker does not coordinate the group, or is still loading it.
        NotCoordinator = "not_coordinator",
        /// There is no room to remember what it is computed from.
        Budget = "budget",
        /// A value it depends on is not known.
        Incomplete = "incomplete",
        Other = "other",
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
    pub unknown: BTreeMap<UnknownReason, u64>,
}

/// A round of collection, as it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundDone {
    pub took: Duration,
    /// Requests sent to the cluster meanwhile.
    pub requests: u64,
}

/// Requests of one kind, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    /// The kind, as the protocol names it.
    pub api: &'static str,
    /// Sent, answered or not.
    pub sent: u64,
    pub failed: Vec<(&'static str, u64)>,
}
