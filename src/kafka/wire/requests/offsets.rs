//! `ListOffsets`: log start and end offsets.

use kafka_protocol::messages::{
    self, ListOffsetsRequest, ListOffsetsResponse,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
};

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, str_bytes},
        error_codes,
    },
    model::{Api, OffsetSpec, ReadFailure, TopicName, TopicOffsets, TopicPartitions},
};

const EARLIEST_TIMESTAMP: i64 = -2;
const LATEST_TIMESTAMP: i64 = -1;

/// The replica id of a client.
const NO_REPLICA: i32 = -1;

/// With this isolation level the latest offset is the high watermark, open transactions included,
/// which lag is measured against.
const READ_UNCOMMITTED: i8 = 0;

/// Offsets of partitions that one broker leads.
pub(crate) struct ListOffsets<'a> {
    pub(crate) spec: OffsetSpec,
    pub(crate) partitions: &'a [TopicPartitions],
}

impl ApiCall for ListOffsets<'_> {
    const API: Api = Api::ListOffsets;
    type Request = ListOffsetsRequest;
    type Output = Vec<TopicOffsets>;

    fn request(&self, _version: i16) -> ListOffsetsRequest {
        let timestamp = match self.spec {
            OffsetSpec::Earliest => EARLIEST_TIMESTAMP,
            OffsetSpec::Latest => LATEST_TIMESTAMP,
        };
        let partition = |index: &i32| {
            ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(timestamp)
        };
        let topic = |it: &TopicPartitions| {
            let name = messages::TopicName(str_bytes(it.topic.as_str()));
            let partitions = it.partitions.iter().map(partition).collect();
            ListOffsetsTopic::default().with_name(name).with_partitions(partitions)
        };

        ListOffsetsRequest::default()
            .with_replica_id(NO_REPLICA.into())
            .with_isolation_level(READ_UNCOMMITTED)
            .with_topics(self.partitions.iter().map(topic).collect())
    }

    fn parse(&self, response: ListOffsetsResponse) -> Result<Vec<TopicOffsets>, ResponseError> {
        let topic = |topic: &ListOffsetsTopicResponse| TopicOffsets {
            topic: TopicName::new(topic.name.as_str()),
            partitions: topic
                .partitions
                .iter()
                .map(|it| (it.partition_index, offset(it)))
                .collect(),
        };
        Ok(response.topics.iter().map(topic).collect())
    }
}

fn offset(partition: &ListOffsetsPartitionResponse) -> Result<i64, ReadFailure> {
    match error_codes::read_failure(partition.error_code) {
        Some(failure) => Err(failure),
        // -1 means "no such offset", but every log has both: report a failure, never 0.
        None if partition.offset < 0 => Err(ReadFailure::Other),
        None => Ok(partition.offset),
    }
}
