//! The controller quorum (KIP-595, KIP-836).

use super::{BrokerId, WallTime, closed_list};

/// The controller quorum (`DescribeQuorum`, KIP-595, KIP-836).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// The active controller, if there is one.
    pub leader: Option<BrokerId>,
    /// The leader epoch. A new one means that the controller changed.
    pub epoch: i32,
    /// High watermark of the metadata log.
    pub high_watermark: Option<i64>,
    /// Voters and observers, by id.
    pub replicas: Vec<QuorumReplica>,
}

closed_list! {
    /// What a replica of the metadata log is.
    pub enum QuorumRole {
        Voter = "voter",
        /// A broker, which replicates the log without a vote.
        Observer = "observer",
    }
}

/// One replica of the metadata log, as the active controller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    pub id: BrokerId,
    pub role: QuorumRole,
    /// Log end offset of the replica.
    pub log_end: Option<i64>,
    /// When it last fetched; since version 1 (KIP-836).
    pub last_fetch: Option<WallTime>,
    /// When it last had caught up; since version 1 (KIP-836).
    pub last_caught_up: Option<WallTime>,
}
