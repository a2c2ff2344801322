//! Checks against a real cluster. Only the live part of the test script runs them (`live::`): they
//! fail without one.

mod corner;
mod docker;
mod exporter;
mod hand;
mod input;
mod kinds;
mod member;
mod oldest;
mod page;
mod probe;
mod security;
mod stack;
mod state;
mod streams;
mod tuning;
mod web;
mod wire;
