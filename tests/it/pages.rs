//! The pages of runs: what they show, and how they look in a browser.

use std::{env, fs, path::Path, process::Command, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use kafka_optimizer::{
    http::Limits,
    model::{
        BrokerConfigChange, BrokerId, Change, HoldReason, RollbackReason, RunId, RunState, Verdict,
        WallTime,
    },
    playbook::Better,
    store::{JournalLine, Measurement, RunDetail, RunRow, StepRow, StepState, Times},
    verdict::{Bins, Conclusion, Parameters, Series, VerdictCase},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    http_harness::{HttpHarness, front, listening, text},
    pipeline,
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

    for path in ["/", "/runs", "/runs/7"] {
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

    front
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
    ];

    for (name, path) in pages {
        for (width, height) in [(1200, 1500), (390, 2600)] {
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
