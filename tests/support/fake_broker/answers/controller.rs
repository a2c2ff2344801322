//! `ListPartitionReassignments` and `DescribeQuorum`.

use kafka_protocol::messages::{
    DescribeQuorumResponse, ListPartitionReassignmentsResponse,
    describe_quorum_response::{PartitionData, TopicData},
    list_partition_reassignments_response::{
        OngoingPartitionReassignment, OngoingTopicReassignment,
    },
};

use super::{ClusterContents, topic};

pub(super) fn reassignments(cluster: &ClusterContents) -> ListPartitionReassignmentsResponse {
    let moving = cluster.moving.iter().map(|(name, partition)| {
        let partition = OngoingPartitionReassignment::default().with_partition_index(*partition);
        OngoingTopicReassignment::default().with_name(topic(name)).with_partitions(vec![partition])
    });
    ListPartitionReassignmentsResponse::default().with_topics(moving.collect())
}

pub(super) fn quorum() -> DescribeQuorumResponse {
    let partition = PartitionData::default().with_leader_id(101.into()).with_leader_epoch(7);
    let topic = TopicData::default()
        .with_topic_name(topic("__cluster_metadata"))
        .with_partitions(vec![partition]);
    DescribeQuorumResponse::default().with_topics(vec![topic])
}
