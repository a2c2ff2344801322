//! `Metadata`.

use kafka_protocol::messages::{
    self, MetadataRequest, MetadataResponse,
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
};

use super::{super::contents::FakePartition, ClusterContents, text, topic};

pub(super) fn metadata(cluster: &ClusterContents, request: &MetadataRequest) -> MetadataResponse {
    assert!(!request.allow_auto_topic_creation, "looking must not create topics");

    let brokers = cluster.brokers.iter().map(|(id, address)| {
        MetadataResponseBroker::default()
            .with_node_id((*id).into())
            .with_host(text(&address.ip().to_string()))
            .with_port(address.port().into())
    });
    let whole = cluster.topics.iter().map(|(name, partitions)| {
        let partition = |(index, it): (usize, &FakePartition)| {
            MetadataResponsePartition::default()
                .with_partition_index(i32::try_from(index).unwrap())
                .with_leader_id(it.leader.into())
                .with_replica_nodes(ids(&it.replicas))
                .with_isr_nodes(ids(&it.isr))
        };
        MetadataResponseTopic::default()
            .with_name(Some(topic(name)))
            .with_is_internal(name.starts_with("__"))
            .with_partitions(partitions.iter().enumerate().map(partition).collect())
    });
    let broken = cluster.broken_topics.iter().map(|(name, code)| {
        MetadataResponseTopic::default().with_name(Some(topic(name))).with_error_code(*code)
    });
    let asked = request.topics.as_ref().map(|topics| {
        let names = topics.iter().filter_map(|it| it.name.as_ref());
        names.map(|it| it.0.to_string()).collect::<Vec<_>>()
    });
    let is_asked = |it: &MetadataResponseTopic| {
        let name = it.name.as_ref().map_or("", |it| it.0.as_str());
        asked.as_ref().is_none_or(|asked| asked.iter().any(|it| it == name))
    };
    let is_unknown = |it: &&String| {
        !cluster.topics.contains_key(*it) && !cluster.broken_topics.contains_key(*it)
    };
    let unknown = asked.iter().flatten().filter(is_unknown).map(|name| {
        MetadataResponseTopic::default().with_name(Some(topic(name))).with_error_code(3)
    });

    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text("fake")))
        .with_controller_id(cluster.brokers.keys().next().map_or(-1, |it| *it).into())
        .with_topics(whole.chain(broken).filter(is_asked).chain(unknown).collect())
}

fn ids(raw: &[i32]) -> Vec<messages::BrokerId> {
    raw.iter().map(|it| messages::BrokerId(*it)).collect()
}
