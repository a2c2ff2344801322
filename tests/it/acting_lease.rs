//! The acting lease: several processes compete for one fake cluster (I43).

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::SystemClock,
    kafka::{
        Kafka,
        wire::{Wire, WireOptions},
    },
    model::{ActingLease, ActorIdentity},
    security::Security,
    shutdown::{Drained, Tasks},
};
use kafka_protocol::messages::ApiKey;

use crate::{
    fake_broker::{BrokerFault, FakeBroker, FakeCluster},
    serving,
};

/// Heartbeats are sent six times in it, and the lease is valid for two thirds of it.
const SESSION: Duration = Duration::from_secs(3);

fn identity(installation: &str) -> ActorIdentity {
    ActorIdentity { installation: installation.to_owned(), host: "ops-1".to_owned() }
}

/// A process of this installation that wants to act.
fn process(broker: &FakeBroker, installation: &str, tasks: Tasks) -> Wire {
    let options = WireOptions {
        bootstrap: vec![broker.address.to_string()],
        request_timeout: Duration::from_millis(600),
        client_id: "tests".to_owned(),
        security: Security::default(),
    };
    let wire = Wire::new(options, Arc::new(SystemClock::new()), tasks);
    let wire = wire.with_identity(identity(installation)).with_session_timeout(SESSION);
    wire.compete();

    wire
}

/// Waits until the lease of `wire` is as `wanted`, for at most ten seconds.
async fn until(wire: &Wire, wanted: impl Fn(&ActingLease) -> bool) -> ActingLease {
    for _ in 0..200 {
        if wanted(&wire.acting_lease()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wire.acting_lease()
}

async fn until_held(wire: &Wire) {
    assert_eq!(until(wire, |it| *it == ActingLease::Held).await, ActingLease::Held);
}

#[tokio::test]
async fn i43_of_two_processes_on_one_cluster_one_acts_and_the_other_names_it() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let (first_tasks, tasks) = (Tasks::default(), Tasks::default());
    let first = process(&broker, "aaaa", first_tasks.clone());
    until_held(&first).await;
    let second = process(&broker, "bbbb", tasks.clone());

    let other = ActingLease::HeldBy(identity("aaaa"));
    assert_eq!(until(&second, |it| *it == other).await, other);

    // The first stays the leader of the generation that the second has started.
    until_held(&first).await;
    tokio::time::sleep(SESSION).await;

    assert_eq!((first.acting_lease(), second.acting_lease()), (ActingLease::Held, other));

    // A standby takes over as soon as the first one stops.
    first.resign().await;
    assert_ne!(first.acting_lease(), ActingLease::Held);
    assert_eq!(broker.seen(ApiKey::LeaveGroup).len(), 1);

    until_held(&second).await;
    assert_eq!(first_tasks.drain(SESSION).await, Drained::Cleanly);
}

#[tokio::test]
async fn i43_a_process_that_the_coordinator_expired_does_not_act_before_it_has_joined_again() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let first = process(&broker, "aaaa", Tasks::default());
    until_held(&first).await;
    let second = process(&broker, "bbbb", Tasks::default());
    until(&second, |it| matches!(it, ActingLease::HeldBy(_))).await;
    until_held(&first).await;

    let leader = cluster.contents().membership.members[0].0.clone();
    cluster.contents().membership.remove(&leader);

    until_held(&second).await;
    let other = ActingLease::HeldBy(identity("bbbb"));

    assert_eq!(until(&first, |it| *it == other).await, other);
}

#[tokio::test]
async fn i43_a_lease_ends_before_the_coordinator_could_give_it_to_another() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let wire = process(&broker, "aaaa", Tasks::default());
    until_held(&wire).await;

    broker.freeze();
    let clock = tokio::time::Instant::now();
    let lease = until(&wire, |it| *it != ActingLease::Held).await;

    assert!(clock.elapsed() < SESSION, "{:?}", clock.elapsed());
    assert!(
        matches!(&lease, ActingLease::Unconfirmed(why) if why.contains("kafka-optimizer-actor")),
        "{lease:?}"
    );

    broker.heal();
    until_held(&wire).await;
}

#[tokio::test]
async fn a_group_that_may_not_be_read_is_named_with_its_error() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    cluster.contents().membership.is_forbidden = true;
    let wire = process(&broker, "aaaa", Tasks::default());

    let said = |it: &ActingLease| matches!(it, ActingLease::Unconfirmed(why) if why.contains("30"));
    let lease = until(&wire, said).await;

    assert!(said(&lease), "{lease:?}");
}

#[tokio::test]
async fn a_process_that_does_not_compete_joins_no_group() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let options = WireOptions {
        bootstrap: vec![broker.address.to_string()],
        request_timeout: Duration::from_secs(1),
        client_id: "tests".to_owned(),
        security: Security::default(),
    };
    let wire = Wire::new(options, Arc::new(SystemClock::new()), Tasks::default());
    wire.topology().await.unwrap();
    wire.resign().await;

    assert!(matches!(wire.acting_lease(), ActingLease::Unconfirmed(_)));
    assert!(broker.seen(ApiKey::FindCoordinator).is_empty());
}

#[tokio::test]
async fn a_coordinator_that_hangs_up_costs_the_lease_nothing_for_a_while() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let wire = process(&broker, "aaaa", Tasks::default());
    until_held(&wire).await;

    broker.fail(ApiKey::Heartbeat, BrokerFault::HangUp);
    tokio::time::sleep(SESSION / 3).await;

    assert_eq!(wire.acting_lease(), ActingLease::Held);

    broker.heal();
    tokio::time::sleep(SESSION).await;

    assert_eq!(wire.acting_lease(), ActingLease::Held);
    assert_eq!(broker.seen(ApiKey::JoinGroup).len(), 2, "once for an id, and once to join");
}

#[tokio::test(flavor = "multi_thread")]
async fn i43_two_names_for_one_cluster_are_refused_at_the_start() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let dir = tempfile::tempdir().unwrap();
    let entry = |name: &str| {
        format!(
            "  - name: {name}\n    bootstrap_servers: ['{}']\n    prometheus: {{url: 'http://127.0.0.1:1'}}\n",
            broker.address
        )
    };
    let text = format!(
        "clusters:\n{}{}remediation:\n  state_dir: state\n  playbooks:\n    - name: leaders\n      \
         match: {{alertname: Away}}\n      optimizer: {{elect_leaders: {{}}}}\n      \
         objective: {{gauge: 'sum(a)', better: lower}}\n      load: 'sum(b)'\n",
        entry("main"),
        entry("again")
    );
    let config = dir.path().join("config.yaml");
    std::fs::write(&config, text).unwrap();

    let ended = tokio::task::spawn_blocking(move || serving::program(&config).output().unwrap());
    let ended = ended.await.unwrap();

    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("`main` and `again` are the same Kafka cluster (fake)"), "{said}");
}
