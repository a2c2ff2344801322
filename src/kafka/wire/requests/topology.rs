//! `Metadata`: brokers, controller, topics and their partitions.

use kafka_protocol::messages::{
    self, MetadataRequest, MetadataResponse,
    metadata_request::MetadataRequestTopic,
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
};

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, check_code, str_bytes},
        error_codes::{ErrorCode, ParseResponseErrorCode},
        options::BROKERS_MAX,
    },
    model::{Api, Broker, BrokerId, Partition, Topic, TopicName, Topology},
};

/// Brokers, and all topics with their partitions.
pub(crate) struct ClusterMetadata;

/// Brokers only, without topics.
pub(crate) struct BrokerMetadata;

/// These topics with their partitions.
pub(crate) struct TopicMetadata<'a>(pub(crate) &'a [TopicName]);

impl ApiCall for TopicMetadata<'_> {
    const API: Api = Api::Metadata;
    type Request = MetadataRequest;
    type Output = Vec<Topic>;

    fn request(&self, _version: i16) -> MetadataRequest {
        let topic = |it: &TopicName| {
            let name = messages::TopicName(str_bytes(it.as_str()));
            MetadataRequestTopic::default().with_name(Some(name))
        };
        // Without this a broker creates a topic that has been deleted.
        MetadataRequest::default()
            .with_topics(Some(self.0.iter().map(topic).collect()))
            .with_allow_auto_topic_creation(false)
    }

    fn parse(&self, response: MetadataResponse) -> Result<Vec<Topic>, ResponseError> {
        check_code(response.error_code, None)?;

        let mut topics = Vec::with_capacity(response.topics.len());
        for topic in response.topics {
            let Some(name) = topic.name.as_ref().map(|it| TopicName::new(it.as_str())) else {
                continue;
            };
            if topic.error_code == ErrorCode::UnknownTopicOrPartition.code() {
                continue;
            }

            check_code(topic.error_code, None)?;

            topics.push(topic_of(name, &topic));
        }

        Ok(topics)
    }
}

impl ApiCall for ClusterMetadata {
    const API: Api = Api::Metadata;
    type Request = MetadataRequest;
    type Output = Topology;

    fn request(&self, _version: i16) -> MetadataRequest {
        MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false)
    }

    fn parse(&self, response: MetadataResponse) -> Result<Topology, ResponseError> {
        check_code(response.error_code, None)?;

        let mut topology = Topology {
            cluster_id: response.cluster_id.as_ref().map(ToString::to_string),
            controller: BrokerId::from_wire(response.controller_id.0),
            brokers: brokers(&response.brokers)?,
            ..Topology::default()
        };

        for topic in response.topics {
            let Some(name) = &topic.name else { continue };
            let name = TopicName::new(name.as_str());
            if topic.error_code.is_ok() {
                topology.topics.push(topic_of(name, &topic));
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

impl ApiCall for BrokerMetadata {
    const API: Api = Api::Metadata;
    type Request = MetadataRequest;
    type Output = Vec<Broker>;

    fn request(&self, _version: i16) -> MetadataRequest {
        let no_topics = Some(Vec::new());
        MetadataRequest::default().with_topics(no_topics).with_allow_auto_topic_creation(false)
    }

    fn parse(&self, response: MetadataResponse) -> Result<Vec<Broker>, ResponseError> {
        check_code(response.error_code, None)?;
        brokers(&response.brokers)
    }
}

fn brokers(listed: &[MetadataResponseBroker]) -> Result<Vec<Broker>, ResponseError> {
    if listed.len() > BROKERS_MAX {
        let problem = format!("{} brokers, more than {BROKERS_MAX}", listed.len());
        return Err(ResponseError::Malformed(problem));
    }

    let mut brokers = listed.iter().map(broker).collect::<Result<Vec<_>, _>>()?;
    brokers.sort_by_key(|it| it.id);
    brokers.dedup_by_key(|it| it.id);

    Ok(brokers)
}

fn broker(broker: &MetadataResponseBroker) -> Result<Broker, ResponseError> {
    let id = BrokerId::from_wire(broker.node_id.0);
    let (Some(id), Ok(port)) = (id, u16::try_from(broker.port)) else {
        let problem = format!("invalid broker id or port in {broker:?}");
        return Err(ResponseError::Malformed(problem));
    };

    let rack = broker.rack.as_ref().map(ToString::to_string);

    Ok(Broker { id, host: broker.host.to_string(), port, rack })
}

fn topic_of(name: TopicName, topic: &MetadataResponseTopic) -> Topic {
    let mut partitions: Vec<_> = topic.partitions.iter().map(partition).collect();
    partitions.sort_by_key(|it| it.index);
    partitions.dedup_by_key(|it| it.index);

    Topic { name, id: topic.topic_id.as_u128(), internal: topic.is_internal, partitions }
}

/// Ignores the partition's own error code: it only says that the leader or a replica is missing,
/// which the other fields show as well.
fn partition(partition: &MetadataResponsePartition) -> Partition {
    let ids = |raw: &[messages::BrokerId]| {
        raw.iter().filter_map(|it| BrokerId::from_wire(it.0)).collect()
    };
    Partition {
        index: partition.partition_index,
        leader: BrokerId::from_wire(partition.leader_id.0),
        replicas: ids(&partition.replica_nodes),
        isr: ids(&partition.isr_nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(count: i32) -> Vec<MetadataResponseBroker> {
        let broker = |id: i32| MetadataResponseBroker::default().with_node_id(id.into());
        (0..count).map(broker).collect()
    }

    #[test]
    fn too_many_brokers_are_rejected() {
        let max = i32::try_from(BROKERS_MAX).unwrap();
        assert_eq!(brokers(&listed(max)).unwrap().len(), BROKERS_MAX);
        assert!(brokers(&listed(1_000_000)).is_err());
    }

    #[test]
    fn a_topic_that_is_gone_is_left_out_and_one_that_cannot_be_read_is_an_error() {
        let topic = |name: &str, code: i16| {
            MetadataResponseTopic::default()
                .with_name(Some(messages::TopicName(str_bytes(name))))
                .with_error_code(code)
        };
        let parse =
            |topics| TopicMetadata(&[]).parse(MetadataResponse::default().with_topics(topics));
        let gone = ErrorCode::UnknownTopicOrPartition.code();

        let found = parse(vec![topic("orders", 0), topic("gone", gone)]).unwrap();
        assert_eq!(found.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["orders"]);

        // TOPIC_AUTHORIZATION_FAILED
        assert!(parse(vec![topic("orders", 0), topic("secret", 29)]).is_err());
    }

    #[test]
    fn duplicates_in_metadata_are_dropped() {
        let topic = MetadataResponseTopic::default()
            .with_name(Some(messages::TopicName(str_bytes("orders"))))
            .with_partitions(vec![MetadataResponsePartition::default(); 2]);
        let response = MetadataResponse::default()
            .with_brokers([listed(2), listed(2)].concat())
            .with_topics(vec![topic; 2]);

        let topology = ClusterMetadata.parse(response).unwrap();

        assert_eq!((topology.brokers.len(), topology.topics.len()), (2, 1));
        assert_eq!(topology.topics[0].partitions.len(), 1);
    }
}
