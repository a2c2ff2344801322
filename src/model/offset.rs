//! Offsets of partitions, and how they are requested.

use super::{ReadFailure, TopicName};

/// Which offset of a log to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log start offset of the partition.
    Earliest,
    /// The log end offset of the partition: its high watermark.
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
    /// By partition index: the offset, or why it could not be read.
    pub partitions: Vec<(i32, Result<i64, ReadFailure>)>,
}

/// The offsets between which a partition's log can be consumed. `None` where unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetRange {
    /// The log start offset of the partition.
    pub start: Option<i64>,
    /// The log end offset of the partition: its high watermark.
    pub end: Option<i64>,
}

impl OffsetRange {
    pub const UNKNOWN: Self = Self { start: None, end: None };
}
