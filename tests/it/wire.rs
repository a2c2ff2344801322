//! The Kafka adapter against fake brokers: negotiation, deadlines, faults and responses.

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::{Clock, SystemClock},
    kafka::{
        Kafka, KafkaError,
        wire::{Wire, WireOptions},
    },
    model::{
        Api, BrokerId, ClientQuota, ClientQuotas, ConfigChange, ConfigSource, DefaultQuota,
        ElectionFailure, GroupName, GroupState, GroupType, OffsetSpec, QuotaChange, QuotaEntity,
        QuotaKey, QuotaName, ReadFailure, RequestOutcome, Topic, TopicName, TopicOffsets,
        TopicPartition, TopicPartitions, WriteMode,
    },
    security::Security,
    shutdown::{Drained, Tasks},
};
use kafka_protocol::messages::ApiKey;

use crate::fake_broker::{
    BrokerFault, FakeBroker, FakeCluster, FakeGroup, FakePartition, SeenChange, SeenConfigChange,
    SeenElection, SeenQuotaChange,
};

/// Short enough for tests, long enough for a busy machine.
const DEADLINE: Duration = Duration::from_millis(600);

fn wire_to(bootstrap: &[&FakeBroker]) -> Wire {
    wire_with(bootstrap, DEADLINE, Tasks::default())
}

fn wire_with(bootstrap: &[&FakeBroker], request_timeout: Duration, tasks: Tasks) -> Wire {
    let options = WireOptions {
        bootstrap: bootstrap.iter().map(|it| it.address.to_string()).collect(),
        request_timeout,
        client_id: "tests".to_owned(),
        security: Security::default(),
    };
    Wire::new(options, Arc::new(SystemClock::new()), tasks)
}

fn id(raw: i32) -> BrokerId {
    BrokerId::from_wire(raw).unwrap()
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic), partition }
}

fn led_by(leader: i32) -> FakePartition {
    FakePartition {
        leader,
        replicas: vec![leader, 2],
        isr: vec![leader],
        first: 3,
        last: 20,
        error: 0,
    }
}

fn group(kind: &'static str) -> FakeGroup {
    let commits = vec![("orders".to_owned(), 0, 7), ("orders".to_owned(), 1, -1)];
    FakeGroup { coordinator: 1, kind, members: 2, commits, error: 0 }
}

/// Duration and result of `call`.
async fn timed<T>(call: impl Future<Output = T>) -> (Duration, T) {
    let clock = SystemClock::new();
    let done = call.await;
    (clock.monotonic().0, done)
}

async fn alter(wire: &Wire, mode: WriteMode) -> Result<(), KafkaError> {
    let changes = [
        ConfigChange { key: "num.io.threads".to_owned(), value: Some("16".to_owned()) },
        ConfigChange { key: "num.network.threads".to_owned(), value: None },
    ];
    wire.alter_broker_config(id(1), &changes, mode).await
}

fn entity(user: Option<&str>, client_id: Option<&str>) -> QuotaEntity {
    let owned = |it: Option<&str>| it.map(str::to_owned);
    QuotaEntity { user: owned(user), client_id: owned(client_id) }
}

/// Sets or removes the producer quota of the client `greedy`.
async fn bound(wire: &Wire, value: Option<f64>, mode: WriteMode) -> Result<(), KafkaError> {
    let entity = entity(None, Some("greedy"));
    let change = QuotaChange { entity, key: QuotaKey::ProducerByteRate, value };
    wire.alter_client_quota(&change, mode).await
}

fn changes(broker: &FakeBroker, api: ApiKey) -> Vec<SeenChange> {
    broker.seen(api).into_iter().filter_map(|it| it.change).collect()
}

#[tokio::test]
async fn the_highest_common_version_is_used() {
    let cluster = FakeCluster::default();
    cluster.contents().versions.insert(ApiKey::Metadata as i16, (0, 9));
    cluster.contents().groups.insert("g".to_owned(), group("classic"));
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    wire.topology().await.unwrap();
    wire.committed(id(1), &[GroupName::new("g")]).await.unwrap();
    wire.groups(id(1), &[]).await.unwrap();

    assert_eq!(broker.seen(ApiKey::Metadata)[0].version, 9);
    assert_eq!(broker.seen(ApiKey::OffsetFetch)[0].version, 9, "10 names topics by id");
    assert_eq!(broker.seen(ApiKey::ListGroups)[0].version, 5);
    assert_eq!(broker.seen(ApiKey::Metadata)[0].client_id, "tests");
    assert_eq!(broker.seen(ApiKey::ApiVersions).len(), 1, "once per connection");
}

#[tokio::test]
async fn apiversions_falls_back_to_version_0() {
    let broker = FakeCluster::default().start(1).await;
    broker.fail(ApiKey::ApiVersions, BrokerFault::Unsupported);
    wire_to(&[&broker]).topology().await.unwrap();
    let versions: Vec<_> = broker.seen(ApiKey::ApiVersions).iter().map(|it| it.version).collect();

    assert_eq!(versions, [3, 0]);
}

#[tokio::test]
async fn no_common_version_is_a_protocol_error() {
    let cluster = FakeCluster::default();
    cluster.contents().versions.insert(ApiKey::ListGroups as i16, (90, 99));
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    let error = wire.groups(id(1), &[]).await.unwrap_err();

    assert!(matches!(error, KafkaError::Protocol { .. }), "{error}");

    wire.log_dirs(id(1)).await.unwrap();
}

#[tokio::test]
async fn requests_share_a_connection_without_waiting_for_each_other() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    wire.topology().await.unwrap();

    // The broker answers only once it has read all three.
    broker.fail(ApiKey::ListGroups, BrokerFault::Together(3));
    broker.fail(ApiKey::DescribeLogDirs, BrokerFault::Together(3));
    let answers =
        tokio::join!(wire.groups(id(1), &[]), wire.log_dirs(id(1)), wire.groups(id(1), &[]));

    assert_eq!(answers.0.unwrap(), []);
    assert_eq!(answers.1.unwrap().len(), 2, "each gets its own answer");
    assert_eq!(answers.2.unwrap(), []);
    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_its_connection_is_replaced() {
    let broker = FakeCluster::default().start(1).await;
    let wire = wire_to(&[&broker]);
    wire.topology().await.unwrap();
    broker.fail(ApiKey::ListGroups, BrokerFault::Freeze);
    let (took, outcome) = timed(wire.groups(id(1), &[])).await;

    assert!(matches!(outcome, Err(KafkaError::NoAnswer { .. })), "{outcome:?}");
    assert!((DEADLINE..DEADLINE * 2).contains(&took), "{took:?}");

    broker.heal();
    wire.groups(id(1), &[]).await.unwrap();

    assert_eq!(broker.connections(), 2);
}

#[tokio::test]
async fn a_request_behind_a_late_one_keeps_its_own_deadline() {
    let broker = FakeCluster::default().start(1).await;

    // Three points in time, a quarter of the deadline apart: enough for a busy machine.
    let deadline = DEADLINE * 3;
    let wire = wire_with(&[&broker], deadline, Tasks::default());
    wire.topology().await.unwrap();
    broker.fail(ApiKey::ListGroups, BrokerFault::Delay(deadline * 5 / 4));
    let behind = async {
        tokio::time::sleep(deadline / 2).await;
        wire.log_dirs(id(1)).await
    };
    let (late, behind) = tokio::join!(wire.groups(id(1), &[]), behind);

    assert!(matches!(late, Err(KafkaError::NoAnswer { .. })), "{late:?}");
    assert!(behind.is_ok(), "{behind:?}");
}

#[tokio::test]
async fn a_frozen_broker_delays_no_other_broker() {
    let cluster = FakeCluster::default();
    let (first, second) = (cluster.start(1).await, cluster.start(2).await);
    let wire = wire_to(&[&second]);
    wire.topology().await.unwrap();
    first.freeze();
    let other = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        timed(wire.groups(id(2), &[])).await
    };
    let (frozen, (took, answered)) = tokio::join!(wire.groups(id(1), &[]), other);

    assert!(frozen.is_err());
    assert!(answered.is_ok() && took < DEADLINE / 2, "{took:?}");
}

#[tokio::test]
async fn any_broker_prefers_brokers_that_answered() {
    let cluster = FakeCluster::default();
    let (first, second) = (cluster.start(1).await, cluster.start(2).await);
    let wire = wire_to(&[&first, &second]);
    wire.topology().await.unwrap();
    first.freeze();
    let (took, answered) = timed(wire.topology()).await;

    assert!(answered.is_ok() && DEADLINE <= took, "{took:?}");

    let (took, answered) = timed(wire.topology()).await;
    assert!(answered.is_ok() && took < DEADLINE / 2, "{took:?}");
    assert_eq!(second.seen(ApiKey::Metadata).len(), 2);
}

#[tokio::test]
async fn a_cluster_that_is_down_is_reported_and_used_once_it_is_up() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    let address = broker.stop().await;

    for _ in 0..3 {
        let error = wire.topology().await.unwrap_err();
        assert!(matches!(error, KafkaError::Unreachable { .. }), "{error}");
    }

    let _back = cluster.start_at(1, address).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    wire.topology().await.unwrap();
}

#[tokio::test]
async fn a_broker_restart_fails_at_most_one_call() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    wire.groups(id(1), &[]).await.unwrap();
    let address = broker.stop().await;
    let _back = cluster.start_at(1, address).await;
    let first = wire.groups(id(1), &[]).await;
    let allowed = matches!(first, Ok(_) | Err(KafkaError::Broken { .. }));

    assert!(allowed, "{first:?}");

    wire.groups(id(1), &[]).await.unwrap();
}

#[tokio::test]
async fn a_broker_with_a_new_address_is_used_after_the_next_metadata() {
    let cluster = FakeCluster::default();
    let (first, second) = (cluster.start(1).await, cluster.start(2).await);
    let wire = wire_to(&[&second]);
    wire.topology().await.unwrap();
    wire.groups(id(1), &[]).await.unwrap();
    first.stop().await;

    let moved = cluster.start(1).await;

    assert!(wire.groups(id(1), &[]).await.is_err());

    wire.topology().await.unwrap();
    wire.groups(id(1), &[]).await.unwrap();

    assert_eq!(moved.seen(ApiKey::ListGroups).len(), 1);
}

#[tokio::test]
async fn connection_attempts_to_a_broker_back_off() {
    let broker = FakeCluster::default().start(1).await;
    broker.fail(ApiKey::ApiVersions, BrokerFault::HangUp);
    let wire = wire_to(&[&broker]);
    let (took, ()) = timed(async {
        for _ in 0..1_000 {
            let error = wire.topology().await.unwrap_err();
            assert!(matches!(error, KafkaError::Unreachable { .. }), "{error}");
        }
    })
    .await;

    // 80 ms is the shortest backoff.
    let attempts = 1 + took.as_millis() / 80;
    let connections = broker.connections();

    assert!(u128::try_from(connections).unwrap() <= attempts, "{connections} in {took:?}");
}

#[tokio::test]
async fn many_callers_open_one_connection() {
    let broker = FakeCluster::default().start(1).await;
    let wire = wire_to(&[&broker]);
    let calls = (0..50).map(|_| wire.topology());

    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }

    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn a_frame_that_claims_2_gib_is_refused_at_once() {
    let broker = FakeCluster::default().start(1).await;
    let wire = wire_to(&[&broker]);
    wire.topology().await.unwrap();

    for claim in [i32::MAX, (100 << 20) + 1, 3, 0, -1] {
        broker.fail(ApiKey::ListGroups, BrokerFault::Claim(claim));
        let (took, outcome) = timed(wire.groups(id(1), &[])).await;
        let error = outcome.unwrap_err();

        assert!(matches!(error, KafkaError::Protocol { .. }), "{error}");
        assert!(error.to_string().contains(&claim.to_string()), "{error}");
        assert!(took < DEADLINE / 2, "{took:?}");
    }

    broker.heal();
    wire.groups(id(1), &[]).await.unwrap();
}

#[tokio::test]
async fn a_response_with_a_wrong_correlation_id_closes_the_connection() {
    let broker = FakeCluster::default().start(1).await;
    let wire = wire_to(&[&broker]);
    wire.topology().await.unwrap();
    broker.fail(ApiKey::ListGroups, BrokerFault::WrongCorrelation);
    let error = wire.groups(id(1), &[]).await.unwrap_err();

    assert!(matches!(error, KafkaError::Protocol { .. }), "{error}");

    broker.heal();
    wire.groups(id(1), &[]).await.unwrap();

    assert_eq!(broker.connections(), 2);
}

#[tokio::test]
async fn a_truncated_response_is_an_error() {
    let cluster = FakeCluster::default();
    cluster.contents().topics.insert("orders".to_owned(), vec![led_by(1), led_by(2)]);
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    wire.topology().await.unwrap();

    for after in 0..160 {
        broker.fail(ApiKey::Metadata, BrokerFault::Cut(after));
        let outcome = wire.topology().await;
        assert!(outcome.is_err() || 130 < after, "{after}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_response_that_claims_4_billion_elements_is_an_error() {
    let cluster = FakeCluster::default();
    cluster.contents().topics.insert("orders".to_owned(), vec![led_by(1), led_by(2)]);
    cluster.contents().groups.insert("g".to_owned(), group("consumer"));
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    wire.topology().await.unwrap();

    let mut refused = 0;
    for after in 0..160 {
        for api in [ApiKey::Metadata, ApiKey::ListGroups, ApiKey::OffsetFetch] {
            broker.fail(api, BrokerFault::Boast(after));
        }

        let group = [GroupName::new("g")];
        refused += usize::from(wire.topology().await.is_err());
        refused += usize::from(wire.groups(id(1), &[]).await.is_err());
        refused += usize::from(wire.committed(id(1), &group).await.is_err());
    }

    assert!(80 < refused, "{refused}");
}

#[tokio::test]
async fn metadata_separates_topics_leaders_and_errors() {
    let cluster = FakeCluster::default();
    let leaderless = FakePartition { leader: -1, isr: vec![], ..led_by(1) };
    let orders = vec![led_by(1), leaderless];
    cluster.contents().topics.insert("orders".to_owned(), orders);
    cluster.contents().topics.insert("__consumer_offsets".to_owned(), vec![led_by(1)]);
    cluster.contents().broken_topics.insert("half-made".to_owned(), 5);

    let broker = cluster.start(1).await;
    let topology = wire_to(&[&broker]).topology().await.unwrap();

    assert_eq!(topology.controller, Some(id(1)));
    assert_eq!(topology.brokers[0].port, broker.address.port());
    assert_eq!(topology.unreadable, [TopicName::new("half-made")]);

    let [internal, orders] = topology.topics.as_slice() else { panic!("{topology:?}") };
    assert!(internal.internal && !orders.internal);
    assert_eq!(orders.partitions[0].leader, Some(id(1)));
    assert_eq!(orders.partitions[0].replicas, [id(1), id(2)]);
    assert_eq!(orders.partitions[1].leader, None);
    assert_eq!(orders.partitions[1].isr, []);
}

#[tokio::test]
async fn a_partition_without_an_offset_has_a_reason() {
    let cluster = FakeCluster::default();
    let fenced = FakePartition { error: 74, ..led_by(1) };
    let orders = vec![led_by(1), led_by(2), fenced];
    cluster.contents().topics.insert("orders".to_owned(), orders);
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    let of = |topic: &str, partitions: &[i32]| TopicPartitions {
        topic: TopicName::new(topic),
        partitions: partitions.to_vec(),
    };
    let asked = [of("orders", &[0, 1, 2]), of("gone", &[0])];
    let ends = wire.offsets(id(1), OffsetSpec::Latest, &asked).await.unwrap();
    let (not_leader, unknown) = (ReadFailure::NotLeader, ReadFailure::Unknown);
    let orders = [(0, Ok(20)), (1, Err(not_leader)), (2, Err(not_leader))];

    assert_eq!(ends[0].partitions, orders);
    assert_eq!(ends[1].partitions, [(0, Err(unknown))]);

    let starts = wire.offsets(id(1), OffsetSpec::Earliest, &[of("orders", &[0])]).await.unwrap();
    assert_eq!(starts[0].partitions, [(0, Ok(3))]);
    assert_eq!(broker.seen(ApiKey::ListOffsets).len(), 2);
}

#[tokio::test]
async fn groups_of_each_type_are_listed_and_described() {
    let cluster = FakeCluster::default();
    cluster.contents().groups.insert("old".to_owned(), group("classic"));
    cluster.contents().groups.insert("new".to_owned(), group("consumer"));
    cluster.contents().groups.insert("shared".to_owned(), group("share"));
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    let listed = wire.groups(id(1), &[]).await.unwrap();
    let kinds: Vec<_> = listed.iter().map(|it| (it.group.as_str(), it.group_type)).collect();
    let (new, old) = (("new", GroupType::Consumer), ("old", GroupType::Classic));

    assert_eq!(kinds, [new, old, ("shared", GroupType::Share)]);
    assert!(listed.iter().all(|it| it.state == GroupState::Stable));

    let names = ["old", "new", "shared"].map(GroupName::new);
    for (kind, name, state) in [
        (GroupType::Classic, &names[..1], GroupState::Stable),
        (GroupType::Consumer, &names[1..2], GroupState::Reconciling),
        (GroupType::Share, &names[2..], GroupState::Stable),
    ] {
        let described = wire.describe_groups(id(1), kind, name).await.unwrap();
        let members = described[0].members.as_ref().unwrap();
        assert_eq!((described.len(), members.state, members.count), (1, state, 2));
    }

    let described = wire.describe_groups(id(1), GroupType::Classic, &names[1..2]).await.unwrap();
    assert_eq!(described[0].members, Err(ReadFailure::Unknown), "of another type");
    assert_eq!(broker.seen(ApiKey::ConsumerGroupDescribe).len(), 1);

    let described = wire.describe_groups(id(1), GroupType::Unknown, &names).await.unwrap();
    assert_eq!(described, [], "nobody can be asked");
}

#[tokio::test]
async fn a_broker_selects_groups_by_their_state() {
    let cluster = FakeCluster::default();
    cluster.contents().groups.insert("busy".to_owned(), group("classic"));
    cluster
        .contents()
        .groups
        .insert("idle".to_owned(), FakeGroup { members: 0, ..group("classic") });
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    let mut names = Vec::new();

    for states in [&[GroupState::Empty][..], &[GroupState::PreparingRebalance], &[]] {
        let listed = wire.groups(id(1), states).await.unwrap();
        names.push(listed.iter().map(|it| it.group.as_str().to_owned()).collect::<Vec<_>>());
    }

    assert_eq!(names, [vec!["idle"], vec![], vec!["busy", "idle"]]);
}

#[tokio::test]
async fn commits_of_many_groups_are_one_request_or_one_each_from_an_old_broker() {
    for (newest, requests) in [(10, 1), (7, 2)] {
        let cluster = FakeCluster::default();
        cluster.contents().versions.insert(ApiKey::OffsetFetch as i16, (1, newest));
        cluster.contents().groups.insert("a".to_owned(), group("classic"));
        let loading = FakeGroup { error: 14, ..group("consumer") };
        cluster.contents().groups.insert("b".to_owned(), loading);
        let broker = cluster.start(1).await;
        let names = [GroupName::new("a"), GroupName::new("b")];
        let committed = wire_to(&[&broker]).committed(id(1), &names).await.unwrap();
        let topic = TopicName::new("orders");
        let seven = TopicOffsets { topic, partitions: vec![(0, Ok(7))] };

        assert_eq!(committed[0].offsets, Ok(vec![seven]), "-1 is no commit");
        assert_eq!(committed[1].offsets, Err(ReadFailure::NotCoordinator));
        assert_eq!(committed.iter().map(|it| it.group.clone()).collect::<Vec<_>>(), names);
        assert_eq!(broker.seen(ApiKey::OffsetFetch).len(), requests);
    }
}

#[tokio::test]
async fn log_dir_sizes_are_summed_by_topic_and_a_failed_one_is_offline() {
    let cluster = FakeCluster::default();
    cluster.contents().topics.insert("orders".to_owned(), vec![led_by(1), led_by(2)]);
    let broker = cluster.start(1).await;
    let dirs = wire_to(&[&broker]).log_dirs(id(1)).await.unwrap();

    assert_eq!((dirs[0].total_bytes, dirs[0].usable_bytes), (Some(1_000), Some(400)));
    assert_eq!(dirs[0].topics[0].bytes, 34);
    assert!(!dirs[0].offline && dirs[1].offline);
    assert_eq!((dirs[1].total_bytes, dirs[1].usable_bytes), (None, None));
}

#[tokio::test]
async fn every_source_of_a_config_key_is_returned() {
    let cluster = FakeCluster::default();
    let places = vec![(2, "16"), (3, "12"), (4, "8"), (5, "3")];
    cluster.contents().configs.insert("num.io.threads", places);
    cluster.contents().configs.insert("background.threads", vec![(5, "10")]);
    let broker = cluster.start(1).await;
    let keys = ["num.io.threads", "background.threads", "no.such.key"];
    let config = wire_to(&[&broker]).broker_config(id(1), &keys).await.unwrap();
    let entry = config.get("num.io.threads").unwrap();

    assert_eq!((entry.stored(), entry.at_start()), (Some("16"), Some("8")));
    assert_eq!(
        entry.synonyms.iter().map(|it| it.0).collect::<Vec<_>>(),
        [
            ConfigSource::DynamicBroker,
            ConfigSource::DynamicDefault,
            ConfigSource::Static,
            ConfigSource::Default,
        ]
    );

    let untouched = config.get("background.threads").unwrap();
    assert_eq!((untouched.stored(), untouched.at_start()), (None, Some("10")));
    assert_eq!(config.get("no.such.key"), None);
}

#[tokio::test]
async fn min_insync_replicas_of_many_topics_need_one_request() {
    let cluster = FakeCluster::default();
    let mut topics = Vec::new();

    for index in 0..2_500 {
        cluster.contents().topics.insert(format!("t{index}"), Vec::new());
        topics.push(TopicName::new(format!("t{index}")));
    }

    topics.push(TopicName::new("vanished"));
    let broker = cluster.start(1).await;
    let found = wire_to(&[&broker]).min_insync_replicas(&topics).await.unwrap();

    assert_eq!(found.len(), 2_500);
    assert!(found.iter().all(|(_, it)| *it == Ok(2)));
    assert_eq!(broker.seen(ApiKey::DescribeConfigs).len(), 1);
}

#[tokio::test]
async fn a_topic_with_a_refused_configuration_hides_no_other() {
    let cluster = FakeCluster::default();
    for name in ["open", "sealed"] {
        cluster.contents().topics.insert(name.to_owned(), Vec::new());
    }

    cluster.contents().sealed_topics.insert("sealed".to_owned(), 29);
    let broker = cluster.start(1).await;
    let topics = ["open", "sealed"].map(TopicName::new);
    let found = wire_to(&[&broker]).min_insync_replicas(&topics).await.unwrap();
    let [open, sealed] = topics;

    assert_eq!(found, [(open, Ok(2)), (sealed, Err(ReadFailure::Unauthorized))]);
}

#[tokio::test]
async fn the_quorum_reassignments_and_the_version_are_read_through_any_broker() {
    let cluster = FakeCluster::default();
    cluster.contents().moving.push(("orders".to_owned(), 4));
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    let quorum = wire.quorum().await.unwrap();

    assert_eq!((quorum.leader, quorum.epoch), (Some(id(101)), 7));
    assert_eq!(wire.reassignments().await.unwrap(), [at("orders", 4)]);
    assert_eq!(wire.metadata_version().await.unwrap(), Some(25));
}

#[tokio::test]
async fn validate_only_is_sent_for_a_rehearsal_and_not_for_a_write() {
    let cluster = FakeCluster::default();
    let broker = cluster.start(1).await;
    let wire = wire_to(&[&broker]);
    alter(&wire, WriteMode::ValidateOnly).await.unwrap();
    alter(&wire, WriteMode::Write).await.unwrap();
    let seen = changes(&broker, ApiKey::IncrementalAlterConfigs);
    let changes = vec![
        ("num.io.threads".to_owned(), 0, Some("16".to_owned())),
        ("num.network.threads".to_owned(), 1, None),
    ];
    let rehearsed = SeenConfigChange { validate_only: true, changes };
    let written = SeenConfigChange { validate_only: false, ..rehearsed.clone() };

    assert_eq!(seen, [SeenChange::Config(rehearsed), SeenChange::Config(written)]);
}

#[tokio::test]
async fn a_refused_change_keeps_the_brokers_message_and_had_no_effect() {
    let cluster = FakeCluster::default();
    cluster.contents().alter_refusal = Some((42, "not greater than double the current value 8"));
    let broker = cluster.start(1).await;
    let error = alter(&wire_to(&[&broker]), WriteMode::Write).await.unwrap_err();

    assert_ne!(error.outcome(), RequestOutcome::Unknown);
    assert!(matches!(error, KafkaError::Refused { code: 42, .. }));
    assert!(error.to_string().ends_with("error 42: not greater than double the current value 8"));
}

#[tokio::test]
async fn a_refusal_message_of_a_megabyte_is_cut() {
    let cluster = FakeCluster::default();
    cluster.contents().alter_refusal = Some((42, "x".repeat(1 << 20).leak()));
    let broker = cluster.start(1).await;
    let error = alter(&wire_to(&[&broker]), WriteMode::Write).await.unwrap_err();

    assert!(matches!(error, KafkaError::Refused { code: 42, .. }));

    let length = error.to_string().len();
    assert!((1_000..1_500).contains(&length), "{length}");
}

#[tokio::test]
async fn a_change_without_a_response_has_an_unknown_outcome_and_is_sent_once() {
    for fault in [
        BrokerFault::Freeze,
        BrokerFault::HangUp,
        BrokerFault::MidFrame,
        BrokerFault::WrongCorrelation,
    ] {
        let cluster = FakeCluster::default();
        let (broker, other) = (cluster.start(1).await, cluster.start(2).await);
        broker.fail(ApiKey::IncrementalAlterConfigs, fault);
        let error = alter(&wire_to(&[&broker, &other]), WriteMode::Write).await.unwrap_err();

        assert_eq!(error.outcome(), RequestOutcome::Unknown, "{fault:?}: {error}");
        assert_eq!(broker.seen(ApiKey::IncrementalAlterConfigs).len(), 1, "{fault:?}");
        assert_eq!(other.seen(ApiKey::IncrementalAlterConfigs).len(), 0, "{fault:?}");
    }
}

#[tokio::test]
async fn only_quotas_of_users_and_client_ids_are_read() {
    let cluster = FakeCluster::default();
    let (produce, consume) = ("producer_byte_rate", "consumer_byte_rate");

    for (of, values) in [
        (vec![("user", Some("batch"))], vec![(consume, 2.5), (produce, 1.0)]),
        (vec![("client-id", Some("greedy")), ("user", Some("batch"))], vec![(produce, 4.0)]),
        (vec![("client-id", Some("greedy"))], vec![(produce, 3.0), ("request_percentage", 50.0)]),
        (vec![("client-id", None)], vec![(produce, 5.0)]),
        (vec![("user", Some("batch")), ("client-id", None)], vec![(produce, 6.0)]),
        (vec![("ip", Some("10.0.0.1"))], vec![("connection_creation_rate", 7.0)]),
    ] {
        cluster.contents().quotas.insert(of, values);
    }

    let broker = cluster.start(1).await;
    let views = wire_to(&[&broker]).client_quotas().await.unwrap();
    let [ClientQuotas { named, defaults }] = views.as_slice() else { panic!("{views:?}") };
    let quota = |user, client_id, key, value| {
        let entity = entity(user, client_id);
        ClientQuota { entity, key, value }
    };
    let want = [
        quota(None, Some("greedy"), QuotaKey::ProducerByteRate, 3.0),
        quota(Some("batch"), None, QuotaKey::ProducerByteRate, 1.0),
        quota(Some("batch"), None, QuotaKey::ConsumerByteRate, 2.5),
        quota(Some("batch"), Some("greedy"), QuotaKey::ProducerByteRate, 4.0),
    ];

    assert_eq!(*named, want);

    let batch = Some(QuotaName::Named("batch".to_owned()));
    let default = |user, value| DefaultQuota {
        user,
        client_id: Some(QuotaName::Default),
        key: QuotaKey::ProducerByteRate,
        value,
    };

    assert_eq!(*defaults, [default(None, 5.0), default(batch, 6.0)]);
    assert_eq!(broker.seen(ApiKey::DescribeClientQuotas).len(), 1);
}

#[tokio::test]
async fn named_topics_and_quotas_are_read_from_two_brokers() {
    let cluster = FakeCluster::default();
    for topic in ["orders", "payments"] {
        cluster.contents().topics.insert(topic.to_owned(), vec![led_by(1)]);
    }

    let (broker, other) = (cluster.start(1).await, cluster.start(2).await);
    let wire = wire_to(&[&broker, &other]);
    wire.topology().await.unwrap();

    let names = ["orders", "deleted"].map(TopicName::new);
    let views = wire.topics(&names).await.unwrap();
    let found = |topics: &Vec<Topic>| topics.iter().map(|it| it.name.to_string()).collect();
    let found: Vec<Vec<String>> = views.iter().map(found).collect();

    assert_eq!(found, [["orders"], ["orders"]]);

    assert_eq!(wire.client_quotas().await.unwrap().len(), 2);

    // The other one is passed over as long as it does not answer.
    other.stop().await;
    assert_eq!(wire.client_quotas().await.unwrap().len(), 1);
    assert_eq!(wire.topics(&names).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_quota_is_validated_set_and_removed_for_its_entity_only() {
    let broker = FakeCluster::default().start(1).await;
    let wire = wire_to(&[&broker]);
    bound(&wire, Some(1e6), WriteMode::ValidateOnly).await.unwrap();
    bound(&wire, Some(1e6), WriteMode::Write).await.unwrap();
    bound(&wire, None, WriteMode::Write).await.unwrap();
    let of_both = QuotaChange {
        entity: entity(Some("batch"), Some("greedy")),
        key: QuotaKey::ConsumerByteRate,
        value: Some(2.5),
    };
    wire.alter_client_quota(&of_both, WriteMode::Write).await.unwrap();

    let part = |kind: &str, name: &str| (kind.to_owned(), Some(name.to_owned()));
    let rehearsed = SeenQuotaChange {
        validate_only: true,
        entity: vec![part("client-id", "greedy")],
        key: "producer_byte_rate".to_owned(),
        value: Some(1e6),
    };
    let set = SeenQuotaChange { validate_only: false, ..rehearsed.clone() };
    let removed = SeenQuotaChange { value: None, ..set.clone() };
    let of_both = SeenQuotaChange {
        entity: vec![part("user", "batch"), part("client-id", "greedy")],
        key: "consumer_byte_rate".to_owned(),
        value: Some(2.5),
        ..set.clone()
    };
    let want = [rehearsed, set, removed, of_both].map(SeenChange::Quota);

    assert_eq!(changes(&broker, ApiKey::AlterClientQuotas), want);
}

#[tokio::test]
async fn a_refused_quota_keeps_the_brokers_message_and_had_no_effect() {
    let cluster = FakeCluster::default();
    let words = "Quota producer_byte_rate must be greater than 0";
    cluster.contents().alter_refusal = Some((42, words));
    let (broker, other) = (cluster.start(1).await, cluster.start(2).await);
    let wire = wire_to(&[&broker, &other]);
    let error = bound(&wire, Some(0.0), WriteMode::Write).await.unwrap_err();

    assert_ne!(error.outcome(), RequestOutcome::Unknown);
    assert!(matches!(error, KafkaError::Refused { code: 42, .. }));
    assert!(error.to_string().ends_with(&format!("error 42: {words}")), "{error}");
    assert_eq!(other.seen(ApiKey::AlterClientQuotas).len(), 0, "a refusal is an answer");
}

#[tokio::test]
async fn election_results_are_in_the_order_of_the_request() {
    let cluster = FakeCluster::default();
    let back = FakePartition { replicas: vec![1, 2], isr: vec![1, 2], ..led_by(2) };
    let late = FakePartition { isr: vec![2], ..back.clone() };
    cluster.contents().topics.insert("orders".to_owned(), vec![led_by(1), back, late]);
    let broker = cluster.start(1).await;
    let of = |topic: &str, partitions: &[i32]| TopicPartitions {
        topic: TopicName::new(topic),
        partitions: partitions.to_vec(),
    };
    let asked = [of("orders", &[2, 1, 0, 9]), of("gone", &[0])];
    let outcomes = wire_to(&[&broker]).elect_preferred_leaders(&asked).await.unwrap();
    let want = [
        (at("orders", 2), Err(ElectionFailure::NotAvailable)),
        (at("orders", 1), Ok(())),
        (at("orders", 0), Err(ElectionFailure::NotNeeded)),
        (at("orders", 9), Err(ElectionFailure::Unknown)),
        (at("gone", 0), Err(ElectionFailure::Unknown)),
    ];

    assert_eq!(outcomes, want);

    let named = want.map(|(it, _)| (it.topic.to_string(), it.partition)).to_vec();
    let timeout_ms = i32::try_from(DEADLINE.as_millis()).unwrap();
    let election = SeenElection { kind: 0, partitions: Some(named), timeout_ms };

    assert_eq!(changes(&broker, ApiKey::ElectLeaders), [SeenChange::Leaders(election)]);
}

#[tokio::test]
async fn an_election_of_no_partitions_is_not_an_election_of_all() {
    let broker = FakeCluster::default().start(1).await;

    assert_eq!(wire_to(&[&broker]).elect_preferred_leaders(&[]).await.unwrap(), []);

    let [SeenChange::Leaders(election)] = &changes(&broker, ApiKey::ElectLeaders)[..] else {
        panic!("one request")
    };
    assert_eq!(election.partitions, Some(Vec::new()));
}

#[tokio::test]
async fn a_broker_that_is_cut_off_from_the_controllers_kept_the_others_from_being_asked() {
    // REQUEST_TIMED_OUT may have taken effect: it is not sent again at once.
    for (code, asked) in [(7, [(1, 0), (1, 1)]), (41, [(1, 1), (2, 2)])] {
        let cluster = FakeCluster::default();
        cluster.contents().alter_refusal = Some((code, ""));
        let (broker, other) = (cluster.start(1).await, cluster.start(2).await);
        let wire = wire_to(&[&broker, &other]);
        let seen = |it: &FakeBroker| it.seen(ApiKey::AlterClientQuotas).len();

        for expected in asked {
            bound(&wire, Some(1.0), WriteMode::Write).await.unwrap_err();
            assert_eq!((seen(&broker), seen(&other)), expected, "{code}");
        }
    }
}

#[tokio::test]
async fn an_unauthorized_election_is_refused_as_a_whole() {
    let cluster = FakeCluster::default();
    cluster.contents().topics.insert("orders".to_owned(), vec![led_by(1)]);
    cluster.contents().alter_refusal = Some((31, ""));
    let broker = cluster.start(1).await;
    let first = TopicPartitions { topic: TopicName::new("orders"), partitions: vec![0] };
    let error = wire_to(&[&broker]).elect_preferred_leaders(&[first]).await.unwrap_err();

    assert!(matches!(error, KafkaError::Refused { code: 31, .. }), "{error}");
    assert_ne!(error.outcome(), RequestOutcome::Unknown);
}

#[tokio::test]
async fn a_change_through_any_broker_is_retried_only_if_it_was_never_sent() {
    let (quotas, leaders) = (ApiKey::AlterClientQuotas, ApiKey::ElectLeaders);
    for fault in [
        BrokerFault::Freeze,
        BrokerFault::HangUp,
        BrokerFault::MidFrame,
        BrokerFault::WrongCorrelation,
    ] {
        let cluster = FakeCluster::default();
        let (broker, other) = (cluster.start(1).await, cluster.start(2).await);
        let wire = wire_to(&[&broker, &other]);
        broker.fail(quotas, fault);
        broker.fail(leaders, fault);
        let error = bound(&wire, Some(1.0), WriteMode::Write).await.unwrap_err();

        assert_eq!(error.outcome(), RequestOutcome::Unknown, "{fault:?}: {error}");

        // The failed broker is tried last from then on.
        let wire = wire_to(&[&broker, &other]);
        let error = wire.elect_preferred_leaders(&[]).await.unwrap_err();

        assert_eq!(error.outcome(), RequestOutcome::Unknown, "{fault:?}: {error}");

        for api in [quotas, leaders] {
            assert_eq!((broker.seen(api).len(), other.seen(api).len()), (1, 0), "{fault:?}");
        }
    }

    let cluster = FakeCluster::default();
    let (broker, other) = (cluster.start(1).await, cluster.start(2).await);
    let wire = wire_to(&[&broker, &other]);
    broker.stop().await;
    bound(&wire, Some(1.0), WriteMode::Write).await.unwrap();
    wire.elect_preferred_leaders(&[]).await.unwrap();

    assert_eq!((other.seen(quotas).len(), other.seen(leaders).len()), (1, 1));
}

#[tokio::test]
async fn an_unknown_broker_causes_one_metadata_request() {
    let broker = FakeCluster::default().start(1).await;
    let wire = wire_to(&[&broker]);
    let error = wire.groups(id(9), &[]).await.unwrap_err();

    assert!(matches!(error, KafkaError::UnknownBroker(it) if it == id(9)), "{error}");
    assert_eq!(broker.seen(ApiKey::Metadata).len(), 1);
    assert_eq!(broker.seen(ApiKey::ListGroups).len(), 0);
}

#[tokio::test]
async fn requests_and_failures_are_counted() {
    let broker = FakeCluster::default().start(1).await;
    let wire = wire_to(&[&broker]);
    wire.groups(id(1), &[]).await.unwrap();
    broker.fail(ApiKey::ListGroups, BrokerFault::HangUp);

    assert!(wire.groups(id(1), &[]).await.is_err());

    let counts = wire.request_counts();
    assert_eq!(counts.iter().map(|it| it.api).collect::<Vec<_>>(), Api::ALL);

    let of = |api| counts.iter().find(|it| it.api == api).unwrap();
    assert_eq!((of(Api::Metadata).sent, of(Api::ListGroups).sent), (1, 2));
    assert_eq!(of(Api::ApiVersions).sent, 1);

    for (fault, count) in &of(Api::ListGroups).failed {
        assert_eq!(*count, u64::from(*fault == ReadFailure::Connection), "{fault}");
    }
}

#[tokio::test]
async fn shutdown_does_not_wait_for_idle_connections_and_lets_the_current_step_finish() {
    let broker = FakeCluster::default().start(1).await;
    let tasks = Tasks::default();
    let wire = wire_with(&[&broker], DEADLINE, tasks.clone());
    wire.topology().await.unwrap();
    broker.fail(ApiKey::ListGroups, BrokerFault::Delay(DEADLINE / 2));
    let step = async {
        wire.groups(id(1), &[]).await.unwrap();
        wire.log_dirs(id(1)).await.unwrap();
    };
    let (drained, ()) = tokio::join!(tasks.drain(DEADLINE * 4), step);

    assert_eq!(drained, Drained::Cleanly);
}
