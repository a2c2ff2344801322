//! The running stack, as described by environment variables of `make test`.

use std::{
    process::{Command, Output},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Addresses and paths of the stack.
pub(super) struct Stack {
    pub(super) prometheus: String,
    pub(super) optimizer: String,
    pub(super) bootstrap: String,
    pub(super) promtool: String,
    pub(super) token: String,
    compose: String,
    client: reqwest::Client,
}

#[expect(clippy::disallowed_methods, reason = "the test script says where the stack is")]
pub(super) fn variable(name: &str) -> String {
    let name = format!("KAFKA_OPTIMIZER_LIVE_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`"))
}

impl Stack {
    pub(super) fn new() -> Self {
        let token = std::fs::read_to_string(variable("TOKEN_FILE")).unwrap();

        // Only the first call installs it.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();

        Self {
            prometheus: variable("PROMETHEUS"),
            optimizer: variable("OPTIMIZER"),
            bootstrap: variable("BOOTSTRAP"),
            promtool: variable("PROMTOOL"),
            compose: variable("COMPOSE"),
            token: token.trim().to_owned(),
            client: reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.optimizer)).send().await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> u16 {
        self.post_as(path, body, "application/json", &self.token).await
    }

    pub(super) async fn post_as(&self, path: &str, body: Vec<u8>, kind: &str, token: &str) -> u16 {
        let request = self.client.post(format!("{}{path}", self.optimizer)).body(body);
        let request = request.header("content-type", kind).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }

    /// The series of an instant query; Prometheus must answer without warning.
    pub(super) async fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.try_query(query).await;
        assert_eq!(answer["status"], "success", "{query}: {answer}");

        for remark in ["warnings", "infos"] {
            assert!(answer.get(remark).is_none(), "{query}: {answer}");
        }

        answer["data"]["result"].as_array().unwrap().clone()
    }

    async fn try_query(&self, query: &str) -> Value {
        let url = format!("{}/api/v1/query", self.prometheus);
        let answer = self.client.post(url).form(&[("query", query)]).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// The value of the one series of `query`.
    pub(super) async fn value(&self, query: &str) -> Option<f64> {
        let series = self.query(query).await;
        series.first()?["value"][1].as_str()?.parse().ok()
    }

    pub(super) async fn runs(&self) -> Vec<Value> {
        let answer: Value = self.get("/api/v1/runs?limit=200").await.json().await.unwrap();
        answer["runs"].as_array().unwrap().clone()
    }

    pub(super) async fn run(&self, id: u64) -> Value {
        self.get(&format!("/api/v1/runs/{id}")).await.json().await.unwrap()
    }

    /// Runs the stack's own compose command.
    pub(super) fn compose(&self, args: &[&str]) -> Output {
        Command::new(&self.compose).args(args).output().unwrap()
    }

    /// The same; it must succeed. Returns its output.
    pub(super) fn compose_ok(&self, args: &[&str]) -> String {
        let done = self.compose(args);
        let (out, err) =
            (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));

        assert!(done.status.success(), "compose {args:?}: {out}{err}");

        out.into_owned()
    }

    /// One of Kafka's own tools, inside broker 1.
    pub(super) fn kafka_tool(&self, tool: &str, args: &[&str]) -> String {
        let tool = format!("/opt/kafka/bin/{tool}");
        let mut all = vec!["exec", "-T", "-e", "KAFKA_OPTS=", "-e", "LD_PRELOAD="];
        all.extend(["-e", "KAFKA_HEAP_OPTS=-Xmx192m", "kafka-1", &tool]);
        all.extend(["--bootstrap-server", "kafka-1:9092"]);
        all.extend(args);

        self.compose_ok(&all)
    }
}

/// Set by the first test that needs load. The load runs until the stack is stopped.
static LOADED: OnceLock<()> = OnceLock::new();

impl Stack {
    /// Starts twenty requests per second on each broker and a group that reads them, and waits as
    /// long as a baseline needs.
    pub(super) async fn light_load(&self) {
        if LOADED.set(()).is_err() {
            return;
        }

        let (topic, brokers) = ("live-light", "kafka-1:9092");
        self.kafka_tool(
            "kafka-topics.sh",
            &[
                "--create",
                "--if-not-exists",
                "--topic",
                topic,
                "--partitions",
                "6",
                "--replication-factor",
                "3",
            ],
        );
        self.compose_ok(&[
            "run",
            "-d",
            "--no-deps",
            "load",
            "load",
            "produce",
            "--kafka.server",
            brokers,
            "--topic",
            topic,
            "--partitions",
            "6",
            "--producers",
            "6",
            "--rate",
            "60",
            "--record-bytes",
            "200",
            "--acks",
            "1",
            "--pinned",
            "--for",
            "1200s",
        ]);
        self.compose_ok(&[
            "exec",
            "-d",
            "-T",
            "-e",
            "KAFKA_OPTS=",
            "-e",
            "LD_PRELOAD=",
            "-e",
            "KAFKA_HEAP_OPTS=-Xmx128m",
            "kafka-3",
            "/opt/kafka/bin/kafka-console-consumer.sh",
            "--bootstrap-server",
            "kafka-3:9092",
            "--topic",
            topic,
            "--group",
            "live-readers",
        ]);
        eventually("every broker takes records", Duration::from_secs(90), async || {
            let flowing = self.query("kafka:produce_requests:rate > 1").await;
            (flowing.len() == 3).then_some(())
        })
        .await;

        // A baseline covers 30 s and needs six samples, 3 s apart.
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
}

/// Repeats `ask` until it returns a value, for at most `limit`.
#[expect(clippy::disallowed_methods, reason = "a live test waits for real things")]
pub(super) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask().await {
            println!("    {what}: after {:.1} s", begun.elapsed().as_secs_f64());
            return found;
        }
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A notification as Alertmanager sends it, of alerts with these labels.
pub(super) fn notification(alerts: &[&[(&str, &str)]]) -> Vec<u8> {
    let alerts: Vec<Value> = alerts
        .iter()
        .map(|labels| {
            let labels: serde_json::Map<String, Value> =
                labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            serde_json::json!({
                "status": "firing", "labels": labels, "annotations": {},
                "startsAt": "2026-01-02T03:04:05Z", "endsAt": "0001-01-01T00:00:00Z",
            })
        })
        .collect();
    serde_json::to_vec(&serde_json::json!({"version": "4", "alerts": alerts})).unwrap()
}
