//! `make scale`: the cost of a round and a scrape of the real program at three sizes of cluster.
//!
//! The program runs in its own process and reads fake brokers over real sockets, so the cost of the
//! brokers is not counted. Needs a release build and an idle machine.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use kafka_protocol::messages::ApiKey;
use serde::Serialize;

use crate::{
    fake_broker::{ClusterSize, FakeBroker, FakeCluster, SeenRequest},
    sampling::{CompressedPage, ProcessStats, float, pause, scrape, write_result},
};

const BROKERS: i32 = 3;
const PARTITIONS: i32 = 20;
/// A topic of 20 partitions for each group, which reads all of it.
const GROUPS: [i32; 3] = [1_000, 3_000, 10_000];
/// Longer than the slowest round and its scrape.
const INTERVAL: Duration = Duration::from_secs(6);
/// Slow sections are read every fourth round: two of each are in the mean.
const CYCLES: u32 = 8;
const WARM_UP_ROUNDS_MAX: usize = 20;

const CPU_SECONDS_MAX: f64 = 3.0;
const RESIDENT_BYTES_MAX: u64 = 512 << 20;
/// CPU for one lag series at the largest size over the same at the smallest. Linear is 1; sorting
/// and colder caches may cost a little, and a square would be 10.
const GROWTH_MAX: f64 = 1.5;

/// Header of the printed result.
const HEADER: &str =
    "partitions   groups lag series   CPU s/cycle      RSS MB   page MB  requests  us/lag series";

/// One line of the result: its keys are a contract.
#[derive(Clone, Debug, Default, Serialize)]
struct ScaleRow {
    partitions: Option<u64>,
    groups: Option<u64>,
    lag_series: Option<u64>,
    cpu_s_per_cycle: Option<f64>,
    rss_peak_mb: Option<f64>,
    page_mb: Option<f64>,
    requests_per_cycle: Option<f64>,
}

impl ScaleRow {
    fn planned(groups: i32) -> Self {
        let count = u64::try_from(groups).unwrap();
        let partitions = u64::try_from(groups * PARTITIONS).unwrap();
        Self { partitions: Some(partitions), groups: Some(count), ..Self::default() }
    }

    /// CPU for one lag series, in microseconds.
    fn cpu_us_per_series(&self) -> f64 {
        self.cpu_s_per_cycle.unwrap() * 1e6 / float(self.lag_series.unwrap())
    }
}

impl fmt::Display for ScaleRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10} {:>8} {:>10} {:>13.3} {:>11.1} {:>9.1} {:>9.1} {:>14.2}",
            self.partitions.unwrap(),
            self.groups.unwrap(),
            self.lag_series.unwrap(),
            self.cpu_s_per_cycle.unwrap(),
            self.rss_peak_mb.unwrap(),
            self.page_mb.unwrap(),
            self.requests_per_cycle.unwrap(),
            self.cpu_us_per_series(),
        )
    }
}

/// The program under measurement. Ends with its owner.
struct MeasuredExporter {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for MeasuredExporter {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl MeasuredExporter {
    fn start(brokers: &[FakeBroker]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let servers: Vec<String> = brokers.iter().map(|it| it.address.to_string()).collect();
        let config = format!(
            "clusters:\n  - bootstrap_servers: [{}]\n    collect_interval: {}s\n    \
             request_timeout: 5s\nremediation: {{mode: observe, state_dir: {}}}\n",
            servers.join(", "),
            INTERVAL.as_secs(),
            dir.path().display(),
        );
        let file = dir.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(binary())
            .args(["serve", "--log.level", "warn", "--config.file"])
            .arg(&file)
            .args(["--web.listen-address", &free.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();

        Self { child, address: free, _dir: dir }
    }

    fn process(&self) -> ProcessStats {
        ProcessStats::of(self.child.id())
    }
}

/// Rounds of the program, as seen by the brokers.
struct WatchedRounds<'a> {
    cluster: &'a FakeCluster,
    requests: usize,
    rounds: usize,
}

impl WatchedRounds<'_> {
    fn poll(&mut self) {
        let seen = self.cluster.take_seen();
        self.requests += seen.len();
        let begins = |it: &&SeenRequest| it.api == ApiKey::Metadata;
        self.rounds += seen.iter().filter(begins).count();
    }

    /// Waits for the start of the next round, then until it has surely ended, then scrapes.
    async fn cycle(&mut self, exporter: &MeasuredExporter) -> CompressedPage {
        let before = self.rounds;
        while self.rounds == before {
            pause(20).await;
            self.poll();
        }

        tokio::time::sleep(INTERVAL * 3 / 4).await;
        self.poll();

        scrape(exporter.address).await.expect("a page")
    }
}

async fn measure(groups: i32) -> ScaleRow {
    let planned = ScaleRow::planned(groups);
    let cluster = FakeCluster::default();
    let size = ClusterSize { brokers: BROKERS, topics: groups, partitions: PARTITIONS, groups };
    cluster.contents().fill(size);
    let mut brokers = Vec::new();

    for id in 1..=BROKERS {
        brokers.push(cluster.start(id).await);
    }

    let exporter = MeasuredExporter::start(&brokers);
    let mut watched = WatchedRounds { cluster: &cluster, requests: 0, rounds: 0 };

    // Until everything is on the page: the brokers build their responses in the first rounds.
    let mut page = String::new();
    while lag_series(&page) < planned.partitions.unwrap() {
        assert!(watched.rounds < WARM_UP_ROUNDS_MAX, "{} series only", lag_series(&page));
        page = watched.cycle(&exporter).await.text();
    }

    let (requests, cpu) = (watched.requests, exporter.process().cpu_seconds());
    let mut last = watched.cycle(&exporter).await;

    for _ in 1..CYCLES {
        last = watched.cycle(&exporter).await;
    }

    let cpu = exporter.process().cpu_seconds() - cpu;
    let requests = u32::try_from(watched.requests - requests).unwrap();
    let page = last.text();

    assert_eq!(lag_series(&page), planned.partitions.unwrap(), "a whole page at the end");

    let megabytes = |bytes: u64| float(bytes) / 1e6;

    ScaleRow {
        lag_series: Some(lag_series(&page)),
        cpu_s_per_cycle: Some(cpu / f64::from(CYCLES)),
        rss_peak_mb: Some(megabytes(exporter.process().resident_bytes_peak())),
        page_mb: Some(megabytes(u64::try_from(page.len()).unwrap())),
        requests_per_cycle: Some(f64::from(requests) / f64::from(CYCLES)),
        ..planned
    }
}

fn lag_series(page: &str) -> u64 {
    let of = |it: &&str| it.starts_with("kafka_consumergroup_lag{");
    u64::try_from(page.lines().filter(of).count()).unwrap()
}

/// The program to measure: the release build where the make target names it.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn binary() -> PathBuf {
    let named = std::env::var("KAFKA_OPTIMIZER_SCALE_BINARY");
    PathBuf::from(named.unwrap_or_else(|_| env!("CARGO_BIN_EXE_kafka-optimizer").to_owned()))
}

fn result_file() -> Option<PathBuf> {
    std::env::var_os("KAFKA_OPTIMIZER_SCALE_RESULT").map(PathBuf::from)
}

/// The missed targets, as sentences.
fn misses(rows: &[ScaleRow]) -> Vec<String> {
    let mut missed = Vec::new();
    for row in rows {
        let (series, cpu) = (row.lag_series.unwrap(), row.cpu_s_per_cycle.unwrap());
        if CPU_SECONDS_MAX < cpu {
            missed.push(format!("{series} lag series: {cpu:.3} s of CPU, not {CPU_SECONDS_MAX}"));
        }

        let resident = row.rss_peak_mb.unwrap();
        if float(RESIDENT_BYTES_MAX) / 1e6 < resident {
            missed.push(format!("{series} lag series: {resident:.1} MB, not 512 MiB"));
        }
    }

    missed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make scale: minutes, on a release build"]
async fn one_cycle_stays_cheap_at_every_size() {
    let file = result_file();
    let write = |rows: &[ScaleRow]| write_result(file.as_deref().map(Path::new), &rows);
    let mut rows: Vec<ScaleRow> = GROUPS.map(ScaleRow::planned).to_vec();
    write(&rows);
    println!("{HEADER}");

    for (at, groups) in GROUPS.into_iter().enumerate() {
        rows[at] = measure(groups).await;
        write(&rows);
        println!("{}", rows[at]);
    }

    let [small, middle, large] = [0, 1, 2].map(|it: usize| rows[it].cpu_us_per_series());
    println!(
        "CPU for a lag series, middle over small: {:.2}, large over middle: {:.2}, \
         large over small: {:.2} (linear is 1, the limit {GROWTH_MAX})",
        middle / small,
        large / middle,
        large / small
    );
    let mut missed = misses(&rows);

    if GROWTH_MAX < large / small {
        missed.push(format!("growth {:.2}, not {GROWTH_MAX}", large / small));
    }

    assert!(missed.is_empty(), "missed:\n{}", missed.join("\n"));

    println!("all targets met: {CPU_SECONDS_MAX} s of CPU, 512 MiB, linear");
}
