//! Measurements: `make scale`, `make soak` and `make storm`. Each takes minutes and needs an idle
//! machine, and is ignored by `cargo test`.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and some print what they measured"
)]

mod analyze;
mod sampling;
mod scale;
mod soak;
mod storm;

#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/fake_broker/mod.rs"]
mod fake_broker;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/pipeline.rs"]
mod pipeline;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/rounds.rs"]
mod rounds;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/step_clock.rs"]
mod step_clock;
