//! `make storm`: 10,000 alerts a minute for five minutes, delivered by two Alertmanagers: none is
//! lost, memory stays bounded, and the webhook answers quickly.
//!
//! The program runs in its own process. Its Kafka does not answer, so that every run waits.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hdrhistogram::Histogram;
use reqwest::{Client, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::sampling::{ProcessStats, float, pause, write_result};

const PER_MINUTE: usize = 10_000;
const GROUP: usize = 20;
const P99_MAX: Duration = Duration::from_millis(50);
const RESIDENT_BYTES_MAX: u64 = 256 << 20;
const TOKEN: &str = "a-token-of-the-tests-that-is-long-enough";

/// The result: its keys are a contract.
#[derive(Clone, Debug, Default, Serialize)]
struct StormResult {
    minutes: u64,
    alerts: Option<u64>,
    lost: Option<u64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
    rss_peak_mb: Option<f64>,
}

/// The program. Ends with its owner.
struct StormServer {
    child: Child,
    url: String,
    dir: tempfile::TempDir,
}

impl Drop for StormServer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl StormServer {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        fs::write(&token, TOKEN).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "
clusters: [{{bootstrap_servers: [127.0.0.1:1], prometheus: {{url: 'http://127.0.0.1:1'}}}}]
remediation:
  state_dir: {}
  token_file: {}
  playbooks:
    - name: storm
      match: {{alertname: Storm}}
      optimizer: {{tune_brokers: {{level: moderate}}}}
      objective: {{gauge: a, better: lower}}
      load: b
",
            dir.path().display(),
            token.display(),
        );
        let file = dir.path().join("config.yaml");
        fs::write(&file, config).unwrap();

        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(binary())
            .args(["serve", "--log.level", "error", "--config.file"])
            .arg(&file)
            .args(["--web.listen-address", &free.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let serving = Self { child, url: format!("http://{free}"), dir };

        for _ in 0..100 {
            if client().get(format!("{}/-/healthy", serving.url)).send().await.is_ok() {
                return serving;
            }
            pause(100).await;
        }

        panic!("it does not listen");
    }

    /// Episodes in the store, and how many of them are open.
    fn episodes(&self) -> (u64, u64) {
        let store = rusqlite::Connection::open(self.dir.path().join("state.db")).unwrap();
        let query = "SELECT count(*), count(*) FILTER (WHERE closed_at IS NULL) FROM episodes";
        let count = |row: &rusqlite::Row<'_>, at| row.get::<_, u32>(at).map(u64::from);

        store.query_row(query, [], |row| Ok((count(row, 0)?, count(row, 1)?))).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn binary() -> PathBuf {
    let named = std::env::var("KAFKA_OPTIMIZER_STORM_BINARY");
    PathBuf::from(named.unwrap_or_else(|_| env!("CARGO_BIN_EXE_kafka-optimizer").to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn minutes() -> u64 {
    std::env::var("MINUTES").ok().and_then(|it| it.parse().ok()).unwrap_or(5)
}

fn alert(status: &str, number: usize) -> Value {
    json!({"status": status, "labels": {"alertname": "Storm", "kafka_cluster": "main",
        "severity": "warning", "n": number.to_string()}, "annotations": {},
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "", "fingerprint": format!("{number:016x}")})
}

/// A group with firing alerts, and resolved ones from a minute ago.
fn notification(sent: usize) -> Vec<u8> {
    let firing = (sent..sent + GROUP).map(|it| alert("firing", it));
    let resolved = (sent..sent + GROUP).filter_map(|it| it.checked_sub(PER_MINUTE));
    let alerts: Vec<Value> = firing.chain(resolved.map(|it| alert("resolved", it))).collect();
    let body = json!({"receiver": "optimizer", "status": "firing", "version": "4",
        "groupKey": "{}", "truncatedAlerts": 0, "alerts": alerts, "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": ""});

    body.to_string().into_bytes()
}

fn client() -> Client {
    // No connection here uses TLS, but the client needs a provider.
    let _there_already = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// Delivers everything as one Alertmanager does, with retries until it is accepted.
async fn deliver(url: String, count: usize, late: Duration) -> Histogram<u64> {
    let client = client();
    let mut waits = Histogram::<u64>::new(3).unwrap();
    let each = Duration::from_mins(1) / u32::try_from(PER_MINUTE / GROUP).unwrap();
    tokio::time::sleep(late).await;
    let mut turns = interval(each);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);

    for sent in (0..count).step_by(GROUP) {
        turns.tick().await;
        loop {
            let begun = Instant::now();
            let post = client.post(format!("{url}/api/v1/alerts"));
            let post = post.bearer_auth(TOKEN);
            let post = post.header("content-type", "application/json").body(notification(sent));
            let answer = post.send().await.unwrap().status();
            waits.record(u64::try_from(begun.elapsed().as_micros()).unwrap()).unwrap();

            if answer == StatusCode::OK {
                break;
            }

            assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);

            pause(500).await;
        }
    }

    waits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make storm: five minutes"]
async fn i2_i3_a_storm_of_alerts_is_stored_whole_and_answered_quickly() {
    let file = std::env::var_os("KAFKA_OPTIMIZER_STORM_RESULT").map(PathBuf::from);
    let write = |outcome: &StormResult| write_result(file.as_deref().map(Path::new), outcome);
    let mut outcome = StormResult { minutes: minutes(), ..StormResult::default() };
    write(&outcome);
    let serving = StormServer::start().await;
    let count = PER_MINUTE * usize::try_from(minutes()).unwrap();
    let (mut waits, others) = tokio::join!(
        deliver(serving.url.clone(), count, Duration::ZERO),
        deliver(serving.url.clone(), count, Duration::from_millis(40)),
    );
    waits.add(others).unwrap();

    let alerts = u64::try_from(count).unwrap();
    let (stored, open) = serving.episodes();
    let milliseconds = |it: u64| float(it) / 1e3;
    let p99 = waits.value_at_quantile(0.99);
    let peak = ProcessStats::of(serving.child.id()).resident_bytes_peak();
    outcome = StormResult {
        alerts: Some(alerts),
        lost: Some(alerts.saturating_sub(stored)),
        p50_ms: Some(milliseconds(waits.value_at_quantile(0.5))),
        p99_ms: Some(milliseconds(p99)),
        max_ms: Some(milliseconds(waits.max())),
        rss_peak_mb: Some(float(peak) / 1e6),
        ..outcome
    };
    write(&outcome);
    println!("{outcome:?}; {open} episodes are open at the end, {} posts", waits.len());

    assert_eq!((stored, open), (alerts, u64::try_from(PER_MINUTE).unwrap()));
    assert!(Duration::from_micros(p99) < P99_MAX, "p99 is {} ms", milliseconds(p99));
    assert!(peak < RESIDENT_BYTES_MAX, "{peak} bytes at the peak");
}
