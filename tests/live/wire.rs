//! Every call of the Kafka adapter, against real brokers.
//!
//! Needs a cluster of three or more brokers with ids 1 to 3 and `num.io.threads=8` in their files,
//! at `KAFKA_OPTIMIZER_LIVE_BOOTSTRAP` (`host:port,host:port`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_optimizer::{
    clock::SystemClock,
    kafka::{
        Kafka, KafkaError,
        wire::{Wire, WireOptions},
    },
    model::{
        Api, BrokerId, ClientQuotas, ConfigChange, ConfigSource, ElectionFailure, GroupName,
        GroupType, OffsetSpec, QuorumRole, QuotaChange, QuotaEntity, QuotaKey, RequestOutcome,
        TopicName, TopicPartition, TopicPartitions, Topology, WriteMode,
    },
    security::Security,
    shutdown::Tasks,
};

use super::{admin_client::AdminClient, stack::eventually};

const KEY: &str = "num.io.threads";

#[expect(clippy::disallowed_methods, reason = "the test script says where the cluster is")]
fn bootstrap() -> Vec<String> {
    let servers = std::env::var("KAFKA_OPTIMIZER_LIVE_BOOTSTRAP")
        .expect("KAFKA_OPTIMIZER_LIVE_BOOTSTRAP must name a live cluster, as host:port,host:port");
    servers.split(',').map(str::to_owned).collect()
}

fn wire() -> Wire {
    let options = WireOptions {
        bootstrap: bootstrap(),
        request_timeout: Duration::from_secs(10),
        client_id: "kafka-optimizer-tests".to_owned(),
        security: Security::default(),
    };
    Wire::new(options, Arc::new(SystemClock::new()), Tasks::default())
}

fn broker(id: i32) -> BrokerId {
    BrokerId::from_wire(id).unwrap()
}

fn led_by(topology: &Topology, leader: BrokerId) -> Vec<TopicPartitions> {
    let led = topology.topics.iter().map(|topic| {
        let ours = topic.partitions.iter().filter(|it| it.leader == Some(leader));
        let partitions = ours.map(|it| it.index).collect();
        TopicPartitions { topic: topic.name.clone(), partitions }
    });
    led.filter(|it| !it.partitions.is_empty()).collect()
}

/// Polls broker 3 until its effective value is `want`: the response comes before it is applied.
async fn wait_for(wire: &Wire, want: &str) {
    for _ in 0..100 {
        let config = wire.broker_config(broker(3), &[KEY]).await.unwrap();
        if config.get(KEY).unwrap().effective.as_deref() == Some(want) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    panic!("{KEY} of broker 3 never became {want}");
}

async fn alter(wire: &Wire, value: Option<&str>, mode: WriteMode) -> Result<(), KafkaError> {
    let change = ConfigChange { key: KEY.to_owned(), value: value.map(str::to_owned) };
    wire.alter_broker_config(broker(3), &[change], mode).await
}

/// Longer than every broker needs to see a quota or a leader.
const SOON: Duration = Duration::from_secs(20);

/// Waits until the broker sees this quota, or none: the response comes before that.
async fn wait_for_quota(wire: &Wire, of: &QuotaChange) {
    eventually(&format!("{} of {} is {:?}", of.key, of.entity, of.value), SOON, async || {
        let views = wire.client_quotas().await.unwrap();
        let value = |it: &ClientQuotas| {
            let mut ours = it.named.iter().filter(|it| it.entity == of.entity);
            let value = ours.next().map(|it| it.value);

            assert!(ours.next().is_none(), "another key of {}: {it:?}", of.entity);

            value
        };

        views.iter().all(|it| value(it) == of.value).then_some(())
    })
    .await;
}

/// The quota of a client with this name.
pub(super) async fn a_quota_comes_and_goes(wire: &Wire, client_id: &str) {
    for user in [None, Some("kafka-optimizer-nobody".to_owned())] {
        let client_id = Some(client_id.to_owned());
        let entity = QuotaEntity { user, client_id };
        let to = |value: Option<f64>| QuotaChange {
            entity: entity.clone(),
            key: QuotaKey::ProducerByteRate,
            value,
        };

        // A failed run may have left it. Removing a missing quota succeeds.
        wire.alter_client_quota(&to(None), WriteMode::Write).await.unwrap();
        wait_for_quota(wire, &to(None)).await;

        wire.alter_client_quota(&to(Some(1e6)), WriteMode::ValidateOnly).await.unwrap();
        for mode in [WriteMode::ValidateOnly, WriteMode::Write] {
            let refused = wire.alter_client_quota(&to(Some(0.0)), mode).await.unwrap_err();
            assert!(refused.to_string().contains("must be greater than 0"), "{refused}");
            assert_ne!(refused.outcome(), RequestOutcome::Unknown, "{refused}");
        }

        // Longer than a quota would take to become visible.
        tokio::time::sleep(Duration::from_secs(1)).await;
        wait_for_quota(wire, &to(None)).await;

        for value in [Some(1e6), Some(2e6), None] {
            wire.alter_client_quota(&to(value), WriteMode::Write).await.unwrap();
            wait_for_quota(wire, &to(value)).await;
        }
    }
}

/// On a topic with this name, which is created and deleted.
pub(super) async fn a_preferred_leader_need_not_be_elected(
    wire: &Wire,
    admin: &AdminClient,
    topic: &str,
) {
    admin.create(topic, &[&[1], &[1]]).await;
    let of = |topic: &str, partitions: &[i32]| TopicPartitions {
        topic: TopicName::new(topic),
        partitions: partitions.to_vec(),
    };
    let missing = format!("{topic}-that-is-not-there");
    let asked = [of(topic, &[1, 0]), of(&missing, &[0])];
    let outcomes = wire.elect_preferred_leaders(&asked).await.unwrap();
    let at = |topic: &str, partition| TopicPartition { topic: TopicName::new(topic), partition };
    let want = [
        (at(topic, 1), Err(ElectionFailure::NotNeeded)),
        (at(topic, 0), Err(ElectionFailure::NotNeeded)),
        (at(&missing, 0), Err(ElectionFailure::Unknown)),
    ];

    assert_eq!(outcomes, want);
    assert_eq!(wire.elect_preferred_leaders(&[]).await.unwrap(), []);

    admin.delete(topic).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_quota_is_validated_set_read_back_and_removed() {
    a_quota_comes_and_goes(&wire(), "kafka-optimizer-made-up-client").await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn an_election_reports_each_partition_as_not_needed() {
    let admin = AdminClient::new(&bootstrap().join(","));
    a_preferred_leader_need_not_be_elected(&wire(), &admin, "wire-elections").await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_topology_names_brokers_and_partitions() {
    let wire = wire();
    let topology = wire.topology().await.unwrap();

    assert!(3 <= topology.brokers.len(), "{:?}", topology.brokers);
    assert!(topology.cluster_id.is_some() && topology.controller.is_some());
    assert_eq!(topology.unreadable, []);

    for topic in &topology.topics {
        assert_ne!(topic.id, 0, "{}", topic.name);
        assert!(!topic.partitions.is_empty(), "{}", topic.name);
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
#[expect(clippy::disallowed_methods, reason = "this test measures the real time of real calls")]
async fn a_round_trip_takes_milliseconds_on_an_open_connection() {
    let wire = wire();
    wire.topology().await.unwrap();
    let began = Instant::now();

    for _ in 0..100 {
        wire.topology().await.unwrap();
    }

    let each = began.elapsed() / 100;

    assert!(each < Duration::from_millis(100), "{each:?}");

    let counts = wire.request_counts();
    let handshakes = counts.iter().find(|it| it.api == Api::ApiVersions).unwrap();

    assert_eq!(handshakes.sent, 1, "one connection carries them all");
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn start_and_end_offsets_are_read_from_every_leader() {
    let wire = wire();
    let topology = wire.topology().await.unwrap();

    for it in &topology.brokers {
        let led = led_by(&topology, it.id);
        let first = wire.offsets(it.id, OffsetSpec::Earliest, &led).await.unwrap();
        let last = wire.offsets(it.id, OffsetSpec::Latest, &led).await.unwrap();

        assert_eq!(first.len(), led.len());
        assert_eq!(last.len(), led.len());

        for (first, last) in first.iter().zip(&last) {
            assert_eq!(first.topic, last.topic);
            for (start, end) in first.partitions.iter().zip(&last.partitions) {
                assert_eq!(start.0, end.0);
                assert!(start.1.unwrap() <= end.1.unwrap(), "{start:?} {end:?}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_partition_has_no_offset_on_a_broker_that_does_not_lead_it() {
    let wire = wire();
    let topology = wire.topology().await.unwrap();
    let topic = topology.topics.iter().find(|it| !it.partitions.is_empty()).expect("a topic");
    let partition = &topic.partitions[0];
    let other = topology.brokers.iter().find(|it| Some(it.id) != partition.leader).unwrap();
    let at = TopicPartitions { topic: topic.name.clone(), partitions: vec![partition.index] };
    let ends = wire.offsets(other.id, OffsetSpec::Latest, &[at]).await.unwrap();

    assert!(ends[0].partitions[0].1.is_err(), "{ends:?}");
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn groups_are_listed_described_and_their_commits_read() {
    let wire = wire();
    let topology = wire.topology().await.unwrap();

    for it in &topology.brokers {
        let listed = wire.groups(it.id, &[]).await.unwrap();
        let names: Vec<GroupName> = listed.iter().map(|it| it.group.clone()).collect();

        for kind in GroupType::ALL.iter().filter(|it| **it != GroupType::Unknown) {
            let same = listed.iter().filter(|it| it.group_type == *kind);
            let same: Vec<GroupName> = same.map(|it| it.group.clone()).collect();
            let described = wire.describe_groups(it.id, *kind, &same).await.unwrap();

            assert_eq!(described.len(), same.len());
            assert!(described.iter().all(|it| it.members.is_ok()), "{described:?}");
        }

        let committed = wire.committed(it.id, &names).await.unwrap();
        assert_eq!(committed.len(), names.len());

        for group in committed {
            let offsets = group.offsets.unwrap();
            let mut all = offsets.iter().flat_map(|it| &it.partitions);
            assert!(all.all(|(_, it)| it.is_ok_and(|it| 0 <= it)));
        }
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_group_that_does_not_exist_is_unknown_or_dead() {
    let wire = wire();
    wire.topology().await.unwrap();
    let nobody = [GroupName::new("kafka-optimizer no such group")];

    for kind in GroupType::ALL.iter().filter(|it| **it != GroupType::Unknown) {
        let described = wire.describe_groups(broker(1), *kind, &nobody).await.unwrap();
        assert_eq!(described.len(), 1, "{kind}");
        assert!(described[0].members.is_err(), "{described:?}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn log_dirs_have_sizes() {
    let wire = wire();
    let dirs = wire.log_dirs(broker(1)).await.unwrap();

    assert!(!dirs.is_empty());

    for dir in dirs {
        assert!(!dir.offline && dir.usable_bytes.unwrap() <= dir.total_bytes.unwrap(), "{dir:?}");
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn min_insync_replicas_leaves_out_what_does_not_exist() {
    let wire = wire();
    let topology = wire.topology().await.unwrap();
    let mut topics: Vec<TopicName> = topology.topics.iter().map(|it| it.name.clone()).collect();
    topics.push(TopicName::new("kafka-optimizer-no-such-topic"));
    let found = wire.min_insync_replicas(&topics).await.unwrap();

    assert_eq!(found.len(), topics.len() - 1);
    assert!(found.iter().all(|(_, it)| it.is_ok_and(|it| 1 <= it)));
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn the_controllers_answer_through_a_broker() {
    let wire = wire();
    let quorum = wire.quorum().await.unwrap();

    assert!(quorum.leader.is_some() && 0 < quorum.epoch, "{quorum:?}");

    let of = |role| quorum.replicas.iter().filter(move |it| it.role == role).count();
    assert!(1 <= of(QuorumRole::Voter) && 3 <= of(QuorumRole::Observer), "{quorum:?}");
    assert!(quorum.replicas.iter().all(|it| it.log_end.is_some()), "{quorum:?}");
    assert_eq!(wire.reassignments().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_broker_that_does_not_exist_gets_no_request() {
    let error = wire().log_dirs(broker(4_711)).await.unwrap_err();
    assert!(matches!(error, KafkaError::UnknownBroker(it) if it == broker(4_711)), "{error}");
}

/// One test, because these steps share one key of one broker.
#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_thread_count_is_validated_written_read_back_and_deleted() {
    let wire = wire();
    alter(&wire, None, WriteMode::Write).await.unwrap();
    wait_for(&wire, "8").await;

    alter(&wire, Some("4"), WriteMode::ValidateOnly).await.unwrap();
    let refused = alter(&wire, Some("17"), WriteMode::ValidateOnly).await.unwrap_err();
    let words = refused.to_string();

    assert!(
        words.contains("value should not be greater than double the current value 8"),
        "{words}"
    );
    assert_ne!(refused.outcome(), RequestOutcome::Unknown);

    let config = wire.broker_config(broker(3), &[KEY]).await.unwrap();
    assert_eq!(config.get(KEY).unwrap().stored(), None, "rehearsing stores nothing");

    alter(&wire, Some("4"), WriteMode::Write).await.unwrap();
    wait_for(&wire, "4").await;
    let config = wire.broker_config(broker(3), &[KEY]).await.unwrap();
    let entry = config.get(KEY).unwrap();

    assert_eq!((entry.stored(), entry.at_start()), (Some("4"), Some("8")));
    assert_eq!(entry.source, ConfigSource::DynamicBroker);
    assert!(!entry.read_only);

    let refused = alter(&wire, Some("1"), WriteMode::Write).await.unwrap_err().to_string();
    assert!(refused.contains("value should be at least half the current value 4"), "{refused}");

    alter(&wire, Some("8"), WriteMode::Write).await.unwrap();
    wait_for(&wire, "8").await;
    alter(&wire, None, WriteMode::Write).await.unwrap();

    for _ in 0..100 {
        let config = wire.broker_config(broker(3), &[KEY]).await.unwrap();
        if config.get(KEY).unwrap().source == ConfigSource::Static {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    panic!("the dynamic entry is still there");
}
