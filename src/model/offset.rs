//! Offsets of partitions.

use super::{ReadFailure, TopicName};

/// Which offset of a log is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// Log start offset.
    Earliest,
    /// Log end offset (high watermark).
    Latest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    pub topic: TopicName,
    pub partitions: Vec<i32>,
}

/// Offsets of one topic's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOffsets {
    pub topic: TopicName,
    /// By index: the offset, or why there is none.
    pub partitions: Vec<(i32, Result<i64, ReadFailure>)>,
}

/// The offsets between which a partition's log can be read. `None` where it was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetRange {
    /// Log start offset.
    pub start: Option<i64>,
    /// Log end offset (high watermark).
    pub end: Option<i64>,
}

impl OffsetRange {
    pub const UNKNOWN: Self = Self { start: None, end: None };
}
