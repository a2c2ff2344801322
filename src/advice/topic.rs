//! The numbers of one topic, from the headers of its sampled batches.

use std::{collections::BTreeSet, time::Duration};

use super::compression::{CompressionMeasure, HEADER_BYTES};
use crate::model::{BatchScan, Codec, RecordBatch, TopicName, WallTime, count};

/// A partition whose latest record is older is idle.
const IDLE_AFTER: Duration = Duration::from_mins(1);

/// Timestamps have milliseconds: gaps between batches that are shorter on average tell nothing of
/// how they are spread.
const GAP_MIN_MS: f64 = 4.0;

/// A mean gap so many times the median one is a burst; gaps by chance have 1.4.
const BURST: f64 = 3.0;
const EVEN: f64 = 2.0;

/// Batches of a partition below which their gaps tell nothing.
const GAPS_MIN: usize = 10;

/// What was sampled of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSample {
    pub topic: TopicName,
    /// All partitions of the topic.
    pub partitions: usize,
    pub replicas: usize,
    /// From log end offsets or from Prometheus; `None` if neither was known.
    pub records_per_second: Option<f64>,
    pub scans: Vec<ScannedPartition>,
}

/// A piece at the end of one partition's log.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedPartition {
    pub partition: i32,
    pub scan: BatchScan,
}

/// How the rate of a topic was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateBasis {
    /// From log end offsets, read twice, or from Prometheus.
    Offsets,
    /// From the timestamps of the sampled batches.
    Timestamps,
}

impl RateBasis {
    /// The word for it in the API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Offsets => "offsets",
            Self::Timestamps => "timestamps",
        }
    }
}

/// Which partitions one producer fills at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionSpread {
    /// One after the other, as without keys since Kafka 2.4.
    OneByOne,
    /// All of them, as with keys.
    AllAtOnce,
    /// The sampled batches do not tell.
    Unknown,
}

/// The numbers of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicMeasure {
    pub topic: TopicName,
    pub partitions: usize,
    pub replicas: usize,
    /// Partitions of which batches were sampled.
    pub sampled_partitions: usize,
    /// Sampled batches; the following numbers are theirs.
    pub batches: usize,
    pub records: f64,
    pub bytes: f64,
    /// Message sets of clients before Kafka 0.11, which are left out.
    pub older: u32,
    /// Batches by codec, for those that occur.
    pub codecs: Vec<(Codec, usize)>,
    /// Different producers; `None` if not all of them are idempotent.
    pub producers: Option<usize>,
    pub spread: PartitionSpread,
    pub records_per_second: Option<f64>,
    pub rate_basis: RateBasis,
    /// `None` if every batch is compressed.
    pub compression: Option<CompressionMeasure>,
}

impl TopicMeasure {
    /// `None` if no batch with records was sampled.
    pub(super) fn of(sample: &TopicSample, now: WallTime) -> Option<Self> {
        let batches = || sample.scans.iter().flat_map(|it| &it.scan.batches);
        let records: f64 = batches().map(|it| f64::from(it.records)).sum();

        if records < 1.0 {
            return None;
        }

        let codecs =
            Codec::ALL.iter().map(|it| (*it, batches().filter(|b| b.codec == *it).count()));
        let producers: Option<BTreeSet<i64>> = batches().map(|it| it.producer).collect();
        let is_sampled = |it: &&ScannedPartition| !it.scan.batches.is_empty();
        let (records_per_second, rate_basis) = match sample.records_per_second {
            Some(rate) => (Some(rate), RateBasis::Offsets),
            None => (rate_of_timestamps(sample, now), RateBasis::Timestamps),
        };

        Some(Self {
            topic: sample.topic.clone(),
            partitions: sample.partitions,
            replicas: sample.replicas,
            sampled_partitions: sample.scans.iter().filter(is_sampled).count(),
            batches: batches().count(),
            records,
            bytes: batches().map(|it| f64::from(it.bytes)).sum(),
            older: sample.scans.iter().map(|it| it.scan.older).fold(0, u32::saturating_add),
            codecs: codecs.filter(|it| it.1 > 0).collect(),
            producers: producers.map(|it| it.len()),
            spread: spread(sample),
            records_per_second,
            rate_basis,
            compression: CompressionMeasure::of(&sample.scans),
        })
    }

    pub fn records_per_batch(&self) -> f64 {
        self.records / count(self.batches.max(1))
    }

    pub fn bytes_per_batch(&self) -> f64 {
        self.bytes / count(self.batches.max(1))
    }

    /// With the share of the batch's header.
    pub fn bytes_per_record(&self) -> f64 {
        self.bytes / self.records.max(1.0)
    }

    /// Bytes of a record as it is stored, without the header of its batch.
    pub fn payload_per_record(&self) -> f64 {
        (self.bytes - HEADER_BYTES * count(self.batches)).max(1.0) / self.records.max(1.0)
    }

    pub fn batches_per_second(&self) -> Option<f64> {
        self.records_per_second.map(|it| it / self.records_per_batch())
    }

    /// At the leaders: each follower receives as much again.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.records_per_second.map(|it| it * self.bytes_per_record())
    }
}

/// Records per second of the whole topic, from partitions with at least two batches. An idle one
/// has none.
fn rate_of_timestamps(sample: &TopicSample, now: WallTime) -> Option<f64> {
    let rates: Vec<f64> =
        sample.scans.iter().filter_map(|it| rate_of(&it.scan.batches, now)).collect();
    let sum: f64 = rates.iter().sum();

    (!rates.is_empty()).then(|| sum / count(rates.len()) * count(sample.partitions))
}

fn rate_of(batches: &[RecordBatch], now: WallTime) -> Option<f64> {
    let (first, last) = (batches.first()?, batches.last()?);
    if now.since(WallTime(last.last_timestamp)) > IDLE_AFTER {
        return Some(0.0);
    }

    // The records of the first batch came before the time that is measured.
    let seconds = milliseconds(first.last_timestamp, last.last_timestamp)? / 1_000.0;
    let records: f64 = batches.iter().skip(1).map(|it| f64::from(it.records)).sum();

    (seconds > 0.0 && batches.iter().all(|it| it.has_create_time)).then(|| records / seconds)
}

fn milliseconds(from: i64, to: i64) -> Option<f64> {
    u32::try_from(to.checked_sub(from)?).ok().map(f64::from)
}

/// Compares the mean gap between batches of a partition with the median one: a producer that fills
/// one partition at a time leaves bursts and pauses.
fn spread(sample: &TopicSample) -> PartitionSpread {
    if sample.partitions <= 1 {
        return PartitionSpread::OneByOne;
    }

    let bursts: Vec<f64> = sample.scans.iter().filter_map(|it| burst(&it.scan.batches)).collect();
    let lowest = bursts.iter().copied().min_by(f64::total_cmp);
    let highest = bursts.iter().copied().max_by(f64::total_cmp);

    match lowest.zip(highest) {
        Some((low, _)) if low >= BURST => PartitionSpread::OneByOne,
        Some((_, high)) if high <= EVEN => PartitionSpread::AllAtOnce,
        _ => PartitionSpread::Unknown,
    }
}

fn burst(batches: &[RecordBatch]) -> Option<f64> {
    let starts = batches.iter().map(|it| it.first_timestamp);
    let next = starts.clone().skip(1);
    let mut gaps: Vec<f64> =
        starts.zip(next).filter_map(|(one, other)| milliseconds(one, other)).collect();
    if gaps.len() < GAPS_MIN {
        return None;
    }

    let mean = gaps.iter().sum::<f64>() / count(gaps.len());
    gaps.sort_by(f64::total_cmp);
    let median = gaps.get(gaps.len() / 2).copied()?;

    (mean >= GAP_MIN_MS).then(|| mean / median.max(0.5))
}
