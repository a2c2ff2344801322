//! How long `analyze --kafka.server` takes on a cluster of 10,000 partitions, of which one snapshot
//! suffices: the real program in its own process, with fake brokers over real sockets.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use crate::fake_broker::{ClusterSize, FakeCluster};

const SIZE: ClusterSize = ClusterSize { brokers: 3, topics: 500, partitions: 20, groups: 500 };
const TRIES: usize = 5;
const LIMIT: Duration = Duration::from_secs(2);

/// The program to measure: the release build where the make target names it.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn binary() -> PathBuf {
    let named = std::env::var("KAFKA_OPTIMIZER_SCALE_BINARY");
    PathBuf::from(named.unwrap_or_else(|_| env!("CARGO_BIN_EXE_kafka-optimizer").to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn analyzed(server: &str) -> Duration {
    let began = Instant::now();
    let args = ["analyze", "--rates-over", "0", "--output", "json", "--kafka.server", server];
    let output = Command::new(binary()).args(args).output().unwrap();
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Every group is a little behind.
    assert!(text.contains(r#""severity": "yellow""#), "{text}");

    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make scale: a measurement"]
async fn analyze_answers_in_two_seconds_on_ten_thousand_partitions() {
    let cluster = FakeCluster::default();
    cluster.contents().fill(SIZE);
    let mut brokers = Vec::new();

    for id in 1..=SIZE.brokers {
        brokers.push(cluster.start(id).await);
    }

    let server = brokers[0].address.to_string();
    let times: Vec<Duration> =
        spawn_blocking(move || (0..TRIES).map(|_| analyzed(&server)).collect()).await.unwrap();
    let requests = cluster.take_seen().len() / TRIES;

    // The fake brokers build their responses in the first try, which a broker has ready.
    println!("analyze of 10,000 partitions: {times:.2?}, {requests} requests each");
    let slowest = times.iter().skip(1).max().unwrap();

    assert!(*slowest < LIMIT, "{slowest:?}");
}
