//! `Fetch` of a few batches, of which only the headers are read. It is no consumer: it joins no
//! group, keeps no session and commits nothing.

use kafka_protocol::messages::{
    self, FetchRequest, FetchResponse,
    fetch_request::{FetchPartition, FetchTopic},
};
use uuid::Uuid;

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, check_code, str_bytes},
        record_batch,
    },
    model::{Api, BatchScan, LogPosition},
};

/// With this isolation level open transactions are seen too.
const READ_UNCOMMITTED: i8 = 0;

/// Answers at once and opens no session at the broker.
const NO_SESSION: i32 = -1;

/// The first version with the ids of topics in place of their names.
const IDS_SINCE: i16 = 13;

/// Batches from one position of a log on.
pub(crate) struct FetchBatches<'a> {
    pub(crate) from: &'a LogPosition,
    /// The broker sends about as much, but at least one whole batch.
    pub(crate) bytes_max: u32,
}

impl ApiCall for FetchBatches<'_> {
    const API: Api = Api::Fetch;
    type Request = FetchRequest;
    type Output = BatchScan;

    fn request(&self, version: i16) -> FetchRequest {
        let bytes_max = i32::try_from(self.bytes_max).unwrap_or(i32::MAX);
        let partition = FetchPartition::default()
            .with_partition(self.from.partition)
            .with_fetch_offset(self.from.offset)
            .with_partition_max_bytes(bytes_max);
        let topic = FetchTopic::default().with_partitions(vec![partition]);

        let topic = if version >= IDS_SINCE {
            topic.with_topic_id(Uuid::from_u128(self.from.topic_id))
        } else {
            topic.with_topic(messages::TopicName(str_bytes(self.from.topic.as_str())))
        };

        FetchRequest::default()
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(bytes_max)
            .with_isolation_level(READ_UNCOMMITTED)
            .with_session_epoch(NO_SESSION)
            .with_topics(vec![topic])
    }

    fn parse(&self, response: FetchResponse) -> Result<BatchScan, ResponseError> {
        check_code(response.error_code, None)?;
        let mut partitions = response.responses.iter().flat_map(|it| &it.partitions);
        let found = partitions.find(|it| it.partition_index == self.from.partition);
        let Some(partition) = found else {
            return Err(ResponseError::Malformed("the partition is not in the answer".to_owned()));
        };
        check_code(partition.error_code, None)?;

        Ok(record_batch::scan(partition.records.as_deref().unwrap_or_default()))
    }
}
