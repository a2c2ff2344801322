//! Analysis of measurements by pure functions. So far it has only the thresholds.
//!
//! Invariant: names no client and never `remediation`: advice cannot become an action by itself.

pub mod thresholds;
