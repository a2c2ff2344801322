//! `DescribeLogDirs`: one healthy and one failed directory.

use kafka_protocol::messages::{
    DescribeLogDirsResponse,
    describe_log_dirs_response::{
        DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
    },
};

use super::{super::contents::FakePartition, ClusterContents, text, topic};

const STORAGE_ERROR: i16 = 56;

pub(super) fn describe(cluster: &ClusterContents, version: i16) -> DescribeLogDirsResponse {
    let topics = cluster.topics.iter().map(|(name, partitions)| {
        let partition = |(index, it): (usize, &FakePartition)| {
            DescribeLogDirsPartition::default()
                .with_partition_index(i32::try_from(index).unwrap())
                .with_partition_size(it.last - it.first)
        };
        DescribeLogDirsTopic::default()
            .with_name(topic(name))
            .with_partitions(partitions.iter().enumerate().map(partition).collect())
    });
    let whole = DescribeLogDirsResult::default()
        .with_log_dir(text("/var/lib/kafka"))
        .with_topics(topics.collect());
    let whole =
        if version < 4 { whole } else { whole.with_total_bytes(1_000).with_usable_bytes(400) };
    let failed = DescribeLogDirsResult::default()
        .with_log_dir(text("/mnt/failed"))
        .with_error_code(STORAGE_ERROR);

    DescribeLogDirsResponse::default().with_results(vec![whole, failed])
}
