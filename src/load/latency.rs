//! Latencies of many records, and the percentiles that are reported of them.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::{CreationError, Histogram};
use serde::{Deserialize, Serialize};

/// Longer latencies are recorded as this; no load runs longer. Three significant digits.
const LATENCY_MAX: Duration = Duration::from_hours(1);

/// Percentiles of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Percentiles {
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p99_9_ms: f64,
    pub max_ms: f64,
}

/// The latencies that one client has measured, in microseconds. One thread records at a time.
#[derive(Debug)]
pub(super) struct Latencies(Mutex<Histogram<u64>>);

impl Latencies {
    pub(super) fn new() -> Result<Self, CreationError> {
        let max = u64::try_from(LATENCY_MAX.as_micros()).unwrap_or(u64::MAX);

        Ok(Self(Mutex::new(Histogram::new_with_bounds(1, max, 3)?)))
    }

    pub(super) fn record(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.histogram().saturating_record(micros);
    }

    /// The percentiles of all latencies together. `None` if none was recorded.
    pub(super) fn percentiles<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<Percentiles> {
        let mut merged: Option<Histogram<u64>> = None;
        for latencies in all {
            match &mut merged {
                // The bounds of all are the same, so one fits into the other.
                Some(merged) => merged.add(&*latencies.histogram()).ok()?,
                None => merged = Some(latencies.histogram().clone()),
            }
        }

        merged.filter(|it| !it.is_empty()).map(|it| {
            let millis = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1e3;
            let quantile = |q: f64| millis(it.value_at_quantile(q));
            Percentiles {
                p50_ms: quantile(0.5),
                p90_ms: quantile(0.9),
                p99_ms: quantile(0.99),
                p99_9_ms: quantile(0.999),
                max_ms: millis(it.max()),
            }
        })
    }

    /// Ignores poisoning: a histogram is only ever added to.
    fn histogram(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_clients_together() {
        let (fast, slow) = (Latencies::new().unwrap(), Latencies::new().unwrap());
        (0..95).for_each(|_| fast.record(Duration::from_millis(2)));
        (0..5).for_each(|_| slow.record(Duration::from_secs(2)));
        let found = Latencies::percentiles([&fast, &slow]).unwrap();

        assert!((found.p50_ms - 2.0).abs() < 0.01 && (found.p90_ms - 2.0).abs() < 0.01);
        assert!((found.p99_ms - 2_000.0).abs() < 2.0 && (found.max_ms - 2_000.0).abs() < 2.0);
    }

    #[test]
    fn no_latency_has_no_percentiles_and_a_long_one_is_cut() {
        let none = Latencies::new().unwrap();
        assert_eq!(Latencies::percentiles([&none]), None);
        assert_eq!(Latencies::percentiles([]), None);

        none.record(Duration::from_hours(30));
        let found = Latencies::percentiles([&none]).unwrap();
        assert!((3_600_000.0..3_610_000.0).contains(&found.max_ms), "{found:?}");
    }
}
