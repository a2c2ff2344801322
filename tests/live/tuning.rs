//! The whole loop on real brokers: an alert of a test rule, every broker from 8 to 16 threads, a
//! kill during the run, and the exact prior values afterwards.

use std::time::Duration;

use serde_json::Value;

use super::stack::{Stack, eventually};

const TOPIC: &str = "lab-tune-all";
const ALERT: &str = "LabTuneAllBrokers";

fn configured(stack: &Stack, broker: &str, key: &str) -> Option<String> {
    let text = stack.kafka_tool(
        "kafka-configs.sh",
        &["--describe", "--entity-type", "brokers", "--entity-name", broker],
    );
    let start = format!("{key}=");
    let line = text.lines().map(str::trim).find(|it| it.starts_with(&start))?;

    line[start.len()..].split_whitespace().next().map(str::to_owned)
}

fn seconds(run: &Value, field: &str) -> f64 {
    let text = run["timestamps"][field].as_str().or(run[field].as_str()).unwrap();
    let time: jiff::Timestamp = text.parse().unwrap();
    time.as_duration().as_secs_f64()
}

/// The goal is one second, measured by `make effect` on an idle machine (776 ms). Beside a second
/// cluster on the same two cores, the brokers alone take 1.6 s. More than this is not noise.
const EFFECT_MAX: f64 = 3.0;

const KEYS: [&str; 2] = ["num.io.threads", "num.network.threads"];

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_cluster_alert_tunes_every_broker_within_a_second_and_survives_a_kill() {
    let stack = Stack::new();
    stack.light_load().await;
    let run = under_way(&stack).await;
    let id = run["id"].as_u64().unwrap();
    let took = seconds(&run, "effective_at") - seconds(&run, "created_at");
    println!("    stored webhook to 8 → 16 in force on three brokers: {:.0} ms", took * 1000.0);

    for (broker, key) in pools() {
        assert_eq!(configured(&stack, broker, key).as_deref(), Some("16"), "{broker} {key}");
    }

    assert!(took < EFFECT_MAX, "{took:.3} s");

    kill_and_start(&stack).await;
    let ended = eventually("the run ends", Duration::from_mins(4), async || {
        let run = stack.run(id).await;
        (!run["ended_at"].is_null()).then_some(run)
    })
    .await;
    println!("    verdict {}, {}", ended["verdict"], ended["state"]);

    assert_eq!(ended["state"], "rolled_back", "{ended:#}");

    for (broker, key) in pools() {
        assert_eq!(configured(&stack, broker, key), None, "{broker} {key}");
    }

    let twice = stack.runs().await.iter().filter(|it| it["cause"] == ALERT).count();
    assert_eq!(twice, 1, "the kill started the run again");

    stack.kafka_tool("kafka-topics.sh", &["--delete", "--topic", TOPIC]);
}

fn pools() -> impl Iterator<Item = (&'static str, &'static str)> {
    ["1", "2", "3"].into_iter().flat_map(|broker| KEYS.map(|key| (broker, key)))
}

/// Makes the alert fire, and waits until the change of its run is effective.
async fn under_way(stack: &Stack) -> Value {
    stack.kafka_tool(
        "kafka-topics.sh",
        &["--create", "--topic", TOPIC, "--partitions", "1", "--replication-factor", "3"],
    );
    eventually("the run is under way", Duration::from_mins(2), async || {
        let runs = stack.runs().await;
        let ours = runs.into_iter().find(|it| it["cause"] == ALERT)?;
        ["settling", "observing"].iter().any(|it| ours["state"] == *it).then_some(ours)
    })
    .await
}

async fn kill_and_start(stack: &Stack) {
    stack.compose_ok(&["kill", "-s", "SIGKILL", "kafka-optimizer"]);
    stack.compose_ok(&["up", "-d", "--no-deps", "--no-build", "kafka-optimizer"]);
    eventually("back after the kill", Duration::from_mins(1), async || {
        let url = format!("{}/-/ready", stack.optimizer);
        reqwest::get(url).await.ok().filter(|it| it.status().is_success())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i18_a_value_above_twice_the_static_one_is_detected_after_a_restart() {
    let stack = Stack::new();
    let alter = |value: &str| {
        let set = format!("num.io.threads={value}");
        stack.kafka_tool(
            "kafka-configs.sh",
            &["--alter", "--entity-type", "brokers", "--entity-name", "3", "--add-config", &set],
        );
    };

    for value in ["16", "32"] {
        alter(value);
        eventually("in force", Duration::from_secs(30), async || {
            let selector = r#"kafka_broker_config_value{broker_id="3",key="num.io.threads"}"#;
            stack.value(&format!("{selector} == {value}")).await
        })
        .await;
    }

    stack.compose_ok(&["restart", "kafka-3"]);
    eventually("the detector is 0", Duration::from_mins(2), async || {
        let query = r#"kafka_broker_config_applied{broker_id="3",key="num.io.threads"} == 0"#;
        stack.value(query).await
    })
    .await;
    eventually("KafkaBrokerConfigNotApplied fires", Duration::from_mins(2), async || {
        let query =
            r#"ALERTS{alertname="KafkaBrokerConfigNotApplied",alertstate="firing",broker_id="3"}"#;
        stack.value(query).await
    })
    .await;
    stack.kafka_tool(
        "kafka-configs.sh",
        &[
            "--alter",
            "--entity-type",
            "brokers",
            "--entity-name",
            "3",
            "--delete-config",
            "num.io.threads",
        ],
    );
    eventually("applied again", Duration::from_mins(1), async || {
        let query = r#"kafka_broker_config_applied{broker_id="3",key="num.io.threads"} == 1"#;
        stack.value(query).await
    })
    .await;
}
