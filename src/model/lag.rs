//! Consumer lag in units of time.

use std::time::Duration;

use super::closed_list;

closed_list! {
    /// How a lag in time was computed.
    pub enum LagMethod {
        /// From two readings of the log end offset around the time when the record was appended.
        Interpolated = "interpolated",
        /// The record is older than the first reading of the log, so this is its minimum age.
        LowerBound = "lower_bound",
    }
}

/// The age of the oldest record that a group has not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LagTime {
    pub age: Duration,
    pub method: LagMethod,
}

impl LagTime {
    /// The lag of a group that has read everything.
    pub const NONE: Self = Self { age: Duration::ZERO, method: LagMethod::Interpolated };
}
