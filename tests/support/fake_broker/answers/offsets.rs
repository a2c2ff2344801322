//! `ListOffsets`.

use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse,
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
};

use super::{ClusterContents, UNKNOWN_TOPIC};

const NOT_LEADER: i16 = 6;

pub(super) fn list(
    cluster: &ClusterContents,
    id: i32,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    assert_eq!(request.isolation_level, 0, "the end is the high watermark");

    let topics = request.topics.into_iter().map(|asked| {
        let known = cluster.topics.get(asked.name.as_str());
        let partitions = asked.partitions.iter().map(|it| {
            // A hostile response may have invented the index.
            let index = usize::try_from(it.partition_index).ok();
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(it.partition_index)
                .with_offset(-1);

            match index.and_then(|index| known?.get(index)) {
                None => answer.with_error_code(UNKNOWN_TOPIC),
                Some(found) if found.error != 0 => answer.with_error_code(found.error),
                Some(found) if found.leader != id => answer.with_error_code(NOT_LEADER),
                Some(found) => match it.timestamp {
                    -2 => answer.with_offset(found.first),
                    -1 => answer.with_offset(found.last),
                    other => panic!("timestamp {other}"),
                },
            }
        });
        let partitions = partitions.collect();

        ListOffsetsTopicResponse::default()
            .with_name(asked.name.clone())
            .with_partitions(partitions)
    });

    ListOffsetsResponse::default().with_topics(topics.collect())
}
