//! Checks against a real cluster. Only the live part of the test script runs them (`live::`): they
//! fail without one.

mod docker;
mod input;
mod page;
mod probe;
mod security;
mod stack;
mod state;
mod tuning;
mod web;
mod wire;
