//! The pages of runs: what they show, and how they look in a browser.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use kafka_optimizer::{
    baseline::{
        BaselineComparison, ComparedMetric, Metric, NamedBaseline, Outcome, RelativeChange,
    },
    http::Limits,
    model::{
        BrokerConfigChange, BrokerId, Change, ClusterName, HoldReason, Mode, RollbackReason, RunId,
        RunState, Verdict, WallTime,
    },
    playbook::Better,
    store::{JournalLine, Measurement, RunDetail, RunRow, StepRow, StepState, Times},
    telemetry::{CollectorDone, CollectorName, PageMade, RemediationView, RunInfo, SeriesCount},
    verdict::{Bins, Conclusion, Parameters, Series, VerdictCase},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    http_harness::{HttpHarness, front, listening, text},
    pipeline,
    report::{capacity, month, prices, watched},
};

#[tokio::test]
async fn the_page_of_runs_lists_them_with_links_that_filter() {
    let front = front(None);
    let (status, page) = front.get("/runs?state=held&playbook=a%26b&limit=1").await;

    assert_eq!(status, StatusCode::OK);

    for wanted in [
        "<a href=\"/runs/7\">7</a>",
        "held</span><span class=\"dim\"> (cooldown)",
        "KafkaRequestHandlersSaturated",
        // Each link keeps the other filters, and begins at the newest run.
        "href=\"/runs?cluster=main&amp;state=held&amp;playbook=a%26b&amp;limit=1\"",
        "href=\"/runs?state=stuck&amp;playbook=a%26b&amp;limit=1\"",
        "href=\"/runs?state=held&amp;limit=1\"",
        "aria-current=\"true\">a&amp;b</a>",
        "href=\"/runs?state=held&amp;playbook=a%26b&amp;before=7&amp;limit=1\" rel=\"next\"",
        "href=\"/api/v1/runs?state=held&amp;playbook=a%26b&amp;limit=1\"",
    ] {
        assert!(page.contains(wanted), "{wanted} in\n{page}");
    }

    let asked = front.pipe.filters.lock().unwrap().pop().unwrap();

    assert_eq!((asked.states, asked.playbook.as_deref()), (vec![RunState::Held], Some("a&b")));

    // An older page does not jump back to the newest run by itself.
    let (_, older) = front.get("/runs?before=9").await;

    assert!(older.contains("Newest runs") && !older.contains("http-equiv"), "{older}");
    assert!(!older.contains("Older runs"), "{older}");
}

#[tokio::test]
async fn the_page_of_a_run_shows_state_plan_verdict_and_timeline() {
    let front = front(None);
    let (status, page) = front.get("/runs/7").await;

    assert_eq!(status, StatusCode::OK);

    for wanted in [
        "<h1>Run 7</h1>",
        "Held. It does not start for now, and is checked again every 15 s.",
        "because the last run of this playbook on this target ended not long ago",
        "tune_brokers (moderate)",
        "alert KafkaRequestHandlersSaturated",
        "<code>num.io.threads</code>",
        "<strong>Improved</strong>: as large an improvement came about by itself",
        "60.0 % better",
        "-3.0 %",
        "<svg class=\"chart\"",
        "<dt>before</dt><dd>0.25</dd>",
        "href=\"/api/v1/runs/7\"",
        "href=\"/api/v1/runs/7/case\"",
        "kafka-optimizer cancel 7",
    ] {
        assert!(page.contains(wanted), "{wanted} in\n{page}");
    }
}

#[tokio::test]
async fn no_text_of_an_alert_or_a_broker_becomes_html() {
    let nasty = "<script>alert('\"&')</script>";
    let front = front(None);
    let mut run = pipeline::detail();
    run.run.id = RunId(8);
    run.run.cause = nasty.to_owned();
    run.run.playbook = nasty.to_owned();
    run.run.note = Some(nasty.to_owned());
    run.measured.query = nasty.to_owned();
    run.measured.sentence = Some(nasty.to_owned());
    run.journal[0].text = nasty.to_owned();
    run.steps[0].change = Change::BrokerConfig(BrokerConfigChange {
        broker: BrokerId::from_wire(1).unwrap(),
        key: nasty.to_owned(),
        from: nasty.to_owned(),
        from_stored: Some("9".to_owned()),
        to: nasty.to_owned(),
    });
    front.pipe.others.lock().unwrap().push((run, None));

    for path in ["/runs", "/runs?playbook=%3Cscript%3E", "/runs/8"] {
        let (status, page) = front.get(path).await;

        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!page.contains("<script"), "{path}: {page}");
        assert!(page.contains("&lt;script&gt;"), "{path}: {page}");
    }
}

#[tokio::test]
async fn a_page_loads_nothing_and_runs_no_script() {
    let front = front(None);

    for path in ["/", "/runs", "/runs/7", "/report"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (status, response) = front.send(request).await;

        assert_eq!(status, StatusCode::OK, "{path}");

        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();

        assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"), "{policy}");

        let page = text(response).await;
        for forbidden in ["<script", "http://", "https://", "src=", "url(", " onload", " style="] {
            assert!(!page.contains(forbidden), "{forbidden} in {path}: {page}");
        }
    }
}

#[tokio::test]
async fn a_browser_gets_errors_as_pages_and_a_program_as_json() {
    let front = front(None);
    let get = async |path: &str, accept: &str| {
        let request = Request::get(path).header(header::ACCEPT, accept);
        let (status, response) = front.send(request.body(Body::empty()).unwrap()).await;
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();

        (status, kind, text(response).await)
    };
    let browser = "text/html,application/xhtml+xml,*/*;q=0.8";

    for (path, wanted) in [
        ("/runs/WRONG", StatusCode::NOT_FOUND),
        ("/runs/99", StatusCode::NOT_FOUND),
        ("/nowhere/%3Cscript%3E", StatusCode::NOT_FOUND),
        ("/runs?state=asleep", StatusCode::BAD_REQUEST),
        ("/report?days=1", StatusCode::BAD_REQUEST),
    ] {
        let (status, kind, page) = get(path, browser).await;

        assert_eq!((status, kind.as_str()), (wanted, "text/html; charset=utf-8"), "{path}");
        assert!(page.contains("<a href=\"/runs\">") && page.contains("Request "), "{page}");
        assert!(!page.contains("<script"), "{page}");

        let (status, kind, body) = get(path, "*/*").await;
        assert_eq!((status, kind.as_str()), (wanted, "application/json"), "{path}: {body}");
    }

    let (_, kind, _) = get("/api/v1/runs/99", browser).await;
    assert_eq!(kind, "application/json");
}

#[tokio::test]
async fn the_landing_page_shows_findings_lags_and_temporary_changes() {
    let front = front(None);
    front.sources.send_replace(vec![watched(month())]);
    let (status, page) = front.get("/").await;

    assert_eq!(status, StatusCode::OK);

    for wanted in [
        "main: 2 red findings, 1 yellow finding",
        "<strong class=\"bad\">red</strong>",
        "href=\"/report?cluster=main\"",
        "href=\"/api/v1/findings?cluster=main\"",
        "<a href=\"/report\">Report</a>",
        "billing</td><td class=\"wrap\" data-of=\"topic\">orders</td>",
        "250,123",
        "Temporary changes in force",
        "<a href=\"/runs/7\">7</a> tune_brokers on broker 1 · ",
    ] {
        assert!(page.contains(wanted), "{wanted} in\n{page}");
    }
}

#[tokio::test]
async fn a_page_that_does_not_exist_says_why() {
    let front = front(None);

    for (path, wanted) in [("/runs/8", StatusCode::NOT_FOUND), ("/runs/x", StatusCode::NOT_FOUND)] {
        assert_eq!(front.get(path).await.0, wanted, "{path}");
    }
    for path in ["/runs?stat=held", "/runs?state=asleep", "/runs?limit=0"] {
        assert_eq!(front.get(path).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
}

/// 300 minutes in which requests take about 40 ms, then 11 in which they take `share` of that.
fn measured_case(share: f64) -> VerdictCase {
    let mut random = StdRng::seed_from_u64(7);
    let mut bins = |level: f64, number: usize| {
        let mut swing = 0.0;
        let mut level = |_| {
            swing = 0.6 * swing + random.random_range(-0.12..0.12);
            Some(level + swing)
        };
        let level: Vec<Option<f64>> = (0..number).map(&mut level).collect();
        let load = vec![Some(9.0); number];

        Bins { changed: Series { level, load }, untouched: Vec::new() }
    };
    let mut before = bins(0.04_f64.ln(), 300);
    before.changed.level[279] = None;

    VerdictCase {
        parameters: Parameters::default(),
        better: Better::Lower,
        before,
        after: bins((0.04 * share).ln(), 11),
        excluded: std::iter::once(274..278).collect(),
        has_reached: true,
    }
}

/// Both thread pools of broker 1, one wave each.
fn steps(state: RunState, at: WallTime) -> Vec<StepRow> {
    let step = |index: u32, key: &str, from: &str, to: &str| StepRow {
        index,
        wave: index,
        change: Change::BrokerConfig(BrokerConfigChange {
            broker: BrokerId::from_wire(1).unwrap(),
            key: key.to_owned(),
            from: from.to_owned(),
            from_stored: None,
            to: to.to_owned(),
        }),
        state: if state == RunState::Kept { StepState::Applied } else { StepState::Undone },
        at,
        ..pipeline::detail().steps[0].clone()
    };

    vec![step(0, "num.io.threads", "8", "16"), step(1, "num.network.threads", "3", "6")]
}

/// A run of the day before `now` as it ended, with a verdict that is computed.
fn ended(id: i64, state: RunState, share: f64, now: WallTime) -> (RunDetail, Option<VerdictCase>) {
    let hours = Duration::from_hours(u64::try_from(20 - id).unwrap());
    let created = now.before(hours);
    let case = measured_case(share);
    let Conclusion { verdict, evidence, .. } = case.conclusion();
    let after = |seconds| created.after(Duration::from_secs(seconds));
    let line = |seconds, entry: &str, text: &str| JournalLine {
        at: after(seconds),
        entry: entry.to_owned(),
        text: text.to_owned(),
        ..JournalLine::default()
    };
    let sentence = evidence.sentence(verdict);

    let run = RunRow {
        id: RunId(id),
        state,
        hold: None,
        verdict: Some(verdict),
        rollback_reason: (state == RunState::RolledBack).then_some(RollbackReason::Verdict),
        times: Times {
            created,
            written: Some(after(2)),
            effective: Some(after(4)),
            ended: Some(after(665)),
            ..Times::default()
        },
        ..pipeline::detail().run
    };
    let measured = Measurement {
        query: "mean of rate(kafka_request_total_time_seconds_sum{broker_id=\"1\"})".to_owned(),
        before: Some(0.04),
        after: Some(0.04 * share),
        effect: evidence.difference.map(|it| 1.0 - it.change.exp()),
        load_change: evidence.load_change.map(f64::exp_m1),
        sentence: Some(sentence.clone()),
        evidence: Some(evidence),
        ..Measurement::default()
    };
    let journal = vec![
        line(0, "created", "alert KafkaRequestHandlersSaturated fires for broker 1"),
        line(1, "state", "rehearsed: broker 1 has validated num.io.threads=16"),
        line(2, "step", "num.io.threads of broker 1: 8 -> 16"),
        line(3, "step", "num.network.threads of broker 1: 3 -> 6"),
        line(4, "state", "settling"),
        line(64, "state", "observing"),
        line(665, "verdict", &format!("{verdict}: {sentence}")),
        line(665, "state", state.label()),
    ];
    let steps = steps(state, after(3));

    (RunDetail { run, steps, measured, journal }, Some(case))
}

/// Runs as a day with trouble leaves them.
fn example() -> HttpHarness {
    let front = front(None);
    let now = WallTime(jiff::Timestamp::now().as_millisecond());
    let kept = ended(18, RunState::Kept, 0.55, now);
    let back = ended(12, RunState::RolledBack, 1.0, now);

    let stuck = {
        let (mut run, case) = ended(9, RunState::Stuck, 2.0, now);
        run.run.rollback_reason = Some(RollbackReason::GuardTripped);
        run.steps[1].state = StepState::UndoFailed;

        (run, case)
    };

    let mut held = pipeline::detail();
    held.run = RunRow {
        id: RunId(19),
        verdict: None,
        hold: Some(HoldReason::Cooldown),
        note: Some("cooldown until 2026-01-02 04:04:05 UTC, 38 min from now".to_owned()),
        times: Times { created: now.before(Duration::from_mins(2)), ..Times::default() },
        ..held.run
    };
    held.steps.clear();
    held.measured = Measurement::default();

    front.pipe.others.lock().unwrap().extend([(held, None), kept, back, stuck]);
    front.sources.send_replace(vec![watched(month())]);
    front.set_prices(&prices(), capacity());
    collected(&front, now);
    baselines(&front, now);

    front
}

/// What the collectors of a process that works have reported.
fn collected(front: &HttpHarness, now: WallTime) {
    let main = ClusterName::new("main");
    for collector in [CollectorName::Topology, CollectorName::Offsets, CollectorName::LogDirs] {
        let done = CollectorDone {
            collector,
            failure: None,
            took: Duration::from_millis(12),
            at: now.before(Duration::from_secs(4)),
            unknown: BTreeMap::new(),
        };
        front.telemetry.collector_done(&main, done);
    }

    front.telemetry.snapshot_made(&main, now.before(Duration::from_secs(4)), 0);

    let series = vec![(main.clone(), SeriesCount { shown: 4123, dropped: 0 })];
    front.telemetry.page_made(PageMade { series, identity_bytes: 1, gzip_bytes: 1 });

    let info = |detail: RunDetail| RunInfo {
        run: detail.run.id,
        optimizer: detail.run.optimizer,
        target: detail.run.target.to_string(),
        verdict: detail.run.verdict,
        effect: detail.measured.effect,
        sentence: detail.measured.sentence,
        outcome: detail.run.state,
        started: detail.run.times.created,
    };

    let ended = [(18, RunState::Kept, 0.55), (12, RunState::RolledBack, 1.0)];
    let runs = ended.map(|(id, state, share)| info(ended_run(id, state, share, now)));

    let view = RemediationView { runs: runs.to_vec(), ..RemediationView::idle(Mode::Act) };
    front.telemetry.remediation_changed(&main, view);
}

fn ended_run(id: i64, state: RunState, share: f64, now: WallTime) -> RunDetail {
    ended(id, state, share, now).0
}

/// A baseline of last week and one of today, and how they differ.
fn baselines(front: &HttpHarness, now: WallTime) {
    let at = |name: &str, days: u64| NamedBaseline {
        recorded_at: now.before(Duration::from_hours(24 * days)),
        ..pipeline::baseline(name)
    };
    *front.pipe.newer_baselines.lock().unwrap() = vec![at("after-upgrade", 1)];

    let metric = |metric, values: [f64; 2], changes: [f64; 3], outcome| {
        let [change, low, high] = changes;
        ComparedMetric {
            metric,
            broker: None,
            before: Some(values[0]),
            after: Some(values[1]),
            change: Some(RelativeChange { change, low, high }),
            outcome,
            sentence: String::new(),
        }
    };
    let better = Some(Outcome::Better);
    *front.pipe.comparison.lock().unwrap() = Some(BaselineComparison {
        notes: vec!["the configuration is not the same: broker 1".to_owned()],
        history_bins: 2880,
        metrics: vec![
            metric(Metric::BytesIn, [2.4e7, 2.9e7], [0.21, 0.17, 0.25], better),
            metric(Metric::ProduceTime, [0.0123, 0.0081], [-0.34, -0.4, -0.29], better),
            metric(Metric::Requests, [2400.0, 2450.0], [0.02, 0.0, 0.04], None),
            metric(Metric::Cpu, [4.2, 4.1], [-0.02, -0.08, 0.04], Some(Outcome::Same)),
            metric(Metric::Heap, [2.1e9, 2.2e9], [0.05, -0.1, 0.2], Some(Outcome::Inconclusive)),
        ],
    });
}

#[tokio::test]
async fn the_examples_for_the_browser_end_as_they_are_named() {
    let now = WallTime(1_767_323_045_006);

    assert_eq!(measured_case(0.55).conclusion().verdict, Verdict::Improved);
    assert_ne!(measured_case(2.0).conclusion().verdict, Verdict::Improved);
    assert_eq!(ended(18, RunState::Kept, 0.55, now).0.steps.len(), 2);
    assert_eq!(example().get("/runs/18").await.0, StatusCode::OK);
}

/// Set `SCREENSHOTS` to a folder. `chromium` has to be installed.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
#[ignore = "needs a browser: takes a picture of each page, wide and narrow, light and dark"]
async fn pages_in_a_browser() {
    let folder = env::var("SCREENSHOTS").unwrap_or_else(|_| "target/screenshots".to_owned());
    fs::create_dir_all(&folder).unwrap();
    let front = example();
    let (address, _tasks) = listening(&front, Limits::default()).await;
    let pages = [
        ("landing", "/"),
        ("runs", "/runs"),
        ("run", "/runs/18"),
        ("held", "/runs/19"),
        ("stuck", "/runs/9"),
        ("report", "/report?since=2020-01-01T00:00:00Z"),
        ("error", "/runs/WRONG"),
    ];

    for (name, path) in pages {
        let html = Path::new(&folder).join(format!("{name}.html"));
        fs::write(html, front.get(path).await.1).unwrap();

        for (width, height) in [(1280, 1500), (390, 2600)] {
            for theme in ["light", "dark"] {
                let file = Path::new(&folder).join(format!("{name}-{width}-{theme}.png"));
                let url = format!("http://{address}{path}");
                let taken = tokio::task::spawn_blocking(move || {
                    screenshot(&url, &file, width, height, theme);
                });
                taken.await.unwrap();
            }
        }
    }
}

fn screenshot(url: &str, file: &Path, width: u32, height: u32, theme: &str) {
    let profile = tempfile::tempdir().unwrap();
    let dark = if theme == "dark" {
        "--blink-settings=preferredColorScheme=0"
    } else {
        "--blink-settings=preferredColorScheme=1"
    };
    let status = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", dark])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", file.display()))
        .arg(url)
        .output()
        .unwrap();

    assert!(status.status.success() && file.exists(), "{status:?}");
}
