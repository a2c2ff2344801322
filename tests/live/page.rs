//! What Prometheus and Grafana read, on a live stack.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::stack::{Stack, eventually};

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_live_page_passes_promtool() {
    let stack = Stack::new();
    let page = eventually("the page speaks of the cluster", Duration::from_mins(1), async || {
        let page = stack.get("/metrics").await.text().await.unwrap();
        page.contains("kafka_up{kafka_cluster=\"main\"} 1").then_some(page)
    })
    .await;
    let mut promtool = Command::new(&stack.promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let done = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);

    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stdout));

    println!("    {} bytes, {} lines", page.len(), page.lines().count());
}

/// Panels without data on a healthy stack, and why.
const QUIET: &[&str] = &[
    // It needs a week, and a disk that fills.
    "kafka:cluster_bytes_in:growth",
    "kafka:disk_left:seconds",
    // Nothing is in flight, nothing went wrong.
    "ALERTS",
    "kafka_optimizer_run_info",
    "kafka_optimizer_quarantined",
    "kafka_optimizer_cooldown_end_timestamp_seconds",
];

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn every_query_of_the_dashboard_has_data_and_no_warning() {
    let stack = Stack::new();
    stack.light_load().await;
    let text = std::fs::read_to_string("grafana/dashboards/overview.json").unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut expressions = Vec::new();
    collect(&dashboard["panels"], &mut expressions);

    assert!(20 <= expressions.len(), "only {} queries found", expressions.len());

    let mut empty = Vec::new();
    for expression in &expressions {
        let query = with_variables(expression);
        let may_be_empty = QUIET.iter().any(|it| query.contains(it));
        if stack.query(&query).await.is_empty() && !may_be_empty {
            empty.push(query);
        }
    }

    assert!(empty.is_empty(), "no data: {empty:#?}");

    println!("    {} queries", expressions.len());
}

/// Every `expr` of every panel, rows included.
fn collect(panels: &Value, found: &mut Vec<String>) {
    for panel in panels.as_array().into_iter().flatten() {
        collect(&panel["panels"], found);
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
}

/// Grafana's value of its variables for "All".
fn with_variables(expression: &str) -> String {
    let mut query = expression
        .replace("$__rate_interval", "30s")
        .replace("$__interval", "3s")
        .replace("$__range", "5m");
    for name in ["job", "kafka_cluster", "cluster", "broker_id", "broker", "topic", "group"] {
        query = query.replace(&format!("${{{name}}}"), ".+").replace(&format!("${name}"), ".+");
    }

    assert!(!query.contains('$'), "an unknown variable: {query}");

    query
}
