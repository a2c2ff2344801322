//! The simulated world: Kafka, Docker, Prometheus and a clock, with seeded faults. The remediation
//! pipeline in it is the real one, with a real store on disk.
//!
//! `SEEDS` sets the number of seeds of a sweep, `SEED` replays one.

mod broker;
mod chance;
mod checks;
mod clock;
mod controller;
mod crash_points;
pub(crate) mod docker;
mod kafka;
mod person;
mod prometheus;
mod run;
mod setup;

pub(crate) use chance::{between, draw};
pub(crate) use crash_points::{Crash, ProcessEnd};
pub(crate) use kafka::{CallFault, CallKind, KafkaCall, id};
pub(crate) use prometheus::{CPU, Effect, QueryFault, SCRAPE, lies};
pub(crate) use run::{KeyStates, WorkerEnd, World, simulate};
pub(crate) use setup::{
    Setup, firing, greedy, labels, notification, resolved, shed_to, storms, with,
};
