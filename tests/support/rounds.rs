//! A collector over fake brokers and real sockets, round by round.

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::{SharedClock, SystemClock},
    collect::Collector,
    config::ClusterConfig,
    kafka::wire::{Wire, WireOptions},
    model::ClusterName,
    security::Security,
    shutdown::Tasks,
    snapshot::Latest,
    telemetry::{BuildInfo, Telemetry},
};

use crate::{
    fake_broker::{ClusterSize, FakeBroker, FakeCluster},
    step_clock::StepClock,
};

/// By the clock of the rounds.
const INTERVAL: Duration = Duration::from_secs(15);
/// Real time; long, so that a busy machine does not fail a test.
const DEADLINE: Duration = Duration::from_secs(10);

/// A fake cluster and a collector, whose rounds start when the test says so.
pub(crate) struct RoundRunner {
    pub(crate) cluster: FakeCluster,
    pub(crate) brokers: Vec<FakeBroker>,
    pub(crate) latest: Latest,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) tasks: Tasks,
    clock: Arc<StepClock>,
}

impl RoundRunner {
    /// Starts brokers 1, 2, … of a cluster of this size, and a collector with its first round.
    pub(crate) async fn new(size: ClusterSize) -> Self {
        let cluster = FakeCluster::default();
        cluster.contents().fill(size);
        let mut brokers = Vec::new();

        for id in 1..=size.brokers {
            brokers.push(cluster.start(id).await);
        }

        Self::of(cluster, brokers)
    }

    /// Starts a collector for a running cluster.
    pub(crate) fn of(cluster: FakeCluster, brokers: Vec<FakeBroker>) -> Self {
        let options = WireOptions {
            bootstrap: brokers.iter().map(|it| it.address.to_string()).collect(),
            request_timeout: DEADLINE,
            client_id: "tests".to_owned(),
            security: Security::default(),
        };
        let tasks = Tasks::default();
        let wire = Wire::new(options, Arc::new(SystemClock::new()), tasks.clone());
        let config = config();
        let build = BuildInfo { version: "0", revision: "0", rustc: "0" };
        let telemetry = Arc::new(Telemetry::new(build, &[], std::slice::from_ref(&config.name)));
        let clock = Arc::new(StepClock::new());
        let shared = Arc::clone(&clock) as SharedClock;
        let collector =
            Collector::new(&config, Arc::new(wire), None, shared, Arc::clone(&telemetry));
        let latest = collector.latest();
        tasks.start("collect", |stop| collector.run(stop));

        Self { cluster, brokers, latest, telemetry, tasks, clock }
    }

    /// Stops the collector. Returns the cluster and its brokers.
    pub(crate) async fn end(self) -> (FakeCluster, Vec<FakeBroker>) {
        self.tasks.drain(DEADLINE).await;
        (self.cluster, self.brokers)
    }

    /// Waits for the end of the current round.
    pub(crate) async fn ended(&mut self) {
        self.latest.changed().await.expect("a collector that goes on");
        self.latest.mark_unchanged();
    }

    /// Starts the next round, and waits for its end.
    pub(crate) async fn next(&mut self) {
        self.clock.step(INTERVAL).await;
        self.ended().await;
    }
}

fn config() -> ClusterConfig {
    ClusterConfig {
        collect_interval: INTERVAL,
        request_timeout: Duration::from_secs(5),
        ..ClusterConfig::new(ClusterName::new("main"), Vec::new())
    }
}
