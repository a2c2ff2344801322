//! One test binary: what the program promises, seen from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by panicking, and live tests print what they measured"
)]

// Clippy lets helpers unwrap only where it sees that everything is a test.
#![cfg(test)]

mod fake_broker;
mod live;
mod wire;
