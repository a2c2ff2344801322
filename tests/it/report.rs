//! The report: each of its forms as a golden file, and the routes that give it.

use std::{env, fs};

use axum::http::StatusCode;
use kafka_optimizer::{
    diagnosis::ClusterSource,
    http::report_file,
    model::{BrokerCapacity, ClusterName, Prices, WallTime},
    prometheus::{InstantSeries, LabelSet, QueryRange, RangeSeries, SamplePair},
    report::{
        ClusterFacts, ClusterUsage, DailyPeak, Growth, GrowthMetric, Report, ReportedBaseline,
        ReportedChange, ReportedCluster, ReportedComparison, ReportedFinding, ReportedMetric,
        ReportedRun, change_level,
    },
};

use crate::{answering_prometheus::AnsweringPrometheus, http_harness::front};

const NASTY: &str = "<b>bold</b> | [a](b) `c`";

fn run(id: i64, state: &str, optimizer: &str, target: &str) -> ReportedRun {
    ReportedRun {
        id,
        playbook: "broker-threads".to_owned(),
        optimizer: optimizer.to_owned(),
        target: target.to_owned(),
        state: state.to_owned(),
        ..ReportedRun::default()
    }
}

fn change(optimizer: &str, subject: &str, texts: [&str; 3]) -> ReportedChange {
    let [key, from, to] = texts.map(str::to_owned);

    ReportedChange {
        level: change_level(optimizer, &key).to_owned(),
        subject: subject.to_owned(),
        key,
        from,
        to: Some(to),
    }
}

fn runs() -> Vec<ReportedRun> {
    let produce_time = "kafka:produce_time:milliseconds_sum{broker_id=\"1\"} / 1000 / \
                        kafka:produce_time:requests_count{broker_id=\"1\"}";
    let threads = ReportedRun {
        verdict: Some("improved".to_owned()),
        objective: Some(produce_time.to_owned()),
        before: Some(0.04),
        after: Some(0.022),
        effect: Some(0.44),
        sentence: Some(format!("load +2 %; at least 31 % better; {NASTY}")),
        changes: vec![
            change("tune_brokers", "broker 1", ["num.io.threads", "8", "16"]),
            change("tune_brokers", "broker 1", ["num.network.threads", "3", "6"]),
        ],
        ..run(18, "kept", "tune_brokers", "broker 1")
    };
    let quota = ReportedRun {
        before: Some(250.0),
        after: Some(100.0),
        effect: Some(0.6),
        objective: Some("max(lag)".to_owned()),
        changes: vec![change(
            "shed_load",
            "client batch",
            ["producer_byte_rate", "no quota", "5242880"],
        )],
        ..run(15, "expired", "shed_load", "cluster")
    };
    let undone = |id| ReportedRun {
        verdict: Some("neutral".to_owned()),
        rollback_reason: Some("verdict".to_owned()),
        effect: Some(0.02),
        sentence: Some("load -1 %; within 20 % of before".to_owned()),
        ..run(id, "rolled_back", "tune_brokers", "broker 2")
    };
    let stuck = ReportedRun {
        rollback_reason: Some("guard_tripped".to_owned()),
        ..run(9, "stuck", "elect_leaders", "cluster")
    };

    vec![
        run(19, "awaiting_approval", "tune_brokers", "broker 3"),
        threads,
        quota,
        undone(12),
        undone(11),
        stuck,
    ]
}

pub(crate) fn capacity() -> BrokerCapacity {
    BrokerCapacity { network_per_broker: Some(1.25e8), ..BrokerCapacity::default() }
}

pub(crate) fn prices() -> Prices {
    Prices {
        currency: "EUR".to_owned(),
        broker_hour: Some(0.45),
        disk_gb_month: Some(0.08),
        network_gb: Some(0.01),
    }
}

/// A month that begins with `first` and grows by `per_day`, with a wave of a week.
fn growth(metric: GrowthMetric, first: f64, per_day: f64) -> Growth {
    let peak = |day: u32| {
        let wave = f64::from(day % 7) - 3.0;
        DailyPeak {
            days_ago: 29 - day,
            value: first + per_day * f64::from(day) + first * wave / 200.0,
        }
    };
    Growth::new(metric, (0..30).map(peak).collect(), &capacity())
}

fn comparison() -> ReportedComparison {
    let baseline = |name: &str, at: &str| ReportedBaseline {
        name: name.to_owned(),
        recorded_at: at.to_owned(),
        requests_per_second: Some(2400.0),
    };
    let metric = |name: &str, unit: &str, values: [f64; 5], verdict: Option<&str>| {
        let [before, after, improvement, low, high] = values;
        ReportedMetric {
            metric: name.to_owned(),
            unit: unit.to_owned(),
            before: Some(before),
            after: Some(after),
            improvement: Some(improvement),
            improvement_low: Some(low),
            improvement_high: Some(high),
            verdict: verdict.map(str::to_owned),
        }
    };

    ReportedComparison {
        before: baseline("before-upgrade", "2026-01-05T09:00:00.000Z"),
        after: baseline("after-upgrade", "2026-01-20T09:00:00.000Z"),
        metrics: vec![
            metric(
                "bytes_in",
                "bytes_per_second",
                [2.4e7, 2.9e7, 0.21, 0.17, 0.25],
                Some("better"),
            ),
            metric("produce_time", "seconds", [0.0123, 0.0081, 0.34, 0.29, 0.4], Some("better")),
            metric("requests", "per_second", [2400.0, 2450.0, 0.02, 0.0, 0.04], None),
            metric("cpu", "cores", [4.2, 4.1, 0.02, -0.04, 0.08], Some("same")),
            metric("heap", "bytes", [2.1e9, 2.2e9, -0.05, -0.2, 0.1], Some("inconclusive")),
            ReportedMetric::probe_p99(Some(0.031), Some(0.024)),
        ],
        notes: vec!["the configuration is not the same: broker 1".to_owned()],
    }
}

/// A cluster of which everything is known.
fn main_facts() -> ClusterFacts {
    let comparison = comparison();
    let finding = ReportedFinding {
        severity: "red".to_owned(),
        title: "Too few request handlers".to_owned(),
        subject: "broker 3".to_owned(),
        advice: "Add threads, one step at a time".to_owned(),
        command: Some("kafka-optimizer tune-brokers --broker 3 --level moderate".to_owned()),
    };

    ClusterFacts {
        cluster: "main".to_owned(),
        severity: Some("red".to_owned()),
        findings: vec![finding],
        runs: runs(),
        baselines: vec![comparison.after.clone(), comparison.before.clone()],
        comparison: Some(comparison),
        growth: vec![
            growth(GrowthMetric::BytesIn, 2.4e7, 2e5),
            growth(GrowthMetric::BytesOut, 5e7, 0.0),
            growth(GrowthMetric::RecordsIn, 2.4e4, 200.0),
            growth(GrowthMetric::Cpu, 0.41, 0.002),
            growth(GrowthMetric::Network, 4e7, 3e5),
            growth(GrowthMetric::Disk, 0.52, 0.01),
            growth(GrowthMetric::Partitions, 812.0, 1.0),
        ],
        usage: ClusterUsage {
            brokers: Some(3.0),
            records_per_second: Some(21_000.0),
            bytes_in_per_second: Some(2.1e7),
            bytes_out_per_second: Some(4.3e7),
            disk_bytes: Some(6e12),
        },
        prices: Some(prices()),
        not_read: vec!["how busy the disks are: no series of node-exporter".to_owned()],
    }
}

fn example() -> Report {
    let empty = ClusterFacts {
        cluster: "test".to_owned(),
        not_read: vec!["growth and cost: the cluster has no `prometheus`".to_owned()],
        ..ClusterFacts::default()
    };

    Report {
        version: "0.1.0".to_owned(),
        made_at: "2026-01-31T12:00:00.000Z".to_owned(),
        since: "2026-01-01T12:00:00.000Z".to_owned(),
        days: 30,
        clusters: [main_facts(), empty].into_iter().map(ReportedCluster::new).collect(),
    }
}

#[track_caller]
fn check_golden(name: &str, found: &str) {
    let file = format!("tests/it/golden/{name}");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, found).unwrap();
        return;
    }

    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "make golden writes {file}:\n{found}");
}

#[test]
fn the_markdown_equals_the_golden_file() {
    check_golden("report.md", &example().markdown());
}

#[test]
fn the_json_equals_the_golden_file() {
    let json = serde_json::to_string_pretty(&example()).unwrap();
    check_golden("report.json", &format!("{json}\n"));

    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(read.markdown(), example().markdown());
}

#[test]
fn the_page_equals_the_golden_file_and_needs_nothing_from_elsewhere() {
    let page = report_file(&example());

    // Elements one below the other, so that a difference can be read.
    check_golden("report.html", &page.replace("><", ">\n<"));

    for absent in ["<script", "http:", "https:", "url(", "@import", "src=", " style=", "<b>"] {
        assert!(!page.contains(absent), "{absent}");
    }

    assert!(page.contains("@media print") && page.contains("&lt;b&gt;bold&lt;/b&gt;"), "{page}");
}

/// What a Prometheus that knows the cluster for a month answers.
pub(crate) fn month() -> AnsweringPrometheus {
    let sample = |value| SamplePair { at: WallTime(0), value };
    let series = move |value, labels: &[(&str, &str)]| InstantSeries {
        labels: labels.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect(),
        sample: sample(value),
    };
    let instant = move |query: &str| {
        let broker = |id, value| series(value, &[("broker_id", id)]);
        let lag =
            |group, topic, value| series(value, &[("consumergroup", group), ("topic", topic)]);

        match query {
            it if it.starts_with("max(kafka_brokers{") => vec![series(3.0, &[])],
            it if it.contains("avg_over_time(kafka:messages_in") => vec![series(21_000.0, &[])],
            it if it.contains("avg_over_time(kafka:bytes_in") => vec![series(2.1e7, &[])],
            it if it.contains("avg_over_time(kafka:bytes_out") => vec![series(4.3e7, &[])],
            it if it.starts_with("sum(max by (broker_id, path)") => vec![series(6e12, &[])],
            it if it.contains("round_trip_seconds_count") => vec![series(360.0, &[])],
            it if it.contains("round_trip_seconds_bucket") => vec![series(0.018, &[])],
            it if it.starts_with("max by (kafka_cluster) (kafka_up{") => vec![series(1.0, &[])],
            it if it.starts_with("kafka:request_handler_idle:ratio") => {
                vec![broker("1", 0.02), broker("2", 0.9), broker("3", 0.88)]
            }
            it if it.starts_with("kafka:produce_queue_time") => vec![broker("1", 0.18)],
            it if it.starts_with("kafka:produce_local_time") => vec![broker("1", 0.0025)],
            it if it.contains("key=\"num.io.threads\"") => vec![broker("1", 8.0)],
            it if it.starts_with("kafka:broker_cpu:ratio") => vec![broker("2", 0.66)],
            it if it.starts_with("kafka:consumergroup_topic_lag:sum") => vec![
                lag("billing", "orders", 250_123.0),
                lag("search-indexer", "orders", 1_800.0),
                lag("audit", "payments-of-all-branches", 12.0),
            ],
            _ => Vec::new(),
        }
    };

    AnsweringPrometheus {
        instant: Box::new(instant),
        range: Box::new(|query, range| Ok(hours(query, range))),
    }
}

fn hours(query: &str, range: QueryRange) -> Vec<RangeSeries> {
    let of = |first: f64, per_day: f64, wave: f64| {
        let points = range.end.since(range.start).as_secs() / range.step.as_secs() + 1;
        let samples = (0..u32::try_from(points).unwrap()).map(|index| {
            let day = f64::from(index) / 24.0;

            // Some days are busier than others.
            let busy = 0.03 * (day.floor() * 2.3).sin() * first;
            let value = first + per_day * day + wave * (day * std::f64::consts::TAU).sin() + busy;
            SamplePair { at: range.start.after(range.step * index), value }
        });
        vec![RangeSeries { labels: LabelSet::new(), samples: samples.collect() }]
    };

    match query {
        it if it.contains("kafka:bytes_in:rate") => of(2e7, 2e5, 4e6),
        it if it.contains("kafka:bytes_out:rate") => of(4e7, 0.0, 8e6),
        it if it.contains("kafka:messages_in:rate") => of(2e4, 200.0, 4e3),
        it if it.contains("kafka:broker_cpu:ratio") => of(0.4, 0.002, 0.05),
        it if it.contains("network_receive") => of(4e7, 3e5, 8e6),
        it if it.contains("kafka:disk_usage:ratio") => of(0.52, 0.01, 0.01),
        it if it.contains("kafka_topic_partition_replicas") => of(812.0, 1.0, 0.0),
        _ => Vec::new(),
    }
}

pub(crate) fn watched(prometheus: AnsweringPrometheus) -> ClusterSource {
    ClusterSource {
        cluster: ClusterName::new("main"),
        latest: None,
        earlier: None,
        prometheus: Some(std::sync::Arc::new(prometheus)),
        sampler: None,
        playbooks: [("KafkaRequestHandlersSaturated".to_owned(), "broker-threads".to_owned())]
            .into(),
    }
}

#[tokio::test]
async fn the_server_reports_growth_findings_and_runs() {
    let front = front(None);
    front.sources.send_replace(vec![watched(month())]);
    let (status, text) = front.get("/api/v1/report?since=2020-01-01T00:00:00Z").await;
    let report: Report = serde_json::from_str(&text).unwrap();
    let facts = &report.clusters[0].facts;

    assert_eq!((status, facts.severity.as_deref()), (StatusCode::OK, Some("red")));
    assert_eq!((facts.growth.len(), facts.runs.len(), facts.baselines.len()), (7, 1, 1));

    let disk = facts.growth.iter().find(|it| it.metric == GrowthMetric::Disk).unwrap();
    let until = disk.until.unwrap();

    assert!(disk.is_sure() && (disk.trend.unwrap().per_day - 0.01).abs() < 0.001, "{disk:?}");
    assert!(until.earliest > 10.0 && until.latest.unwrap() < 30.0, "{until:?}");

    let (status, page) = front.get("/report").await;
    assert_eq!(status, StatusCode::OK);

    for wanted in ["<h2>Cluster main</h2>", "<h3>Next steps</h3>", "fullest disk", "href=\"/runs\""]
    {
        assert!(page.contains(wanted), "{wanted} in\n{page}");
    }
}

#[tokio::test]
async fn wrong_parameters_of_a_report_are_refused() {
    let front = front(None);
    for wrong in ["days=4", "days=401", "since=soon", "day=3"] {
        for path in ["/api/v1/report", "/report"] {
            let (status, text) = front.get(&format!("{path}?{wrong}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {text}");
        }
    }

    let (status, text) = front.get("/api/v1/report?cluster=other").await;
    assert!(
        status == StatusCode::NOT_FOUND && text.contains("there is no cluster other"),
        "{text}"
    );
}

#[tokio::test]
async fn the_same_report_is_not_gathered_twice_at_once() {
    let front = front(None);
    front.get("/api/v1/report").await;
    front.get("/report").await;
    let called = front.pipe.called.lock().unwrap().clone();

    assert_eq!(called.iter().filter(|it| it.starts_with("runs")).count(), 1, "{called:?}");

    front.get("/report?days=7").await;
    let called = front.pipe.called.lock().unwrap().clone();

    assert_eq!(called.iter().filter(|it| it.starts_with("runs")).count(), 2, "{called:?}");
}
