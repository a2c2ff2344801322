//! The simulated world: a cluster, a Prometheus and a clock behind the seams, with every way to
//! fail, by seed. The pipeline in it is the real one, with its real store on a real file.
//!
//! `SEEDS` is how many seeds a sweep takes, `SEED` replays one.

mod broker;
mod chance;
mod checks;
mod clock;
mod controller;
pub(crate) mod docker;
mod kafka;
mod moments;
mod prometheus;
mod run;
mod setup;

pub(crate) use chance::{between, draw};
pub(crate) use kafka::{Call, Fault, Kind, id};
pub(crate) use moments::{Crash, Ended};
pub(crate) use prometheus::{Effect, PromFault, SCRAPE, lies};
pub(crate) use run::{Life, Standings, World, simulate};
pub(crate) use setup::{Setup, firing, greedy, notification, resolved, storms, with};
