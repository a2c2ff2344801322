//! Each rule on measured numbers: what it advises, by how much, and when it says nothing.

use super::{
    AdviceEffect, AdviceInputs, AdviceRule, ClientSetting, ClusterAdvice, ConsumerMeasure,
    EffectKind, GroupRate, PartitionSpread, RateBasis, RequestRates, ScannedPartition,
    TopicMeasure, TopicSample,
};
use crate::{
    analysis::{ClusterSignals, Signal, Subject},
    model::{BatchScan, Codec, GroupName, RecordBatch, TopicName, WallTime},
};

const NOW: i64 = 1_000_000;

/// A batch of records of 100 bytes that compress well.
fn batch(at: i64, records: u32) -> RecordBatch {
    let text =
        r#"{"user":"anna","action":"view","item":17,"page":"/orders","took_ms":12,"ok":true}"#;
    let payload: Vec<u8> = text.bytes().cycle().take(100 * records as usize).collect();

    RecordBatch {
        codec: Codec::Uncompressed,
        records,
        bytes: 61 + 100 * records,
        first_timestamp: at,
        last_timestamp: at,
        has_create_time: true,
        producer: Some(1),
        payload: Some(payload),
    }
}

/// Batches of this many records, one every `gap` milliseconds until now.
fn every(gap: i64, batches: i64, records: u32) -> BatchScan {
    let batches = (0..batches).map(|it| batch(NOW - gap * (batches - 1 - it), records)).collect();
    BatchScan { batches, ..BatchScan::default() }
}

fn sample(partitions: usize, rate: Option<f64>, scans: Vec<BatchScan>) -> TopicSample {
    let scans = (0..).zip(scans);
    TopicSample {
        topic: TopicName::new("orders"),
        partitions,
        replicas: 3,
        records_per_second: rate,
        scans: scans.map(|(partition, scan)| ScannedPartition { partition, scan }).collect(),
    }
}

fn advised(topic: TopicSample) -> ClusterAdvice {
    let inputs = AdviceInputs { topics: vec![topic], ..AdviceInputs::default() };
    ClusterAdvice::of(inputs, WallTime(NOW))
}

fn rules(advice: &ClusterAdvice) -> Vec<AdviceRule> {
    advice.advice.iter().map(|it| it.rule).collect()
}

fn effect(advice: &ClusterAdvice, rule: AdviceRule) -> AdviceEffect {
    advice.advice.iter().find(|it| it.rule == rule).unwrap().effects[0]
}

fn settings(advice: &ClusterAdvice, rule: AdviceRule) -> Vec<(ClientSetting, String)> {
    let found = advice.advice.iter().find(|it| it.rule == rule).unwrap();
    found.settings.iter().map(|it| (it.setting, it.value.clone())).collect()
}

#[track_caller]
fn near(value: f64, want: f64) {
    assert!((value - want).abs() <= want.abs() * 0.02 + 0.01, "{value}, not {want}");
}

#[test]
fn small_batches_of_one_producer_are_put_together() {
    let advice = advised(sample(1, Some(2_000.0), vec![every(1, 100, 1)]));

    // One record by itself does not compress.
    assert_eq!(rules(&advice), [AdviceRule::Batching]);

    // In 5 ms there are 11 records.
    let batching = &advice.advice[0];
    assert_eq!(settings(&advice, AdviceRule::Batching), [(ClientSetting::LingerMs, "5".into())]);
    let effect = batching.effects[0];
    assert_eq!(effect.kind, EffectKind::BatchesPerSecond);
    near(effect.now, 2_000.0);
    near(effect.after, 2_000.0 / 11.0);
    assert!(effect.low < effect.after && effect.after < effect.high, "{effect:?}");

    // 61 bytes for each batch that is saved.
    let bytes = batching.effects[1];
    near(bytes.now - bytes.after, 61.0 * (effect.now - effect.after));
    assert!(batching.measured.contains("1 producer"), "{}", batching.measured);
}

#[test]
fn of_producers_that_cannot_be_counted_each_may_send_too_little() {
    let mut unknown = sample(1, Some(2_000.0), vec![every(1, 100, 1)]);
    unknown.scans[0].scan.batches[0].producer = None;
    let found = effect(&advised(unknown), AdviceRule::Batching);

    assert!(found.after < 200.0, "{found:?}");
    near(found.high, found.now);
}

#[test]
fn a_batch_size_is_advised_where_the_default_is_too_small() {
    let advice = advised(sample(1, Some(50_000.0), vec![every(1, 100, 8)]));
    let found = settings(&advice, AdviceRule::Batching);

    // In 5 ms there are 251 records of 100 bytes, and twice as many fit.
    assert_eq!(
        found,
        [(ClientSetting::LingerMs, "5".into()), (ClientSetting::BatchSize, "65536".into())]
    );
}

#[test]
fn keys_spread_a_producer_over_its_partitions() {
    // 500 records a second over 10 partitions: one every 20 ms in each.
    let even = || (0..2).map(|_| every(20, 50, 1)).collect();
    let apart = advised(sample(10, Some(400.0), even()));
    assert_eq!(apart.topics[0].spread, PartitionSpread::AllAtOnce);
    assert_eq!(rules(&apart), [], "20 ms put less than two records together");

    // The same rate in bursts of one partition.
    let bursts = || {
        let mut scan = every(2, 50, 1);
        let last = scan.batches.len();
        for (index, it) in scan.batches.iter_mut().enumerate() {
            let pause = i64::try_from((last - 1 - index) / 10).unwrap() * 400;
            it.first_timestamp -= pause;
            it.last_timestamp -= pause;
        }
        scan
    };
    let together = advised(sample(10, Some(500.0), vec![bursts(), bursts()]));
    assert_eq!(together.topics[0].spread, PartitionSpread::OneByOne);
    near(together.advice[0].effects[0].after, 500.0 / 11.0);

    // Where the sample does not tell, the range has both.
    let unknown = advised(sample(10, Some(5_000.0), vec![every(1, 50, 1)]));
    assert_eq!(unknown.topics[0].spread, PartitionSpread::Unknown);
    let effect = unknown.advice[0].effects[0];
    assert!(effect.low < 100.0 && effect.high > 900.0, "{effect:?}");
}

#[test]
fn large_batches_and_quiet_topics_are_left_alone() {
    assert_eq!(
        rules(&advised(sample(1, Some(2_000.0), vec![every(10, 20, 60)]))),
        [AdviceRule::Compression]
    );
    assert_eq!(rules(&advised(sample(1, Some(5.0), vec![every(200, 20, 1)]))), []);
}

#[test]
fn without_a_rate_the_timestamps_tell_it() {
    // The last of 100 batches of 2 records is 990 ms after the first.
    let advice = advised(sample(3, None, vec![every(10, 100, 2)]));
    assert_eq!(advice.topics[0].rate_basis, RateBasis::Timestamps);
    near(advice.topics[0].records_per_second.unwrap(), 600.0);

    // An idle topic has none, and one batch does not tell.
    let inputs = AdviceInputs {
        topics: vec![sample(1, None, vec![every(10, 100, 2)])],
        ..AdviceInputs::default()
    };
    let late = ClusterAdvice::of(inputs, WallTime(NOW + 61_000));
    assert_eq!(late.topics[0].records_per_second, Some(0.0));
    let one = advised(sample(1, None, vec![every(10, 1, 2)]));
    assert_eq!(one.topics[0].records_per_second, None);
    assert!(rules(&one).iter().all(|it| *it == AdviceRule::Compression));
}

#[test]
fn compression_is_measured_and_what_is_compressed_already_counts() {
    let topic = |codec: Codec| {
        let mut scan = every(10, 40, 20);
        for it in scan.batches.iter_mut().take(30) {
            it.codec = codec;
            it.payload = it.payload.take().filter(|_| codec == Codec::Uncompressed);
        }
        sample(1, Some(2_000.0), vec![scan])
    };
    let plain = advised(topic(Codec::Uncompressed));
    let measured = plain.topics[0].compression.unwrap();
    assert!(measured.lz4 < 0.2 && measured.large <= measured.lz4, "{measured:?}");
    near(measured.uncompressed_share, 1.0);

    let found = effect(&plain, AdviceRule::Compression);
    assert_eq!(found.kind, EffectKind::BytesPerRecord);
    near(found.after / found.now, measured.lz4);

    // Three quarters are compressed: the effect is on the rest, and it is not worth much.
    let mixed = advised(topic(Codec::Zstd));
    let of_mixed = mixed.topics[0].compression.unwrap();
    near(of_mixed.uncompressed_share, 0.25);
    let found = effect(&mixed, AdviceRule::Compression);
    near(found.after / found.now, 1.0 - 0.25 * (1.0 - of_mixed.lz4));

    let mut all = topic(Codec::Lz4);
    all.scans[0].scan.batches.truncate(30);
    assert_eq!(advised(all).topics[0].compression, None);
}

#[test]
fn a_buffer_that_a_failover_fills_is_enlarged() {
    // 10 MB a second: 32 MiB last for 3.4 s.
    let advice = advised(sample(1, Some(100_000.0), vec![every(1, 50, 200)]));
    let rule = AdviceRule::BufferMemory;
    assert_eq!(settings(&advice, rule), [(ClientSetting::BufferMemory, "134217728".into())]);
    let found = effect(&advice, rule);
    near(found.now, 33_554_432.0 / 10_030_500.0);
    near(found.after, 4.0 * found.now);

    // Not known where a producer is not idempotent.
    let mut unknown = sample(1, Some(100_000.0), vec![every(1, 50, 200)]);
    unknown.scans[0].scan.batches[0].producer = None;
    assert!(!rules(&advised(unknown)).contains(&rule));
}

fn consumers(requests: f64, bytes: f64, fetchers: f64) -> ClusterAdvice {
    let requests = RequestRates {
        fetch_per_second: Some(requests),
        bytes_out_per_second: Some(bytes),
        ..RequestRates::default()
    };
    let consumers = ConsumerMeasure { requests, fetchers, groups: Vec::new() };
    let inputs = AdviceInputs { consumers, ..AdviceInputs::default() };

    ClusterAdvice::of(inputs, WallTime(NOW))
}

#[test]
fn many_small_fetches_wait_for_more() {
    // Each of two fetchers receives 100 kB a second: 8 KiB take 82 ms.
    let advice = consumers(800.0, 200_000.0, 2.0);
    let rule = AdviceRule::FetchSize;
    assert_eq!(settings(&advice, rule), [(ClientSetting::FetchMinBytes, "8192".into())]);
    let effect = advice.advice[0].effects[0];
    near(effect.after, 200_000.0 / 8_192.0);
    assert!(effect.low < effect.after && effect.after < effect.high, "{effect:?}");

    assert_eq!(rules(&consumers(40.0, 10_000.0, 2.0)), [], "few fetches");
    assert_eq!(rules(&consumers(800.0, 80e6, 2.0)), [], "large fetches");
    assert_eq!(rules(&consumers(800.0, 200_000.0, 0.0)), [], "unknown consumers");
    assert_eq!(rules(&consumers(800.0, 8_000.0, 2.0)), [], "1 KiB takes longer than 100 ms");
}

#[test]
fn a_poll_that_takes_minutes_is_made_smaller() {
    let of = |consumed: f64, lag: f64| {
        let group = GroupRate { group: GroupName::new("g"), members: 2.0, consumed, lag };
        let consumers = ConsumerMeasure { groups: vec![group], ..ConsumerMeasure::default() };
        let inputs = AdviceInputs { consumers, ..AdviceInputs::default() };
        ClusterAdvice::of(inputs, WallTime(NOW))
    };
    let advice = of(8.0, 9_000.0);
    let rule = AdviceRule::PollSize;
    assert_eq!(settings(&advice, rule), [(ClientSetting::MaxPollRecords, "120".into())]);
    near(advice.advice[0].effects[0].now, 125.0);
    near(advice.advice[0].effects[0].after, 30.0);

    assert_eq!(rules(&of(800.0, 9_000.0)), []);
    assert_eq!(rules(&of(8.0, 100.0)), [], "polls are not full");
}

#[test]
fn what_was_sampled_becomes_signals_and_what_is_never_known_is_said() {
    let advice = advised(sample(1, Some(2_000.0), vec![every(1, 100, 1)]));
    let mut signals = ClusterSignals::default();
    advice.add_signals(&mut signals);
    let topic = Subject::Topic(TopicName::new("orders"));

    near(signals.get(Signal::BatchBytes, &topic).unwrap(), 161.0);
    near(signals.get(Signal::Batches, &topic).unwrap(), 2_000.0);
    near(signals.get(Signal::TopicBytes, &topic).unwrap(), 322_000.0);
    assert!(signals.get(Signal::CompressionSaves, &topic).unwrap() >= 0.0);
    assert_eq!(advice.not_seen.len(), 3);

    // Sixty records a second to forty partitions: each is alone in its batch, however it waits.
    let alone = advised(sample(40, Some(60.0), vec![every(600, 100, 1)]));
    let mut of_alone = ClusterSignals::default();
    alone.add_signals(&mut of_alone);

    assert!(alone.advice.iter().all(|it| it.rule != AdviceRule::Batching), "{:?}", alone.advice);
    assert_eq!(of_alone.get(Signal::Batches, &topic), None, "nothing that could be fewer");

    // A topic of which nothing was sampled has no numbers.
    let empty = sample(1, Some(2_000.0), vec![BatchScan::default()]);
    assert_eq!(TopicMeasure::of(&empty, WallTime(NOW)), None);
}
