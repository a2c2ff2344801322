//! Metadata: brokers, topics, partitions.

use kafka_protocol::messages::{
    self, MetadataRequest, MetadataResponse,
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
};

use super::super::{
    call::{Call, ResponseError, refuse},
    error_codes,
    options::BROKERS_MAX,
};
use crate::{
    kafka::{Api, Broker, Partition, Topic, Topology},
    model::{BrokerId, TopicName},
};

pub(in super::super) struct WholeTopology;

pub(in super::super) struct Brokers;

impl Call for WholeTopology {
    const API: Api = Api::Metadata;
    type Wire = MetadataRequest;
    type Answer = Topology;

    fn request(&self, _version: i16) -> MetadataRequest {
        MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false)
    }

    fn read(&self, answer: MetadataResponse) -> Result<Topology, ResponseError> {
        refuse(answer.error_code, None)?;
        let mut topology = Topology {
            cluster_id: answer.cluster_id.as_ref().map(ToString::to_string),
            controller: BrokerId::from_wire(answer.controller_id.0),
            brokers: brokers(&answer.brokers)?,
            ..Topology::default()
        };
        for topic in answer.topics {
            let Some(name) = &topic.name else { continue };
            let name = TopicName::new(name.as_str());
            if topic.error_code == error_codes::NONE {
                topology.topics.push(read_topic(name, &topic));
            } else {
                topology.unreadable.push(name);
            }
        }
        topology.topics.sort_by(|a, b| a.name.cmp(&b.name));
        topology.topics.dedup_by(|a, b| a.name == b.name);
        topology.unreadable.sort();
        Ok(topology)
    }
}

impl Call for Brokers {
    const API: Api = Api::Metadata;
    type Wire = MetadataRequest;
    type Answer = Vec<Broker>;

    fn request(&self, _version: i16) -> MetadataRequest {
        let no_topics = Some(Vec::new());
        MetadataRequest::default().with_topics(no_topics).with_allow_auto_topic_creation(false)
    }

    fn read(&self, answer: MetadataResponse) -> Result<Vec<Broker>, ResponseError> {
        refuse(answer.error_code, None)?;
        brokers(&answer.brokers)
    }
}

fn brokers(listed: &[MetadataResponseBroker]) -> Result<Vec<Broker>, ResponseError> {
    if BROKERS_MAX < listed.len() {
        return Err(ResponseError::Malformed(format!("{} brokers", listed.len())));
    }
    let mut brokers = listed.iter().map(broker).collect::<Result<Vec<_>, _>>()?;
    brokers.sort_by_key(|it| it.id);
    brokers.dedup_by_key(|it| it.id);
    Ok(brokers)
}

fn broker(listed: &MetadataResponseBroker) -> Result<Broker, ResponseError> {
    let id = BrokerId::from_wire(listed.node_id.0);
    let (Some(id), Ok(port)) = (id, u16::try_from(listed.port)) else {
        return Err(ResponseError::Malformed(format!("a broker {listed:?}")));
    };
    let rack = listed.rack.as_ref().map(ToString::to_string);
    Ok(Broker { id, host: listed.host.to_string(), port, rack })
}

fn read_topic(name: TopicName, topic: &MetadataResponseTopic) -> Topic {
    let mut partitions: Vec<_> = topic.partitions.iter().map(partition).collect();
    partitions.sort_by_key(|it| it.index);
    partitions.dedup_by_key(|it| it.index);
    Topic { name, id: topic.topic_id.as_u128(), internal: topic.is_internal, partitions }
}

/// A partition's own error says that it has no leader or that a replica is down, which its leader
/// and its replicas say already.
fn partition(listed: &MetadataResponsePartition) -> Partition {
    let ids = |raw: &[messages::BrokerId]| {
        raw.iter().filter_map(|it| BrokerId::from_wire(it.0)).collect()
    };
    Partition {
        index: listed.partition_index,
        leader: BrokerId::from_wire(listed.leader_id.0),
        replicas: ids(&listed.replica_nodes),
        isr: ids(&listed.isr_nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::call::text, *};

    fn listed(count: i32) -> Vec<MetadataResponseBroker> {
        let broker = |id: i32| MetadataResponseBroker::default().with_node_id(id.into());
        (0..count).map(broker).collect()
    }

    #[test]
    fn a_cluster_of_a_million_brokers_is_no_cluster() {
        let most = i32::try_from(BROKERS_MAX).unwrap();
        assert_eq!(brokers(&listed(most)).unwrap().len(), BROKERS_MAX);
        assert!(brokers(&listed(1_000_000)).is_err());
    }

    #[test]
    fn what_metadata_lists_twice_is_there_once() {
        let topic = MetadataResponseTopic::default()
            .with_name(Some(messages::TopicName(text("orders"))))
            .with_partitions(vec![MetadataResponsePartition::default(); 2]);
        let answer = MetadataResponse::default()
            .with_brokers([listed(2), listed(2)].concat())
            .with_topics(vec![topic; 2]);
        let topology = WholeTopology.read(answer).unwrap();
        assert_eq!((topology.brokers.len(), topology.topics.len()), (2, 1));
        assert_eq!(topology.topics[0].partitions.len(), 1);
    }
}
