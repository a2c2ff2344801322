//! Analysis: pure functions from what was measured to what it means. So far, the thresholds.
//!
//! Invariant: names no client and never `remediation`: advice cannot become an action by itself.

pub mod thresholds;
