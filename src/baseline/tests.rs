//! Comparisons of windows, with known answers.

use std::time::Duration;

use super::{recorded::binned, *};
use crate::model::{BrokerId, ClusterName, WallTime};

const MINUTE: Duration = Duration::from_mins(1);
const BEGAN: WallTime = WallTime(1_700_000_000_000);
/// Bins of the history: two days.
const PAST: u32 = 2 * 24 * 60;
const WINDOW: u32 = 10;

fn id(raw: i32) -> BrokerId {
    BrokerId::from_wire(raw).unwrap()
}

/// A number from -1 to 1 that looks random, the same for the same arguments.
fn noise(bin: u32, salt: u32) -> f64 {
    let mixed = bin.wrapping_mul(2_654_435_761) ^ salt.wrapping_mul(0x9E37_79B9);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
    f64::from((mixed ^ (mixed >> 13)) % 2001) / 1000.0 - 1.0
}

/// What a metric is multiplied by.
type Factors<'a> = &'a dyn Fn(Metric) -> f64;

fn usual(metric: Metric) -> f64 {
    match metric {
        Metric::ProduceTime => 0.01,
        Metric::FetchTime => 0.05,
        Metric::BytesIn | Metric::BytesOut => 5e6,
        Metric::Requests => 200.0,
        Metric::Cpu => 0.8,
        Metric::HandlerIdle | Metric::NetworkIdle => 0.5,
        Metric::Heap => 4e8,
    }
}

/// Every metric of two brokers, with noise of 5 %.
fn series(bins: &std::ops::Range<u32>, factors: Factors<'_>) -> Vec<BrokerSeries> {
    let brokers = [1_u32, 2];
    let of_broker = |metric: Metric, broker: u32| {
        let near = |bin: u32, salt: u32| 1.0 + 0.05 * noise(bin, salt * 10 + broker);
        let salt = u32::try_from(Metric::ALL.iter().position(|it| *it == metric).unwrap());
        let value = |bin| usual(metric) * near(bin, salt.unwrap()) * factors(metric);
        let is_mean =
            matches!(metric, Metric::ProduceTime | Metric::FetchTime | Metric::HandlerIdle);
        let weights = if is_mean { bins.clone() } else { 0..0 };

        BrokerSeries {
            metric,
            broker: id(i32::try_from(broker).unwrap()),
            values: bins.clone().map(|bin| Some(value(bin))).collect(),
            weights: weights.map(|bin| Some(6000.0 * near(bin, 77))).collect(),
        }
    };

    brokers
        .iter()
        .flat_map(|broker| Metric::ALL.iter().map(move |it| of_broker(*it, *broker)))
        .collect()
}

fn window(first_bin: u32, factors: Factors<'_>) -> MeasuredWindow {
    MeasuredWindow {
        start: BEGAN.after(MINUTE * first_bin),
        bin: MINUTE,
        bins: WINDOW,
        series: series(&(first_bin..first_bin + WINDOW), factors),
    }
}

fn unchanged(_: Metric) -> f64 {
    1.0
}

/// A baseline right after the history, and a window that begins an hour after it.
fn compared(factors: Factors<'_>, history: &[BrokerSeries]) -> BaselineComparison {
    let (before, after) = (window(PAST, &unchanged), window(PAST + 70, factors));
    let setting = ClusterSetting::default();
    let recorded = |measured| RecordedWindow { measured, setting: &setting };
    compare(recorded(&before), recorded(&after), history)
}

fn past() -> Vec<BrokerSeries> {
    series(&(0..PAST), &unchanged)
}

fn of_cluster(comparison: &BaselineComparison, metric: Metric) -> &ComparedMetric {
    let is_wanted = |it: &&ComparedMetric| it.metric == metric && it.broker.is_none();
    comparison.metrics.iter().find(is_wanted).unwrap()
}

fn is(found: f64, want: f64) -> bool {
    (found - want).abs() < 1e-9 * want.abs().max(1.0)
}

#[test]
fn where_nothing_changed_nothing_is_better_or_worse() {
    let found = compared(&unchanged, &past());
    let of_brokers = found.metrics.iter().filter(|it| it.broker.is_some()).count();

    assert_eq!((found.metrics.len(), of_brokers), (27, 18));
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    assert_eq!(found.history_bins, 2880);

    for one in &found.metrics {
        let is_load = one.metric == Metric::Requests;
        assert_eq!(one.outcome.is_none(), is_load, "{one:?}");
        assert_ne!(one.outcome, Some(Outcome::Better), "{one:?}");
        assert_ne!(one.outcome, Some(Outcome::Worse), "{one:?}");
    }

    let produce = of_cluster(&found, Metric::ProduceTime);
    assert_eq!(produce.outcome, Some(Outcome::Same), "{produce:?}");
}

#[test]
fn what_changed_is_better_or_worse_in_the_direction_of_its_metric() {
    let factors = |metric| match metric {
        Metric::ProduceTime => 0.5,
        Metric::Cpu | Metric::HandlerIdle => 1.5,
        Metric::BytesIn => 0.6,
        Metric::FetchTime
        | Metric::BytesOut
        | Metric::Requests
        | Metric::NetworkIdle
        | Metric::Heap => 1.0,
    };
    let found = compared(&factors, &past());

    for (metric, outcome, change) in [
        (Metric::ProduceTime, Outcome::Better, -0.5),
        (Metric::Cpu, Outcome::Worse, 0.5),
        (Metric::HandlerIdle, Outcome::Better, 0.5),
        (Metric::BytesIn, Outcome::Worse, -0.4),
        (Metric::Heap, Outcome::Same, 0.0),
    ] {
        let one = of_cluster(&found, metric);
        let RelativeChange { change: seen, low, high } = one.change.unwrap();

        assert_eq!(one.outcome, Some(outcome), "{one:?}");
        assert!((seen - change).abs() < 0.05, "{one:?}");
        assert!(low < change && change < high, "{one:?}");
        assert!(low < seen && seen < high, "{one:?}");
    }
}

#[test]
fn without_history_only_a_large_difference_counts() {
    let halved = |metric| if metric == Metric::ProduceTime { 0.5 } else { 1.0 };
    let found = compared(&halved, &[]);
    let produce = of_cluster(&found, Metric::ProduceTime);

    assert_eq!(produce.outcome, Some(Outcome::Inconclusive), "{produce:?}");
    assert!(found.notes[0].contains("no history"), "{:?}", found.notes);

    let fifth = |metric| if metric == Metric::ProduceTime { 0.2 } else { 1.0 };
    let found = compared(&fifth, &[]);
    assert_eq!(of_cluster(&found, Metric::ProduceTime).outcome, Some(Outcome::Better));
}

#[test]
fn the_load_is_compared_and_not_judged() {
    let more = |metric| if metric == Metric::Requests { 1.6 } else { 1.0 };
    let found = compared(&more, &past());
    let load = of_cluster(&found, Metric::Requests);

    assert_eq!((load.outcome, load.sentence.as_str()), (None, ""));
    assert!((load.change.unwrap().change - 0.6).abs() < 0.05, "{load:?}");
    assert!(found.notes.iter().any(|it| it.starts_with("the load is +")), "{:?}", found.notes);
}

#[test]
fn a_metric_that_is_missing_in_one_window_has_no_verdict() {
    let (before, mut after) = (window(PAST, &unchanged), window(PAST + 70, &unchanged));
    after.series.retain(|it| it.metric != Metric::Heap);
    let setting = ClusterSetting::default();
    let recorded = |measured| RecordedWindow { measured, setting: &setting };
    let found = compare(recorded(&before), recorded(&after), &past());
    let heap = of_cluster(&found, Metric::Heap);

    assert_eq!((heap.outcome, heap.change), (Some(Outcome::Inconclusive), None));
    assert!(heap.before.is_some() && heap.after.is_none(), "{heap:?}");
}

#[test]
fn what_is_not_the_same_is_named() {
    let (before, mut after) = (window(PAST, &unchanged), window(PAST + 70, &unchanged));
    after.series.retain(|it| it.broker == id(1));
    let setting = |version: &str, digest: &str| ClusterSetting {
        version: "1.0.0".to_owned(),
        kafka_version: Some(version.to_owned()),
        broker_configs: [(id(1), digest.to_owned()), (id(2), "same".to_owned())].into(),
        program_config: digest.to_owned(),
    };
    let settings = [setting("3.8-IV0", "a"), setting("3.9-IV0", "b")];
    let found = compare(
        RecordedWindow { measured: &before, setting: &settings[0] },
        RecordedWindow { measured: &after, setting: &settings[1] },
        &past(),
    );

    for (note, words) in found.notes.iter().zip([
        "1, 2 then, 1 in the other window",
        "the configuration is not the same: broker 1",
        "the version of Kafka was 3.8-IV0, and is 3.9-IV0",
        "the configuration of kafka-optimizer",
        "the load is -",
    ]) {
        assert!(note.contains(words), "{note}: {words}");
    }
    assert_eq!(found.notes.len(), 5, "{:?}", found.notes);
}

#[test]
fn totals_are_of_all_brokers_or_unknown() {
    let series = |metric, broker, values: &[Option<f64>], weights: &[Option<f64>]| BrokerSeries {
        metric,
        broker: id(broker),
        values: values.to_vec(),
        weights: weights.to_vec(),
    };
    let [one, two, three] = [Some(1.0), Some(2.0), Some(3.0)];
    let all = [
        series(Metric::Requests, 1, &[one, two, None], &[]),
        series(Metric::Requests, 2, &[three, None, one], &[]),
        series(Metric::NetworkIdle, 1, &[one, two, None], &[]),
        series(Metric::NetworkIdle, 2, &[three, None, one], &[]),
        series(Metric::ProduceTime, 1, &[one, None, one], &[one, Some(0.0), two]),
        series(Metric::ProduceTime, 2, &[three, two, None], &[three, one, two]),
        series(Metric::Heap, 1, &[one, one, one], &[]),
    ];
    let total = |metric| binned(&all, metric, None).values;

    assert_eq!(total(Metric::Requests), [Some(4.0), None, None]);
    assert_eq!(total(Metric::NetworkIdle), [Some(2.0), None, None]);
    assert!(total(Metric::Heap).is_empty(), "broker 2 has none");

    // Of four requests one took 1 s and three took 3 s; then only broker 2 had one.
    assert_eq!(total(Metric::ProduceTime), [Some(2.5), Some(2.0), None]);
}

#[test]
fn a_median_is_of_what_is_known() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[None]), None);
    assert!(is(median(&[Some(3.0), None, Some(1.0), Some(2.0)]).unwrap(), 2.0));
    assert!(is(median(&[Some(4.0), Some(1.0)]).unwrap(), 2.5));
}

#[test]
fn names_need_no_escape() {
    for name in ["a", "Before-upgrade_2", &"x".repeat(64)] {
        assert_eq!(BaselineName::parse(name).unwrap().as_str(), name);
    }

    for name in ["", "a b", "a/b", "ä", "../x", "a\n", &"x".repeat(65)] {
        assert_eq!(BaselineName::parse(name), Err(InvalidName), "{name:?}");
    }
}

#[test]
fn the_name_of_a_cluster_is_quoted() {
    for metric in Metric::ALL {
        let expression = metric.expression(&ClusterName::new("a\"}"));
        for query in expression.expressions() {
            assert!(query.contains("kafka_cluster=\"a\\\"}\",broker_id!=\"\""), "{query}");
        }
    }
}
