//! Which records were acknowledged, and which were consumed. Shared by all threads of a load.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::record::{RecordStamp, WARM_UP};
use crate::model::MonotonicTime;

/// Counts of records since the start of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    pub acknowledged: u64,
    /// Refused by a broker, or timed out.
    pub failed: u64,
    /// Read by a consumer, each counted once.
    pub consumed: u64,
    /// How often a record was read that had been read before.
    pub duplicates: u64,
}

/// Two bits for each record: 25 MB for a hundred million records.
#[derive(Debug)]
pub(super) struct Ledger {
    run: u64,
    /// By the number of the producer.
    senders: Vec<SenderLedger>,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    consumed: AtomicU64,
    duplicates: AtomicU64,
    /// The time of the last acknowledgement, in nanoseconds of the clock.
    last_acknowledged_nanos: AtomicU64,
    /// How long after its due time a record was handed to its client, at most.
    late_max_nanos: AtomicU64,
}

#[derive(Debug)]
struct SenderLedger {
    acknowledged: BitSet,
    consumed: BitSet,
}

#[derive(Debug)]
struct BitSet(Vec<AtomicU64>);

impl BitSet {
    fn new(bits: u64) -> Self {
        let words = usize::try_from(bits.div_ceil(64)).unwrap_or(usize::MAX);

        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether the bit was not set before. An index out of range is ignored.
    fn insert(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|it| self.0.get(it));
        let bit = 1 << (index % 64);

        word.is_some_and(|it| it.fetch_or(bit, Relaxed) & bit == 0)
    }
}

impl Ledger {
    /// For producers that send so many records each.
    pub(super) fn new(run: u64, records: impl IntoIterator<Item = u64>) -> Self {
        let sender = |it| SenderLedger { acknowledged: BitSet::new(it), consumed: BitSet::new(it) };
        Self {
            run,
            senders: records.into_iter().map(sender).collect(),
            acknowledged: AtomicU64::default(),
            failed: AtomicU64::default(),
            consumed: AtomicU64::default(),
            duplicates: AtomicU64::default(),
            last_acknowledged_nanos: AtomicU64::default(),
            late_max_nanos: AtomicU64::default(),
        }
    }

    pub(super) const fn run(&self) -> u64 {
        self.run
    }

    pub(super) fn acknowledge(&self, stamp: RecordStamp, now: MonotonicTime) {
        let sender = self.sender(stamp);
        if sender.is_some_and(|it| it.acknowledged.insert(stamp.index)) {
            self.acknowledged.fetch_add(1, Relaxed);
            self.last_acknowledged_nanos.fetch_max(nanos(now.0), Relaxed);
        }
    }

    pub(super) fn fail(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// Whether the record is one of this load that was not consumed before.
    pub(super) fn consume(&self, stamp: RecordStamp) -> bool {
        let Some(sender) = self.sender(stamp) else { return false };
        let is_new = sender.consumed.insert(stamp.index);
        let counter = if is_new { &self.consumed } else { &self.duplicates };
        counter.fetch_add(1, Relaxed);

        is_new
    }

    pub(super) fn handed_over(&self, late: Duration) {
        self.late_max_nanos.fetch_max(nanos(late), Relaxed);
    }

    pub(super) fn counts(&self) -> RecordCounts {
        RecordCounts {
            acknowledged: self.acknowledged.load(Relaxed),
            failed: self.failed.load(Relaxed),
            consumed: self.consumed.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
        }
    }

    /// The number of records that were acknowledged and not consumed.
    pub(super) fn missing(&self) -> u64 {
        let words = self.senders.iter().flat_map(|it| it.acknowledged.0.iter().zip(&it.consumed.0));
        let missing = words.map(|(acknowledged, consumed)| {
            u64::from((acknowledged.load(Relaxed) & !consumed.load(Relaxed)).count_ones())
        });

        missing.sum()
    }

    /// `None` if no record was acknowledged.
    pub(super) fn last_acknowledged(&self) -> Option<MonotonicTime> {
        let last = self.last_acknowledged_nanos.load(Relaxed);

        (last > 0).then(|| MonotonicTime(Duration::from_nanos(last)))
    }

    pub(super) fn late_max(&self) -> Duration {
        Duration::from_nanos(self.late_max_nanos.load(Relaxed))
    }

    /// `None` for a record of another load, and for one that is not counted.
    fn sender(&self, stamp: RecordStamp) -> Option<&SenderLedger> {
        if stamp.run != self.run || stamp.index == WARM_UP {
            return None;
        }

        self.senders.get(usize::try_from(stamp.sender).ok()?)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: MonotonicTime = MonotonicTime(Duration::from_secs(9));

    fn stamp(run: u64, sender: u32, index: u64) -> RecordStamp {
        RecordStamp { run, sender, index, due: NOW }
    }

    #[test]
    fn what_was_acknowledged_and_not_consumed_is_missing() {
        let ledger = Ledger::new(1, [100, 100]);
        for index in 0..100 {
            ledger.acknowledge(stamp(1, 1, index), NOW);
        }
        assert_eq!(ledger.missing(), 100);

        for index in (0..100).filter(|it| ![3, 64].contains(it)) {
            assert!(ledger.consume(stamp(1, 1, index)));
        }
        // The same index of another producer is another record.
        assert!(ledger.consume(stamp(1, 0, 3)));
        assert_eq!(ledger.missing(), 2);
        assert_eq!((ledger.counts().acknowledged, ledger.counts().consumed), (100, 99));
        assert_eq!(ledger.last_acknowledged(), Some(NOW));
    }

    #[test]
    fn a_record_that_is_read_twice_is_a_duplicate() {
        let ledger = Ledger::new(1, [1]);
        assert!(ledger.consume(stamp(1, 0, 0)));
        assert!(!ledger.consume(stamp(1, 0, 0)));
        assert_eq!((ledger.counts().consumed, ledger.counts().duplicates), (1, 1));
    }

    #[test]
    fn records_of_others_do_not_count() {
        let ledger = Ledger::new(1, [1]);
        for other in [stamp(2, 0, 0), stamp(1, 1, 0)] {
            assert!(!ledger.consume(other));
            ledger.acknowledge(other, NOW);
        }

        ledger.acknowledge(stamp(1, 0, WARM_UP), NOW);
        assert!(!ledger.consume(stamp(1, 0, WARM_UP)));
        assert_eq!(ledger.counts(), RecordCounts::default());
        assert_eq!(ledger.last_acknowledged(), None);
    }
}
