//! One test binary: what the program promises, seen from outside.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and live tests print what they measured"
)]

mod cli;
mod config;
mod corner_cases;
mod docker_http;
mod documents;
#[allow(dead_code, reason = "shared with tests/fuzz; neither uses all of it")]
mod fake_broker;
mod fake_kafka;
mod fake_tls;
mod invariants;
mod live;
mod measured;
mod prometheus_http;
mod requests;
#[allow(dead_code, reason = "shared with tests/fuzz; neither uses all of it")]
mod rounds;
mod rules;
mod scale;
mod scrape;
mod secured;
mod soak;
mod step_clock;
mod store;
mod storm;
mod tidy;
mod tls;
mod web;
mod webhook;
mod wire;
mod world;
