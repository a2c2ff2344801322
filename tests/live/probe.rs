//! The end-to-end probe, on a live stack.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::stack::{Stack, eventually};

/// The value of a `kafka_probe_…` series of broker `id` on `page`.
fn value(page: &str, name: &str, id: u8, more: &str) -> Option<f64> {
    let series = format!("kafka_probe_{name}{{kafka_cluster=\"main\",broker_id=\"{id}\"{more}}} ");
    page.lines().find_map(|it| it.strip_prefix(&series)).map(|it| it.parse().unwrap())
}

fn round_trips(page: &str, id: u8) -> f64 {
    value(page, "round_trip_seconds_count", id, "").unwrap_or(0.0)
}

/// All failures of a broker, with their reasons.
fn failures(page: &str, id: u8) -> Vec<(String, f64)> {
    let start = format!("kafka_probe_failures_total{{kafka_cluster=\"main\",broker_id=\"{id}\"");
    let lines = page.lines().filter_map(|it| it.strip_prefix(&start));
    let each = lines.map(|it| {
        let (reason, count) = it.rsplit_once(' ').unwrap();
        (reason.to_owned(), count.parse().unwrap())
    });

    each.filter(|it: &(String, f64)| 0.0 < it.1).collect()
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn every_broker_is_probed_through_a_partition_that_it_leads() {
    let stack = Stack::new();
    let page = eventually("three round trips each", Duration::from_secs(90), async || {
        let page = stack.get("/metrics").await.text().await.unwrap();
        (1..=3).all(|id| 3.0 <= round_trips(&page, id)).then_some(page)
    })
    .await;

    for id in 1..=3 {
        let produced = value(&page, "produce_seconds_count", id, "").unwrap();
        assert!(round_trips(&page, id) <= produced, "{page}");

        let (sum, count) =
            (value(&page, "round_trip_seconds_sum", id, "").unwrap(), round_trips(&page, id));
        println!("    broker {id}: round trip {:.1} ms on average", 1_000.0 * sum / count);
    }

    let topic = "topic=\"_kafka_optimizer_probe\"";
    let replicas = stack.query(&format!("kafka_topic_partition_replicas{{{topic}}} == 3")).await;

    assert_eq!(replicas.len(), 3, "a partition for each broker, three replicas each");

    let groups = stack.query("kafka_consumergroup_members{consumergroup=~\".*probe.*\"}").await;
    assert!(groups.is_empty(), "it joins no group: {groups:?}");
}

/// A broker that is paused until this is dropped, or for at most as long as the cluster tolerates:
/// it is fenced after 9 s without heartbeats.
struct PausedBroker<'a>(&'a Stack, &'static str);

impl<'a> PausedBroker<'a> {
    fn new(stack: &'a Stack, service: &'static str) -> Self {
        stack.compose_ok(&["pause", service]);
        Self(stack, service)
    }
}

impl Drop for PausedBroker<'_> {
    fn drop(&mut self) {
        self.0.compose(&["unpause", self.1]);
    }
}

/// A process on the host that ends with the test.
struct ProbeProcess(Child);

impl Drop for ProbeProcess {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

const TOPIC: &str = "live-probe";

/// Probes a topic with one replica, so that a paused follower delays no other leader, with a
/// timeout shorter than the session timeout of brokers.
fn serve(stack: &Stack, dir: &std::path::Path, listen: &str) -> ProbeProcess {
    let servers: Vec<String> = stack.bootstrap.split(',').map(|it| format!("'{it}'")).collect();
    let config = dir.join("kafka-optimizer.yml");
    let text = format!(
        "clusters:\n  - bootstrap_servers: [{}]\n    probe: {{topic: {TOPIC}, interval: 1s, timeout: 2s, replication_factor: 1}}\n",
        servers.join(", "),
    );
    std::fs::File::create(&config).unwrap().write_all(text.as_bytes()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"))
        .args(["serve", "--web.listen-address", listen, "--config.file"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();

    ProbeProcess(child)
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_paused_broker_times_out_alone_and_recovers() {
    let stack = Stack::new();
    let dir = tempfile::tempdir().unwrap();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = free.local_addr().unwrap().to_string();
    drop(free);
    let mut process = serve(&stack, dir.path(), &listen);
    let page = async || {
        let answer = reqwest::get(format!("http://{listen}/metrics")).await.ok()?;
        answer.text().await.ok()
    };
    let more = async |what: &str, ids: &[u8], since: &str| {
        let since: Vec<f64> = ids.iter().map(|id| round_trips(since, *id)).collect();
        eventually(what, Duration::from_secs(40), async || {
            let page = page().await?;
            let mut all = ids.iter().zip(&since);
            all.all(|(id, since)| since + 2.0 <= round_trips(&page, *id)).then_some(page)
        })
        .await
    };
    let well = more("round trips on each broker", &[1, 2, 3], "").await;

    let paused = PausedBroker::new(&stack, "kafka-2");
    let frozen = eventually("broker 2 times out", Duration::from_secs(8), async || {
        let page = page().await?;
        (1.0 <= value(&page, "failures_total", 2, ",reason=\"timeout\"")?).then_some(page)
    })
    .await;
    drop(paused);

    for id in [1, 3] {
        assert_eq!(failures(&frozen, id), failures(&well, id), "broker {id}");
        assert!(round_trips(&well, id) < round_trips(&frozen, id), "broker {id} was probed on");
    }

    let timed_out: Vec<String> = failures(&frozen, 2).into_iter().map(|it| it.0).collect();

    assert_eq!(timed_out, [",reason=\"timeout\"}"]);

    let again = more("round trips on each broker again", &[1, 2, 3], &frozen).await;
    for id in [1, 3] {
        assert_eq!(failures(&again, id), failures(&well, id), "broker {id}");
    }

    let id = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());

    let ended = eventually("the process ends", Duration::from_secs(30), async || {
        process.0.try_wait().unwrap()
    })
    .await;
    assert!(ended.success(), "{ended}");

    stack.kafka_tool("kafka-topics.sh", &["--delete", "--topic", TOPIC]);
}
