//! Real producers against a real cluster: the load that a measurement, a demo or a test needs.
//!
//! [`produce()`] is a closed loop with a target rate: each producer has one record in flight, so a
//! slow broker slows its producers instead of being buried by them, and the latency that is printed
//! is what a client waits. The only module that names `rdkafka`; its clients run only while a load
//! runs.
//!
//! Invariant: nothing here reads or changes the configuration of a cluster, or creates a topic.

mod cli;
mod client;
mod error;
mod pace;
mod produce;
mod stats;
mod topic;

pub use cli::{Acks, LoadCommand, ProduceArgs, ReportFormat};
pub use error::LoadError;
pub use produce::produce;
pub use stats::{Figures, Summary};
