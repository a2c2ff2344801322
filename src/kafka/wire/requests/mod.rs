//! The requests of the adapter, and how their responses are read. Pure: no socket, no clock.

mod configs;
mod consumer_protocol;
mod controller;
mod elections;
mod features;
mod fetch;
mod groups;
mod log_dirs;
mod members;
mod membership;
mod offsets;
mod quotas;
mod streams;
mod topology;

pub(super) use configs::{AlterBrokerConfig, DescribeBrokerConfig, DescribeMinInsync};
pub(super) use controller::{DescribeQuorum, ListReassignments};
pub(super) use elections::ElectPreferredLeaders;
pub(super) use features::DescribeMetadataVersion;
pub(super) use fetch::FetchBatches;
pub(super) use groups::{FetchCommitted, ListGroups};
pub(super) use log_dirs::DescribeLogDirs;
pub(super) use members::{DescribeClassicGroups, DescribeConsumerGroups, DescribeShareGroups};
pub(super) use membership::{
    FindCoordinator, GroupGeneration, GroupJoined, GroupProtocol, Heartbeat, JoinGroup, LeaveGroup,
    SyncGroup,
};
pub(super) use offsets::ListOffsets;
pub(super) use quotas::{AlterClientQuota, DescribeClientQuotas};
pub(super) use streams::DescribeStreamsGroups;
pub(super) use topology::{BrokerMetadata, ClusterMetadata, TopicMetadata};
