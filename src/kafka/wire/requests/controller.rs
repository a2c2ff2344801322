//! What brokers ask the controller for us: the quorum, and reassignments in flight.

use std::time::Duration;

use kafka_protocol::messages::{
    self, DescribeQuorumRequest, DescribeQuorumResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    describe_quorum_request::{PartitionData, TopicData},
    describe_quorum_response::ReplicaState,
};

use super::super::call::{Call, ResponseError, milliseconds, refuse, text};
use crate::{
    kafka::{Api, Quorum, QuorumReplica, QuorumRole},
    model::{BrokerId, TopicName, TopicPartition, WallTime},
};

/// The one partition of the controllers' log.
const METADATA_TOPIC: &str = "__cluster_metadata";
const METADATA_PARTITION: i32 = 0;

pub(in super::super) struct DescribeQuorum;

pub(in super::super) struct Reassignments {
    /// How long the controller may take.
    pub(in super::super) timeout: Duration,
}

impl Call for DescribeQuorum {
    const API: Api = Api::DescribeQuorum;
    type Wire = DescribeQuorumRequest;
    type Answer = Quorum;

    fn request(&self, _version: i16) -> DescribeQuorumRequest {
        let partition = PartitionData::default().with_partition_index(METADATA_PARTITION);
        let topic = TopicData::default()
            .with_topic_name(messages::TopicName(text(METADATA_TOPIC)))
            .with_partitions(vec![partition]);
        DescribeQuorumRequest::default().with_topics(vec![topic])
    }

    fn read(&self, answer: DescribeQuorumResponse) -> Result<Quorum, ResponseError> {
        refuse(answer.error_code, answer.error_message.as_ref())?;
        let partition = answer.topics.first().and_then(|it| it.partitions.first());
        let Some(partition) = partition else {
            return Err(ResponseError::Malformed(format!("no word about {METADATA_TOPIC}")));
        };
        refuse(partition.error_code, partition.error_message.as_ref())?;
        let voters = partition.current_voters.iter().map(|it| (it, QuorumRole::Voter));
        let observers = partition.observers.iter().map(|it| (it, QuorumRole::Observer));
        let replicas = voters.chain(observers).filter_map(|(it, role)| replica(it, role));
        let mut replicas: Vec<QuorumReplica> = replicas.collect();
        replicas.sort_by_key(|it| it.id);
        // A node that changes its role, or its directory, may be named twice for a moment.
        replicas.dedup_by_key(|it| it.id);
        Ok(Quorum {
            leader: BrokerId::from_wire(partition.leader_id.0),
            epoch: partition.leader_epoch,
            high_watermark: known(partition.high_watermark),
            replicas,
        })
    }
}

fn replica(listed: &ReplicaState, role: QuorumRole) -> Option<QuorumReplica> {
    Some(QuorumReplica {
        id: BrokerId::from_wire(listed.replica_id.0)?,
        role,
        log_end: known(listed.log_end_offset),
        last_fetch: known(listed.last_fetch_timestamp).map(WallTime),
        last_caught_up: known(listed.last_caught_up_timestamp).map(WallTime),
    })
}

/// Kafka writes -1 for what it does not know.
fn known(raw: i64) -> Option<i64> {
    (0 <= raw).then_some(raw)
}

impl Call for Reassignments {
    const API: Api = Api::ListPartitionReassignments;
    type Wire = ListPartitionReassignmentsRequest;
    type Answer = Vec<TopicPartition>;

    fn request(&self, _version: i16) -> ListPartitionReassignmentsRequest {
        let timeout = milliseconds(self.timeout);
        ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(timeout)
    }

    fn read(
        &self,
        answer: ListPartitionReassignmentsResponse,
    ) -> Result<Vec<TopicPartition>, ResponseError> {
        refuse(answer.error_code, answer.error_message.as_ref())?;
        let mut moving = Vec::new();
        for listed in answer.topics {
            let topic = TopicName::new(listed.name.as_str());
            moving.extend(
                listed.partitions.iter().map(|it| TopicPartition {
                    topic: topic.clone(),
                    partition: it.partition_index,
                }),
            );
        }
        Ok(moving)
    }
}
