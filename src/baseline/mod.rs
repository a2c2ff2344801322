//! Named baselines: what a cluster did in a window that a person chose, and how another window
//! differs from it.
//!
//! A baseline has one value per bin, metric and broker. `comparison` compares two windows by the
//! procedure of the verdicts on runs (`verdict`); `notes` says what else is not the same, so that a
//! difference is not put down to the wrong cause. No I/O, no clock, no `async`.

mod comparison;
mod metric;
mod name;
mod notes;
mod recorded;
mod unit;

#[cfg(test)]
mod tests;

pub use comparison::{
    BaselineComparison, ComparedMetric, Outcome, RecordedWindow, RelativeChange, compare,
};
pub use metric::Metric;
pub use name::{BaselineName, InvalidName};
pub use recorded::{
    BaselineSummary, BrokerSeries, ClusterSetting, MeasuredWindow, NamedBaseline, WindowSummary,
    median,
};
pub use unit::{Unit, short};
