//! What a group can be, and how it can stand.

use super::closed_list;

closed_list! {
    /// Which protocol a group follows (`ListGroups` version 5, KIP-848, KIP-932, KIP-1071).
    pub enum GroupType {
        /// The client that leads it hands out partitions; also groups that only commit.
        Classic = "classic",
        /// KIP-848: the coordinator hands out partitions.
        Consumer = "consumer",
        /// KIP-932: members share partitions; it commits no offsets of its own.
        Share = "share",
        /// KIP-1071: Kafka Streams, with tasks instead of partitions.
        Streams = "streams",
        /// A word this program does not know.
        Unknown = "unknown",
    }
}

closed_list! {
    /// State of a group. All types share the words.
    pub enum GroupState {
        PreparingRebalance = "preparing_rebalance",
        CompletingRebalance = "completing_rebalance",
        /// All members have their partitions.
        Stable = "stable",
        /// The group is being removed.
        Dead = "dead",
        /// No members, offsets kept.
        Empty = "empty",
        /// KIP-848: a new assignment is computed.
        Assigning = "assigning",
        /// KIP-848: members move to the new assignment.
        Reconciling = "reconciling",
        /// A Streams group whose topology or topics are not ready.
        NotReady = "not_ready",
        /// A word this program does not know.
        Unknown = "unknown",
    }
}

impl GroupState {
    /// Whether partitions are being handed out anew.
    pub const fn is_rebalancing(self) -> bool {
        match self {
            Self::PreparingRebalance
            | Self::CompletingRebalance
            | Self::Assigning
            | Self::Reconciling => true,
            Self::Stable | Self::Dead | Self::Empty | Self::NotReady | Self::Unknown => false,
        }
    }
}
