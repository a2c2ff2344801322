//! `analyze` and `GET /api/v1/findings`: from the snapshot, from a Prometheus, and what is not
//! seen.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use kafka_optimizer::{
    cli::{self, Exit, Terminal},
    clock::{Clock, SharedClock, SystemClock},
    diagnosis::ClusterSource,
    http::{self, Limits, advice::AdviceListPayload, findings::FindingsPayload},
    kafka::wire::{Wire, WireOptions},
    model::{Broker, BrokerId, ClusterName, Partition, Topic, TopicName, Topology, WallTime},
    prometheus::{SharedPrometheus, http::HttpPrometheus},
    sampling::Sampler,
    security::Security,
    shutdown::Tasks,
    snapshot::{Section, Snapshot},
};
use kafka_protocol::messages::ApiKey;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{block_in_place, spawn_blocking},
};

use crate::{
    fake_broker::{ClusterSize, FakeBatch, FakeBroker, FakeCluster, FakeGroup},
    http_harness::{HttpHarness, front},
    rounds::RoundRunner,
};

/// Parts of queries, each with the series that answers it. Other queries have no series.
type Answers = &'static [(&'static str, &'static str)];

/// Broker 1 has one request handler too few; broker 2 is well.
const TOO_FEW_HANDLERS: Answers = &[
    (
        "group by (kafka_cluster) (kafka_up)",
        r#"{"metric":{"kafka_cluster":"main"},"value":[1,"1"]}"#,
    ),
    ("max by (kafka_cluster) (kafka_up{", r#"{"metric":{"kafka_cluster":"main"},"value":[1,"1"]}"#),
    (
        "kafka:request_handler_idle:ratio",
        r#"{"metric":{"broker_id":"1"},"value":[1,"0.02"]},
           {"metric":{"broker_id":"2"},"value":[1,"0.9"]}"#,
    ),
    ("kafka:produce_queue_time", r#"{"metric":{"broker_id":"1"},"value":[1,"0.18"]}"#),
    ("kafka:produce_local_time", r#"{"metric":{"broker_id":"1"},"value":[1,"0.0025"]}"#),
    ("num.io.threads", r#"{"metric":{"broker_id":"1"},"value":[1,"8"]}"#),
    ("sum(kafka:fetch_requests:rate", r#"{"metric":{},"value":[1,"800"]}"#),
    ("sum(kafka:bytes_out:rate", r#"{"metric":{},"value":[1,"200000"]}"#),
    (
        "sum by (software, version)",
        r#"{"metric":{"software":"apache-kafka-java","version":"3.9.0"},"value":[1,"12"]}"#,
    ),
    (
        "ALERTS_FOR_STATE",
        r#"{"metric":{"alertname":"KafkaRequestHandlersSaturated","broker_id":"1"},
            "value":[1,"1767323045"]}"#,
    ),
];

async fn answer(State(answers): State<Answers>, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let query = body.split('&').find_map(|it| it.strip_prefix("query=")).unwrap();
    let query = percent_encoding::percent_decode_str(&query.replace('+', " "))
        .decode_utf8()
        .unwrap()
        .into_owned();

    // One that is refused, as a rule that is not loaded would not be.
    if query.contains("kafka:gc_time") {
        let problem = r#"{"status":"error","errorType":"execution","error":"too many series"}"#;
        return (StatusCode::UNPROCESSABLE_ENTITY, problem).into_response();
    }

    let series = answers.iter().find(|it| query.contains(it.0)).map_or("", |it| it.1);
    let head = r#"{"status":"success","data":{"resultType":"vector","result":["#;

    format!("{head}{series}]}}}}").into_response()
}

/// A Prometheus with these answers; its URL.
async fn prometheus(answers: Answers) -> String {
    let router = Router::new().fallback(answer).with_state(answers);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    Tasks::default().start_short("fake prometheus", async {
        axum::serve(listener, router).await.unwrap();
    });

    url
}

fn source(url: Option<&str>, snapshot: Option<Snapshot>) -> ClusterSource {
    let client = url.map(|it| HttpPrometheus::new(it, Duration::from_secs(5)).unwrap());
    let alert = "KafkaRequestHandlersSaturated".to_owned();

    ClusterSource {
        cluster: ClusterName::new("main"),
        latest: Some(watch::channel(snapshot.map(Arc::new)).1),
        earlier: None,
        prometheus: client.map(|it| Arc::new(it) as SharedPrometheus),
        sampler: None,
        playbooks: BTreeMap::from([(alert, "broker-threads".to_owned())]),
    }
}

/// Two brokers; one partition lacks a replica, and the other one has no leader.
fn degraded() -> Snapshot {
    let broker = |id| BrokerId::from_wire(id).unwrap();
    let partition = |index: i32, leader: Option<i32>| Partition {
        index,
        leader: leader.map(broker),
        replicas: vec![broker(1), broker(2)],
        isr: leader.map(broker).into_iter().collect(),
    };
    let of = |id| Broker { id: broker(id), host: String::new(), port: 1, rack: None };
    let topic = Topic {
        name: TopicName::new("orders"),
        id: 1,
        internal: false,
        partitions: vec![partition(0, Some(1)), partition(1, None)],
    };
    let topology =
        Topology { brokers: vec![of(1), of(2)], topics: vec![topic], ..Topology::default() };

    Snapshot {
        up: true,
        topology: Some(Section::new(topology, WallTime(0))),
        ..Snapshot::unknown(ClusterName::new("main"))
    }
}

async fn findings(front: &HttpHarness) -> FindingsPayload {
    let (status, body) = front.get("/api/v1/findings").await;
    assert_eq!(status, StatusCode::OK, "{body}");

    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_api_reports_what_the_snapshot_shows_and_what_is_not_seen() {
    let front = front(None);
    front.sources.send_replace(vec![source(None, Some(degraded()))]);
    let payload = findings(&front).await;
    let cluster = &payload.clusters[0];

    assert_eq!(cluster.severity.as_deref(), Some("red"));
    assert_eq!(cluster.findings.len(), 1, "{cluster:#?}");
    assert_eq!(cluster.findings[0].cause, "replication_lagging");
    assert_eq!(cluster.findings[0].evidence[0].signal, "offline_partitions");

    let why: Vec<&str> = cluster.not_seen.iter().map(|it| it.why.as_str()).collect();
    for source in ["no `prometheus`", "JMX exporter", "`docker`", "node-exporter"] {
        assert!(why.iter().any(|it| it.contains(source)), "{source}: {why:?}");
    }

    let (status, body) = front.get("/api/v1/findings?cluster=other").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    assert_eq!(front.get("/api/v1/findings?group=x").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_cluster_of_which_nothing_is_known_is_not_green() {
    let front = front(None);
    front.sources.send_replace(vec![source(Some("http://127.0.0.1:1"), None)]);
    let payload = findings(&front).await;
    let cluster = &payload.clusters[0];

    assert_eq!((cluster.severity.as_deref(), cluster.findings.len()), (None, 0));

    let what: Vec<&str> = cluster.not_seen.iter().map(|it| it.what.as_str()).collect();
    assert!(what.contains(&"everything that Prometheus knows"), "{what:?}");
    assert!(what.contains(&"the cluster as it is now"), "{what:?}");
}

#[tokio::test]
async fn a_query_that_fails_makes_its_signal_unknown_and_no_other() {
    let front = front(None);
    let url = prometheus(TOO_FEW_HANDLERS).await;
    front.sources.send_replace(vec![source(
        Some(&url),
        Some(Snapshot { up: true, ..Snapshot::unknown(ClusterName::new("main")) }),
    )]);
    let payload = findings(&front).await;
    let cluster = &payload.clusters[0];
    let first = &cluster.findings[0];

    assert_eq!(
        (first.cause.as_str(), first.subject.as_str()),
        ("too_few_request_handlers", "broker 1")
    );
    assert_eq!(first.playbook.as_deref(), Some("broker-threads"));
    assert_eq!(first.evidence[0].since.as_deref(), Some("2026-01-02T03:04:05.000Z"));
    assert_eq!(cluster.findings.len(), 1, "{cluster:#?}");

    let failed = cluster.not_seen.iter().find(|it| it.what == "gc_time").unwrap();
    assert!(failed.why.contains("too many series"), "{failed:?}");

    // Within a few seconds the same report is given again.
    assert_eq!(findings(&front).await, payload);
}

struct Printed {
    exit: Exit,
    out: String,
    err: String,
}

/// Runs a command with a runtime of its own, which cannot be started inside that of the test.
async fn ran(args: &[&str], width: Option<u16>) -> Printed {
    let args: Vec<String> =
        ["kafka-optimizer", "analyze"].iter().chain(args).map(|it| (*it).to_owned()).collect();
    let run = move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let input = &mut &b""[..];
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
            input,
            interactive: false,
            choose_by_keys: None,
            width,
        };
        let exit = cli::run(&args, &mut terminal);
        let text = |bytes| String::from_utf8(bytes).unwrap();

        Printed { exit, out: text(out), err: text(err) }
    };

    spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn without_a_server_prometheus_is_asked_and_the_answer_is_printed() {
    let url = prometheus(TOO_FEW_HANDLERS).await;
    let ran_it = ran(&["--prometheus.url", &url], Some(200)).await;

    assert_eq!(ran_it.exit, Exit::Done, "{}", ran_it.err);

    let (head, mut rest) = ran_it.out.split_once('\n').unwrap();
    assert!(head.starts_with("RED  cluster main at 2"), "{head}");
    assert!(head.ends_with("Z: 1 finding"), "{head}");

    // Severity first, then evidence, what to do, the command, and what was not seen.
    for part in [
        "\nRED  A broker has too few request handlers: broker 1\n",
        "  ! request_handler_idle ",
        "    io_threads ",
        "\n  Requests wait for a request handler",
        "\n    kafka-optimizer tune-brokers --level moderate --broker 1\n",
        "\n  It changes num.io.threads (now 8)",
        "\nNot seen\n",
        "\n  gc_time\n",
        "too many",
    ] {
        let at = rest.find(part);
        assert!(at.is_some(), "no {part:?} where it belongs in\n{}", ran_it.out);
        rest = &rest[at.unwrap()..];
    }

    let widest = ran_it.out.lines().map(|it| it.chars().count()).max();
    assert!(widest <= Some(80), "{}", ran_it.out);
}

#[tokio::test]
async fn the_exit_code_says_how_the_cluster_is() {
    let url = prometheus(TOO_FEW_HANDLERS).await;
    let of_url = ["--prometheus.url", &url, "--exit-code"];

    assert_eq!(ran(&of_url, None).await.exit, Exit::Red);
    assert_eq!(ran(&[&of_url[..], &["--cluster", "main"]].concat(), None).await.exit, Exit::Red);

    // It knows no cluster.
    let empty = prometheus(&[]).await;
    let of_empty = ran(&["--prometheus.url", &empty, "--exit-code"], None).await;

    assert_eq!(of_empty.exit, Exit::Unknown, "{}", of_empty.out);
    assert!(of_empty.err.contains("there is no such cluster"), "{}", of_empty.err);

    let nowhere = ["--prometheus.url", "http://127.0.0.1:1"];
    assert_eq!(ran(&nowhere, None).await.exit, Exit::Failed);
    assert_eq!(ran(&[&nowhere[..], &["--exit-code"]].concat(), None).await.exit, Exit::Unknown);

    // Named, so that Prometheus is not asked for names: nothing is known of it.
    let named = [&nowhere[..], &["--cluster", "main", "--exit-code"]].concat();
    let of_named = ran(&named, None).await;

    assert_eq!(of_named.exit, Exit::Unknown);
    assert!(of_named.out.starts_with("UNKNOWN  cluster main"), "{}", of_named.out);
}

#[tokio::test]
async fn a_configuration_names_the_prometheus_of_each_cluster() {
    let url = prometheus(TOO_FEW_HANDLERS).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let text = format!(
        "clusters:
  - {{name: main, bootstrap_servers: ['127.0.0.1:1'], prometheus: {{url: '{url}'}}}}
  - {{name: other, bootstrap_servers: ['127.0.0.1:1']}}
"
    );
    std::fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    let ran_it = ran(&["--config.file", &path, "--output", "json"], None).await;
    let payload: FindingsPayload = serde_json::from_str(&ran_it.out).unwrap();

    assert_eq!(ran_it.exit, Exit::Done, "{}", ran_it.err);
    assert_eq!(payload.clusters.len(), 2);
    assert_eq!(payload.clusters[0].findings[0].cause, "too_few_request_handlers");

    // It has no Prometheus, and its brokers do not answer.
    let other = &payload.clusters[1];
    assert_eq!((other.findings[0].cause.as_str(), other.findings.len()), ("cluster_down", 1));

    let why = other.not_seen.iter().find(|it| it.what.starts_with("brokers, topics")).unwrap();
    assert!(why.why.contains("127.0.0.1:1"), "{why:?}");

    let both = ["--config.file", &path, "--prometheus.url", &url];
    assert_eq!(ran(&both, None).await.exit, Exit::Usage);

    let none = ran(&["--config.file", &path, "--cluster", "third"], None).await;
    assert_eq!(none.exit, Exit::Failed, "{}", none.out);
}

#[tokio::test]
async fn the_running_server_is_asked_by_default() {
    let front = front(None);
    front.sources.send_replace(vec![source(None, Some(degraded()))]);
    let tasks = Tasks::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (web, telemetry) = (&front.web, &front.telemetry);
    http::serve(vec![listener], &front.router, web, telemetry, Limits::default(), &tasks);

    let ran_it = ran(&["--server", &url, "--cluster", "main", "--exit-code"], None).await;
    assert_eq!(ran_it.exit, Exit::Red, "{}", ran_it.err);
    assert!(ran_it.out.contains("RED  Replicas are not in sync: cluster"), "{}", ran_it.out);

    let unknown = ran(&["--server", &url, "--cluster", "x"], None).await;
    assert!(unknown.err.contains("there is no cluster x"), "{}", unknown.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_prints_again_and_again() {
    let url = prometheus(TOO_FEW_HANDLERS).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"))
        .args(["analyze", "--prometheus.url", &url, "--watch", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let heads = block_in_place(|| {
        lines.map_while(Result::ok).filter(|it| it.starts_with("RED  cluster main")).take(2).count()
    });
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(heads, 2);
}

const SIZE: ClusterSize = ClusterSize { brokers: 2, topics: 3, partitions: 4, groups: 2 };

async fn fake_cluster() -> (FakeCluster, Vec<FakeBroker>) {
    let cluster = FakeCluster::default();
    cluster.contents().fill(SIZE);
    let brokers = vec![cluster.start(1).await, cluster.start(2).await];

    (cluster, brokers)
}

fn parsed(printed: &Printed) -> FindingsPayload {
    assert_eq!(printed.exit, Exit::Done, "{}", printed.err);
    serde_json::from_str(&printed.out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kafka_alone_the_findings_are_those_of_the_server() {
    let (cluster, brokers) = fake_cluster().await;
    {
        let mut contents = cluster.contents();
        let partitions = contents.topics.get_mut("topic-00001").unwrap();
        partitions[0].isr.pop();
        partitions[1].leader = -1;
        partitions[2].replicas.push(3);
    }
    let address = brokers[0].address.to_string();
    let direct =
        ran(&["--kafka.server", &address, "--rates-over", "0", "--output", "json"], None).await;
    let direct = &parsed(&direct).clusters[0];

    let mut rounds = RoundRunner::of(cluster, brokers);
    rounds.ended().await;
    let snapshot = rounds.latest.borrow().clone().unwrap();
    let front = front(None);
    front.sources.send_replace(vec![source(None, Some(snapshot.as_ref().clone()))]);
    let served = &findings(&front).await.clusters[0];

    assert_eq!(direct.findings.len(), 1, "{direct:#?}");
    assert_eq!((&direct.severity, &direct.cluster), (&served.severity, &served.cluster));
    assert_eq!(direct.findings, served.findings);
    assert_eq!(direct.not_seen, served.not_seen);

    let evidence = &direct.findings[0].evidence;
    let missing = evidence.iter().find(|it| it.signal == "missing_brokers").unwrap();

    assert!((missing.value - 1.0).abs() < 1e-9, "broker 3 has a replica: {evidence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_readings_tell_a_slow_group_from_a_stuck_one() {
    let (cluster, brokers) = fake_cluster().await;
    let behind = |committed: i64| FakeGroup {
        coordinator: 1,
        kind: "classic",
        members: 2,
        commits: (0..4).map(|it| ("topic-00000".to_owned(), it, committed)).collect(),
        error: 0,
    };
    cluster.contents().groups.insert("late".to_owned(), behind(100));
    let address = brokers[0].address.to_string();
    let args = ["--kafka.server", &address, "--rates-over", "2", "--output", "json"];
    let advance = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.contents().groups.insert("late".to_owned(), behind(200));
    };
    let (found, ()) = tokio::join!(ran(&args, None), advance);
    let cluster = &parsed(&found).clusters[0];
    let first = &cluster.findings[0];

    assert_eq!(
        (first.cause.as_str(), first.subject.as_str()),
        ("too_few_consumers", "group late"),
        "{cluster:#?}"
    );

    let consumed = first.evidence.iter().find(|it| it.signal == "consumed").unwrap();
    assert!((100.0..400.0).contains(&consumed.value), "400 records in 2 s: {consumed:?}");

    // What two readings cannot show is said.
    let what: Vec<&str> = cluster.not_seen.iter().map(|it| it.what.as_str()).collect();
    assert!(what.iter().any(|it| it.contains("ISR shrinks")), "{what:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_and_docker_are_asked_together_with_the_brokers() {
    let (_cluster, brokers) = fake_cluster().await;
    let url = prometheus(TOO_FEW_HANDLERS).await;
    let address = brokers[0].address.to_string();
    let args = [
        "--kafka.server",
        &address,
        "--prometheus.url",
        &url,
        "--docker=/nonexistent/docker.sock",
        "--rates-over",
        "0",
    ];
    let found = ran(&[&args[..], &["--output", "json"]].concat(), None).await;
    let cluster = &parsed(&found).clusters[0];

    // The only cluster that Prometheus knows gives it its name.
    assert_eq!(cluster.cluster, "main");
    assert_eq!(cluster.findings[0].cause, "too_few_request_handlers", "{cluster:#?}");

    let containers = cluster.not_seen.iter().find(|it| it.what.starts_with("containers")).unwrap();
    assert!(containers.why.contains("docker"), "{containers:?}");

    // Two groups of one member each, at two brokers.
    let found = ran(&[&args[..], &["--advise", "--output", "json"]].concat(), None).await;
    let advice = parsed(&found).clusters[0].advice.clone().unwrap();

    assert_eq!(advice.clients[0].version, "3.9.0");
    assert_eq!(advice.requests.bytes_per_fetch, Some(250.0));

    let fetches = advice.advice.iter().find(|it| it.rule == "fetch_size").unwrap();
    assert!(fetches.measured.contains("to 4 fetchers"), "{fetches:?}");

    let red = ran(&[&args[..], &["--exit-code"]].concat(), None).await;
    assert_eq!(red.exit, Exit::Red, "{}", red.out);
    assert_eq!(ran(&["--docker"], None).await.exit, Exit::Usage);

    let nobody = ran(&["--kafka.server", "127.0.0.1:1", "--exit-code"], None).await;
    assert_eq!(nobody.exit, Exit::Red, "{}", nobody.err);
    assert!(nobody.out.contains("No broker answers"), "{}", nobody.out);
}

/// A topic whose producer sends one record a batch, 500 a second, which compress well.
fn small_batches(cluster: &FakeCluster) {
    let now = SystemClock::new().wall().0;
    let text = r#"{"user":"anna","action":"view","item":17,"page":"/orders"}"#.repeat(5);
    let log = |_: i32| -> Vec<u8> {
        let batches = (0..150).map(|it| FakeBatch {
            records: 1,
            payload: text.as_bytes(),
            at: now - 8 * (150 - it),
            producer: 7,
            codec: 0,
        });
        batches.flat_map(|it| it.bytes()).collect()
    };
    let mut contents = cluster.contents();

    for partition in 0..4 {
        contents.logs.insert(("topic-00001".to_owned(), partition), log(partition));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_rests_on_sampled_batches_and_its_findings_are_found() {
    let (cluster, brokers) = fake_cluster().await;
    small_batches(&cluster);
    let address = brokers[0].address.to_string();
    let args = ["--kafka.server", &address, "--rates-over", "0", "--advise"];
    let printed = ran(&[&args[..], &["--output", "json"]].concat(), None).await;
    let found = &parsed(&printed).clusters[0];
    let advice = found.advice.as_ref().unwrap();

    // The other topics have empty logs.
    assert_eq!(advice.topics.len(), 1, "{advice:#?}");

    let topic = &advice.topics[0];
    assert_eq!((topic.topic.as_str(), topic.sampled_partitions), ("topic-00001", 2));
    assert_eq!((topic.producers, topic.codecs.get("none")), (Some(1), Some(&300)));
    assert_eq!(topic.rate_from, "timestamps");

    let rate = topic.records_per_second.unwrap();
    assert!((rate - 500.0).abs() < 1.0, "4 partitions, one record in 8 ms each: {rate}");

    let rules: Vec<&str> = advice.advice.iter().map(|it| it.rule.as_str()).collect();
    assert_eq!(rules, ["batching", "compression"]);

    let batching = &advice.advice[0];
    assert_eq!(batching.subject, "topic topic-00001");
    assert!(batching.settings.contains_key("linger.ms"), "{batching:?}");
    assert!(batching.effects[0].low <= batching.effects[0].after, "{batching:?}");

    let compression = &advice.advice[1];
    assert_eq!(compression.settings.get("compression.type").map(String::as_str), Some("lz4"));

    let causes: Vec<&str> = found.findings.iter().map(|it| it.cause.as_str()).collect();
    assert!(causes.contains(&"small_batches"), "{causes:?}");

    // At most two fetches of a topic, ten a second, and none in a round of collection.
    let fetches = brokers.iter().map(|it| it.seen(ApiKey::Fetch).len()).sum::<usize>();
    assert_eq!(fetches, 6, "two of each topic");

    let plain = ran(&["--kafka.server", &address, "--rates-over", "0"], None).await;
    assert_eq!(plain.exit, Exit::Done, "{}", plain.err);
    assert_eq!(brokers.iter().map(|it| it.seen(ApiKey::Fetch).len()).sum::<usize>(), 6);

    let text = ran(&args, Some(80)).await;
    for part in ["ADVICE  to the clients of main: 2 changes", "linger.ms=", "Estimated by: "] {
        assert!(text.out.contains(part), "no {part:?} in\n{}", text.out);
    }

    assert!(text.out.lines().all(|it| it.chars().count() <= 80), "{}", text.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_gives_the_same_advice_and_samples_once_a_minute() {
    let (cluster, brokers) = fake_cluster().await;
    small_batches(&cluster);
    let mut rounds = RoundRunner::of(cluster, brokers);
    rounds.ended().await;
    let snapshot = rounds.latest.borrow().clone().unwrap();
    let options = WireOptions {
        bootstrap: vec![rounds.brokers[0].address.to_string()],
        request_timeout: Duration::from_secs(5),
        client_id: "tests".to_owned(),
        security: Security::default(),
    };
    let clock: SharedClock = Arc::new(SystemClock::new());
    let wire = Wire::new(options, Arc::clone(&clock), Tasks::default());
    let front = front(None);
    front.sources.send_replace(vec![ClusterSource {
        sampler: Some(Sampler::new(Arc::new(wire), clock)),
        ..source(None, Some(snapshot.as_ref().clone()))
    }]);

    let (status, body) = front.get("/api/v1/advice").await;
    assert_eq!(status, StatusCode::OK, "{body}");

    let advice: AdviceListPayload = serde_json::from_str(&body).unwrap();
    let rules: Vec<&str> = advice.clusters[0].advice.iter().map(|it| it.rule.as_str()).collect();

    assert_eq!(rules, ["batching", "compression"]);

    // What was found in the samples is among the findings, and the advice is given again.
    let causes: Vec<String> =
        findings(&front).await.clusters[0].findings.iter().map(|it| it.cause.clone()).collect();
    assert!(causes.contains(&"small_batches".to_owned()), "{causes:?}");

    let seen = |it: &RoundRunner| -> usize {
        it.brokers.iter().map(|it| it.seen(ApiKey::Fetch).len()).sum()
    };
    let before = seen(&rounds);

    assert_eq!(front.get("/api/v1/advice").await.1, body);
    assert_eq!(seen(&rounds), before);

    assert_eq!(front.get("/api/v1/advice?cluster=x").await.0, StatusCode::NOT_FOUND);
    assert_eq!(front.get("/api/v1/advice?group=x").await.0, StatusCode::BAD_REQUEST);
}
