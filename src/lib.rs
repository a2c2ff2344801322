//! kafka-optimizer measures a Kafka cluster, acts on its alerts, and keeps a change only if it
//! helped.
//!
//! Modules are in reading order. A folder is a stage of a flow or a seam to the outside world;
//! ARCHITECTURE.md draws the flows, and `tests/it/tidy.rs` checks which module may use which.

pub mod model;

pub mod clock;
pub mod shutdown;
pub mod telemetry;

pub mod alert;
pub mod playbook;

pub mod security;

pub mod config;

pub mod docker;
pub mod kafka;
pub mod prometheus;

pub mod snapshot;

pub mod collect;
pub mod expose;

pub mod optimizers;

pub mod advice;
pub mod analysis;
pub mod baseline;
pub mod report;

pub mod diagnosis;
pub mod sampling;

pub mod store;
pub mod verdict;

pub mod remediation;

pub mod librdkafka;

pub mod load;

pub mod probe;

pub mod http;

pub mod app;
pub mod cli;
