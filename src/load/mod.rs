//! Load generators for measurements, demos and tests: real producers that write to a real cluster.
//!
//! [`run_plan`] is an open loop: each record is due at a time that depends on nothing the brokers
//! do, and its latency counts from then on (docs/load.md). Records are read back, and topics are
//! the load's own.
//!
//! [`produce()`] is a closed loop with a target rate: each producer has one record in flight. So a
//! slow broker slows its producers down instead of being overloaded, and the reported latency is
//! the time that a client waits.
//!
//! librdkafka's clients exist only while a load runs.
//!
//! Invariant: nothing here reads or changes the configuration of a cluster. Only `own_topics`
//! creates or deletes topics, and only those of this load.

mod cli;
mod client;
mod error;
mod latency;
mod ledger;
mod open_loop;
mod outcome;
mod own_topics;
mod pace;
mod plan;
mod produce;
mod receiver;
mod record;
mod schedule;
mod sender;
mod shared;
mod stats;
mod topic;

pub use cli::{
    Acks, BaselineArgs, Compression, LoadClusterArgs, LoadCommand, LoadOutput, LoadScale,
    OpenLoopArgs, ProduceArgs, ReportFormat, StressArgs,
};
pub use error::LoadError;
pub use latency::Percentiles;
pub use ledger::RecordCounts;
pub use open_loop::{ProgressFn, run_plan};
pub use outcome::{LoadEnd, LoadOutcome};
pub use plan::LoadPlan;
pub use produce::produce;
pub use stats::{LoadFigures, LoadSummary};
