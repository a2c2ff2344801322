//! What is asked of a broker, and what its answers mean. Pure: no socket, no clock.

mod configs;
mod controller;
mod elections;
mod embedded;
mod groups;
mod log_dirs;
mod members;
mod offsets;
mod quotas;
mod streams;
mod topology;

pub(super) use configs::{AlterBroker, BrokerConfiguration, MinInsyncReplicas};
pub(super) use controller::{DescribeQuorum, Reassignments};
pub(super) use elections::ElectPreferred;
pub(super) use groups::{Committed, Groups};
pub(super) use log_dirs::LogDirs;
pub(super) use members::{DescribeClassic, DescribeConsumer, DescribeShare};
pub(super) use offsets::Offsets;
pub(super) use quotas::{AlterQuota, ClientQuotas};
pub(super) use streams::DescribeStreams;
pub(super) use topology::{Brokers, WholeTopology};
