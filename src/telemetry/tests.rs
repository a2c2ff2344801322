//! The own metrics, as they stand on the page.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::{ActingLease, ActorIdentity, Api, Mode, ReadFailure, RequestCount, RunId};

fn telemetry() -> Telemetry {
    let build = BuildInfo { version: "0.1.0", revision: "abc", rustc: "1.95" };
    Telemetry::new(build, &["broker-threads".to_owned()], &[ClusterName::new("main")])
}

fn main_cluster() -> ClusterName {
    ClusterName::new("main")
}

/// The value of the one series that `series` names, as it stands on the page.
#[track_caller]
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|it| it.strip_prefix(series)?.strip_prefix(' '));
    line.map(|it| it.parse().expect("a number"))
}

#[track_caller]
fn check(telemetry: &Telemetry, series: &str, want: Option<f64>) {
    let page = telemetry.encode().unwrap();
    assert_eq!(value(&page, series), want, "{series} in\n{page}");
}

fn busy_telemetry() -> Telemetry {
    let telemetry = telemetry();
    let done = CollectorDone {
        collector: CollectorName::Offsets,
        failure: Some("no answer".into()),
        took: Duration::from_millis(250),
        at: WallTime(5_000),
        unknown: BTreeMap::from([(ReadFailure::Timeout, 3)]),
    };

    telemetry.collector_done(&main_cluster(), done.clone());
    let topology = CollectorDone { collector: CollectorName::Topology, failure: None, ..done };
    telemetry.collector_done(&main_cluster(), topology);
    telemetry.snapshot_made(&main_cluster(), WallTime(7_500), 2);
    let requests =
        RequestCount { api: Api::Metadata, sent: 9, failed: vec![(ReadFailure::Timeout, 1)] };
    telemetry.requests_counted(&main_cluster(), vec![requests]);

    let series = vec![(main_cluster(), SeriesCount { shown: 11, dropped: 0 })];
    telemetry.round_done(&main_cluster(), RoundDone { took: Duration::from_secs(1), requests: 15 });
    telemetry.page_made(PageMade { series, identity_bytes: 100, gzip_bytes: 10 });
    telemetry.config_loaded(WallTime(1_000));
    telemetry.remediation_changed(&main_cluster(), view(60));
    telemetry.cluster_identified(&main_cluster(), Some(ClusterName::new("first")));
    telemetry.orphans_counted(BTreeMap::from([(ClusterName::new("gone"), 2)]));

    telemetry
}

fn view(runs: i64) -> RemediationView {
    let run = |id| RunInfo {
        run: RunId(id),
        optimizer: OptimizerKind::TuneBrokers,
        target: "broker 1".into(),
        verdict: None,
        effect: Some(0.6),
        sentence: None,
        outcome: RunState::Acting,
        started: WallTime(3_000),
    };

    RemediationView {
        active: Some(RunState::Acting),
        runs: (1..=runs).map(run).collect(),
        stuck: 1,
        awaiting_approval: 1,
        approval_asked: Some(WallTime(8_000)),
        quarantined: vec![Quarantine { playbook: "p".into(), target: "t".into() }],
        cooldowns: vec![Cooldown {
            playbook: "p".into(),
            target: "t".into(),
            end: WallTime(9_000),
        }],
        lease: Some(ActingLease::HeldBy(ActorIdentity {
            installation: "3c4d".into(),
            host: "ops-2".into(),
        })),
        overdue: vec![OverdueChange { run: RunId(7), late: Duration::from_mins(20) }],
        ..RemediationView::idle(Mode::Act)
    }
}

#[test]
fn series_of_closed_lists_start_at_0() {
    let telemetry = telemetry();

    for series in [
        "kafka_optimizer_webhook_requests_total{code=\"503\"}",
        "kafka_optimizer_alerts_total{outcome=\"unmatched\"}",
        "kafka_optimizer_truncated_alerts_total",
        "kafka_optimizer_holds_total{kafka_cluster=\"main\",playbook=\"broker-threads\",reason=\"cooldown\"}",
        "kafka_optimizer_holds_total{kafka_cluster=\"main\",playbook=\"manual\",reason=\"paused\"}",
        "kafka_optimizer_runs_total{kafka_cluster=\"main\",optimizer=\"tune_brokers\",outcome=\"kept\"}",
        "kafka_optimizer_verdicts_total{kafka_cluster=\"main\",optimizer=\"tune_brokers\",verdict=\"neutral\"}",
        "kafka_optimizer_alert_to_effect_seconds_count{kafka_cluster=\"main\"}",
        "kafka_optimizer_readings_unknown{kafka_cluster=\"main\",collector=\"lag\",reason=\"busy\"}",
    ] {
        check(&telemetry, series, Some(0.0));
    }
}

#[test]
fn an_event_is_counted() {
    let telemetry = telemetry();
    telemetry.held(&main_cluster(), "broker-threads", HoldReason::Cooldown);
    telemetry.alerts_taken(AlertOutcome::New, 3);
    telemetry.run_ended(&main_cluster(), OptimizerKind::TuneBrokers, RunState::Kept);
    telemetry.verdict_given(&main_cluster(), OptimizerKind::TuneBrokers, Verdict::Improved);
    telemetry.webhook_responded(418);
    telemetry.truncated_alerts(4);
    telemetry.alert_to_effect(&main_cluster(), Duration::from_millis(400));

    let holds = "kafka_optimizer_holds_total{kafka_cluster=\"main\",playbook=\"broker-threads\",reason=\"cooldown\"}";

    check(&telemetry, holds, Some(1.0));
    check(&telemetry, "kafka_optimizer_alerts_total{outcome=\"new\"}", Some(3.0));

    let runs = "kafka_optimizer_runs_total{kafka_cluster=\"main\",optimizer=\"tune_brokers\",outcome=\"kept\"}";

    check(&telemetry, runs, Some(1.0));
    check(&telemetry, "kafka_optimizer_webhook_requests_total{code=\"418\"}", Some(1.0));
    check(&telemetry, "kafka_optimizer_truncated_alerts_total", Some(4.0));
    check(
        &telemetry,
        "kafka_optimizer_alert_to_effect_seconds_bucket{le=\"0.3\",kafka_cluster=\"main\"}",
        Some(0.0),
    );

    check(
        &telemetry,
        "kafka_optimizer_alert_to_effect_seconds_bucket{le=\"0.5\",kafka_cluster=\"main\"}",
        Some(1.0),
    );
}

#[test]
fn a_view_replaces_the_previous_one() {
    let telemetry = busy_telemetry();
    let active = "kafka_optimizer_run_active{kafka_cluster=\"main\"}";
    let acting = "kafka_optimizer_run_state{kafka_cluster=\"main\",state=\"acting\"}";
    let quarantined =
        "kafka_optimizer_quarantined{kafka_cluster=\"main\",playbook=\"p\",target=\"t\"}";

    check(&telemetry, active, Some(1.0));
    check(&telemetry, acting, Some(1.0));
    check(&telemetry, quarantined, Some(1.0));

    let overdue =
        "kafka_optimizer_temporary_change_overdue_seconds{kafka_cluster=\"main\",run=\"7\"}";
    check(&telemetry, overdue, Some(1200.0));
    check(&telemetry, "kafka_optimizer_mode{mode=\"act\"}", Some(1.0));

    telemetry.remediation_changed(&main_cluster(), RemediationView::idle(Mode::Rehearse));

    check(&telemetry, active, Some(0.0));
    check(&telemetry, acting, Some(0.0));
    check(&telemetry, quarantined, None);
    check(&telemetry, overdue, None);
    check(&telemetry, "kafka_optimizer_mode{mode=\"act\"}", Some(0.0));
    assert!(!telemetry.encode().unwrap().contains("kafka_optimizer_run_info"));
}

#[test]
fn the_history_holds_the_last_fifty_runs() {
    let page = busy_telemetry().encode().unwrap();
    let runs: Vec<&str> =
        page.lines().filter(|it| it.starts_with("kafka_optimizer_run_info{")).collect();

    assert_eq!(runs.len(), 50);

    let newest = "kafka_optimizer_run_info{kafka_cluster=\"main\",run=\"60\",\
        optimizer=\"tune_brokers\",target=\"broker 1\",verdict=\"none\",outcome=\"acting\"} 3.0";

    assert!(runs.contains(&newest), "{runs:#?}");
    assert!(!runs.iter().any(|it| it.contains("run=\"10\"")), "the eleventh from the start");
}

#[test]
fn a_failed_round_keeps_the_time_of_the_last_success() {
    let telemetry = busy_telemetry();
    let of = |name: &str, collector: &str| {
        format!(
            "kafka_optimizer_collector_{name}{{kafka_cluster=\"main\",collector=\"{collector}\"}}"
        )
    };

    check(&telemetry, &of("success", "offsets"), Some(0.0));
    check(&telemetry, &of("duration_seconds", "offsets"), Some(0.25));
    check(&telemetry, &of("last_success_timestamp_seconds", "offsets"), None);
    check(&telemetry, &of("last_success_timestamp_seconds", "topology"), Some(5.0));
    check(
        &telemetry,
        "kafka_optimizer_snapshot_timestamp_seconds{kafka_cluster=\"main\"}",
        Some(7.5),
    );
}

/// Mistakes in using the library (a double suffix, an empty family, a full stop after the help, a
/// name registered twice, the spelling of a unit, a line break in a help text) show as a
/// difference.
#[test]
fn each_metric_is_described_once_as_in_the_catalogue() {
    let page = busy_telemetry().encode().unwrap();
    let comments: Vec<&str> = page.lines().filter(|it| it.starts_with('#')).collect();
    let mut want = BTreeSet::new();

    for spec in own::ALL {
        want.insert(format!("# HELP {} {}", spec.name, spec.help));
        want.insert(format!("# TYPE {} {}", spec.name, spec.kind));
    }

    let seen: BTreeSet<String> = comments.iter().map(|it| (*it).to_owned()).collect();

    assert_eq!(seen, want);
    assert_eq!(comments.len(), want.len(), "one is there twice");
}

/// Values of `process_…` differ from run to run, so they are replaced by 1.
#[test]
fn the_own_metrics_match_the_golden_file() {
    let telemetry = busy_telemetry();
    telemetry.remediation_changed(&main_cluster(), view(1));
    let page = telemetry.encode().unwrap();
    let lines = page.lines().map(|line| match line.split_once(' ') {
        Some((name, _)) if name.starts_with("process_") => format!("{name} 1\n"),
        _ => format!("{line}\n"),
    });

    let page: String = lines.collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/own_metrics.txt");

    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &page).unwrap();
    }

    let golden = std::fs::read_to_string(path).unwrap_or_default();

    assert_eq!(page, golden, "run it again with UPDATE_GOLDEN=1 if this is meant");
}

#[test]
fn every_series_is_unique_and_has_its_labels_in_order() {
    let page = busy_telemetry().encode().unwrap();
    let mut seen = BTreeSet::new();

    for line in page.lines().filter(|it| !it.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        assert!(seen.insert(series), "{series} is there twice");

        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|it| own::ALL.iter().find(|spec| name.strip_suffix(it) == Some(spec.name)));

        let spec = family.or_else(|| own::ALL.iter().find(|spec| spec.name == name));
        let spec = spec.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        let names: Vec<&str> =
            labels.split("\",").filter_map(|it| it.split("=\"").next()).collect();
        let names: Vec<&str> =
            names.into_iter().filter(|it| !it.is_empty() && *it != "le").collect();

        assert_eq!(names, spec.labels, "{series}");
    }
}

#[test]
fn the_probe_series_of_a_broker_start_at_0_and_end_with_the_broker() {
    let telemetry = telemetry();
    assert!(!telemetry.encode().unwrap().contains("kafka_probe_"), "off: not on the page");

    let broker = |id| BrokerId::from_wire(id).unwrap();
    telemetry.probe_brokers(&main_cluster(), &[1, 2].map(broker).into());
    let series = |name: &str, more: &str| {
        format!("kafka_probe_{name}{{kafka_cluster=\"main\",broker_id=\"2\"{more}}}")
    };

    for failure in ProbeFailure::ALL {
        let series = series("failures_total", &format!(",reason=\"{failure}\""));
        check(&telemetry, &series, Some(0.0));
    }

    for name in ["attempts_total", "produce_seconds_count", "round_trip_seconds_count"] {
        check(&telemetry, &series(name, ""), Some(0.0));
    }

    let probed = ProbeResult {
        produced: Some(Duration::from_millis(7)),
        failure: Some(ProbeFailure::Timeout),
        ..ProbeResult::default()
    };

    telemetry.probed(&main_cluster(), broker(2), probed);

    check(&telemetry, &series("attempts_total", ""), Some(1.0));
    check(&telemetry, &series("failures_total", ",reason=\"timeout\""), Some(1.0));
    check(&telemetry, &series("produce_seconds_count", ""), Some(1.0));
    check(&telemetry, &series("round_trip_seconds_count", ""), Some(0.0));

    telemetry.probe_brokers(&main_cluster(), &[1, 3].map(broker).into());

    // A record that was under way when its broker was forgotten.
    telemetry.probed(&main_cluster(), broker(2), probed);
    let page = telemetry.encode().unwrap();

    assert!(!page.contains("broker_id=\"2\""), "{page}");
    assert!(page.contains("kafka_probe_attempts_total{kafka_cluster=\"main\",broker_id=\"3\"} 0"));
}

#[test]
fn the_probe_metrics_are_described_as_in_the_catalogue() {
    let telemetry = telemetry();
    let broker = BrokerId::from_wire(1).unwrap();
    telemetry.probe_brokers(&main_cluster(), &[broker].into());
    let page = telemetry.encode().unwrap();

    for spec in probe::ALL {
        for line in [
            format!("# HELP {} {}\n", spec.name, spec.help),
            format!("# TYPE {} {}\n", spec.name, spec.kind),
        ] {
            assert_eq!(page.matches(&line).count(), 1, "{line}");
        }
    }

    let described = page.lines().filter(|it| it.starts_with("# HELP kafka_probe_")).count();

    assert_eq!(described, probe::ALL.len());
}
