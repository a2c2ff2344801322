//! `ListOffsets`: where logs begin and end.

use kafka_protocol::messages::{
    self, ListOffsetsRequest, ListOffsetsResponse,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
};

use super::super::{
    call::{Call, ResponseError, text},
    error_codes,
};
use crate::{
    kafka::{Api, Edge, PartitionFault, TopicOffsets, TopicPartitions},
    model::TopicName,
};

const FIRST: i64 = -2;
const LAST: i64 = -1;

/// We are a client, not a replica.
const NO_REPLICA: i32 = -1;

/// The end is the high watermark, open transactions included: it is what lag is measured against.
const READ_UNCOMMITTED: i8 = 0;

/// One edge of many partitions that one broker leads.
pub(in super::super) struct Offsets<'a> {
    pub(in super::super) edge: Edge,
    pub(in super::super) partitions: &'a [TopicPartitions],
}

impl Call for Offsets<'_> {
    const API: Api = Api::ListOffsets;
    type Wire = ListOffsetsRequest;
    type Answer = Vec<TopicOffsets>;

    fn request(&self, _version: i16) -> ListOffsetsRequest {
        let timestamp = match self.edge {
            Edge::First => FIRST,
            Edge::Last => LAST,
        };
        let partition = |index: &i32| {
            ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(timestamp)
        };
        let topic = |of: &TopicPartitions| {
            let name = messages::TopicName(text(of.topic.as_str()));
            let partitions = of.partitions.iter().map(partition).collect();
            ListOffsetsTopic::default().with_name(name).with_partitions(partitions)
        };
        ListOffsetsRequest::default()
            .with_replica_id(NO_REPLICA.into())
            .with_isolation_level(READ_UNCOMMITTED)
            .with_topics(self.partitions.iter().map(topic).collect())
    }

    fn read(&self, answer: ListOffsetsResponse) -> Result<Vec<TopicOffsets>, ResponseError> {
        let topic = |listed: &ListOffsetsTopicResponse| TopicOffsets {
            topic: TopicName::new(listed.name.as_str()),
            partitions: listed
                .partitions
                .iter()
                .map(|it| (it.partition_index, offset(it)))
                .collect(),
        };
        Ok(answer.topics.iter().map(topic).collect())
    }
}

fn offset(listed: &ListOffsetsPartitionResponse) -> Result<i64, PartitionFault> {
    match error_codes::fault(listed.error_code) {
        Some(fault) => Err(fault),
        // "No such offset", which a log always has: unknown, never 0.
        None if listed.offset < 0 => Err(PartitionFault::Other),
        None => Ok(listed.offset),
    }
}
