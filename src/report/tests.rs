//! Reports of what is made up: nothing that cannot be is in them, and every number has its unit.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::model::{BrokerCapacity, Prices};

/// A number as a broken source might return it, or a plain one.
fn number(random: &mut StdRng) -> f64 {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0, 1e-300, 1e300];
    match random.random_range(0..3) {
        0 => odd[random.random_range(0..odd.len())],
        1 => random.random_range(0.0..1.0),
        _ => random.random_range(-10.0..1e9),
    }
}

fn known(random: &mut StdRng) -> Option<f64> {
    random.random_bool(0.8).then(|| number(random))
}

fn growth(random: &mut StdRng, metric: GrowthMetric) -> Growth {
    let is_share = [GrowthMetric::Cpu, GrowthMetric::Disk].contains(&metric);
    let scale = if is_share { 0.7 } else { 1e6 };
    let (slope, is_broken) = (random.random_range(-0.1..0.1), random.random_bool(0.2));
    let peak = |random: &mut StdRng, ago: u32| {
        let level = scale * (1.0 - slope * f64::from(ago) / 10.0);
        let value = if is_broken { number(random) } else { level * random.random_range(0.9..1.1) };
        DailyPeak { days_ago: ago, value }
    };
    let days = random.random_range(0..40);
    let peaks = (0..days).rev().map(|it| peak(random, it)).collect();
    let network_per_broker = random.random_bool(0.5).then_some(1e8);

    Growth::new(metric, peaks, &BrokerCapacity { network_per_broker, ..BrokerCapacity::default() })
}

fn run(random: &mut StdRng, id: i64) -> ReportedRun {
    let states = ["kept", "rolled_back", "stuck", "held", "expired", "awaiting_approval"];
    let objectives = [
        "kafka:produce_time:milliseconds_sum{} / 1000 / kafka:produce_time:requests_count{}",
        "something",
    ];
    let change = ReportedChange {
        level: change_level("tune_brokers", "num.io.threads").to_owned(),
        subject: "broker".to_owned(),
        key: "num.io.threads".to_owned(),
        from: "from".to_owned(),
        to: Some("to".to_owned()),
    };

    ReportedRun {
        id,
        playbook: "threads".to_owned(),
        optimizer: "tune_brokers".to_owned(),
        target: "cluster".to_owned(),
        state: states[random.random_range(0..states.len())].to_owned(),
        objective: Some(objectives[random.random_range(0..2)].to_owned()),
        before: known(random),
        after: known(random),
        effect: known(random),
        sentence: Some("it was so".to_owned()),
        changes: vec![change],
        ..ReportedRun::default()
    }
}

fn report(seed: u64) -> Report {
    let mut random = StdRng::seed_from_u64(seed);
    let random = &mut random;
    let metric = |random: &mut StdRng| ReportedMetric {
        metric: "produce_time".to_owned(),
        unit: "seconds".to_owned(),
        before: known(random),
        after: known(random),
        improvement: known(random),
        improvement_low: known(random),
        improvement_high: known(random),
        verdict: Some("better".to_owned()),
    };
    let price =
        |random: &mut StdRng| random.random_bool(0.7).then(|| random.random_range(0.0..9.0));

    let facts = ClusterFacts {
        cluster: "main".to_owned(),
        severity: Some("yellow".to_owned()),
        runs: (0..random.random_range(0..8)).map(|it| run(random, it)).collect(),
        comparison: random
            .random_bool(0.5)
            .then(|| ReportedComparison { metrics: vec![metric(random)], ..Default::default() }),
        growth: GrowthMetric::ALL.iter().map(|it| growth(random, *it)).collect(),
        usage: ClusterUsage {
            brokers: random.random_bool(0.8).then_some(3.0),
            records_per_second: known(random),
            bytes_in_per_second: known(random),
            bytes_out_per_second: known(random),
            disk_bytes: known(random),
        },
        prices: random.random_bool(0.7).then(|| Prices {
            currency: "EUR".to_owned(),
            broker_hour: price(random),
            disk_gb_month: price(random),
            network_gb: price(random),
        }),
        ..ClusterFacts::default()
    };

    Report { clusters: vec![ReportedCluster::new(facts)], days: 30, ..Report::default() }
}

/// What may follow a number in a cell.
const UNITS: &[&str] = &[
    "%", "ms", "B", "kB", "MB", "GB", "TB", "B/s", "kB/s", "MB/s", "GB/s", "TB/s", "cores", "EUR",
    "replicas", "days", "day", "day)", "days)", "run", "runs", "brokers", "hours", "s", "a", "→",
];

/// Columns whose cells are names or values of configuration, not measurements.
const NAMES: &[&str] = &["subject", "key", "from", "to", "target", "playbook", "term", "run"];

#[track_caller]
fn check_cell(cell: &str, seed: u64) {
    let bare = cell.replace(['(', ')'], "");
    let words: Vec<&str> = bare.split_whitespace().collect();

    for (index, word) in words.iter().enumerate() {
        let number = word.trim_end_matches(['.', ';', ',', ':']).trim_start_matches('+');
        let is_number = number.replace(',', "").parse::<f64>().is_ok();
        let next = words.get(index + 1).map(|it| it.trim_end_matches([',', ';', '.', ':']));

        // A factor, a whole share of an hour, and the ends of `18 to 25 days`.
        let is_factor = [Some("×"), Some("to"), Some("="), Some("÷")].contains(&next)
            || index > 0 && words[index - 1] == "×";
        assert!(
            !is_number || is_factor || next.is_some_and(|it| UNITS.contains(&it)),
            "seed {seed}: `{word}` has no unit in `{cell}`"
        );
    }
}

#[test]
fn no_report_has_what_cannot_be() {
    for seed in 0..600 {
        let report = report(seed);
        let text = report.markdown();

        for absent in ["NaN", "inf ", "inf%", "infinity", "-0 ", "null"] {
            assert!(!text.contains(absent), "seed {seed}: {absent} in\n{text}");
        }

        for growth in report.clusters.iter().flat_map(|it| &it.facts.growth) {
            let Some(until) = growth.until else { continue };
            let days = [Some(until.earliest), until.expected, until.latest];
            assert!(days.iter().flatten().all(|it| *it >= 0.0), "seed {seed}: {growth:?}");
        }

        for section in report.sections() {
            for block in &section.blocks {
                let ReportBlock::Table(table) = block else { continue };
                for row in &table.rows {
                    assert_eq!(row.len(), table.header.len(), "seed {seed}: {row:?}");
                    let cells = table.header.iter().zip(row).filter(|it| !NAMES.contains(it.0));
                    cells.for_each(|it| check_cell(it.1, seed));
                }
            }
        }
    }
}

#[test]
fn json_keeps_what_is_reported() {
    for seed in 0..100 {
        let report = report(seed);
        let json = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&json).unwrap();

        // A number that is none becomes null, which is unknown as well.
        assert_eq!(serde_json::to_string(&read).unwrap(), json, "seed {seed}");
        assert_eq!(read.markdown(), report.markdown(), "seed {seed}");
    }
}

#[test]
fn an_empty_report_says_what_is_not_known() {
    let facts = ClusterFacts { cluster: "main".to_owned(), ..ClusterFacts::default() };
    let clusters = vec![ReportedCluster::new(facts)];
    let text = Report { clusters, ..Report::default() }.markdown();
    let titles: Vec<&str> = text.lines().filter(|it| it.starts_with("##")).collect();

    assert_eq!(titles, ["## Cluster main", "### Next steps", "### What is not known"]);
    assert!(text.contains("- [ ] Record a baseline before the next change"), "{text}");
}
