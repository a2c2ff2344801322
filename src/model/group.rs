//! Groups: their types and states, their members, and what they committed.

use std::collections::BTreeMap;

use super::{GroupName, ReadFailure, TopicName, TopicOffsets, closed_list};

closed_list! {
    /// Which protocol a group follows (`ListGroups` version 5, KIP-848, KIP-932, KIP-1071).
    pub enum GroupType {
        /// The group leader, a client, assigns partitions; also groups that only commit.
        Classic = "classic",
        /// KIP-848: the coordinator assigns partitions.
        Consumer = "consumer",
        /// KIP-932: members share partitions; it commits no offsets of its own.
        Share = "share",
        /// KIP-1071: Kafka Streams, with tasks instead of partitions.
        Streams = "streams",
        /// One that this program does not know.
        Unknown = "unknown",
    }
}

closed_list! {
    /// State of a group, for all types.
    pub enum GroupState {
        PreparingRebalance = "preparing_rebalance",
        CompletingRebalance = "completing_rebalance",
        /// All members have their partitions.
        Stable = "stable",
        /// The group is being removed.
        Dead = "dead",
        Empty = "empty",
        /// KIP-848: a new assignment is computed.
        Assigning = "assigning",
        /// KIP-848: members move to the new assignment.
        Reconciling = "reconciling",
        /// A Streams group whose topology or topics are not ready.
        NotReady = "not_ready",
        /// One that this program does not know.
        Unknown = "unknown",
    }
}

impl GroupState {
    /// Whether the group is rebalancing.
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

/// The members of a group, as its coordinator describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMembers {
    pub state: GroupState,
    pub count: u32,
    /// Changes when a member joins or leaves, and when an assignment changes.
    pub fingerprint: u64,
    /// Members with a `group.instance.id` (KIP-345): a second member with that id fences the first.
    pub static_members: u32,
    /// The assignor; empty where there is none.
    pub assignor: String,
    /// Assigned partitions of each topic that members subscribe to. `None` where the protocol
    /// assigns something else.
    pub assigned: Option<BTreeMap<TopicName, u32>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub group: GroupName,
    /// Its members, or why they could not be read.
    pub members: Result<GroupMembers, ReadFailure>,
}

/// The committed offsets of a group. A partition without a commit is not in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffsets {
    pub group: GroupName,
    /// Its commits, or why they could not be read.
    pub offsets: Result<Vec<TopicOffsets>, ReadFailure>,
}
