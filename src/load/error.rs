//! Errors that end a load early.

use std::time::Duration;

use rdkafka::error::KafkaError;

use crate::librdkafka::ConnectionSettingsError;

/// Why a load could not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error(transparent)]
    Settings(#[from] ConnectionSettingsError),
    /// librdkafka rejected a setting, or could not start its threads.
    #[error("create a client")]
    Client(#[source] KafkaError),
    #[error("topic {topic} has {actual} partitions, but --partitions is {requested}")]
    TooFewPartitions { topic: String, actual: u16, requested: u16 },
    #[error("no broker answered the metadata request: {reason}")]
    Metadata { reason: String },
    #[error("a replication factor of {replicas} needs as many brokers; the cluster has {brokers}")]
    TooFewBrokers { brokers: u32, replicas: u32 },
    #[error("create the topics of the load: {reason}")]
    CreateTopics { reason: String },
    #[error("the topics of the load have no leaders after {timeout:?}")]
    NoLeaders { timeout: Duration },
    #[error("no record was acknowledged on {topic} within {timeout:?}: {reason}")]
    NotWritable { topic: String, timeout: Duration, reason: String },
    #[error("interrupted before the load began")]
    Interrupted,
    /// The load ended early for the reason that is its source, and left something behind.
    #[error("topics could not be deleted: {}", topics.join(", "))]
    LeftBehind {
        topics: Vec<String>,
        #[source]
        source: Box<LoadError>,
    },
    #[error("print the report")]
    Output(#[source] std::io::Error),
    #[error("serialize the report as JSON")]
    Json(#[source] serde_json::Error),
    /// A bug: the bounds of the histogram are constant.
    #[error("create the latency histogram")]
    Histogram(#[source] hdrhistogram::CreationError),
    #[error("a thread of the load panicked")]
    Panicked,
}
