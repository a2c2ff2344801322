//! Errors that end a load early.

use rdkafka::error::KafkaError;

/// Why a load could not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// librdkafka rejected a setting, or could not start its threads.
    #[error("create a producer for {servers}")]
    Client {
        servers: String,
        #[source]
        source: KafkaError,
    },
    #[error("topic {topic} has {actual} partitions, but --partitions is {requested}")]
    TooFewPartitions { topic: String, actual: u16, requested: u16 },
    #[error("print the report")]
    Output(#[source] std::io::Error),
    #[error("serialize the report as JSON")]
    Json(#[source] serde_json::Error),
    /// A bug: the bounds of the histogram are constant.
    #[error("create the latency histogram")]
    Histogram(#[source] hdrhistogram::CreationError),
}
