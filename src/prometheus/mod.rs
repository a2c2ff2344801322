//! The seam to a Prometheus server. Read-only.
//!
//! [`http`] implements it; so does the simulated world of the tests.

mod client;
pub mod http;
mod payload;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::model::WallTime;

/// Labels of a series, including `__name__`.
pub type LabelSet = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplePair {
    pub at: WallTime,
    /// May be NaN or infinite.
    pub value: f64,
}

/// One series of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSeries {
    /// Empty for the result of a scalar query.
    pub labels: LabelSet,
    pub sample: SamplePair,
}

/// One series of a range query.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    pub labels: LabelSet,
    /// Sorted by time, oldest first.
    pub samples: Vec<SamplePair>,
}

/// The time range of a range query, both ends included, and the distance between samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRange {
    pub start: WallTime,
    pub end: WallTime,
    pub step: Duration,
}

/// Prometheus refuses a range query with more points than this for each series.
const POINTS_MAX: u32 = 11_000;

impl QueryRange {
    /// A range with `step` between its points, or more where there would be too many points.
    pub fn new(start: WallTime, end: WallTime, step: Duration) -> Self {
        let step_min = end.since(start) / (POINTS_MAX - 1);

        // In whole seconds, as Prometheus rounds them: never below what it accepts.
        let step_min = Duration::from_secs(step_min.as_secs().saturating_add(1));
        let fits = end.since(start).as_nanos() / step.as_nanos().max(1) < u128::from(POINTS_MAX);
        Self { start, end, step: if fits { step } else { step_min } }
    }
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrometheusError {
    /// No response, or not a response of Prometheus.
    #[error("query Prometheus at {url}: {problem}")]
    Unavailable { url: String, problem: String },
    /// Prometheus answered with an error, such as invalid PromQL.
    #[error("Prometheus rejected `{query}`: {problem}")]
    Rejected { query: String, problem: String },
}

/// The queries that this program needs. Implementations limit the duration of each call.
#[async_trait]
pub trait Prometheus: Send + Sync + 'static {
    /// Evaluates an instant query now.
    async fn instant(&self, query: &str) -> Result<Vec<InstantSeries>, PrometheusError>;

    /// Evaluates a range query. A step without a value has no sample.
    async fn range(
        &self,
        query: &str,
        range: QueryRange,
    ) -> Result<Vec<RangeSeries>, PrometheusError>;
}

pub type SharedPrometheus = Arc<dyn Prometheus>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_two_days_was_refused_for_its_11520_points() {
        let start = WallTime(1_800_000_000_000);
        let step = Duration::from_secs(15);
        let points = |it: QueryRange| it.end.since(it.start).as_secs() / it.step.as_secs() + 1;

        let hours = |it| QueryRange::new(start, start.after(Duration::from_hours(it)), step);
        assert_eq!(hours(1).step, step);
        assert_eq!(points(hours(45)), 10_801);

        for it in [46, 48, 24 * 30] {
            let range = hours(it);
            assert!(range.step > step && points(range) <= 11_000, "{range:?}");
        }
    }
}
