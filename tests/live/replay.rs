//! What a verdict costs: a real Prometheus with a day of samples of three brokers.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use kafka_optimizer::{
    app::replay::Replay,
    clock::{Clock as _, SystemClock},
    config,
    model::{BrokerId, ClusterName, Target, Verdict, WallTime},
    prometheus::{Prometheus as _, QueryRange, http::HttpPrometheus},
};

const SCRAPE: Duration = Duration::from_secs(15);
const HISTORY: Duration = Duration::from_hours(25);
/// From the change to the last sample: longer than the longest observation.
const OBSERVED: Duration = Duration::from_mins(15);
/// Range queries of a look: two counters and the load, of the broker and of the others, and six
/// guards.
const QUERIES_MAX: usize = 12;
const SOFT_GUARDS_MAX: usize = 6;
const TIME_MAX: Duration = Duration::from_secs(1);

const CONFIG: &str = r#"
clusters: [{bootstrap_servers: [a:1], prometheus: {url: 'http://prometheus:9090'}}]
remediation:
  playbooks:
    - name: broker-threads
      match: {alertname: Slow}
      optimizer: {tune_brokers: {level: moderate}}
      objective:
        mean:
          sum: 'took_sum{broker_id="$broker_id"} / 1000'
          count: 'took_count{broker_id="$broker_id"}'
        better: lower
      load: 'load{broker_id="$broker_id"}'
"#;

/// A process that is stopped when the test ends.
struct FilledPrometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for FilledPrometheus {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn program(name: &str) -> std::ffi::OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} names the program"))
}

/// Requests of broker 1 take half as long from `change` on.
fn samples(end: u64, change: u64) -> String {
    let begin = end - HISTORY.as_secs();
    let mut text = String::new();
    let times = || (begin..=end).step_by(15).zip(0_u32..);

    for (name, kind) in [("took_sum", "unknown"), ("took_count", "unknown"), ("load", "gauge")] {
        writeln!(text, "# TYPE {name} {kind}").unwrap();
        for broker in 1..=3 {
            let (mut took, mut number) = (0.0, 0.0);
            for (at, step) in times() {
                let phase = f64::from(step) / 20.0 + f64::from(broker);
                let requests = 1_500.0 + 100.0 * phase.sin();
                let is_faster = broker == 1 && change < at;
                let milliseconds = (10.0 + phase.cos()) * if is_faster { 0.5 } else { 1.0 };

                took += requests * milliseconds;
                number += requests;

                let value = match name {
                    "took_sum" => took,
                    "took_count" => number,
                    _ => requests / 15.0,
                };

                writeln!(text, "{name}{{broker_id=\"{broker}\"}} {value} {at}").unwrap();
            }
        }
    }

    text + "# EOF\n"
}

fn fill(folder: &Path, text: &str) {
    let file = folder.join("samples");
    fs::write(&file, text).unwrap();

    let create = ["tsdb", "create-blocks-from", "openmetrics", "--quiet"];
    let ran = Command::new(program("PROMTOOL"))
        .args(create)
        .args([&file, &folder.join("data")])
        .output()
        .unwrap();

    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

async fn started(text: &str) -> FilledPrometheus {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), text);
    fs::write(folder.path().join("prometheus.yml"), "").unwrap();

    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);

    let child = Command::new(program("PROMETHEUS_PROGRAM"))
        .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=warn")
        .spawn()
        .unwrap();
    let prometheus = FilledPrometheus { child, url: format!("http://{address}"), _folder: folder };

    let ready = format!("{}/-/ready", prometheus.url);
    for _ in 0..200 {
        if reqwest::get(&ready).await.is_ok_and(|it| it.status().is_success()) {
            return prometheus;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("Prometheus is not ready after 20 s")
}

/// Range queries that Prometheus has answered.
async fn answered(prometheus: &FilledPrometheus) -> usize {
    let page = reqwest::get(format!("{}/metrics", prometheus.url)).await.unwrap();

    let page = page.text().await.unwrap();

    let start = "prometheus_http_requests_total{code=\"200\",handler=\"/api/v1/query_range\"} ";
    let number = page.lines().find_map(|it| it.strip_prefix(start));

    number.map_or(0, |it| it.parse().unwrap())
}

#[tokio::test]
#[ignore = "needs a Prometheus: run `make test`"]
async fn a_verdict_on_a_day_of_samples_takes_twelve_queries_and_a_second() {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let clock = SystemClock::new();

    let now = u64::try_from(clock.wall().0).unwrap() / 60_000 * 60;
    let change = now - OBSERVED.as_secs();
    let prometheus = started(&samples(now, change)).await;

    let client = Arc::new(HttpPrometheus::new(&prometheus.url, TIME_MAX * 10).unwrap());
    let loaded = config::parse(CONFIG, &|_| panic!("it names no token")).unwrap();

    let playbook = &loaded.config.remediation.playbooks[0];

    let target = Target::Broker(BrokerId::from_wire(1).unwrap());
    let cluster = ClusterName::new("main");

    let replay =
        Replay::new(Arc::clone(&client) as _, SCRAPE, playbook, &cluster, &target).await.unwrap();
    let written = WallTime(i64::try_from(change * 1000).unwrap());

    let began = clock.monotonic();
    let found = replay.at(written).await.unwrap();

    // The soft guards, which only a run has.
    let range =
        QueryRange { start: written.before(HISTORY), end: written, step: Duration::from_mins(1) };
    for _ in 0..SOFT_GUARDS_MAX {
        let query = "max(avg_over_time(load[1m:15s]))";
        assert_eq!(client.range(query, range).await.unwrap().len(), 1);
    }

    let (took, queries) = (clock.monotonic().since(began), answered(&prometheus).await);

    println!(
        "{queries} range queries and a verdict on a day of bins: {took:?}; {}",
        found.sentence
    );
    assert_eq!(found.verdict, Verdict::Improved, "{}", found.sentence);
    assert!(found.sentence.contains("of the last day"), "{}", found.sentence);
    assert!(queries <= QUERIES_MAX, "{queries} range queries");
    assert!(took <= TIME_MAX, "{took:?}");
}
