//! Tests against a real cluster, which `make test` starts. `cargo test` lists them as ignored.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and some print what they measured"
)]

mod actor;
mod admin_client;
mod analysis;
mod corner;
mod docker;
mod exporter;
mod input;
mod kinds;
mod member;
mod oldest;
mod page;
mod probe;
mod replay;
mod secured_clients;
mod security;
mod stack;
mod state;
mod streams;
mod tuning;
mod web;
mod wire;

#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/corner_table.rs"]
mod corner_table;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/serving.rs"]
mod serving;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/web_files.rs"]
mod web_files;
