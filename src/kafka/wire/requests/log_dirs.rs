//! `DescribeLogDirs`: disk usage of the logs.

use kafka_protocol::messages::{
    DescribeLogDirsRequest, DescribeLogDirsResponse,
    describe_log_dirs_response::{DescribeLogDirsResult, DescribeLogDirsTopic},
};

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, check_code, dedup_by_key},
        error_codes::ParseResponseErrorCode,
    },
    model::{Api, LogDir, TopicLogSize, TopicName},
};

/// All log directories of one broker, with all topics.
pub(crate) struct DescribeLogDirs;

impl ApiCall for DescribeLogDirs {
    const API: Api = Api::DescribeLogDirs;
    type Request = DescribeLogDirsRequest;
    type Output = Vec<LogDir>;

    fn request(&self, _version: i16) -> DescribeLogDirsRequest {
        DescribeLogDirsRequest::default().with_topics(None)
    }

    fn parse(&self, response: DescribeLogDirsResponse) -> Result<Vec<LogDir>, ResponseError> {
        check_code(response.error_code, None)?;

        let dirs = response.results.iter().map(log_dir).collect();
        Ok(dedup_by_key(dirs, |it: &LogDir| it.path.clone()))
    }
}

fn log_dir(result: &DescribeLogDirsResult) -> LogDir {
    LogDir {
        path: result.log_dir.to_string(),
        offline: result.error_code.is_err(),
        // -1 before version 4 (KIP-827), and for an offline directory.
        total_bytes: u64::try_from(result.total_bytes).ok(),
        usable_bytes: u64::try_from(result.usable_bytes).ok(),
        topics: result.topics.iter().map(topic_size).collect(),
    }
}

/// Includes future replicas, which are being moved from another directory: they take space too.
fn topic_size(topic: &DescribeLogDirsTopic) -> TopicLogSize {
    let sizes = topic.partitions.iter().filter_map(|it| u64::try_from(it.partition_size).ok());
    TopicLogSize {
        topic: TopicName::new(topic.name.as_str()),
        bytes: sizes.fold(0, u64::saturating_add),
    }
}
