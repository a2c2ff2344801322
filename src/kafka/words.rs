//! The data that crosses the seam.

use std::collections::BTreeMap;

use crate::model::{
    BrokerId, GroupName, GroupState, GroupType, QuotaEntity, QuotaKey, TopicName, WallTime,
    closed_list,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its `node.id`.
    pub id: BrokerId,
    /// Advertised host on the listener we came in by.
    pub host: String,
    pub port: u16,
    /// `broker.rack`, if set.
    pub rack: Option<String>,
}

/// One partition as the metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub index: i32,
    /// `None` while the partition has no leader.
    pub leader: Option<BrokerId>,
    /// Assigned replicas, preferred leader first.
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
}

/// One topic as the metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: TopicName,
    /// Its id; changes when a topic is deleted and created again. Zero where the broker sends none.
    pub id: u128,
    /// Whether Kafka itself owns it (`__consumer_offsets`, …).
    pub internal: bool,
    pub partitions: Vec<Partition>,
}

/// The cluster as one metadata answer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    pub cluster_id: Option<String>,
    /// The broker that speaks for the active controller. In KRaft a broker answers with a random
    /// live broker here, so this says "there is one", not which one it is.
    pub controller: Option<BrokerId>,
    pub brokers: Vec<Broker>,
    /// All topics, internal ones too, by name.
    pub topics: Vec<Topic>,
    /// Topics whose own entry carried an error, so that nothing is known of their partitions.
    pub unreadable: Vec<TopicName>,
}

/// Which end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    First,
    /// Log end offset (high watermark).
    Last,
}

closed_list! {
    /// Why one partition's, topic's or group's part of an answer holds no value.
    pub enum PartitionFault {
        /// The broker is not the leader, or its epoch is behind.
        NotLeader = "not_leader",
        /// No leader, or it is coming up.
        Unavailable = "unavailable",
        /// Topic or partition unknown there.
        Unknown = "unknown",
        /// Not authorised.
        Unauthorized = "unauthorized",
        /// The broker does not coordinate this group, or is still loading it.
        NotCoordinator = "not_coordinator",
        Other = "other",
    }
}

/// Effective `min.insync.replicas` of one topic, or why it is not known.
pub type MinInsync = Result<u32, PartitionFault>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    pub topic: TopicName,
    pub partitions: Vec<i32>,
}

/// Offsets of one topic's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOffsets {
    pub topic: TopicName,
    /// By index: the offset, or why there is none.
    pub partitions: Vec<(i32, Result<i64, PartitionFault>)>,
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
    pub members: Result<GroupMembers, PartitionFault>,
}

/// What a group has committed. A partition it never committed is not in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffsets {
    pub group: GroupName,
    /// Its commits, or why there are none.
    pub offsets: Result<Vec<TopicOffsets>, PartitionFault>,
}

/// Bytes that one topic's replicas take in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicLogSize {
    pub topic: TopicName,
    /// Bytes.
    pub bytes: u64,
}

/// A log directory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Its path on the broker.
    pub path: String,
    /// Whether the broker reports it as failed.
    pub offline: bool,
    /// Size of its volume in bytes, since KIP-827.
    pub total_bytes: Option<u64>,
    /// Bytes free for it, since KIP-827.
    pub usable_bytes: Option<u64>,
    /// What each topic takes in it.
    pub topics: Vec<TopicLogSize>,
}

closed_list! {
    /// Where an effective configuration value comes from.
    pub enum ConfigSource {
        Topic = "topic",
        /// Dynamic, of the named broker.
        DynamicBroker = "dynamic_broker",
        /// Dynamic, the cluster's default.
        DynamicDefault = "dynamic_default",
        Static = "static",
        /// Kafka's default.
        Default = "default",
        /// A source this program does not know.
        Unknown = "unknown",
    }
}

/// One configuration key of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub key: String,
    /// The value in force. `None` for a sensitive key, and for one that the broker does not know.
    pub effective: Option<String>,
    /// Where the value is said to come from.
    pub source: ConfigSource,
    /// Whether it can only be changed by a restart.
    pub read_only: bool,
    /// Every place that sets the key, strongest first, as (source, value).
    pub synonyms: Vec<(ConfigSource, Option<String>)>,
}

impl ConfigEntry {
    /// The dynamic value stored for this broker by name, whether it is in force or not.
    pub fn stored(&self) -> Option<&str> {
        self.synonym(ConfigSource::DynamicBroker)
    }

    /// The value the broker starts with: its file's, else Kafka's default.
    pub fn at_start(&self) -> Option<&str> {
        self.synonym(ConfigSource::Static).or_else(|| self.synonym(ConfigSource::Default))
    }

    fn synonym(&self, source: ConfigSource) -> Option<&str> {
        let found = self.synonyms.iter().find(|(it, _)| *it == source);
        found.and_then(|(_, value)| value.as_deref())
    }
}

/// Configuration of one broker, for the keys that were asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// The broker that was asked.
    pub broker: BrokerId,
    pub entries: Vec<ConfigEntry>,
}

impl BrokerConfig {
    /// The entry of `key`.
    pub fn get(&self, key: &str) -> Option<&ConfigEntry> {
        self.entries.iter().find(|it| it.key == key)
    }
}

/// One change of dynamic configuration (`IncrementalAlterConfigs`, KIP-339).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    pub key: String,
    /// The value to set, or `None` to delete the broker's own entry.
    pub value: Option<String>,
}

/// One quota that is set.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientQuota {
    pub entity: QuotaEntity,
    pub key: QuotaKey,
    /// Bytes per second and broker.
    pub value: f64,
}

/// Sets a quota, or removes it (`AlterClientQuotas`, KIP-546).
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaChange {
    pub entity: QuotaEntity,
    pub key: QuotaKey,
    /// Bytes per second and broker to set, or `None` to remove the quota.
    pub value: Option<f64>,
}

closed_list! {
    /// Why a partition's preferred replica was not elected.
    pub enum ElectionFault {
        /// It is the leader already.
        NotNeeded = "not_needed",
        /// It is not in sync, or not up.
        NotAvailable = "not_available",
        Unknown = "unknown",
        /// Not authorised.
        Unauthorized = "unauthorized",
        Other = "other",
    }
}

/// Whether an alter request changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The broker runs its checks and changes nothing.
    ValidateOnly,
    /// The broker runs its checks and stores the change.
    Write,
}

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
    /// Failed, in the order of [`super::RequestFault::ALL`].
    pub failed: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotas_entity_reads_as_whom_it_is_for() {
        let said = |user: Option<&str>, client_id: Option<&str>| {
            let owned = |it: Option<&str>| it.map(str::to_owned);
            QuotaEntity { user: owned(user), client_id: owned(client_id) }.to_string()
        };
        assert_eq!(said(None, Some("greedy")), "client greedy");
        assert_eq!(said(Some("batch"), None), "user batch");
        assert_eq!(said(Some("batch"), Some("greedy")), "user batch, client greedy");
    }
}
