//! `Fetch`, as a client without a group sends it.

use kafka_protocol::messages::{
    FetchRequest, FetchResponse,
    fetch_response::{FetchableTopicResponse, PartitionData},
};

use super::{ClusterContents, UNKNOWN_TOPIC};

pub(super) fn fetch(cluster: &ClusterContents, request: FetchRequest) -> FetchResponse {
    assert_eq!((request.session_id, request.session_epoch), (0, -1), "no session is kept");
    assert_eq!((request.max_wait_ms, request.isolation_level), (0, 0));
    assert!(request.max_bytes <= 64 << 10, "{} bytes are asked for", request.max_bytes);

    let topics = request.topics.into_iter().map(|asked| {
        let known = cluster.topics.get(asked.topic.as_str());
        let partitions = asked.partitions.iter().map(|it| {
            let index = usize::try_from(it.partition).ok();
            let data = PartitionData::default().with_partition_index(it.partition);
            let Some(found) = index.and_then(|index| known?.get(index)) else {
                return data.with_error_code(UNKNOWN_TOPIC);
            };

            assert!((found.first..found.last).contains(&it.fetch_offset), "{}", it.fetch_offset);

            let log = cluster.logs.get(&(asked.topic.to_string(), it.partition));
            let most = usize::try_from(it.partition_max_bytes).unwrap();
            let bytes = log.map_or(&[][..], |log| &log[..log.len().min(most)]);

            data.with_error_code(found.error).with_records(Some(bytes.to_vec().into()))
        });

        FetchableTopicResponse::default()
            .with_topic(asked.topic.clone())
            .with_partitions(partitions.collect())
    });

    FetchResponse::default().with_responses(topics.collect())
}
