//! Store failures and the start, on a live stack.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::stack::{Stack, eventually, notification, variable};

/// The store's file, seen from the host.
fn store_file() -> String {
    let volume = format!("{}_optimizer-state", variable("PROJECT"));
    let args = ["volume", "inspect", "--format", "{{.Mountpoint}}", &volume];
    let done = Command::new("docker").args(args).output().unwrap();
    let mount = String::from_utf8(done.stdout).unwrap();

    format!("{}/state.db", mount.trim())
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i2_a_notification_that_cannot_be_stored_is_delivered_again_by_alertmanager() {
    let stack = Stack::new();
    let store = rusqlite::Connection::open(store_file()).unwrap();
    let delivered = |name: &str| -> i64 {
        let pattern = format!("%\"{name}\"%");
        let query = "SELECT count(*) FROM alerts WHERE labels LIKE ?1";
        store.query_row(query, [pattern], |row| row.get(0)).unwrap()
    };

    // Another writer locks the store for longer than the optimizer waits.
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let labels: &[(&str, &str)] = &[("alertname", "Refused"), ("kafka_cluster", "main")];

    assert_eq!(stack.post("/api/v1/alerts", notification(&[labels])).await, 503);

    let alert = serde_json::json!([{"labels": {
        "alertname": "DeliveredLate", "kafka_cluster": "main", "remediation": "tune-brokers",
    }}]);
    let url = format!("{}/api/v2/alerts", variable("ALERTMANAGER"));
    let answer = reqwest::Client::new().post(url).json(&alert).send().await.unwrap();

    assert!(answer.status().is_success(), "{answer:?}");

    // Long enough for Alertmanager's first try to be refused.
    tokio::time::sleep(Duration::from_secs(8)).await;
    store.execute_batch("ROLLBACK").unwrap();

    assert_eq!(delivered("Refused"), 0);

    eventually("Alertmanager delivers it", Duration::from_mins(1), async || {
        (delivered("DeliveredLate") == 1).then_some(())
    })
    .await;
}

/// A process on the host that ends with the test.
struct HostProcess(Child);

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_exporter_starts_with_kafka_down_and_recovers() {
    let stack = Stack::new();
    let broker = stack.bootstrap.split(',').next().unwrap().to_owned();

    // Two free ports: one for the broker that is not there yet, one for the exporter.
    let free = async || {
        let probe = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        probe.local_addr().unwrap()
    };
    let (late, listen) = (free().await, free().await);
    let child = Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"))
        .args(["serve", "--kafka.server", &late.to_string()])
        .args(["--web.listen-address", &listen.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _process = HostProcess(child);
    let up = async || {
        let page = reqwest::get(format!("http://{listen}/metrics")).await.ok()?;
        let page = page.text().await.ok()?;
        let line = page.lines().find(|it| it.starts_with("kafka_up{"))?.to_owned();

        Some((line, page.contains("kafka_topic_partitions{")))
    };
    eventually("kafka_up is 0", Duration::from_secs(40), async || {
        up().await.filter(|(line, topics)| line.ends_with(" 0") && !topics)
    })
    .await;

    let listener = tokio::net::TcpListener::bind(late).await.unwrap();
    let forward = async {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(&broker).await.unwrap();
            let _either_end_closed = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    };
    let recovered = eventually("kafka_up is 1", Duration::from_mins(1), async || {
        up().await.filter(|(line, topics)| line.ends_with(" 1") && *topics)
    });

    tokio::select! {
        () = forward => unreachable!("it forwards for ever"),
        _ = recovered => (),
    }
}
