//! The Docker adapter against a real engine with a real cluster.
//!
//! Wants containers labelled as brokers 1 to 3 of the cluster that `KAFKA_OPTIMIZER_LIVE_CLUSTER`
//! names, on the local engine.

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::SystemClock,
    docker::{Docker, engine::Engine},
};

const SOCKET: &str = "/var/run/docker.sock";

fn engine(socket: &str) -> Engine {
    Engine::new(socket, Duration::from_secs(10), Arc::new(SystemClock::new()))
}

#[expect(clippy::disallowed_methods, reason = "the test script says which cluster it is")]
fn cluster() -> String {
    std::env::var("KAFKA_OPTIMIZER_LIVE_CLUSTER")
        .expect("KAFKA_OPTIMIZER_LIVE_CLUSTER must name the cluster in its containers' labels")
}

#[tokio::test]
async fn every_broker_container_reports_what_it_uses() {
    let used = engine(SOCKET).broker_use(&cluster()).await.unwrap();
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
async fn another_cluster_has_no_containers() {
    assert_eq!(engine(SOCKET).broker_use("no such cluster").await.unwrap(), []);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_an_error() {
    engine("/nonexistent/docker.sock").broker_use("main").await.unwrap_err();
}
