//! Groups: their types and states, their members, and what they committed.

use std::collections::BTreeMap;

use super::{GroupName, ReadFailure, TopicName, TopicOffsets, closed_list};

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

/// A group as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    pub group: GroupName,
    /// `consumer`, `connect`, …; empty for a group that only commits.
    pub protocol_type: String,
    pub group_type: GroupType,
    pub state: GroupState,
}

/// What a group's coordinator says of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMembers {
    pub state: GroupState,
    pub count: u32,
    /// Changes when a member comes or goes, and when one gets other partitions.
    pub fingerprint: u64,
    /// Members with a `group.instance.id` (KIP-345): another one of that id would fence them.
    pub static_members: u32,
    /// What hands out the partitions; empty where nothing does.
    pub assignor: String,
    /// The topics that members subscribe to or hold partitions of, with how many partitions they
    /// hold. `None` where the protocol hands out something else than partitions.
    pub assigned: Option<BTreeMap<TopicName, u32>>,
}

/// A group's state and members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub group: GroupName,
    /// Its members, or why nothing is known of them.
    pub members: Result<GroupMembers, ReadFailure>,
}

/// What a group has committed. A partition it never committed is not in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffsets {
    pub group: GroupName,
    /// Its commits, or why there are none.
    pub offsets: Result<Vec<TopicOffsets>, ReadFailure>,
}
