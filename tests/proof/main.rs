//! `make proof`: how often the procedure of `verdict` is wrong, and how often it sees an
//! improvement, in simulated worlds in which the truth is known.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and prints what it measured"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of runs and indexes, which are small"
)]

mod alert;
mod conditions;
mod limits;
mod old;
mod procedure;
mod process;
mod proof;
mod rates;
mod report;
mod server;
mod simulation;
mod statistics;
mod world;
mod world_runs;
