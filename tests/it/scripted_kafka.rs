//! A scripted Kafka cluster, and a clock that advances only while a test waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kafka_optimizer::{
    clock::Clock,
    docker::{Docker, DockerError},
    kafka::{Kafka, KafkaError},
    model::{
        ActingLease, Api, BatchScan, Broker, BrokerConfig, BrokerId, ClientQuotas, CloneName,
        CloneState, ConfigChange, ConfigEntry, ConfigSource, ConsumerContainer, ContainerUsage,
        ElectionFailure, GroupDescription, GroupListing, GroupMembers, GroupName, GroupOffsets,
        GroupState, GroupType, LogDir, LogPosition, MinInsync, MonotonicTime, OffsetSpec,
        Partition, Quorum, QuorumReplica, QuorumRole, QuotaChange, ReadFailure, RequestCount,
        Topic, TopicLogSize, TopicName, TopicOffsets, TopicPartition, TopicPartitions, Topology,
        WallTime, WriteMode,
    },
};

/// The deadline of a request to a frozen broker.
pub(crate) const DEADLINE: Duration = Duration::from_secs(4);
/// Start of every test: 2025-01-01.
pub(crate) const BEGIN: WallTime = WallTime(1_735_689_600_000);

pub(crate) fn id(raw: i32) -> BrokerId {
    BrokerId::from_wire(raw).expect("an id")
}

/// tokio's clock, paused by `start_paused`.
pub(crate) struct PausedClock(tokio::time::Instant);

impl PausedClock {
    pub(crate) fn shared() -> Arc<dyn Clock> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn monotonic(&self) -> MonotonicTime {
        MonotonicTime(self.0.elapsed())
    }

    fn wall(&self) -> WallTime {
        BEGIN.after(self.0.elapsed())
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BrokerBehavior {
    #[default]
    Well,
    Frozen,
    /// No request ever ends, not even at its deadline.
    Hung,
}

/// The state of the cluster. Tests change it between rounds.
#[derive(Default)]
pub(crate) struct ClusterScript {
    pub(crate) down: bool,
    pub(crate) behaviors: BTreeMap<BrokerId, BrokerBehavior>,
    pub(crate) topology: Topology,
    pub(crate) start_offsets: BTreeMap<(String, i32), i64>,
    pub(crate) end_offsets: BTreeMap<(String, i32), Result<i64, ReadFailure>>,
    pub(crate) listings: BTreeMap<BrokerId, Vec<GroupListing>>,
    pub(crate) members: BTreeMap<String, Result<GroupMembers, ReadFailure>>,
    pub(crate) commits: BTreeMap<String, Vec<TopicOffsets>>,
    /// Groups whose offset fetch fails.
    pub(crate) commit_faults: BTreeMap<String, ReadFailure>,
    pub(crate) dirs: BTreeMap<BrokerId, Vec<LogDir>>,
    pub(crate) configs: BTreeMap<BrokerId, Vec<ConfigEntry>>,
    pub(crate) min_insync: BTreeMap<String, MinInsync>,
    pub(crate) quorum: Option<Quorum>,
    pub(crate) metadata_version: Option<i16>,
    pub(crate) moving: Vec<TopicPartition>,
}

#[derive(Default)]
pub(crate) struct ScriptedKafka {
    script: Mutex<ClusterScript>,
    asked: Mutex<Vec<(&'static str, Option<BrokerId>)>>,
}

impl ScriptedKafka {
    pub(crate) fn new(script: ClusterScript) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script), asked: Mutex::default() })
    }

    pub(crate) fn change(&self, how: impl FnOnce(&mut ClusterScript)) {
        how(&mut self.script.lock().unwrap());
    }

    /// The requests since the last call.
    pub(crate) fn asked(&self) -> Vec<(&'static str, Option<BrokerId>)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    async fn at<T>(
        &self,
        request: &'static str,
        broker: BrokerId,
        answer: impl FnOnce(&ClusterScript) -> T,
    ) -> Result<T, KafkaError> {
        self.asked.lock().unwrap().push((request, Some(broker)));
        let behavior =
            self.script.lock().unwrap().behaviors.get(&broker).copied().unwrap_or_default();

        match behavior {
            BrokerBehavior::Well => Ok(answer(&self.script.lock().unwrap())),
            BrokerBehavior::Frozen => {
                tokio::time::sleep(DEADLINE).await;
                let peer = format!("kafka-{broker}:9092");
                Err(KafkaError::NoAnswer { request, peer, deadline: DEADLINE })
            }
            BrokerBehavior::Hung => pending().await,
        }
    }

    fn anywhere<T>(
        &self,
        request: &'static str,
        answer: impl FnOnce(&ClusterScript) -> T,
    ) -> Result<T, KafkaError> {
        self.asked.lock().unwrap().push((request, None));
        let script = self.script.lock().unwrap();

        if script.down {
            let source = std::io::ErrorKind::ConnectionRefused.into();
            return Err(KafkaError::Unreachable { peer: "kafka-1:9092".into(), source });
        }

        Ok(answer(&script))
    }
}

#[async_trait]
impl Kafka for ScriptedKafka {
    async fn topology(&self) -> Result<Topology, KafkaError> {
        self.anywhere("topology", |it| it.topology.clone())
    }

    async fn offsets(
        &self,
        broker: BrokerId,
        edge: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicOffsets>, KafkaError> {
        let request = match edge {
            OffsetSpec::Earliest => "start_offsets",
            OffsetSpec::Latest => "end_offsets",
        };
        let answer = |script: &ClusterScript| {
            let offset = |topic: &TopicName, partition: i32| {
                let key = (topic.as_str().to_owned(), partition);
                match edge {
                    OffsetSpec::Earliest => {
                        Some(Ok(script.start_offsets.get(&key).copied().unwrap_or(0)))
                    }
                    OffsetSpec::Latest => script.end_offsets.get(&key).copied(),
                }
            };
            let of = |asked: &TopicPartitions| {
                let indexes = asked.partitions.iter().copied();
                let known = indexes.filter_map(|it| Some((it, offset(&asked.topic, it)?)));
                TopicOffsets { topic: asked.topic.clone(), partitions: known.collect() }
            };
            partitions.iter().map(of).collect()
        };

        self.at(request, broker, answer).await
    }

    async fn groups(
        &self,
        broker: BrokerId,
        states: &[GroupState],
    ) -> Result<Vec<GroupListing>, KafkaError> {
        let listed = |it: &ClusterScript| {
            let mut listed = it.listings.get(&broker).cloned().unwrap_or_default();
            listed.retain(|it| states.is_empty() || states.contains(&it.state));
            listed
        };
        self.at("groups", broker, listed).await
    }

    async fn describe_groups(
        &self,
        broker: BrokerId,
        _: GroupType,
        groups: &[GroupName],
    ) -> Result<Vec<GroupDescription>, KafkaError> {
        let answer = |script: &ClusterScript| {
            let of = |group: &GroupName| GroupDescription {
                group: group.clone(),
                members: script.members[group.as_str()].clone(),
            };
            groups.iter().map(of).collect()
        };
        self.at("members", broker, answer).await
    }

    async fn committed(
        &self,
        broker: BrokerId,
        groups: &[GroupName],
    ) -> Result<Vec<GroupOffsets>, KafkaError> {
        let answer = |script: &ClusterScript| {
            let of = |group: &GroupName| {
                let offsets = script.commits.get(group.as_str()).cloned().unwrap_or_default();
                let fault = script.commit_faults.get(group.as_str());
                let offsets = fault.map_or(Ok(offsets), |it| Err(*it));

                GroupOffsets { group: group.clone(), offsets }
            };
            groups.iter().map(of).collect()
        };
        self.at("commits", broker, answer).await
    }

    async fn batches(&self, _: BrokerId, _: &LogPosition, _: u32) -> Result<BatchScan, KafkaError> {
        unreachable!("no collector reads batches")
    }

    async fn log_dirs(&self, broker: BrokerId) -> Result<Vec<LogDir>, KafkaError> {
        let dirs = |it: &ClusterScript| it.dirs.get(&broker).cloned().unwrap_or_default();
        self.at("log_dirs", broker, dirs).await
    }

    async fn broker_config(
        &self,
        broker: BrokerId,
        _keys: &[&str],
    ) -> Result<BrokerConfig, KafkaError> {
        let entries = |it: &ClusterScript| it.configs.get(&broker).cloned().unwrap_or_default();
        let entries = self.at("config", broker, entries).await?;
        Ok(BrokerConfig { broker, entries })
    }

    async fn min_insync_replicas(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, MinInsync)>, KafkaError> {
        self.anywhere("min_insync", |script| {
            let of = |it: &TopicName| Some((it.clone(), *script.min_insync.get(it.as_str())?));
            topics.iter().filter_map(of).collect()
        })
    }

    async fn quorum(&self) -> Result<Quorum, KafkaError> {
        self.anywhere("quorum", |it| it.quorum.clone().unwrap_or_default())
    }

    async fn metadata_version(&self) -> Result<Option<i16>, KafkaError> {
        self.anywhere("metadata_version", |it| it.metadata_version)
    }

    async fn reassignments(&self) -> Result<Vec<TopicPartition>, KafkaError> {
        self.anywhere("reassignments", |it| it.moving.clone())
    }

    async fn alter_broker_config(
        &self,
        broker: BrokerId,
        _changes: &[ConfigChange],
        _mode: WriteMode,
    ) -> Result<(), KafkaError> {
        panic!("collection changed broker {broker}");
    }

    async fn topics(&self, names: &[TopicName]) -> Result<Vec<Vec<Topic>>, KafkaError> {
        panic!("collection asked for {names:?} alone");
    }

    async fn client_quotas(&self) -> Result<Vec<ClientQuotas>, KafkaError> {
        panic!("collection read quotas");
    }

    async fn alter_client_quota(
        &self,
        change: &QuotaChange,
        _mode: WriteMode,
    ) -> Result<(), KafkaError> {
        panic!("collection changed the quota of {}", change.entity);
    }

    async fn elect_preferred_leaders(
        &self,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<(TopicPartition, Result<(), ElectionFailure>)>, KafkaError> {
        panic!("collection changed the leaders of {partitions:?}");
    }

    fn acting_lease(&self) -> ActingLease {
        unreachable!("a collector changes nothing")
    }

    fn compete(&self) {}

    async fn resign(&self) {}

    fn request_counts(&self) -> Vec<RequestCount> {
        let none = |api: &Api| RequestCount {
            api: *api,
            sent: 0,
            failed: ReadFailure::OF_REQUEST.iter().map(|it| (*it, 0)).collect(),
        };
        Api::ALL.iter().map(none).collect()
    }
}

/// A Docker engine that takes a second to answer, as real ones do.
pub(crate) struct ScriptedDocker(pub(crate) Vec<ContainerUsage>);

#[async_trait]
impl Docker for ScriptedDocker {
    async fn broker_usage(
        &self,
        _cluster: &str,
    ) -> Result<Vec<Result<ContainerUsage, DockerError>>, DockerError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(self.0.iter().cloned().map(Ok).collect())
    }

    async fn consumers(&self, _cluster: &str) -> Result<Vec<ConsumerContainer>, DockerError> {
        Ok(Vec::new())
    }

    async fn clone_state(&self, _clone: &CloneName) -> Result<CloneState, DockerError> {
        Ok(CloneState::Absent)
    }

    async fn start_clone(&self, of: &str, _clone: &CloneName) -> Result<(), DockerError> {
        panic!("collection cloned {of}");
    }

    async fn remove_clone(&self, clone: &CloneName) -> Result<(), DockerError> {
        panic!("collection removed {clone:?}");
    }
}

pub(crate) fn partition(
    index: i32,
    leader: Option<i32>,
    replicas: &[i32],
    isr: &[i32],
) -> Partition {
    let ids = |raw: &[i32]| raw.iter().copied().map(id).collect();
    Partition { index, leader: leader.map(id), replicas: ids(replicas), isr: ids(isr) }
}

pub(crate) fn topic(name: &str, topic_id: u128, partitions: Vec<Partition>) -> Topic {
    let internal = name.starts_with("__");
    Topic { name: TopicName::new(name), id: topic_id, internal, partitions }
}

/// Committed offsets of partitions of one topic.
pub(crate) fn commits(topic: &str, offsets: &[(i32, i64)]) -> TopicOffsets {
    let partitions = offsets.iter().map(|(at, offset)| (*at, Ok(*offset))).collect();
    TopicOffsets { topic: TopicName::new(topic), partitions }
}

/// Members with this number of partitions of these topics.
pub(crate) fn members(state: GroupState, count: u32, held: &[(&str, u32)]) -> GroupMembers {
    let assigned = held.iter().map(|(topic, held)| (TopicName::new(*topic), *held)).collect();
    GroupMembers {
        state,
        count,
        fingerprint: 7,
        static_members: 0,
        assignor: "range".to_owned(),
        assigned: Some(assigned),
    }
}

pub(crate) fn listing(group: &str, state: GroupState) -> GroupListing {
    GroupListing {
        group: GroupName::new(group),
        protocol_type: "consumer".into(),
        group_type: GroupType::Classic,
        state,
    }
}

/// A key with its effective value, its static one, and its dynamic one if there is one.
pub(crate) fn entry(
    key: &str,
    effective: &str,
    at_start: &str,
    stored: Option<&str>,
) -> ConfigEntry {
    let mut synonyms = vec![(ConfigSource::Static, Some(at_start.to_owned()))];
    if let Some(stored) = stored {
        synonyms.insert(0, (ConfigSource::DynamicBroker, Some(stored.to_owned())));
    }

    let source = synonyms[0].0;
    let read_only = key.starts_with("socket");

    ConfigEntry { key: key.into(), effective: Some(effective.into()), source, read_only, synonyms }
}

/// Three brokers, four topics, two groups: every metric and every special case has a sample.
pub(crate) fn world() -> ClusterScript {
    let ids = BTreeSet::from([1, 2, 3]);
    let broker = |raw: &i32| Broker {
        id: id(*raw),
        host: format!("kafka-{raw}"),
        port: 9092,
        rack: (*raw == 1).then(|| "east".into()),
    };
    let dir = |raw: &i32| {
        let size = |topic: &str, bytes| TopicLogSize { topic: TopicName::new(topic), bytes };
        let topics = vec![size("orders", 4096), size("__consumer_offsets", 512), size("gone", 1)];
        let (total_bytes, usable_bytes) = (Some(1 << 40), Some(1 << 39));
        let path = "/var/lib/kafka/data".into();

        (id(*raw), vec![LogDir { path, offline: *raw == 3, total_bytes, usable_bytes, topics }])
    };
    let config = |raw: &i32| {
        let threads = if *raw == 1 {
            // A value lost at a restart: 32 is stored, the static 8 is effective.
            entry("num.io.threads", "8", "8", Some("32"))
        } else {
            entry("num.io.threads", "16", "8", Some("16"))
        };
        let buffer = entry("socket.send.buffer.bytes", "-1", "-1", None);
        (id(*raw), vec![threads, buffer])
    };
    let of = |topic: &str, partition: i32| (topic.to_owned(), partition);

    ClusterScript {
        topology: Topology {
            cluster_id: Some("MkU3OEVBNTcwNTJENDM2Qk".into()),
            controller: Some(id(2)),
            brokers: ids.iter().map(broker).collect(),
            topics: topics(),
            unreadable: Vec::new(),
        },
        start_offsets: BTreeMap::from([(of("orders", 0), 10)]),
        end_offsets: BTreeMap::from([
            (of("orders", 0), Ok(100)),
            (of("orders", 1), Ok(50)),
            (of("lone", 0), Ok(7)),
            (of("__consumer_offsets", 0), Ok(12_345_678_901)),
            (of("payments", 0), Err(ReadFailure::NotLeader)),
        ]),
        listings: BTreeMap::from([
            (id(1), vec![listing("billing", GroupState::Stable)]),
            (id(2), vec![listing("\"odd\" \\ group\n", GroupState::Empty)]),
        ]),
        members: BTreeMap::from([(
            "billing".into(),
            Ok(members(GroupState::Stable, 2, &[("orders", 1)])),
        )]),
        commits: BTreeMap::from([
            ("billing".into(), vec![commits("orders", &[(0, 90), (1, 50)])]),
            (
                "\"odd\" \\ group\n".into(),
                vec![
                    commits("orders", &[(0, 125)]),
                    commits("payments", &[(0, 3)]),
                    commits("gone", &[(0, 1)]),
                ],
            ),
        ]),
        dirs: ids.iter().map(dir).collect(),
        configs: ids.iter().map(config).collect(),
        min_insync: BTreeMap::from([
            ("orders".into(), Ok(2)),
            ("payments".into(), Ok(2)),
            ("__consumer_offsets".into(), Ok(1)),
        ]),
        quorum: Some(quorum()),
        ..ClusterScript::default()
    }
}

/// A controller and two brokers, one of which lags behind.
fn quorum() -> Quorum {
    let replica = |raw, role, log_end, seen: i64| QuorumReplica {
        id: id(raw),
        role,
        log_end: Some(log_end),
        last_fetch: Some(WallTime(BEGIN.0 - seen)),
        last_caught_up: Some(WallTime(BEGIN.0 - 2 * seen)),
    };
    Quorum {
        leader: Some(id(100)),
        epoch: 3,
        high_watermark: Some(990),
        replicas: vec![
            replica(1, QuorumRole::Observer, 1_000, 100),
            replica(2, QuorumRole::Observer, 980, 1_500),
            replica(100, QuorumRole::Voter, 1_000, 0),
        ],
    }
}

fn topics() -> Vec<Topic> {
    vec![
        topic("__consumer_offsets", 1, vec![partition(0, Some(1), &[1, 2, 3], &[1, 2, 3])]),
        topic("lone", 2, vec![partition(0, None, &[3], &[3])]),
        topic(
            "orders",
            3,
            vec![
                partition(0, Some(1), &[1, 2, 3], &[1, 2, 3]),
                partition(1, Some(3), &[2, 3, 1], &[3]),
            ],
        ),
        topic("payments", 4, vec![partition(0, Some(2), &[2, 1], &[2, 1])]),
    ]
}

pub(crate) fn usage(raw: i32) -> ContainerUsage {
    ContainerUsage {
        broker: id(raw),
        cpu_seconds: Some(12.5),
        cpu_limit_cores: Some(2.0),
        throttled_periods: Some(0),
        memory_anonymous_bytes: Some(400_000_000),
        memory_working_set_bytes: Some(500_000_000),
        block_read_bytes: Some(4_096),
        block_write_bytes: Some(8_192),
        memory_limit_bytes: Some(1_610_612_736),
        network_receive_bytes: Some(1_000),
        // An engine that reports no network.
        network_transmit_bytes: (raw != 3).then_some(2_000),
    }
}
