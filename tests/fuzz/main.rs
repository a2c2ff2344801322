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
#[allow(dead_code, reason = "shared with tests/it; neither uses all of it")]
#[path = "../it/fake_broker/mod.rs"]
mod fake_broker;
mod pages;
#[allow(dead_code, reason = "shared with tests/it; neither uses all of it")]
#[path = "../it/rounds.rs"]
mod rounds;
#[path = "../it/step_clock.rs"]
mod step_clock;
mod webhook;
