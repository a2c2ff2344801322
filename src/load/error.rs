//! Why a load ends before its time.

use rdkafka::error::KafkaError;

/// Why a load ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The client could not be made: a setting of ours, or no threads.
    #[error("make a producer for {servers}")]
    LoadClient {
        /// Where it was to start from.
        servers: String,
        #[source]
        source: KafkaError,
    },
    /// The topic is smaller than what was asked for.
    #[error("topic {topic} has {there} partitions, {asked} were asked for")]
    TooFewPartitions { topic: String, there: u16, asked: u16 },
    /// The report could not be printed.
    #[error("print the report")]
    Output(#[source] std::io::Error),
    /// The report could not be made into JSON.
    #[error("write the report as JSON")]
    Json(#[source] serde_json::Error),
    /// There is no histogram of the bounds that this module asks for.
    #[error("make a histogram")]
    Histogram(#[source] hdrhistogram::CreationError),
}
