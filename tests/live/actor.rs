//! Two processes on one cluster, on a live stack: the second one finds the first and never acts.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::stack::{Stack, eventually};

/// A process on the host that ends with the test.
struct SecondProcess(Child);

impl Drop for SecondProcess {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn configuration(bootstrap: &str, dir: &str) -> String {
    let servers: Vec<String> = bootstrap.split(',').map(|it| format!("'{it}'")).collect();
    format!(
        "clusters:
  - name: by-another-name
    bootstrap_servers: [{}]
    prometheus: {{url: 'http://127.0.0.1:1'}}
remediation:
  mode: act
  token_file: {dir}/token
  state_dir: {dir}/state
  playbooks:
    - name: preferred-leaders
      match: {{alertname: KafkaLeadersNotPreferred}}
      optimizer: {{elect_leaders: {{}}}}
      objective: {{gauge: 'count(up == 0) or vector(0)', better: lower}}
      load: 'sum(up)'
",
        servers.join(", ")
    )
}

/// Value of the gauge of the lease.
fn acting_lease(page: &str) -> Option<f64> {
    let line = page.lines().find(|it| it.starts_with("kafka_optimizer_acting_lease{"))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i43_a_second_process_on_one_cluster_names_the_first_and_leaves_it_the_lease() {
    let stack = Stack::new();
    let lease = async || {
        let page = stack.get("/metrics").await.text().await.ok()?;
        (acting_lease(&page)? > 0.5).then_some(())
    };
    eventually("the stack's process has the lease", Duration::from_mins(1), async || lease().await)
        .await;

    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().to_str().unwrap();
    fs::write(dir.path().join("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(dir.path().join("config.yaml"), configuration(&stack.bootstrap, shown)).unwrap();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);

    let child = Command::new(env!("CARGO_BIN_EXE_kafka-optimizer"))
        .args(["serve", "--config.file", &format!("{shown}/config.yaml")])
        .args(["--web.listen-address", &listen.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _process = SecondProcess(child);
    let other = async || {
        let page = reqwest::get(format!("http://{listen}/metrics")).await.ok()?;
        let page = page.text().await.ok()?;
        let without = acting_lease(&page)? < 0.5;
        let named = page.contains("kafka_optimizer_other_actor_info{");

        (without && named).then_some(())
    };
    eventually("the second process names the first", Duration::from_mins(1), async || {
        other().await
    })
    .await;

    // Longer than a session: the first stays the leader of the group with two members.
    tokio::time::sleep(Duration::from_secs(40)).await;
    eventually("the stack's process still has it", Duration::from_secs(30), async || lease().await)
        .await;
    eventually("the second still has not", Duration::from_secs(30), async || other().await).await;
}
