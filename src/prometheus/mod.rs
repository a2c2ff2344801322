//! The seam to a Prometheus server, in this program's words.
//!
//! [`http`] implements it; so does the simulated world of the tests. Read-only.

pub mod http;
mod payload;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::model::WallTime;

/// A series' labels, the metric's name as `__name__`.
pub type Labels = BTreeMap<String, String>;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: WallTime,
    /// The value; may be NaN or infinite, as Prometheus says it.
    pub value: f64,
}

/// One series of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSeries {
    /// Its labels. Empty for a scalar.
    pub labels: Labels,
    pub sample: Sample,
}

/// One series of a range query.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    pub labels: Labels,
    /// Its samples, oldest first.
    pub samples: Vec<Sample>,
}

/// A span of time and the distance between evaluations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRange {
    pub from: WallTime,
    pub to: WallTime,
    pub step: Duration,
}

/// What went wrong between us and Prometheus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrometheusError {
    /// No answer, or not one of Prometheus.
    #[error("query Prometheus at {url}: {problem}")]
    Unavailable { url: String, problem: String },
    #[error("Prometheus refuses `{query}`: {problem}")]
    Refused { query: String, problem: String },
}

/// What this program needs of Prometheus. Each call has a deadline inside the implementation.
#[async_trait]
pub trait Prometheus: Send + Sync + 'static {
    /// Evaluates `query` now.
    async fn instant(&self, query: &str) -> Result<Vec<InstantSeries>, PrometheusError>;

    /// Evaluates `query` over `span`. A step without a value has no sample.
    async fn range(
        &self,
        query: &str,
        span: QueryRange,
    ) -> Result<Vec<RangeSeries>, PrometheusError>;
}

/// A Prometheus server that stages share.
pub type SharedPrometheus = Arc<dyn Prometheus>;
