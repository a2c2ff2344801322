//! The requests that this program sends to brokers.

use super::{ReadFailure, closed_list};

closed_list! {
    /// The APIs that this program uses, as a metric label.
    pub enum Api {
        /// Negotiates the version of each request.
        ApiVersions = "ApiVersions",
        /// Chooses the SASL mechanism.
        SaslHandshake = "SaslHandshake",
        SaslAuthenticate = "SaslAuthenticate",
        Metadata = "Metadata",
        ListOffsets = "ListOffsets",
        /// Reads a few record batches, for advice.
        Fetch = "Fetch",
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
        /// Finds the coordinator of the group of processes that act.
        FindCoordinator = "FindCoordinator",
        JoinGroup = "JoinGroup",
        SyncGroup = "SyncGroup",
        Heartbeat = "Heartbeat",
        LeaveGroup = "LeaveGroup",
    }
}

/// Requests sent to one API so far, and those that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCount {
    pub api: Api,
    /// Sent, whether answered or not.
    pub sent: u64,
    /// Failed, for each of [`ReadFailure::OF_REQUEST`].
    pub failed: Vec<(ReadFailure, u64)>,
}

/// What is known of a write that failed. Each seam's error says which: what may be repeated, and
/// what has to be read back, depends on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// No one received it: the broker or engine is away. It may answer later.
    NotSent,
    /// It was answered, and nothing was changed.
    Refused,
    /// It may have taken effect, wholly or in part, or may still.
    Unknown,
}

/// Whether an alter request changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The broker runs its checks and changes nothing.
    ValidateOnly,
    /// The broker runs its checks and stores the change.
    Write,
}
