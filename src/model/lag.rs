//! Lag in time.

use std::time::Duration;

use super::closed_list;

closed_list! {
    /// How a lag in time was found.
    pub enum LagMethod {
        /// Between two readings of the log's end, around the time when the record was appended.
        Interpolated = "interpolated",
        /// The record is older than what has been seen of the log: it is at least so old.
        LowerBound = "lower_bound",
    }
}

/// The age of the oldest record that a group has yet to read; nothing when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LagTime {
    pub age: Duration,
    pub method: LagMethod,
}

impl LagTime {
    /// There is nothing left to read.
    pub const NONE: Self = Self { age: Duration::ZERO, method: LagMethod::Interpolated };
}
