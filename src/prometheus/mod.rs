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
