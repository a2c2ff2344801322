//! Seeded hostile input: broker responses, notifications, configurations. Nothing may panic, hang,
//! or use memory out of proportion.
//!
//! A separate test binary, because its allocator counts. `cargo test` runs a few thousand inputs,
//! `make fuzz` many. `SEED` selects the inputs, `INPUTS` their number, and `INPUT` replays one.
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
