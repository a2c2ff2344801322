//! The result of an open-loop load.

use std::time::Duration;

use serde::Serialize;

use super::{latency::Percentiles, ledger::RecordCounts, plan::LoadPlan};
use crate::model::count;

/// Whether a load sent all its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadEnd {
    Complete,
    Interrupted,
    DeadlineExceeded,
}

/// What a load measured. Unknown values are `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadOutcome {
    pub plan: LoadPlan,
    pub replication_factor: u32,
    pub end: LoadEnd,
    /// From the first due time to the last acknowledgement.
    pub elapsed_s: f64,
    pub acknowledged: u64,
    pub failed: u64,
    pub records_per_second: f64,
    /// Of values, without keys, headers and the overhead of batches.
    pub mib_per_second: f64,
    /// From the due time to the acknowledgement.
    pub acknowledge: Option<Percentiles>,
    /// From the due time to the consumer.
    pub end_to_end: Option<Percentiles>,
    /// `None` without a consumer; so are the next two.
    pub consumed: Option<u64>,
    /// Records that were acknowledged and not consumed.
    pub missing: Option<u64>,
    pub duplicates: Option<u64>,
    /// How long after its due time a record was handed to the client, at most: the client's queue
    /// was full, or this machine was busy. `None` without a rate.
    pub handed_over_late_max_ms: Option<f64>,
    pub last_error: Option<String>,
    /// Topics that could not be deleted.
    pub left_behind: Vec<String>,
}

/// The times and counts of a load that has ended.
#[derive(Clone, Debug)]
pub(super) struct LoadMeasurement {
    pub(super) replication_factor: u32,
    pub(super) end: LoadEnd,
    pub(super) elapsed: Duration,
    pub(super) counts: RecordCounts,
    pub(super) missing: u64,
    pub(super) acknowledge: Option<Percentiles>,
    pub(super) end_to_end: Option<Percentiles>,
    pub(super) late_max: Duration,
    pub(super) last_error: Option<String>,
}

impl LoadOutcome {
    pub(super) fn new(
        plan: &LoadPlan,
        measured: LoadMeasurement,
        left_behind: Vec<String>,
    ) -> Self {
        let LoadMeasurement { elapsed, counts, .. } = measured;
        let is_consumed = plan.consumers_per_topic > 0;
        let elapsed_s = elapsed.as_secs_f64();
        let acknowledged = count(usize::try_from(counts.acknowledged).unwrap_or(usize::MAX));
        let records_per_second = if elapsed.is_zero() { 0.0 } else { acknowledged / elapsed_s };
        let late_max_ms = measured.late_max.as_secs_f64() * 1e3;

        Self {
            plan: plan.clone(),
            replication_factor: measured.replication_factor,
            end: measured.end,
            elapsed_s,
            acknowledged: counts.acknowledged,
            failed: counts.failed,
            records_per_second,
            mib_per_second: records_per_second * f64::from(plan.record_bytes) / 1_048_576.0,
            acknowledge: measured.acknowledge,
            end_to_end: measured.end_to_end,
            consumed: is_consumed.then_some(counts.consumed),
            missing: is_consumed.then_some(measured.missing),
            duplicates: is_consumed.then_some(counts.duplicates),
            handed_over_late_max_ms: plan.rate.map(|_| late_max_ms),
            last_error: measured.last_error,
            left_behind,
        }
    }

    /// Why the load is no success, if it is none.
    pub fn problem(&self) -> Option<String> {
        let because = self.last_error.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        let (acknowledged, records) = (self.acknowledged, self.plan.records());
        if self.end == LoadEnd::Interrupted {
            return Some(format!("interrupted after {acknowledged} of {records} records"));
        }

        if self.end == LoadEnd::DeadlineExceeded {
            return Some(format!(
                "the deadline passed after {acknowledged} of {records} records{because}"
            ));
        }

        if let Some(missing) = self.missing.filter(|it| *it > 0) {
            return Some(format!("{missing} acknowledged records were not consumed{because}"));
        }

        if self.failed > 0 {
            return Some(format!("{} records were not acknowledged{because}", self.failed));
        }

        let left_behind = (!self.left_behind.is_empty()).then(|| self.left_behind.join(", "));

        left_behind.map(|it| format!("topics could not be deleted: {it}"))
    }
}
