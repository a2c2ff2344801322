//! Invalid input on a live stack: a clear response, nothing lost, nothing changed.

use std::time::Duration;

use super::stack::{Stack, eventually, notification};

const WEBHOOK: &str = "/api/v1/alerts";

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn bad_input_is_answered_and_changes_nothing() {
    let stack = Stack::new();
    let good = notification(&[&[("alertname", "Nobody"), ("kafka_cluster", "main")]]);
    let json = "application/json";

    for (what, body, kind, token, want) in [
        ("undecodable", b"{\"alerts\": [".to_vec(), json, stack.token.as_str(), 400),
        ("17 MiB", vec![b' '; 17 << 20], json, &stack.token, 413),
        ("wrong token", good.clone(), json, "wrong", 401),
        ("wrong content type", good.clone(), "text/plain", &stack.token, 415),
        ("unknown alert", good.clone(), json, &stack.token, 200),
    ] {
        assert_eq!(stack.post_as(WEBHOOK, body, kind, token).await, want, "{what}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i34_an_alert_that_prometheus_does_not_confirm_is_held() {
    let stack = Stack::new();
    let body = notification(&[&[
        ("alertname", "KafkaRequestHandlersSaturated"),
        ("remediation", "tune-brokers"),
        ("kafka_cluster", "main"),
        ("broker_id", "2"),
        ("invented", "by someone who may write to Alertmanager"),
    ]]);

    assert_eq!(stack.post(WEBHOOK, body).await, 200);

    eventually("held as not confirmed", Duration::from_secs(30), async || {
        let runs = stack.runs().await;
        runs.into_iter().find(|it| it["target"] == "broker 2" && it["hold"] == "not_confirmed")
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i8_labels_with_special_characters_stay_data() {
    let stack = Stack::new();
    let before = stack.runs().await.len();

    for broker in ["99\"} or vector(1) #", "../../etc/passwd", "$(reboot)", "-1", "{{.}}"] {
        let body = notification(&[&[
            ("alertname", "KafkaRequestHandlersSaturated"),
            ("remediation", "tune-brokers"),
            ("kafka_cluster", "main"),
            ("broker_id", broker),
        ]]);
        assert_eq!(stack.post(WEBHOOK, body).await, 200, "{broker}");
    }

    tokio::time::sleep(Duration::from_secs(3)).await;

    assert_eq!(stack.runs().await.len(), before, "a label that is no broker's id made a run");
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn ten_thousand_alerts_in_one_post_are_stored() {
    let stack = Stack::new();
    let names: Vec<String> = (0..10_000).map(|it| it.to_string()).collect();
    let labels: Vec<[(&str, &str); 3]> = names
        .iter()
        .map(|it| [("alertname", "Flood"), ("kafka_cluster", "main"), ("n", it.as_str())])
        .collect();
    let alerts: Vec<&[(&str, &str)]> = labels.iter().map(<[_; 3]>::as_slice).collect();
    let body = notification(&alerts);
    let begun = tokio::time::Instant::now();

    assert_eq!(stack.post(WEBHOOK, body).await, 200);

    println!("    10,000 alerts answered after {} ms", begun.elapsed().as_millis());
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i4_the_same_post_fifty_times_at_once_is_one_run() {
    let stack = Stack::new();
    let body = notification(&[&[
        ("alertname", "KafkaRequestHandlersSaturated"),
        ("remediation", "tune-brokers"),
        ("kafka_cluster", "main"),
        ("broker_id", "3"),
    ]]);
    let of_broker = async || {
        let runs = stack.runs().await;
        runs.iter().filter(|it| it["target"] == "broker 3").count()
    };
    let before = of_broker().await;
    let posts = (0..50).map(|_| stack.post(WEBHOOK, body.clone()));
    let codes = futures_util::future::join_all(posts).await;

    assert!(codes.iter().all(|it| *it == 200), "{codes:?}");

    eventually("a run", Duration::from_secs(30), async || {
        (before < of_broker().await).then_some(())
    })
    .await;

    // Enough time for a second run.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = of_broker().await;

    assert_eq!(after, before + 1);
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i10_a_second_process_on_the_same_state_is_refused() {
    let stack = Stack::new();
    let done = stack.compose(&["run", "--rm", "--no-deps", "-T", "kafka-optimizer"]);
    let said = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);

    assert!(!done.status.success(), "{said}");
    assert!(said.contains("/var/lib/kafka-optimizer"), "the message names no place: {said}");
}
