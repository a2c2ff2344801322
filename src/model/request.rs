//! The requests that this program sends to brokers.

use super::{ReadFailure, closed_list};

closed_list! {
    /// The requests this program sends, as a metric label.
    pub enum Api {
        /// What each request may look like.
        ApiVersions = "ApiVersions",
        /// Which way we prove who we are.
        SaslHandshake = "SaslHandshake",
        SaslAuthenticate = "SaslAuthenticate",
        Metadata = "Metadata",
        ListOffsets = "ListOffsets",
        ListGroups = "ListGroups",
        /// State and members of classic groups.
        DescribeGroups = "DescribeGroups",
        /// State and members of KIP-848 groups.
        ConsumerGroupDescribe = "ConsumerGroupDescribe",
        /// State and members of share groups.
        ShareGroupDescribe = "ShareGroupDescribe",
        /// State and members of Streams groups.
        StreamsGroupDescribe = "StreamsGroupDescribe",
        OffsetFetch = "OffsetFetch",
        DescribeLogDirs = "DescribeLogDirs",
        DescribeConfigs = "DescribeConfigs",
        ListPartitionReassignments = "ListPartitionReassignments",
        DescribeQuorum = "DescribeQuorum",
        DescribeClientQuotas = "DescribeClientQuotas",
        /// Changes a broker's dynamic configuration.
        IncrementalAlterConfigs = "IncrementalAlterConfigs",
        /// Changes a quota of clients.
        AlterClientQuotas = "AlterClientQuotas",
        ElectLeaders = "ElectLeaders",
    }
}

/// Requests sent by API, and those that failed, by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCount {
    pub api: Api,
    /// Sent, answered or not.
    pub sent: u64,
    /// Failed, for each of [`ReadFailure::OF_REQUEST`].
    pub failed: Vec<(ReadFailure, u64)>,
}

/// Whether an alter request changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The broker runs its checks and changes nothing.
    ValidateOnly,
    /// The broker runs its checks and stores the change.
    Write,
}
