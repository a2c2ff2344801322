//! `DescribeLogDirs`: what logs take on disk.

use kafka_protocol::messages::{
    DescribeLogDirsRequest, DescribeLogDirsResponse,
    describe_log_dirs_response::{DescribeLogDirsResult, DescribeLogDirsTopic},
};

use super::super::{
    call::{Call, ResponseError, each_once, refuse},
    error_codes,
};
use crate::{
    kafka::{Api, LogDir, TopicLogSize},
    model::TopicName,
};

/// All directories of one broker, with all topics.
pub(in super::super) struct LogDirs;

impl Call for LogDirs {
    const API: Api = Api::DescribeLogDirs;
    type Wire = DescribeLogDirsRequest;
    type Answer = Vec<LogDir>;

    fn request(&self, _version: i16) -> DescribeLogDirsRequest {
        DescribeLogDirsRequest::default().with_topics(None)
    }

    fn read(&self, answer: DescribeLogDirsResponse) -> Result<Vec<LogDir>, ResponseError> {
        refuse(answer.error_code, None)?;
        let dirs = answer.results.iter().map(dir).collect();
        Ok(each_once(dirs, |it: &LogDir| it.path.clone()))
    }
}

fn dir(listed: &DescribeLogDirsResult) -> LogDir {
    LogDir {
        path: listed.log_dir.to_string(),
        offline: listed.error_code != error_codes::NONE,
        // -1 before version 4, and for a directory that has failed.
        total_bytes: u64::try_from(listed.total_bytes).ok(),
        usable_bytes: u64::try_from(listed.usable_bytes).ok(),
        topics: listed.topics.iter().map(topic).collect(),
    }
}

/// Replicas that move in from another directory take space too, so they count.
fn topic(listed: &DescribeLogDirsTopic) -> TopicLogSize {
    let sizes = listed.partitions.iter().filter_map(|it| u64::try_from(it.partition_size).ok());
    TopicLogSize {
        topic: TopicName::new(listed.name.as_str()),
        bytes: sizes.fold(0, u64::saturating_add),
    }
}
