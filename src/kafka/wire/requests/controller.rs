//! Requests that a broker forwards to the controller: the quorum, and reassignments in progress.

use std::time::Duration;

use kafka_protocol::messages::{
    self, DescribeQuorumRequest, DescribeQuorumResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    describe_quorum_request::{PartitionData, TopicData},
    describe_quorum_response::ReplicaState,
};

use crate::{
    kafka::wire::api_call::{ApiCall, ResponseError, check_code, str_bytes, timeout_ms},
    model::{
        Api, BrokerId, Quorum, QuorumReplica, QuorumRole, TopicName, TopicPartition, WallTime,
    },
};

/// The metadata log of the controllers has one partition.
const METADATA_TOPIC: &str = "__cluster_metadata";
const METADATA_PARTITION: i32 = 0;

pub(crate) struct DescribeQuorum;

pub(crate) struct ListReassignments {
    /// How long the controller may take before it answers with an error.
    pub(crate) timeout: Duration,
}

impl ApiCall for DescribeQuorum {
    const API: Api = Api::DescribeQuorum;
    type Request = DescribeQuorumRequest;
    type Output = Quorum;

    fn request(&self, _version: i16) -> DescribeQuorumRequest {
        let partition = PartitionData::default().with_partition_index(METADATA_PARTITION);
        let topic = TopicData::default()
            .with_topic_name(messages::TopicName(str_bytes(METADATA_TOPIC)))
            .with_partitions(vec![partition]);

        DescribeQuorumRequest::default().with_topics(vec![topic])
    }

    fn parse(&self, response: DescribeQuorumResponse) -> Result<Quorum, ResponseError> {
        check_code(response.error_code, response.error_message.as_ref())?;

        let partition = response.topics.first().and_then(|it| it.partitions.first());
        let Some(partition) = partition else {
            let problem = format!("{METADATA_TOPIC} is missing from the response");
            return Err(ResponseError::Malformed(problem));
        };
        check_code(partition.error_code, partition.error_message.as_ref())?;

        let voters = partition.current_voters.iter().map(|it| (it, QuorumRole::Voter));
        let observers = partition.observers.iter().map(|it| (it, QuorumRole::Observer));
        let replicas = voters.chain(observers).filter_map(|(it, role)| replica(it, role));
        let mut replicas: Vec<QuorumReplica> = replicas.collect();
        replicas.sort_by_key(|it| it.id);
        // A node that changes its role or its directory may be listed twice for a moment.
        replicas.dedup_by_key(|it| it.id);

        Ok(Quorum {
            leader: BrokerId::from_wire(partition.leader_id.0),
            epoch: partition.leader_epoch,
            high_watermark: known(partition.high_watermark),
            replicas,
        })
    }
}

fn replica(state: &ReplicaState, role: QuorumRole) -> Option<QuorumReplica> {
    Some(QuorumReplica {
        id: BrokerId::from_wire(state.replica_id.0)?,
        role,
        log_end: known(state.log_end_offset),
        last_fetch: known(state.last_fetch_timestamp).map(WallTime),
        last_caught_up: known(state.last_caught_up_timestamp).map(WallTime),
    })
}

/// Kafka encodes an unknown value as -1.
fn known(raw: i64) -> Option<i64> {
    (raw >= 0).then_some(raw)
}

impl ApiCall for ListReassignments {
    const API: Api = Api::ListPartitionReassignments;
    type Request = ListPartitionReassignmentsRequest;
    type Output = Vec<TopicPartition>;

    fn request(&self, _version: i16) -> ListPartitionReassignmentsRequest {
        let timeout = timeout_ms(self.timeout);
        ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(timeout)
    }

    fn parse(
        &self,
        response: ListPartitionReassignmentsResponse,
    ) -> Result<Vec<TopicPartition>, ResponseError> {
        check_code(response.error_code, response.error_message.as_ref())?;

        let mut reassigning = Vec::new();
        for reassignment in response.topics {
            let topic = TopicName::new(reassignment.name.as_str());
            reassigning.extend(
                reassignment.partitions.iter().map(|it| TopicPartition {
                    topic: topic.clone(),
                    partition: it.partition_index,
                }),
            );
        }

        Ok(reassigning)
    }
}
