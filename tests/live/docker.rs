//! The Docker adapter against a real engine with a real cluster.
//!
//! Needs containers labelled as brokers 1 to 3 of the cluster `KAFKA_OPTIMIZER_LIVE_CLUSTER` on the
//! local engine. The cloned containers have the label of another cluster, and sleep in the image
//! `KAFKA_OPTIMIZER_LIVE_IMAGE`.

use std::{process::Command, sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::SystemClock,
    docker::{Docker, engine::Engine},
    model::{CloneName, CloneState, ConsumerContainer, ContainerUsage, RequestOutcome},
};
use serde_json::{Value, json};

use super::stack::{eventually, variable};

const SOCKET: &str = "/var/run/docker.sock";

fn engine(socket: &str) -> Engine {
    Engine::new(socket, Duration::from_secs(10), Arc::new(SystemClock::new()), "live".into())
}

#[expect(clippy::disallowed_methods, reason = "the test script says which cluster it is")]
fn cluster() -> String {
    std::env::var("KAFKA_OPTIMIZER_LIVE_CLUSTER")
        .expect("KAFKA_OPTIMIZER_LIVE_CLUSTER must name the cluster in its containers' labels")
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn every_broker_container_reports_what_it_uses() {
    let used = engine(SOCKET).broker_usage(&cluster()).await.unwrap();
    let used: Vec<ContainerUsage> = used.into_iter().map(Result::unwrap).collect();
    let brokers: Vec<_> = used.iter().map(|it| it.broker.to_wire()).collect();

    assert_eq!(brokers, [1, 2, 3]);

    for it in &used {
        assert!(0.0 < it.cpu_seconds.unwrap() && 0.0 < it.cpu_limit_cores.unwrap(), "{it:?}");

        let limit = it.memory_limit_bytes.unwrap();
        let memory = it.memory_anonymous_bytes.unwrap();

        assert!((50 << 20..limit).contains(&memory), "a JVM's heap: {it:?}");
        assert!(0 < it.network_receive_bytes.unwrap(), "{it:?}");
        assert!(0 < it.network_transmit_bytes.unwrap(), "{it:?}");
        assert!(it.throttled_periods.is_some(), "{it:?}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn another_cluster_has_no_containers() {
    assert!(engine(SOCKET).broker_usage("no such cluster").await.unwrap().is_empty());
    assert_eq!(engine(SOCKET).consumers("no such cluster").await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn an_engine_that_is_not_there_is_an_error() {
    engine("/nonexistent/docker.sock").broker_usage("main").await.unwrap_err();
}

fn docker(args: &[&str]) -> String {
    let done = Command::new("docker").args(args).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));

    assert!(done.status.success(), "docker {args:?}: {out}{err}");

    out.trim().to_owned()
}

/// A cluster label and a Compose project for one test; everything with its name is removed at the
/// end.
struct TestProject {
    name: String,
    engine: Engine,
}

impl TestProject {
    fn new(test: &str) -> Self {
        let name = format!("kafka-optimizer-{test}-{}", std::process::id());
        Self { name, engine: engine(SOCKET) }
    }

    fn named(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    fn clone_name(&self, run: i64) -> CloneName {
        CloneName { name: self.named("clone"), run, cluster: self.name.clone() }
    }

    /// Runs a consumer that may be cloned; `more` are arguments before the image.
    fn run_template(&self, more: &[&str], command: &[&str]) {
        let name = self.named("template");
        let labels = [
            "kafka-optimizer.role=consumer".to_owned(),
            format!("kafka-optimizer.cluster={}", self.name),
            "kafka-optimizer.group=billing".to_owned(),
            format!("com.docker.compose.project={}", self.name),
            "com.docker.compose.service=consumer".to_owned(),
            "com.docker.compose.container-number=4".to_owned(),
        ];
        let mut args = vec!["run", "-d", "--name", &name, "--stop-timeout", "1"];
        args.extend(labels.iter().flat_map(|it| ["--label", it.as_str()]));
        args.extend(more);
        let image = variable("IMAGE");
        args.push(&image);
        args.extend(command);
        docker(&args);
    }

    /// The one consumer that is not a clone.
    async fn template(&self) -> ConsumerContainer {
        let mut found = self.engine.consumers(&self.name).await.unwrap();
        found.retain(|it| it.run.is_none());
        let [only] = found.try_into().unwrap();

        only
    }
}

impl Drop for TestProject {
    fn drop(&mut self) {
        let of_place = format!("name=^/?{}-", self.name);
        let listed = docker(&["ps", "-aq", "--filter", &of_place]);

        for container in listed.lines() {
            docker(&["rm", "-f", "-v", container]);
        }

        let listed = docker(&["network", "ls", "-q", "--filter", &of_place]);

        for network in listed.lines() {
            docker(&["network", "rm", network]);
        }
    }
}

fn inspect(name: &str) -> Value {
    let mut all: Value = serde_json::from_str(&docker(&["inspect", name])).unwrap();
    all[0].take()
}

/// The name of its anonymous volume.
fn volume(of: &Value) -> String {
    let mut mounts = of["Mounts"].as_array().unwrap().iter();
    mounts.find(|it| it["Type"] == "volume").unwrap()["Name"].as_str().unwrap().to_owned()
}

/// What the clone has in common with its template, and what it must not have.
fn compare(template: &Value, clone: &Value) {
    assert_eq!(clone["Image"], template["Image"]);

    for same in ["Env", "Cmd", "Entrypoint", "User", "WorkingDir", "StopTimeout", "Volumes"] {
        assert_eq!(clone["Config"][same], template["Config"][same], "{same}");
    }

    let mut host = template["HostConfig"].clone();
    host["PortBindings"] = clone["HostConfig"]["PortBindings"].clone();

    assert_eq!(clone["HostConfig"], host);
    assert_eq!(clone["NetworkSettings"]["Ports"]["9404/tcp"], json!(null));
    assert_ne!(clone["Config"]["Hostname"], template["Config"]["Hostname"]);
    assert_ne!(volume(clone), volume(template), "each has its own");

    let mut labels = template["Config"]["Labels"].clone();
    labels["kafka-optimizer.run"] = json!("12");
    labels["kafka-optimizer.clone-of"] = template["Id"].clone();
    labels["com.docker.compose.container-number"] = json!("5");
    labels["kafka-optimizer.installation"] = json!("live");

    assert_eq!(clone["Config"]["Labels"], labels);

    let networks = |of: &Value| of["NetworkSettings"]["Networks"].as_object().unwrap().clone();
    let (theirs, ours) = (networks(template), networks(clone));

    assert_eq!(ours.len(), 2);

    for (network, endpoint) in theirs {
        assert_eq!(ours[&network]["NetworkID"], endpoint["NetworkID"]);
        assert_ne!(ours[&network]["IPAddress"], endpoint["IPAddress"]);

        let short = &template["Id"].as_str().unwrap()[..12];

        // Engines before API 1.44 give each container its own value; later ones may return null.
        let aliases = ours[&network]["Aliases"].as_array().cloned().unwrap_or_default();
        assert!(!aliases.contains(&json!(short)), "{aliases:?}");
        assert_eq!(aliases.contains(&json!("shared")), network.ends_with("front"), "{aliases:?}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i36_i37_a_clone_equals_its_template_and_changes_nothing_of_it() {
    let place = TestProject::new("clones");
    let (front, back) = (place.named("front"), place.named("back"));
    docker(&["network", "create", &front]);
    docker(&["network", "create", &back]);
    let options = [
        ["--network", &front],
        ["--network-alias", "shared"],
        ["-e", "GREETING=a b=c"],
        ["-p", "127.0.0.1::9404"],
        ["--memory", "64m"],
        ["--cpus", "0.5"],
        ["--cap-drop", "ALL"],
        ["-v", "/state"],
        ["-v", "/etc/hostname:/host:ro"],
        ["--restart", "on-failure"],
        ["--health-cmd", "true"],
    ];
    place.run_template(options.as_flattened(), &["sleep", "600"]);
    docker(&["network", "connect", &back, &place.named("template")]);

    let template = place.template().await;

    assert_eq!(template.objections, Vec::<String>::new());
    assert_eq!((template.running, template.group.as_str()), (true, "billing"));

    let (own, others) = (place.clone_name(12), place.clone_name(13));
    assert_eq!(place.engine.clone_state(&own).await.unwrap(), CloneState::Absent);

    place.engine.start_clone(&template.id, &own).await.unwrap();
    assert_eq!(place.engine.clone_state(&own).await.unwrap(), CloneState::Running);

    let clone = inspect(&own.name);
    compare(&inspect(&template.name), &clone);
    place.engine.start_clone(&template.id, &own).await.unwrap();

    assert_eq!(inspect(&own.name)["Id"], clone["Id"], "made once");

    assert_eq!(place.engine.clone_state(&others).await.unwrap(), CloneState::Foreign);

    place.engine.start_clone(&template.id, &others).await.unwrap_err();
    place.engine.remove_clone(&others).await.unwrap_err();
    let found = place.engine.consumers(&place.name).await.unwrap();
    let runs: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.run, it.running)).collect();
    let expected = [(own.name.as_str(), Some(12), true), (template.name.as_str(), None, true)];

    assert_eq!(runs, expected);

    place.engine.start_clone(&found[0].id, &others).await.unwrap_err();

    place.engine.remove_clone(&own).await.unwrap();
    place.engine.remove_clone(&own).await.unwrap();

    assert_eq!(place.engine.clone_state(&own).await.unwrap(), CloneState::Absent);
    assert!(!docker(&["volume", "ls", "-q"]).contains(&volume(&clone)), "its volume goes with it");
    assert!(place.template().await.running);
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i36_a_container_with_a_clone_name_but_no_labels_is_left_alone() {
    let place = TestProject::new("foreign");
    place.run_template(&[], &["sleep", "600"]);
    let clone = place.clone_name(12);
    docker(&["run", "-d", "--name", &clone.name, &variable("IMAGE"), "sleep", "600"]);
    let before = inspect(&clone.name);

    assert_eq!(place.engine.clone_state(&clone).await.unwrap(), CloneState::Foreign);

    let template = place.template().await;
    let refused = place.engine.start_clone(&template.id, &clone).await.unwrap_err();

    assert_ne!(refused.outcome(), RequestOutcome::Unknown, "{refused}");

    let refused = place.engine.remove_clone(&clone).await.unwrap_err();
    assert_ne!(refused.outcome(), RequestOutcome::Unknown, "{refused}");

    let after = inspect(&clone.name);
    assert_eq!((&after["Id"], &after["State"]), (&before["Id"], &before["State"]));
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i37_a_clone_that_does_not_stay_up_is_detected_and_removed() {
    let place = TestProject::new("crashing");
    let dir = tempfile::tempdir().unwrap();
    let mount = format!("{}:/flag:ro", dir.path().display());
    let command = ["sh", "-c", "test ! -e /flag/down && exec sleep 600"];
    place.run_template(&["-v", &mount, "--restart", "on-failure"], &command);
    let template = place.template().await;

    assert!(template.running, "{template:?}");

    // A container started from now on exits at once.
    std::fs::write(dir.path().join("down"), "").unwrap();
    let clone = place.clone_name(12);
    place.engine.start_clone(&template.id, &clone).await.unwrap();
    eventually("the clone is seen to restart", Duration::from_secs(20), async || {
        let state = place.engine.clone_state(&clone).await.unwrap();
        (state == CloneState::Restarting).then_some(())
    })
    .await;
    place.engine.remove_clone(&clone).await.unwrap();

    assert_eq!(place.engine.clone_state(&clone).await.unwrap(), CloneState::Absent);
    assert!(place.template().await.running);
}
