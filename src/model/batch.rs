//! Record batches as their headers describe them. No record is ever decoded.

use super::{TopicName, closed_list};

closed_list! {
    /// How the records of a batch are compressed.
    pub enum Codec {
        Uncompressed = "none",
        Gzip = "gzip",
        Snappy = "snappy",
        Lz4 = "lz4",
        Zstd = "zstd",
    }
}

/// What the header of one batch says (magic 2, since Kafka 0.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch {
    pub codec: Codec,
    /// Records in it; fewer than it was written with if the topic has been compacted.
    pub records: u32,
    /// Its size on the wire and on disk, with the header. How large it was before compression is
    /// not in the header.
    pub bytes: u32,
    /// When its first record was created, in milliseconds since 1970.
    pub first_timestamp: i64,
    /// The highest time of its records.
    pub last_timestamp: i64,
    /// Whether the times are the producer's; else the broker's, the same for all records.
    pub has_create_time: bool,
    /// `None` for a producer that is not idempotent.
    pub producer: Option<i64>,
    /// The records as they were written. `None` if they are compressed, or cut off by the end of
    /// the response.
    pub payload: Option<Vec<u8>>,
}

/// The batches in a piece of one partition's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchScan {
    /// In the order of the log, without those that a transaction ends with.
    pub batches: Vec<RecordBatch>,
    /// Message sets of magic 0 or 1, which clients before Kafka 0.11 write.
    pub older: u32,
    /// Batches with the marker that a transaction ends with.
    pub control: u32,
    /// Whether something follows that is no batch.
    pub is_malformed: bool,
}

/// Where a piece of a log starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPosition {
    pub topic: TopicName,
    /// Zero where the broker sends none.
    pub topic_id: u128,
    pub partition: i32,
    pub offset: i64,
}
