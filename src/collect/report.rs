//! How the collectors fared in one round.

use std::collections::{BTreeMap, BTreeSet};

use super::{cached::Timestamps, in_flight::RequestKey};
use crate::{
    model::{ClusterName, MonotonicTime, ReadFailure},
    telemetry::{CollectorDone, CollectorName, Telemetry},
};

#[derive(Debug)]
struct CollectorStats {
    /// The first request that failed, in words.
    failure: Option<String>,
    unknown: BTreeMap<ReadFailure, u64>,
    ended: MonotonicTime,
}

#[derive(Debug)]
pub(super) struct RoundReport {
    began: Timestamps,
    by_collector: BTreeMap<CollectorName, CollectorStats>,
    unanswered: BTreeSet<RequestKey>,
    failures: BTreeMap<RequestKey, ReadFailure>,
}

impl RoundReport {
    pub(super) fn new(began: Timestamps) -> Self {
        Self {
            began,
            by_collector: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            failures: BTreeMap::new(),
        }
    }

    fn stats(&mut self, collector: CollectorName) -> &mut CollectorStats {
        let ended = self.began.monotonic;
        let new = || CollectorStats { failure: None, unknown: BTreeMap::new(), ended };
        self.by_collector.entry(collector).or_insert_with(new)
    }

    /// The collector took part in the round, whether it sent a request or not.
    pub(super) fn ran(&mut self, collector: CollectorName) {
        let _stats = self.stats(collector);
    }

    pub(super) fn sent(&mut self, key: RequestKey) {
        self.ran(key.collector);
        self.unanswered.insert(key);
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.unanswered.is_empty()
    }

    pub(super) fn answered(&mut self, key: RequestKey, at: Timestamps) {
        self.unanswered.remove(&key);
        self.ended(key.collector, at);
    }

    pub(super) fn ended(&mut self, collector: CollectorName, at: Timestamps) {
        let stats = self.stats(collector);
        stats.ended = stats.ended.max(at.monotonic);
    }

    /// A whole request failed. If it reads one value, that value is counted here; otherwise the
    /// collector counts the partitions or groups.
    pub(super) fn failed(&mut self, key: RequestKey, failure: ReadFailure, message: &str) {
        self.failures.insert(key, failure);
        if key.reads_one_value() {
            self.count_unknown(key.collector, failure, 1);
        }

        let stats = self.stats(key.collector);
        stats.failure.get_or_insert_with(|| format!("{key}: {message}"));
    }

    /// A collector failed whose request is not one of those in flight.
    pub(super) fn collector_failed(
        &mut self,
        collector: CollectorName,
        failure: ReadFailure,
        message: String,
    ) {
        self.count_unknown(collector, failure, 1);
        self.stats(collector).failure = Some(message);
    }

    /// Ends the round: unanswered requests have failed.
    pub(super) fn close(&mut self, at: Timestamps) {
        for key in std::mem::take(&mut self.unanswered) {
            self.failed(key, ReadFailure::Timeout, "no answer in this round");
            self.ended(key.collector, at);
        }
    }

    /// Why the whole request failed, if it did.
    pub(super) fn failure(&self, key: RequestKey) -> Option<ReadFailure> {
        self.failures.get(&key).copied()
    }

    pub(super) fn count_unknown(
        &mut self,
        collector: CollectorName,
        failure: ReadFailure,
        count: u64,
    ) {
        let counted = self.stats(collector).unknown.entry(failure).or_default();
        *counted = counted.saturating_add(count);
    }

    /// Counts the parts of an answer that hold an error in place of a value.
    pub(super) fn count_missing(
        &mut self,
        collector: CollectorName,
        failures: impl Iterator<Item = ReadFailure>,
    ) {
        for failure in failures {
            self.count_unknown(collector, failure, 1);
        }
    }

    /// What could not be read, as text for people, and why.
    pub(super) fn by_what(&self) -> BTreeMap<&'static str, String> {
        let failed = self.by_collector.iter();
        failed.filter_map(|(it, stats)| Some((it.reads(), stats.failure.clone()?))).collect()
    }

    pub(super) fn publish(self, cluster: &ClusterName, telemetry: &Telemetry, at: Timestamps) {
        for (collector, stats) in self.by_collector {
            let took = stats.ended.0.saturating_sub(self.began.monotonic.0);
            let CollectorStats { failure, unknown, .. } = stats;
            let done = CollectorDone { collector, failure, took, at: at.wall, unknown };
            telemetry.collector_done(cluster, done);
        }
    }
}
