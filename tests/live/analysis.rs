//! What `analyze` and `baseline` say of the live cluster.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use super::stack::{Stack, eventually};

/// An answer to a person at a terminal.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_findings_are_of_everything_that_can_be_seen() {
    let stack = Stack::new();
    stack.light_load().await;

    let report = eventually("a report of the cluster", Duration::from_secs(30), async || {
        let answer: Value = stack.get("/api/v1/findings").await.json().await.unwrap();
        answer["clusters"][0]["severity"].is_string().then(|| answer["clusters"][0].clone())
    })
    .await;

    // Brokers, their JVMs, their containers, partitions and groups: nothing is missing here.
    assert_eq!(report["not_seen"], json!([]), "{report:#}");

    for finding in report["findings"].as_array().unwrap() {
        assert!(!finding["evidence"].as_array().unwrap().is_empty(), "{finding:#}");
        assert!(!finding["advice"].as_str().unwrap().is_empty(), "{finding:#}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
#[expect(clippy::disallowed_methods, reason = "a live test measures real time")]
async fn analyze_answers_a_person_in_time() {
    let stack = Stack::new();
    stack.light_load().await;

    let began = std::time::Instant::now();
    let done = Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"))
        .args(["analyze", "--server", &stack.optimizer, "--output", "json", "--exit-code"])
        .output()
        .unwrap();
    let took = began.elapsed();

    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
    let code = match answer["clusters"][0]["severity"].as_str() {
        Some("green") => 0,
        Some("yellow") => 1,
        Some("red") => 2,
        other => panic!("the severity is {other:?}: {out}{err}"),
    };
    println!("    analyze: {took:?}, exit code {code}");

    assert_eq!(done.status.code(), Some(code), "{out}{err}");
    assert!(took <= ANSWER_MAX, "{took:?}");
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_baseline_of_the_live_cluster_is_recorded_and_compared() {
    let stack = Stack::new();
    stack.light_load().await;
    let order = |replace: bool| {
        let order = json!({"name": "live-usual", "seconds": 300, "replace": replace});
        serde_json::to_vec(&order).unwrap()
    };

    assert_eq!(stack.post("/api/v1/baselines", order(true)).await, 201);
    assert_eq!(stack.post("/api/v1/baselines", order(false)).await, 409, "the name is taken");

    let listed: Value = stack.get("/api/v1/baselines").await.json().await.unwrap();
    let listed = listed["baselines"].as_array().unwrap();

    let recorded = listed.iter().find(|it| it["name"] == "live-usual").unwrap();
    assert!(recorded["window"]["kafka_version"].is_string(), "{recorded:#}");

    let compared = stack.get("/api/v1/baselines/live-usual/comparison").await;
    assert_eq!(compared.status(), 200);

    let compared: Value = compared.json().await.unwrap();
    let metrics = compared["metrics"].as_array().unwrap();

    assert!(!metrics.is_empty(), "{compared:#}");

    // The same minutes again: nothing can be better or worse for sure.
    for metric in metrics {
        let verdict = metric["verdict"].as_str();
        assert!(!matches!(verdict, Some("better" | "worse")), "{metric:#}");
    }
}
