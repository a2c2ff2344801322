//! A simulated Kafka cluster: brokers, topology and injected faults.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kafka_optimizer::{
    kafka::{Kafka, KafkaError},
    model::{
        self, ActingLease, BatchScan, BrokerConfig, BrokerId, ClientQuota, ClientQuotas,
        ConfigChange, DefaultQuota, ElectionFailure, GroupDescription, GroupListing, GroupMembers,
        GroupName, GroupOffsets, GroupState, GroupType, LogDir, LogPosition, MinInsync, OffsetSpec,
        Partition, Quorum, QuotaChange, QuotaEntity, QuotaKey, ReadFailure, RequestCount, Topic,
        TopicName, TopicOffsets, TopicPartition, TopicPartitions, Topology, WriteMode,
    },
};

use super::{
    broker::{ApplyDelay, SimulatedBroker},
    chance::{between, draw},
    checks::{Checks, WriteRequest},
    clock::WorldClock,
    controller::{ControllerRequest, ElectionOutcomes, SimulatedController},
    crash_points::CrashPoints,
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

pub(crate) fn id(raw: i32) -> BrokerId {
    BrokerId::from_wire(raw).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallKind {
    Topology,
    Minimums,
    Quorum,
    Reassignments,
    Describe,
    Validate,
    Write,
    Quotas,
    ValidateQuota,
    WriteQuota,
    Elect,
    Groups,
    Members,
    Topics,
}

#[derive(Clone, Debug)]
pub(crate) struct KafkaCall {
    pub(crate) at: Duration,
    pub(crate) kind: CallKind,
    pub(crate) broker: Option<BrokerId>,
    pub(crate) change: Option<ConfigChange>,
    pub(crate) order: Option<ControllerRequest>,
    /// Number of earlier calls of this kind.
    pub(crate) nth: usize,
    /// Number of earlier calls of this kind to the same broker.
    pub(crate) nth_of_broker: usize,
}

/// Target of a call, and the change it requests.
#[derive(Default)]
struct CallSubject {
    broker: Option<BrokerId>,
    change: Option<ConfigChange>,
    order: Option<ControllerRequest>,
}

/// A fault injected into a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallFault {
    Refuse,
    /// The request is lost, and the call times out.
    LoseRequest,
    /// The request takes effect, and its response is lost.
    LoseAnswer,
    /// The request takes effect, and the connection is reset.
    Break,
    Unreachable,
    /// The response takes this long, within the deadline.
    Slow(Duration),
    /// The request waits this long in the broker's queue, possibly beyond the deadline.
    Late(Duration),
    /// Accepted and stored, but never effective.
    NeverApplied,
}

type KafkaFaults = Box<dyn Fn(&KafkaCall) -> Option<CallFault> + Send>;

#[derive(Clone, Debug)]
pub(crate) struct SimulatedMetadata {
    pub(crate) topics: Vec<Topic>,
    pub(crate) min_isr: BTreeMap<TopicName, MinInsync>,
    pub(crate) quorum: Quorum,
    pub(crate) reassignments: Vec<TopicPartition>,
    pub(crate) quotas: BTreeMap<(QuotaEntity, QuotaKey), f64>,
    pub(crate) default_quotas: Vec<DefaultQuota>,
    pub(crate) gone: Vec<BrokerId>,
    pub(crate) cluster_id: String,
    /// Whether this process has the right to change the cluster.
    pub(crate) lease: ActingLease,
    /// Groups with their members; the first broker coordinates them all.
    pub(crate) groups: BTreeMap<GroupName, GroupMembers>,
}

impl SimulatedMetadata {
    fn is_relieved(&self) -> bool {
        !self.quotas.is_empty() || self.leads_as_assigned()
    }

    /// Whether every partition of a topic with a legal name is led by its preferred replica.
    pub(crate) fn leads_as_assigned(&self) -> bool {
        let legal = self.topics.iter().filter(|it| !it.name.as_str().contains(' '));
        let preferred = |it: &Partition| it.leader.as_ref() == it.replicas.first();
        legal.flat_map(|it| &it.partitions).all(preferred)
    }

    pub(super) fn partition(&self, at: &TopicPartition) -> Option<&Partition> {
        let topic = self.topics.iter().find(|it| it.name == at.topic)?;
        topic.partitions.iter().find(|it| it.index == at.partition)
    }
}

pub(crate) struct ClusterState {
    pub(crate) brokers: BTreeMap<BrokerId, SimulatedBroker>,
    pub(crate) metadata: SimulatedMetadata,
    pub(crate) controller: SimulatedController,
    pub(crate) calls: Vec<KafkaCall>,
    pub(crate) faults: KafkaFaults,
    /// Brokers that are cut off from the controllers, with what they last learned.
    cut_off: BTreeMap<BrokerId, SimulatedMetadata>,
    /// Time, and whether a quota was set or all leaders were preferred from then on.
    relief: Vec<(Duration, bool)>,
    seed: u64,
}

impl ClusterState {
    /// Applies every event that is due by `now`.
    pub(crate) fn pump(&mut self, now: Duration) {
        for broker in self.brokers.values_mut() {
            broker.pump(now);
        }

        self.controller.pump(now, &mut self.metadata);
        let relieved = self.metadata.is_relieved();

        if self.relief.last().is_none_or(|it| it.1 != relieved) {
            self.relief.push((now, relieved));
        }
    }

    fn record(
        &mut self,
        at: Duration,
        kind: CallKind,
        CallSubject { broker, change, order }: CallSubject,
    ) -> (usize, Option<CallFault>) {
        let same = self.calls.iter().filter(|it| it.kind == kind);
        let nth = same.clone().count();
        let nth_of_broker = same.filter(|it| it.broker == broker).count();
        let call = KafkaCall { at, kind, broker, change, order, nth, nth_of_broker };
        let fault = (self.faults)(&call);
        self.calls.push(call);

        (self.calls.len() - 1, fault)
    }

    /// Random delay of a call. It depends on the seed and the call only, not on other calls.
    fn chance(&self, call: usize, part: u64, from: u64, to: u64) -> u64 {
        let call = &self.calls[call];
        let broker = call.broker.map_or(0, |it| u64::try_from(it.to_wire()).unwrap() + 1);
        let nth = u64::try_from(call.nth_of_broker).unwrap();

        between(from, to, draw(self.seed, &[call.kind as u64, broker, nth, part]))
    }
}

pub(crate) struct SimulatedKafka {
    state: Mutex<ClusterState>,
    clock: Arc<WorldClock>,
    crash_points: CrashPoints,
    checks: Arc<Checks>,
}

/// A topic with one partition per broker and all replicas in sync.
fn topic(name: &str, brokers: &[BrokerId]) -> Topic {
    let partitions = (0..).zip(brokers).map(|(index, leader)| Partition {
        index,
        leader: Some(*leader),
        replicas: brokers.to_vec(),
        isr: brokers.to_vec(),
    });
    Topic { name: TopicName::new(name), id: 1, internal: false, partitions: partitions.collect() }
}

impl SimulatedKafka {
    pub(crate) fn new(
        seed: u64,
        count: i32,
        clock: Arc<WorldClock>,
        crash_points: CrashPoints,
        checks: Arc<Checks>,
    ) -> Self {
        let ids: Vec<BrokerId> = (1..=count).map(id).collect();
        let names = ["orders", "payments with a space", "__consumer_offsets"];
        let metadata = SimulatedMetadata {
            topics: names.iter().map(|it| topic(it, &ids)).collect(),
            min_isr: names.iter().map(|it| (TopicName::new(*it), Ok(2))).collect(),
            quorum: Quorum { leader: Some(id(100)), epoch: 7, ..Quorum::default() },
            reassignments: Vec::new(),
            quotas: BTreeMap::new(),
            default_quotas: Vec::new(),
            gone: Vec::new(),
            cluster_id: "world".to_owned(),
            lease: ActingLease::Held,
            groups: BTreeMap::new(),
        };
        let state = ClusterState {
            brokers: ids.into_iter().map(|it| (it, SimulatedBroker::new(it, 8))).collect(),
            metadata,
            controller: SimulatedController::default(),
            calls: Vec::new(),
            faults: Box::new(|_| None),
            cut_off: BTreeMap::new(),
            relief: Vec::new(),
            seed,
        };

        Self { state: Mutex::new(state), clock, crash_points, checks }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ClusterState> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pump(self.clock.elapsed());
        state
    }

    /// Someone else changes a key; it is effective at once.
    pub(crate) fn set(&self, broker: i32, key: &'static str, value: Option<u32>) {
        let now = self.clock.elapsed();
        self.state().brokers.get_mut(&id(broker)).unwrap().set(now, key, value);
    }

    /// A broker stops, and starts again after `pause`.
    pub(crate) fn restart(&self, broker: i32, pause: Duration) {
        let now = self.clock.elapsed();
        self.state().brokers.get_mut(&id(broker)).unwrap().restart(now, pause);
    }

    /// A broker processes nothing between two times from now.
    pub(crate) fn freeze(&self, broker: i32, from: Duration, to: Duration) {
        let now = self.clock.elapsed();
        let mut state = self.state();
        state.brokers.get_mut(&id(broker)).unwrap().frozen.push((now + from, now + to));
    }

    /// From now on a broker learns nothing from the controllers.
    pub(crate) fn cut_off(&self, broker: i32) {
        let mut state = self.state();
        let metadata = state.metadata.clone();
        state.cut_off.insert(id(broker), metadata);
    }

    /// What two brokers that are up report, or one if there are no more.
    fn views<T>(&self, view: impl Fn(&SimulatedMetadata) -> T) -> Vec<T> {
        let now = self.clock.elapsed();
        let state = self.state();
        let live = state.brokers.values().filter(|it| it.down_until <= now).map(|it| it.id);
        let live = live.filter(|it| !state.metadata.gone.contains(it)).take(2);

        live.map(|it| view(state.cut_off.get(&it).unwrap_or(&state.metadata))).collect()
    }

    pub(crate) fn fail(&self, faults: impl Fn(&KafkaCall) -> Option<CallFault> + Send + 'static) {
        self.state().faults = Box::new(faults);
    }

    pub(crate) fn calls(&self, kind: CallKind) -> Vec<KafkaCall> {
        self.state().calls.iter().filter(|it| it.kind == kind).cloned().collect()
    }

    /// The pool sizes at a time.
    pub(crate) fn threads(&self, broker: BrokerId, at: Duration) -> super::broker::PoolSizes {
        self.state().brokers[&broker].pools(at)
    }

    /// Whether a quota was set or all leaders were preferred at `at`.
    pub(crate) fn relieved(&self, at: Duration) -> bool {
        let state = self.state();
        let after = state.relief.partition_point(|(since, _)| *since <= at);
        after.checked_sub(1).is_some_and(|it| state.relief[it].1)
    }

    pub(crate) fn topology_now(&self) -> Topology {
        let now = self.clock.elapsed();
        let state = self.state();
        let gone = &state.metadata.gone;
        let live = state.brokers.values().filter(|it| it.down_until <= now);
        let brokers = live.filter(|it| !gone.contains(&it.id)).map(|it| model::Broker {
            id: it.id,
            host: format!("kafka-{}", it.id),
            port: 9092,
            rack: None,
        });

        Topology {
            cluster_id: Some(state.metadata.cluster_id.clone()),
            controller: Some(id(1)),
            brokers: brokers.collect(),
            topics: state.metadata.topics.clone(),
            unreadable: Vec::new(),
        }
    }

    /// A call without side effects.
    async fn read<T>(
        &self,
        kind: CallKind,
        broker: Option<BrokerId>,
        answer: impl FnOnce(&Self) -> T + Send,
    ) -> Result<T, KafkaError> {
        self.crash_points.pass().await;
        let now = self.clock.elapsed();
        let (fault, pause) = {
            let mut state = self.state();
            let (call, fault) =
                state.record(now, kind, CallSubject { broker, ..CallSubject::default() });
            let pause = Duration::from_micros(state.chance(call, 0, 300, 3000));
            let broker = broker.and_then(|it| state.brokers.get(&it));
            let pause = broker.map_or(pause, |it| it.thawed(now + pause).saturating_sub(now));
            let down = broker.is_some_and(|it| now < it.down_until);

            (if down { Some(CallFault::Unreachable) } else { fault }, pause)
        };
        let ended = self.wait(kind, broker, fault, pause).await;
        self.crash_points.pass().await;

        ended.map(|()| answer(self))
    }

    /// Waits for a response until the adapter's deadline. Returns how the call ended.
    async fn wait(
        &self,
        kind: CallKind,
        broker: Option<BrokerId>,
        fault: Option<CallFault>,
        pause: Duration,
    ) -> Result<(), KafkaError> {
        let (request, peer) = (name(kind), peer(broker));
        let pause = match fault {
            Some(CallFault::Slow(more)) => (pause + more).min(DEADLINE / 2),
            Some(CallFault::Late(more)) => pause + more,
            Some(CallFault::LoseRequest | CallFault::LoseAnswer) => DEADLINE,
            Some(CallFault::Unreachable) => Duration::from_millis(1),
            Some(CallFault::Refuse | CallFault::Break | CallFault::NeverApplied) | None => pause,
        };
        tokio::time::sleep(pause.min(DEADLINE)).await;

        match fault {
            _ if DEADLINE <= pause => {
                Err(KafkaError::NoAnswer { request, peer, deadline: DEADLINE })
            }
            Some(CallFault::Unreachable) => {
                let source = io::Error::from(io::ErrorKind::ConnectionRefused);
                Err(KafkaError::Unreachable { peer, source })
            }
            Some(CallFault::Break) => {
                let source = io::Error::from(io::ErrorKind::ConnectionReset);
                Err(KafkaError::Broken { request, peer, source })
            }
            Some(CallFault::Refuse) => {
                let message = Some("Cluster authorization failed.".to_owned());
                Err(KafkaError::Refused { request, peer, code: 31, message })
            }
            _ => Ok(()),
        }
    }

    /// Sends the change, independently of who awaits the response. Returns the delay, or `None` if
    /// it never arrives.
    fn send(
        &self,
        broker: BrokerId,
        changes: &[ConfigChange],
        mode: WriteMode,
        call: usize,
        fault: Option<CallFault>,
    ) -> Option<Duration> {
        let now = self.clock.elapsed();
        let mut state = self.state();
        let queue = Duration::from_micros(state.chance(call, 1, 500, 5000));
        let seen = state.chance(call, 2, 1, 60);

        // Seen: 4–143 ms idle, 0.3–2.3 s at load.
        let in_force = match state.chance(call, 3, 0, 3) {
            0 => state.chance(call, 4, 300, 2300),
            _ => state.chance(call, 4, 4, 143),
        };
        let lag = ApplyDelay {
            seen: Duration::from_millis(seen.min(in_force)),
            in_force: Duration::from_millis(in_force),
            ever: fault != Some(CallFault::NeverApplied),
        };
        let late = if let Some(CallFault::Late(more)) = fault { more } else { Duration::ZERO };
        let node = state.brokers.get_mut(&broker)?;

        match fault {
            Some(CallFault::Refuse | CallFault::LoseRequest | CallFault::Unreachable) => None,
            _ if now < node.down_until => None,
            _ => {
                let at = node.send(now + queue + late, call, changes.to_vec(), mode, lag);
                Some(at.saturating_sub(now))
            }
        }
    }

    /// Sends a request to the controller through any broker, and waits for the response.
    async fn order(
        &self,
        kind: CallKind,
        order: ControllerRequest,
    ) -> Result<ElectionOutcomes, KafkaError> {
        self.crash_points.pass().await;
        let (call, fault) = {
            let now = self.clock.elapsed();
            let mut state = self.state();
            let subject = CallSubject { order: Some(order.clone()), ..CallSubject::default() };
            let asked = state.record(now, kind, subject);
            self.checks.ordered(&order);

            asked
        };
        let _under_way = order.writes().then(|| self.checks.pending());
        let arrives = self.forward(order, call, fault);

        // The delay is already part of the arrival time.
        let fault = fault.filter(|it| !matches!(it, CallFault::Late(_)));
        let pause = arrives.unwrap_or(Duration::from_millis(1)) + Duration::from_micros(100);
        let ended = self.wait(kind, None, fault, pause).await;
        self.crash_points.pass().await;
        ended?;
        let answer = self.state().controller.answers.remove(&call);
        let (request, peer) = (name(kind), peer(None));

        match answer {
            Some(Ok(outcomes)) => Ok(outcomes),
            Some(Err(message)) => {
                Err(KafkaError::Refused { request, peer, code: 42, message: Some(message) })
            }
            // It is still queued behind a delayed one.
            None => {
                let source = io::Error::from(io::ErrorKind::ConnectionReset);
                Err(KafkaError::Broken { request, peer, source })
            }
        }
    }

    /// Sends a request, independently of who awaits the response. Returns the delay, or `None` if
    /// it never arrives.
    fn forward(
        &self,
        order: ControllerRequest,
        call: usize,
        fault: Option<CallFault>,
    ) -> Option<Duration> {
        let now = self.clock.elapsed();
        let mut state = self.state();
        let queue = Duration::from_micros(state.chance(call, 1, 500, 5000));
        let seen = Duration::from_millis(state.chance(call, 2, 4, 143));
        let seen = (fault != Some(CallFault::NeverApplied)).then_some(seen);
        let late = if let Some(CallFault::Late(more)) = fault { more } else { Duration::ZERO };

        if let Some(CallFault::Refuse | CallFault::LoseRequest | CallFault::Unreachable) = fault {
            return None;
        }

        let at = state.controller.send(now + queue + late, call, order, seen);

        Some(at.saturating_sub(now))
    }
}

const fn name(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Topology | CallKind::Topics => "Metadata",
        CallKind::Minimums | CallKind::Describe => "DescribeConfigs",
        CallKind::Quorum => "DescribeQuorum",
        CallKind::Reassignments => "ListPartitionReassignments",
        CallKind::Validate | CallKind::Write => "IncrementalAlterConfigs",
        CallKind::Quotas => "DescribeClientQuotas",
        CallKind::ValidateQuota | CallKind::WriteQuota => "AlterClientQuotas",
        CallKind::Elect => "ElectLeaders",
        CallKind::Groups => "ListGroups",
        CallKind::Members => "DescribeGroups",
    }
}

fn peer(broker: Option<BrokerId>) -> String {
    broker.map_or("any broker".to_owned(), |it| format!("kafka-{it}:9092"))
}

#[async_trait]
impl Kafka for SimulatedKafka {
    async fn topology(&self) -> Result<Topology, KafkaError> {
        self.read(CallKind::Topology, None, Self::topology_now).await
    }

    async fn broker_config(
        &self,
        broker: BrokerId,
        keys: &[&str],
    ) -> Result<BrokerConfig, KafkaError> {
        let known = self.state().brokers.contains_key(&broker);
        if !known {
            return Err(KafkaError::UnknownBroker(broker));
        }

        let asked = (CallKind::Describe, Some(broker));

        self.read(asked.0, asked.1, |it| it.state().brokers[&broker].describe(keys)).await
    }

    async fn min_insync_replicas(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, MinInsync)>, KafkaError> {
        let answer = |it: &Self| {
            let all = it.state().metadata.min_isr.clone();
            all.into_iter().filter(|(name, _)| topics.contains(name)).collect()
        };
        self.read(CallKind::Minimums, None, answer).await
    }

    async fn quorum(&self) -> Result<Quorum, KafkaError> {
        self.read(CallKind::Quorum, None, |it| it.state().metadata.quorum.clone()).await
    }

    async fn reassignments(&self) -> Result<Vec<TopicPartition>, KafkaError> {
        let answer = |it: &Self| it.state().metadata.reassignments.clone();
        self.read(CallKind::Reassignments, None, answer).await
    }

    async fn alter_broker_config(
        &self,
        broker: BrokerId,
        changes: &[ConfigChange],
        mode: WriteMode,
    ) -> Result<(), KafkaError> {
        self.crash_points.pass().await;
        let kind = if mode == WriteMode::Write { CallKind::Write } else { CallKind::Validate };
        let keys: Vec<&str> = changes.iter().map(|it| it.key.as_str()).collect();
        let keys = keys.join(" ");
        let (call, fault) = {
            let now = self.clock.elapsed();
            let mut state = self.state();
            let subject =
                CallSubject { broker: Some(broker), change: changes.first().cloned(), order: None };
            let asked = state.record(now, kind, subject);
            let Some(node) = state.brokers.get(&broker) else {
                return Err(KafkaError::UnknownBroker(broker));
            };

            for change in changes {
                self.checks.sent(&WriteRequest { node, change, keys: &keys, mode, at: now });
            }

            asked
        };
        let _under_way = (mode == WriteMode::Write).then(|| self.checks.pending());
        let arrives = self.send(broker, changes, mode, call, fault);
        let fault = match (arrives, fault) {
            (None, None) => Some(CallFault::Unreachable),
            // The delay is already part of the arrival time.
            (Some(_), Some(CallFault::Late(_))) => None,
            (_, fault) => fault,
        };
        let pause = arrives.unwrap_or(Duration::from_millis(1)) + Duration::from_micros(100);
        let ended = self.wait(kind, Some(broker), fault, pause).await;
        self.crash_points.pass().await;
        ended?;

        let answer = self.state().brokers.get_mut(&broker).and_then(|it| it.answers.remove(&call));

        match answer {
            Some(Ok(())) => Ok(()),
            Some(Err(message)) => Err(KafkaError::Refused {
                request: name(kind),
                peer: peer(Some(broker)),
                code: 42,
                message: Some(message),
            }),
            // The broker went down meanwhile.
            None => Err(KafkaError::Broken {
                request: name(kind),
                peer: peer(Some(broker)),
                source: io::Error::from(io::ErrorKind::ConnectionReset),
            }),
        }
    }

    async fn topics(&self, names: &[TopicName]) -> Result<Vec<Vec<Topic>>, KafkaError> {
        let answer = |it: &Self| {
            it.views(|metadata| {
                let found = metadata.topics.iter().filter(|it| names.contains(&it.name));
                found.cloned().collect()
            })
        };
        self.read(CallKind::Topics, None, answer).await
    }

    async fn client_quotas(&self) -> Result<Vec<ClientQuotas>, KafkaError> {
        let answer = |it: &Self| {
            it.views(|metadata| {
                let named = metadata.quotas.clone().into_iter();
                let quota = |((entity, key), value)| ClientQuota { entity, key, value };
                let defaults = metadata.default_quotas.clone();

                ClientQuotas { named: named.map(quota).collect(), defaults }
            })
        };
        self.read(CallKind::Quotas, None, answer).await
    }

    async fn alter_client_quota(
        &self,
        change: &QuotaChange,
        mode: WriteMode,
    ) -> Result<(), KafkaError> {
        let kind =
            if mode == WriteMode::Write { CallKind::WriteQuota } else { CallKind::ValidateQuota };
        self.order(kind, ControllerRequest::Quota(change.clone(), mode)).await.map(drop)
    }

    async fn elect_preferred_leaders(
        &self,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<(TopicPartition, Result<(), ElectionFailure>)>, KafkaError> {
        self.order(CallKind::Elect, ControllerRequest::Elect(partitions.to_vec())).await
    }

    fn request_counts(&self) -> Vec<RequestCount> {
        Vec::new()
    }

    fn acting_lease(&self) -> ActingLease {
        self.state().metadata.lease.clone()
    }

    fn compete(&self) {}

    async fn resign(&self) {}

    async fn offsets(
        &self,
        _: BrokerId,
        _: OffsetSpec,
        _: &[TopicPartitions],
    ) -> Result<Vec<TopicOffsets>, KafkaError> {
        unreachable!("remediation reads no offsets")
    }

    async fn groups(
        &self,
        broker: BrokerId,
        _: &[GroupState],
    ) -> Result<Vec<GroupListing>, KafkaError> {
        let answer = |it: &Self| {
            let state = it.state();
            let coordinated = state.metadata.groups.iter().filter(|_| broker == id(1));
            let listed = coordinated.map(|(group, members)| GroupListing {
                group: group.clone(),
                protocol_type: "consumer".to_owned(),
                group_type: GroupType::Classic,
                state: members.state,
            });

            listed.collect()
        };
        self.read(CallKind::Groups, Some(broker), answer).await
    }

    async fn describe_groups(
        &self,
        broker: BrokerId,
        _: GroupType,
        groups: &[GroupName],
    ) -> Result<Vec<GroupDescription>, KafkaError> {
        let answer = |it: &Self| {
            let state = it.state();
            let described = groups.iter().map(|group| GroupDescription {
                group: group.clone(),
                members: state.metadata.groups.get(group).cloned().ok_or(ReadFailure::Unknown),
            });
            described.collect()
        };
        self.read(CallKind::Members, Some(broker), answer).await
    }

    async fn committed(
        &self,
        _: BrokerId,
        _: &[GroupName],
    ) -> Result<Vec<GroupOffsets>, KafkaError> {
        unreachable!("remediation reads no commits")
    }

    async fn batches(&self, _: BrokerId, _: &LogPosition, _: u32) -> Result<BatchScan, KafkaError> {
        unreachable!("remediation reads no batches")
    }

    async fn log_dirs(&self, _: BrokerId) -> Result<Vec<LogDir>, KafkaError> {
        unreachable!("remediation reads no log directories")
    }
}
