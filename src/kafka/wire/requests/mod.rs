//! What is asked of a broker, and what its answers mean. Pure: no socket, no clock.

mod configs;
mod controller;
mod groups;
mod log_dirs;
mod offsets;
mod topology;

pub(super) use configs::{AlterBroker, BrokerConfiguration, MinInsyncReplicas};
pub(super) use controller::{DescribeQuorum, Reassignments};
pub(super) use groups::{Committed, DescribeConsumerGroups, DescribeGroups, Groups};
pub(super) use log_dirs::LogDirs;
pub(super) use offsets::Offsets;
pub(super) use topology::{Brokers, WholeTopology};
