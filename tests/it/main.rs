//! Tests of the public behaviour. They need no cluster, no container engine and no root.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and some print what they measured"
)]

mod acting_lease;
mod analyze;
mod baselines;
mod breaches;
mod cli;
mod clusters;
mod config;
mod corner_cases;
mod docker_http;
mod documents;
mod fake_tls;
mod http_harness;
mod invariants;
mod pages;
mod prometheus_http;
mod reload;
mod replay;
mod report;
mod requests;
mod rules;
mod scrape;
mod scripted_kafka;
mod secured;
mod store;
mod tidy;
mod tls;
mod tour;
mod verdict;
mod web;
mod webhook;
mod wire;
mod world;

#[path = "../support/answering_prometheus.rs"]
mod answering_prometheus;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/corner_table.rs"]
mod corner_table;
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
#[path = "../support/serving.rs"]
mod serving;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/step_clock.rs"]
mod step_clock;
#[allow(dead_code, reason = "shared with other test targets")]
#[path = "../support/web_files.rs"]
mod web_files;
