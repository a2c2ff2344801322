//! What brokers ask the controller for us: the quorum, and reassignments in flight.

use std::time::Duration;

use kafka_protocol::messages::{
    self, DescribeQuorumRequest, DescribeQuorumResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    describe_quorum_request::{PartitionData, TopicData},
};

use super::super::call::{Call, Objection, refuse, text};
use crate::{
    kafka::{Api, Quorum},
    model::{BrokerId, TopicName, TopicPartition},
};

/// The one partition of the controllers' log.
const METADATA_TOPIC: &str = "__cluster_metadata";
const METADATA_PARTITION: i32 = 0;

/// The controller quorum.
pub(in super::super) struct DescribeQuorum;

/// Partitions that move.
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

    fn read(&self, answer: DescribeQuorumResponse) -> Result<Quorum, Objection> {
        refuse(answer.error_code, answer.error_message.as_ref())?;
        let partition = answer.topics.first().and_then(|it| it.partitions.first());
        let Some(partition) = partition else {
            return Err(Objection::Nonsense(format!("no word about {METADATA_TOPIC}")));
        };
        refuse(partition.error_code, partition.error_message.as_ref())?;
        let leader = BrokerId::from_wire(partition.leader_id.0);
        Ok(Quorum { leader, epoch: partition.leader_epoch })
    }
}

impl Call for Reassignments {
    const API: Api = Api::ListPartitionReassignments;
    type Wire = ListPartitionReassignmentsRequest;
    type Answer = Vec<TopicPartition>;

    fn request(&self, _version: i16) -> ListPartitionReassignmentsRequest {
        let timeout = i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX);
        ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(timeout)
    }

    fn read(
        &self,
        answer: ListPartitionReassignmentsResponse,
    ) -> Result<Vec<TopicPartition>, Objection> {
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
