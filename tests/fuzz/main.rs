//! Hostile input by seed: answers of brokers, notifications, configurations. Nothing may panic,
//! hang, or take memory out of proportion.
//!
//! A test binary of its own, because its allocator counts. A few thousand inputs run among the
//! other tests; `make fuzz` runs many. `SEED` chooses them, `INPUTS` says how many, and `INPUT`
//! runs one again.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and a campaign prints what it did"
)]

mod answers;
mod campaign;
mod config;
mod pages;
mod webhook;

#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/fake_broker/mod.rs"]
mod fake_broker;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/rounds.rs"]
mod rounds;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/step_clock.rs"]
mod step_clock;
