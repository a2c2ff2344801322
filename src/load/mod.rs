//! A load generator for measurements, demos and tests: real producers that write to a real cluster.
//!
//! [`produce()`] is a closed loop with a target rate: each producer has one record in flight. So a
//! slow broker slows its producers down instead of being overloaded, and the reported latency is
//! the time that a client waits. Its librdkafka clients exist only while a load runs.
//!
//! Invariant: nothing here reads or changes the configuration of a cluster, or creates a topic.

mod cli;
mod client;
mod error;
mod produce;
mod schedule;
mod stats;
mod topic;

pub use cli::{Acks, LoadCommand, ProduceArgs, ReportFormat};
pub use error::LoadError;
pub use produce::produce;
pub use stats::{LoadFigures, LoadSummary};
