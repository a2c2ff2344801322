//! A Prometheus whose answers a test computes.

use async_trait::async_trait;
use kafka_optimizer::prometheus::{
    InstantSeries, Prometheus, PrometheusError, QueryRange, RangeSeries,
};

type InstantAnswer = Box<dyn Fn(&str) -> Vec<InstantSeries> + Send + Sync>;
type RangeAnswer =
    Box<dyn Fn(&str, QueryRange) -> Result<Vec<RangeSeries>, PrometheusError> + Send + Sync>;

/// Answers at once, with what the functions return.
pub(crate) struct AnsweringPrometheus {
    pub(crate) instant: InstantAnswer,
    pub(crate) range: RangeAnswer,
}

#[async_trait]
impl Prometheus for AnsweringPrometheus {
    async fn instant(&self, query: &str) -> Result<Vec<InstantSeries>, PrometheusError> {
        Ok((self.instant)(query))
    }

    async fn range(
        &self,
        query: &str,
        range: QueryRange,
    ) -> Result<Vec<RangeSeries>, PrometheusError> {
        (self.range)(query, range)
    }
}
