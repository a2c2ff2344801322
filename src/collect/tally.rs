//! How the collectors fared in one round.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    kept::Moment,
    pool::{Answer, Question},
};
use crate::{
    model::{ClusterName, MonotonicTime, ReadFailure},
    telemetry::{CollectorDone, CollectorName, Telemetry},
};

#[derive(Debug)]
struct Tally {
    failure: Option<String>,
    unknown: BTreeMap<ReadFailure, u64>,
    ended: MonotonicTime,
}

/// The accounts of one round.
#[derive(Debug)]
pub(super) struct Tallies {
    began: Moment,
    by_collector: BTreeMap<CollectorName, Tally>,
    owed: BTreeSet<Question>,
    faults: BTreeMap<Question, ReadFailure>,
}

impl Tallies {
    pub(super) fn new(began: Moment) -> Self {
        Self {
            began,
            by_collector: BTreeMap::new(),
            owed: BTreeSet::new(),
            faults: BTreeMap::new(),
        }
    }

    fn of(&mut self, collector: CollectorName) -> &mut Tally {
        let ended = self.began.uptime;
        let open = || Tally { failure: None, unknown: BTreeMap::new(), ended };
        self.by_collector.entry(collector).or_insert_with(open)
    }

    /// The collector had its turn, whether it had anything to ask or not.
    pub(super) fn had_turn(&mut self, collector: CollectorName) {
        let _opened = self.of(collector);
    }

    pub(super) fn sent(&mut self, question: Question) {
        self.had_turn(question.collector());
        self.owed.insert(question);
    }

    /// Whether this round waits for an answer still.
    pub(super) fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    pub(super) fn answered(&mut self, question: Question, at: Moment) {
        self.owed.remove(&question);
        self.ended(question.collector(), at);
    }

    pub(super) fn ended(&mut self, collector: CollectorName, at: Moment) {
        let tally = self.of(collector);
        tally.ended = tally.ended.max(at.uptime);
    }

    /// A whole request failed. What it leaves unknown is counted here where it is one thing, and by
    /// whoever puts partitions and groups together where it is many.
    pub(super) fn failed(&mut self, question: Question, reason: ReadFailure, why: &str) {
        self.faults.insert(question, reason);
        let collector = question.collector();
        if question.is_one_reading() {
            self.unknown(collector, reason, 1);
        }
        self.of(collector).failure.get_or_insert_with(|| format!("{question}: {why}"));
    }

    /// A collector that asks no question of the pool failed.
    pub(super) fn collector_failed(
        &mut self,
        collector: CollectorName,
        reason: ReadFailure,
        why: String,
    ) {
        self.unknown(collector, reason, 1);
        self.of(collector).failure = Some(why);
    }

    /// Those that still owe an answer have failed.
    pub(super) fn close(&mut self, at: Moment) {
        for question in std::mem::take(&mut self.owed) {
            self.failed(question, ReadFailure::Timeout, "no answer in this round");
            self.ended(question.collector(), at);
        }
    }

    /// Why a part of this question's answer is missing.
    pub(super) fn fault(&self, question: Question) -> Option<ReadFailure> {
        self.faults.get(&question).copied()
    }

    pub(super) fn unknown(&mut self, collector: CollectorName, reason: ReadFailure, count: u64) {
        let counted = self.of(collector).unknown.entry(reason).or_default();
        *counted = counted.saturating_add(count);
    }

    /// Counts the topics that an answer holds no value of.
    pub(super) fn lacks(&mut self, answer: &Answer) {
        let Answer::MinInsync(values) = answer else { return };
        for fault in values.iter().filter_map(|(_, it)| it.err()) {
            self.unknown(CollectorName::MinInsync, fault, 1);
        }
    }

    pub(super) fn report(self, cluster: &ClusterName, telemetry: &Telemetry, at: Moment) {
        for (collector, tally) in self.by_collector {
            let took = tally.ended.0.saturating_sub(self.began.uptime.0);
            let (failure, unknown) = (tally.failure, tally.unknown);
            let done = CollectorDone { collector, failure, took, at: at.wall, unknown };
            telemetry.collector_done(cluster, done);
        }
    }
}
