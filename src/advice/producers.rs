//! Advice to producers, by topic.

use super::{
    compression::HEADER_BYTES,
    effect::{Advice, AdviceEffect, AdviceRule, ClientSetting, EffectKind, SettingValue},
    topic::{PartitionSpread, TopicMeasure},
};
use crate::{
    analysis::Subject,
    model::{count, significant},
};

/// A quarter of the default of `batch.size`: batches above are not small.
const SMALL_BATCH_BYTES: f64 = 4_096.0;

/// Batches per second below which there is nothing to gain.
const BATCHES_MIN: f64 = 50.0;

/// What a send may wait longer, in milliseconds: the first that gains enough.
const LINGERS_MS: [u32; 3] = [5, 10, 20];

/// Batches become this many times fewer with a linger that is enough.
const GAIN_ENOUGH: f64 = 10.0;

/// Less is not worth a change.
const GAIN_MIN: f64 = 2.0;

/// The sender thread of a busy client takes up a batch that much later, or a little earlier, than
/// `linger.ms` says.
const LINGER_LATE_MS: f64 = 10.0;
const LINGER_EARLY: f64 = 0.8;

/// Kafka's default of `batch.size`, below which none is advised.
const BATCH_SIZE_DEFAULT: u32 = 16 << 10;
const BATCH_SIZE_MAX: u32 = 256 << 10;

/// Compression that saves less is not worth its CPU.
const RATIO_MAX: f64 = 0.8;

/// Bytes per second below which there is little to save.
const BYTES_MIN: f64 = 10_000.0;

/// Share of the bytes that is not compressed yet.
const UNCOMPRESSED_MIN: f64 = 0.2;

/// Kafka's default of `buffer.memory`, which the advice takes for granted.
const BUFFER_DEFAULT: u32 = 32 << 20;
const BUFFER_MAX: u32 = 512 << 20;

/// Seconds that a buffer has to hold: a broker that died is replaced after 9.
const FAILOVER_SECONDS: f64 = 10.0;

pub(super) fn advise(topic: &TopicMeasure) -> Vec<Advice> {
    [batching(topic), compression(topic), buffer_memory(topic)].into_iter().flatten().collect()
}

fn subject(topic: &TopicMeasure) -> Subject {
    Subject::Topic(topic.topic.clone())
}

/// What one producer sends, and how it would be batched.
struct Arrivals {
    records_per_second: f64,
    /// Records per second that may share a batch, if a producer fills one partition at a time.
    together: f64,
    /// The same, if it fills all partitions at once.
    apart: f64,
    records_now: f64,
}

impl Arrivals {
    fn of(topic: &TopicMeasure) -> Option<Self> {
        let records_per_second = topic.records_per_second.filter(|it| *it > 0.0)?;
        let producers = topic.producers.unwrap_or(1).max(1);
        let together = records_per_second / count(producers);

        Some(Self {
            records_per_second,
            together,
            apart: together / count(topic.partitions.max(1)),
            records_now: topic.records_per_batch(),
        })
    }

    /// The likely rate of records that share a batch: what the sample tells, or the middle.
    fn likely(&self, spread: PartitionSpread) -> f64 {
        match spread {
            PartitionSpread::OneByOne => self.together,
            PartitionSpread::AllAtOnce => self.apart,
            PartitionSpread::Unknown => (self.together * self.apart).sqrt(),
        }
    }

    /// Batches per second if `rate` records a second share a batch for that long.
    fn batches(&self, rate: f64, linger_ms: f64, records_max: f64) -> f64 {
        let filled = (1.0 + rate * linger_ms / 1_000.0).min(records_max);

        self.records_per_second / filled.max(self.records_now)
    }
}

/// The smallest power of two that holds `bytes`, within the limits.
fn power_of_two(bytes: f64, least: u32, most: u32) -> u32 {
    let doubled = std::iter::successors(Some(least), |it| it.checked_mul(2));

    doubled.take_while(|it| *it <= most).find(|it| f64::from(*it) >= bytes).unwrap_or(most)
}

/// `linger.ms`, and `batch.size` where the default is too small for what a linger collects.
fn batching(topic: &TopicMeasure) -> Option<Advice> {
    let arrivals = Arrivals::of(topic)?;
    let now = topic.batches_per_second()?;

    if topic.bytes_per_batch() >= SMALL_BATCH_BYTES || now < BATCHES_MIN {
        return None;
    }

    let likely = arrivals.likely(topic.spread);
    let size_for = |linger: u32| {
        let collected = 1.0 + arrivals.together * f64::from(linger) / 1_000.0;
        let bytes = HEADER_BYTES + 2.0 * collected * topic.payload_per_record();

        power_of_two(bytes, BATCH_SIZE_DEFAULT, BATCH_SIZE_MAX)
    };

    let records_max = |linger: u32| {
        ((f64::from(size_for(linger)) - HEADER_BYTES) / topic.payload_per_record()).max(1.0)
    };

    let with = |linger: u32| arrivals.batches(likely, f64::from(linger), records_max(linger));
    let enough = LINGERS_MS.into_iter().find(|it| now / with(*it) >= GAIN_ENOUGH);
    let linger = enough.or(LINGERS_MS.last().copied())?;
    let after = with(linger);

    if now / after < GAIN_MIN {
        return None;
    }

    let (ms, most) = (f64::from(linger), records_max(linger));
    let (fastest, slowest) = match topic.spread {
        PartitionSpread::Unknown => (arrivals.together, arrivals.apart),
        PartitionSpread::OneByOne | PartitionSpread::AllAtOnce => (likely, likely),
    };

    // Of an unknown number of producers each may send too little to fill a batch.
    let most_batches = match topic.producers {
        Some(_) => arrivals.batches(slowest, ms * LINGER_EARLY, most),
        None => now,
    };
    let range = [arrivals.batches(fastest, ms + LINGER_LATE_MS, most), most_batches];
    let bytes = |batches: f64| {
        arrivals.records_per_second * topic.payload_per_record() + batches * HEADER_BYTES
    };

    let mut settings = vec![SettingValue::new(ClientSetting::LingerMs, linger.to_string())];
    if size_for(linger) > BATCH_SIZE_DEFAULT {
        let size = size_for(linger).to_string();
        settings.push(SettingValue::new(ClientSetting::BatchSize, size));
    }

    Some(Advice {
        rule: AdviceRule::Batching,
        subject: subject(topic),
        settings,
        effects: vec![
            AdviceEffect::new(EffectKind::BatchesPerSecond, now, after, range),
            AdviceEffect::new(
                EffectKind::BytesPerSecond,
                bytes(now),
                bytes(after),
                range.map(bytes),
            ),
        ],
        measured: format!(
            "{} records and {} bytes in a batch, {} batches and {} records a second from {}",
            significant(topic.records_per_batch()),
            significant(topic.bytes_per_batch().round()),
            significant(now.round()),
            significant(arrivals.records_per_second.round()),
            producers_text(topic),
        ),
    })
}

fn producers_text(topic: &TopicMeasure) -> String {
    match topic.producers {
        Some(1) => "1 producer".to_owned(),
        Some(more) => format!("{more} producers"),
        None => "an unknown number of producers, taken as 1".to_owned(),
    }
}

/// `compression.type`, where sampled batches become clearly smaller.
fn compression(topic: &TopicMeasure) -> Option<Advice> {
    let measured = topic.compression?;
    let is_worth_it = measured.lz4 <= RATIO_MAX && measured.uncompressed_share >= UNCOMPRESSED_MIN;
    let is_quiet = topic.bytes_per_second().is_some_and(|it| it < BYTES_MIN);

    if !is_worth_it || is_quiet {
        return None;
    }

    // Batches that are compressed already stay as they are.
    let scaled = |now: f64, ratio: f64| now * (1.0 - measured.uncompressed_share * (1.0 - ratio));
    let effect = |kind: EffectKind, now: f64| {
        let best = measured.low.min(measured.large);
        let range = [scaled(now, best), scaled(now, measured.high)];

        AdviceEffect::new(kind, now, scaled(now, measured.lz4), range)
    };

    let per_record = effect(EffectKind::BytesPerRecord, topic.bytes_per_record());
    let per_second = topic.bytes_per_second().map(|now| effect(EffectKind::BytesPerSecond, now));

    Some(Advice {
        rule: AdviceRule::Compression,
        subject: subject(topic),
        settings: vec![SettingValue::new(ClientSetting::CompressionType, "lz4".to_owned())],
        effects: [Some(per_record), per_second].into_iter().flatten().collect(),
        measured: format!(
            "{} batches compressed to {} % of their size one by one, and to {} % in batches of \
             16 KiB; {} % of the bytes are not compressed; {} replicas",
            measured.batches,
            percent(measured.lz4),
            percent(measured.large),
            percent(measured.uncompressed_share),
            topic.replicas,
        ),
    })
}

fn percent(ratio: f64) -> String {
    format!("{:.0}", ratio * 100.0)
}

/// `buffer.memory`, where the default is full before a failover has ended.
fn buffer_memory(topic: &TopicMeasure) -> Option<Advice> {
    // Without the number of producers nothing is known of one of them.
    let producers = topic.producers.filter(|it| *it > 0)?;
    let of_one = topic.bytes_per_second()? / count(producers);
    let seconds_now = f64::from(BUFFER_DEFAULT) / of_one.max(1.0);

    if seconds_now >= FAILOVER_SECONDS {
        return None;
    }

    let memory = power_of_two(of_one * FAILOVER_SECONDS, BUFFER_DEFAULT, BUFFER_MAX);
    let after = f64::from(memory) / of_one;
    // The rate of one of several producers is not known: some send twice the mean.
    let range =
        if producers == 1 { [after * 0.8, after * 1.2] } else { [after / 2.0, after * 2.0] };

    Some(Advice {
        rule: AdviceRule::BufferMemory,
        subject: subject(topic),
        settings: vec![SettingValue::new(ClientSetting::BufferMemory, memory.to_string())],
        effects: vec![AdviceEffect::new(EffectKind::SecondsBuffered, seconds_now, after, range)],
        measured: format!(
            "{} MB a second from {}",
            significant(topic.bytes_per_second()? / 1e6),
            producers_text(topic)
        ),
    })
}
