//! Brokers, topics and partitions, as the metadata shows them.

use super::{BrokerId, TopicName};

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
