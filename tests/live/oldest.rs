//! Kafka 3.9, the oldest supported version, on one combined node: every call, a round with every
//! section, and a value lost at a restart.

use std::{process::Command, sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::SystemClock,
    kafka::{
        Kafka, KafkaError,
        wire::{Wire, WireOptions},
    },
    model::{
        BrokerId, ConfigChange, ConfigEntry, ConfigSource, GroupName, GroupState, GroupType,
        OffsetSpec, RequestOutcome, TopicName, TopicPartitions, WriteMode,
    },
    security::Security,
    shutdown::Tasks,
};

use super::{
    admin_client::AdminClient,
    exporter::{ExporterProcess, ScrapedPage},
    member::{GroupMember, MemberProtocol},
    stack::{eventually, variable},
    wire::{a_preferred_leader_need_not_be_elected, a_quota_comes_and_goes},
};

/// 4 in the broker's file.
const KEY: &str = "num.io.threads";
const SOON: Duration = Duration::from_secs(20);

fn bootstrap() -> String {
    variable("39_BOOTSTRAP")
}

fn wire() -> Wire {
    let options = WireOptions {
        bootstrap: vec![bootstrap()],
        request_timeout: Duration::from_secs(10),
        client_id: "kafka-optimizer-tests".to_owned(),
        security: Security::default(),
    };
    Wire::new(options, Arc::new(SystemClock::new()), Tasks::default())
}

fn only() -> BrokerId {
    BrokerId::from_wire(1).unwrap()
}

async fn entry(wire: &Wire) -> ConfigEntry {
    let config = wire.broker_config(only(), &[KEY]).await.unwrap();
    config.get(KEY).unwrap().clone()
}

async fn alter(wire: &Wire, value: Option<&str>, mode: WriteMode) -> Result<(), KafkaError> {
    let change = ConfigChange { key: KEY.to_owned(), value: value.map(str::to_owned) };
    wire.alter_broker_config(only(), &[change], mode).await
}

/// Writes a value and waits until it is effective: the response comes before it is applied.
async fn set(wire: &Wire, value: &str) {
    alter(wire, Some(value), WriteMode::Write).await.unwrap();
    eventually(&format!("{KEY} is {value}"), SOON, async || {
        (entry(wire).await.effective.as_deref() == Some(value)).then_some(())
    })
    .await;
}

async fn unset(wire: &Wire) {
    alter(wire, None, WriteMode::Write).await.unwrap();
    eventually(&format!("{KEY} is that of the file"), SOON, async || {
        (entry(wire).await.source == ConfigSource::Static).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn kafka_3_9_answers_every_call_of_the_seam() {
    let (wire, admin) = (wire(), AdminClient::new(&bootstrap()));
    let (topic, group) = ("oldest-seam", "oldest-seam");
    admin.create(topic, &[&[1], &[1]]).await;
    admin.write(topic, 0, 20).await;
    admin.truncate(topic, 0, 5).await;
    admin.commit(group, topic, &[(0, 12)]).await;

    let topology = wire.topology().await.unwrap();

    assert!(topology.cluster_id.is_some() && topology.controller.is_some(), "{topology:?}");
    assert_eq!(topology.brokers.iter().map(|it| it.id).collect::<Vec<_>>(), [only()]);

    let found = topology.topics.iter().find(|it| it.name.as_str() == topic).unwrap();
    assert!(found.id != 0 && found.partitions.len() == 2, "{found:?}");

    let at = TopicPartitions { topic: TopicName::new(topic), partitions: vec![0] };
    for (edge, want) in [(OffsetSpec::Earliest, 5), (OffsetSpec::Latest, 20)] {
        let edges = wire.offsets(only(), edge, std::slice::from_ref(&at)).await.unwrap();
        assert_eq!(edges[0].partitions, [(0, Ok(want))], "{edge:?}");
    }

    let listed = wire.groups(only(), &[]).await.unwrap();
    let ours = listed.iter().find(|it| it.group.as_str() == group).unwrap();

    assert_eq!((ours.group_type, ours.state), (GroupType::Classic, GroupState::Empty));

    let stable = wire.groups(only(), &[GroupState::Stable]).await.unwrap();
    assert!(stable.iter().all(|it| it.state == GroupState::Stable), "{stable:?}");

    let committed = wire.committed(only(), std::slice::from_ref(&ours.group)).await.unwrap();
    let offsets = committed[0].offsets.as_ref().unwrap();

    assert_eq!(offsets.len(), 1);
    assert_eq!(offsets[0].partitions, [(0, Ok(12))], "no -1 for the other partition");

    for dir in wire.log_dirs(only()).await.unwrap() {
        assert!(!dir.offline && dir.usable_bytes.unwrap() <= dir.total_bytes.unwrap(), "{dir:?}");
    }

    let missing = TopicName::new("oldest-no-such-topic");
    let minimums = wire.min_insync_replicas(&[at.topic, missing]).await.unwrap();

    assert_eq!(minimums, [(TopicName::new(topic), Ok(1))]);

    let quorum = wire.quorum().await.unwrap();
    assert_eq!(quorum.leader, Some(only()));
    assert_eq!(wire.reassignments().await.unwrap(), []);

    admin.delete(topic).await;
    admin.forget(group).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn kafka_3_9_describes_classic_groups_and_none_that_is_gone() {
    let (wire, admin) = (wire(), AdminClient::new(&bootstrap()));
    let (topic, group) = ("oldest-classic", "oldest-classic");
    admin.create(topic, &[&[1]]).await;
    let member = GroupMember::join(&bootstrap(), MemberProtocol::Classic, group, topic).await;
    let names = [group, "oldest no such group"].map(GroupName::new);
    wire.topology().await.unwrap();

    let described = wire.describe_groups(only(), GroupType::Classic, &names).await.unwrap();
    let members = described[0].members.as_ref().unwrap();

    assert_eq!((members.state, members.count), (GroupState::Stable, 1));
    assert_eq!(members.assigned, Some([(TopicName::new(topic), 1)].into()));

    // This version reports a deleted group as dead, which must not be counted as a group without
    // members.
    let gone = described[1].members.as_ref();
    assert!(gone.is_err() || gone.is_ok_and(|it| it.state == GroupState::Dead), "{gone:?}");

    member.leave().await;
    admin.delete(topic).await;
    admin.forget(group).await;
}

/// A section of a round, with a metric family that only it fills.
const SECTIONS: &[(&str, &str)] = &[
    ("topology", "kafka_topic_partitions"),
    ("offsets", "kafka_topic_partition_current_offset"),
    ("offsets", "kafka_topic_partition_oldest_offset"),
    ("groups", "kafka_consumergroup_members"),
    ("committed", "kafka_consumergroup_current_offset"),
    ("lag", "kafka_consumergroup_lag"),
    ("log_dirs", "kafka_broker_log_dir_total_bytes"),
    ("configs", "kafka_broker_config_value"),
    ("quorum", "kafka_controller_id"),
    ("reassignments", "kafka_partition_reassignments"),
    ("min_insync", "kafka_topic_min_insync_replicas"),
];

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_round_on_kafka_3_9_reads_every_section_and_fails_nowhere() {
    let admin = AdminClient::new(&bootstrap());
    let (topic, group) = ("oldest-round", "oldest-round");
    admin.create(topic, &[&[1]]).await;
    admin.write(topic, 0, 10).await;
    admin.commit(group, topic, &[(0, 4)]).await;
    let member = GroupMember::join(&bootstrap(), MemberProtocol::Classic, group, topic).await;
    let exporter = ExporterProcess::start(&bootstrap()).await;
    exporter
        .until("every section", SOON, |page| {
            let shown = |it: &&str| page.values(it, &[]).next().is_some();
            SECTIONS.iter().map(|it| &it.1).all(shown).then_some(())
        })
        .await;

    // Four rounds, so that slow sections were read twice.
    exporter.next_round().await;
    let page = exporter.next_round().await;

    check_whole(&page);

    let of_group = [("consumergroup", group)];
    assert_eq!(page.value("kafka_consumergroup_members", &of_group), Some(1.0));
    assert_eq!(page.value("kafka_consumergroup_lag", &of_group), Some(6.0));

    let stable = [("consumergroup", group), ("state", "stable")];
    assert_eq!(page.value("kafka_consumergroup_state", &stable), Some(1.0));

    member.leave().await;
    admin.delete(topic).await;
    admin.forget(group).await;
}

fn check_whole(page: &ScrapedPage) {
    for (collector, family) in SECTIONS {
        assert!(page.succeeded(collector), "{collector}\n{}", page.text);
        assert!(page.values(family, &[]).next().is_some(), "{family}\n{}", page.text);
    }

    // Unsupported requests are not repeated.
    for counter in
        ["kafka_optimizer_readings_unknown", "kafka_optimizer_kafka_request_errors_total"]
    {
        let sum: f64 = page.values(counter, &[]).sum();
        assert!(sum < 0.5, "{counter} is {sum}\n{}", page.text);
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn kafka_3_9_validates_writes_reads_back_and_refuses() {
    let wire = wire();
    unset(&wire).await;
    alter(&wire, Some("8"), WriteMode::ValidateOnly).await.unwrap();

    assert_eq!(entry(&wire).await.stored(), None, "rehearsing stores nothing");

    let refused = alter(&wire, Some("9"), WriteMode::ValidateOnly).await.unwrap_err();
    let words = "value should not be greater than double the current value 4";

    assert!(refused.to_string().contains(words), "{refused}");
    assert_ne!(refused.outcome(), RequestOutcome::Unknown);

    let read_only = ConfigChange {
        key: "socket.send.buffer.bytes".to_owned(),
        value: Some("65536".to_owned()),
    };
    let refused = wire.alter_broker_config(only(), &[read_only], WriteMode::ValidateOnly).await;
    let refused = refused.unwrap_err().to_string();

    assert!(refused.contains("Set(socket.send.buffer.bytes)"), "{refused}");

    set(&wire, "8").await;
    let written = entry(&wire).await;

    assert_eq!((written.stored(), written.at_start()), (Some("8"), Some("4")));
    assert_eq!(written.source, ConfigSource::DynamicBroker);

    unset(&wire).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn kafka_3_9_sets_and_removes_quotas_and_elects_no_leader_twice() {
    let (wire, admin) = (wire(), AdminClient::new(&bootstrap()));
    a_quota_comes_and_goes(&wire, "oldest-made-up-client").await;
    a_preferred_leader_need_not_be_elected(&wire, &admin, "oldest-elections").await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn i18_kafka_3_9_loses_a_value_above_twice_the_static_one_and_it_is_detected() {
    let wire = wire();
    for value in ["8", "16"] {
        set(&wire, value).await;
    }

    let exporter = ExporterProcess::start(&bootstrap()).await;
    let applied = |page: &ScrapedPage, want: f64| {
        let value = page.value("kafka_broker_config_applied", &[("broker_id", "1"), ("key", KEY)]);
        (value == Some(want)).then_some(())
    };
    exporter.until("applied", SOON, |it| applied(it, 1.0)).await;
    let done = Command::new(variable("39_COMPOSE")).args(["restart", "kafka-39"]).output().unwrap();

    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    exporter.until("lost in the restart", Duration::from_mins(1), |it| applied(it, 0.0)).await;
    let lost = entry(&wire).await;

    assert_eq!((lost.effective.as_deref(), lost.stored()), (Some("4"), Some("16")));

    unset(&wire).await;
    exporter.until("applied again", SOON, |it| applied(it, 1.0)).await;
}
