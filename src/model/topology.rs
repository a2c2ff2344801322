//! Brokers, topics and partitions, as the metadata shows them.

use super::{BrokerId, TopicName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: BrokerId,
    /// Advertised host of the listener that we are connected to.
    pub host: String,
    pub port: u16,
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
    /// Whether it belongs to Kafka itself (`__consumer_offsets`, …).
    pub internal: bool,
    pub partitions: Vec<Partition>,
}

/// The cluster as one metadata answer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    pub cluster_id: Option<String>,
    /// `None` while there is no controller. In KRaft a broker answers with a random live broker, so
    /// this does not say which one it is.
    pub controller: Option<BrokerId>,
    pub brokers: Vec<Broker>,
    /// All topics, internal ones too, by name.
    pub topics: Vec<Topic>,
    /// Topics whose entry carried an error, so that their partitions are unknown.
    pub unreadable: Vec<TopicName>,
}
