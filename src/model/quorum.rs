//! The controller quorum (KIP-595, KIP-836).

use super::{BrokerId, WallTime, closed_list};

/// The controller quorum (`DescribeQuorum`, KIP-595, KIP-836).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// The active controller, if there is one.
    pub leader: Option<BrokerId>,
    /// Its epoch: a new one means that the controller changed.
    pub epoch: i32,
    /// How far the metadata log is committed.
    pub high_watermark: Option<i64>,
    /// Everyone who copies the metadata log, by id.
    pub replicas: Vec<QuorumReplica>,
}

closed_list! {
    /// What a replica of the metadata log is.
    pub enum QuorumRole {
        Voter = "voter",
        /// A broker, which only follows.
        Observer = "observer",
    }
}

/// One replica of the metadata log, as the active controller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Its `node.id`.
    pub id: BrokerId,
    pub role: QuorumRole,
    /// How far its log goes.
    pub log_end: Option<i64>,
    /// When it last fetched; since version 1 (KIP-836).
    pub last_fetch: Option<WallTime>,
    /// When it last had everything; since version 1 (KIP-836).
    pub last_caught_up: Option<WallTime>,
}
