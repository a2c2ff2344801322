//! Log directories of brokers (KIP-113, KIP-827).

use super::TopicName;

/// Bytes that one topic's replicas take in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicLogSize {
    pub topic: TopicName,
    pub bytes: u64,
}

/// A log directory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Its path on the broker.
    pub path: String,
    /// Whether the broker reports it as failed.
    pub offline: bool,
    /// Size of its volume in bytes, since KIP-827.
    pub total_bytes: Option<u64>,
    /// Bytes free for it, since KIP-827.
    pub usable_bytes: Option<u64>,
    pub topics: Vec<TopicLogSize>,
}
