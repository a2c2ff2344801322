//! `ListOffsets`: where logs begin and end.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    self, ListOffsetsRequest, ListOffsetsResponse,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    list_offsets_response::ListOffsetsPartitionResponse,
};

use super::super::{
    call::{Call, Objection, text},
    codes,
};
use crate::{
    kafka::{Api, Edge, PartitionEdge, PartitionFault},
    model::{TopicName, TopicPartition},
};

/// Reserved "timestamps".
const FIRST: i64 = -2;
const LAST: i64 = -1;

/// We are a client, not a replica.
const NO_REPLICA: i32 = -1;

/// The end is the high watermark, open transactions included: it is what lag is measured against.
const READ_UNCOMMITTED: i8 = 0;

/// One edge of many partitions that one broker leads.
pub(in super::super) struct Offsets<'a> {
    pub(in super::super) edge: Edge,
    pub(in super::super) partitions: &'a [TopicPartition],
}

impl Call for Offsets<'_> {
    const API: Api = Api::ListOffsets;
    type Wire = ListOffsetsRequest;
    type Answer = Vec<PartitionEdge>;

    fn request(&self, _version: i16) -> ListOffsetsRequest {
        let timestamp = match self.edge {
            Edge::First => FIRST,
            Edge::Last => LAST,
        };
        let mut topics: BTreeMap<&TopicName, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for at in self.partitions {
            let partition = ListOffsetsPartition::default()
                .with_partition_index(at.partition)
                .with_timestamp(timestamp);
            topics.entry(&at.topic).or_default().push(partition);
        }
        let topic = |(name, partitions): (&TopicName, _)| {
            let name = messages::TopicName(text(name.as_str()));
            ListOffsetsTopic::default().with_name(name).with_partitions(partitions)
        };
        ListOffsetsRequest::default()
            .with_replica_id(NO_REPLICA.into())
            .with_isolation_level(READ_UNCOMMITTED)
            .with_topics(topics.into_iter().map(topic).collect())
    }

    fn read(&self, answer: ListOffsetsResponse) -> Result<Vec<PartitionEdge>, Objection> {
        let mut edges = Vec::with_capacity(self.partitions.len());
        for listed in answer.topics {
            let topic = TopicName::new(listed.name.as_str());
            edges.extend(listed.partitions.iter().map(|it| PartitionEdge {
                at: TopicPartition { topic: topic.clone(), partition: it.partition_index },
                offset: offset(it),
            }));
        }
        Ok(edges)
    }
}

fn offset(listed: &ListOffsetsPartitionResponse) -> Result<i64, PartitionFault> {
    match codes::fault(listed.error_code) {
        Some(fault) => Err(fault),
        // "No such offset", which a log always has: unknown, never 0.
        None if listed.offset < 0 => Err(PartitionFault::Other),
        None => Ok(listed.offset),
    }
}
