//! Reads one cluster in rounds. Each round ends with one immutable snapshot that any number of
//! readers share.
//!
//! The number of requests in a round grows with brokers, not with topics or groups. Requests run
//! concurrently, each with its own deadline; what is not answered has no value in the snapshot and
//! a counted failure. Nothing here retries: the next round does.
//!
//! One file per collector says what it requests, on which cadence, and which part of the snapshot
//! it publishes. To add one, write its file, add its [`CollectorName`] and its field in
//! `CollectState`.
//!
//! Invariant: collectors change nothing in the cluster.

mod cached;
pub mod configs;
mod containers;
mod groups;
mod history;
mod in_flight;
mod lag;
mod leaders;
mod log_dirs;
mod min_insync;
mod offsets;
mod progress;
mod quorum;
mod reassignments;
mod report;
mod topology;

use std::{collections::BTreeMap, fmt, future::pending, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use cached::Timestamps;
use configs::ConfigsCollector;
use containers::{ContainersCollector, LatestUsage};
use groups::{GroupSelection, GroupsCollector};
use in_flight::{Completed, InFlight, Request, RequestKey, Sent};
use log_dirs::LogDirsCollector;
use min_insync::MinInsyncCollector;
use offsets::OffsetsCollector;
use quorum::QuorumCollector;
use reassignments::ReassignmentsCollector;
use report::RoundReport;
use topology::TopologyCollector;

use crate::{
    clock::SharedClock,
    config::ClusterConfig,
    docker::SharedDocker,
    kafka::SharedKafka,
    model::{BrokerId, ClusterName, Export, ReadFailure, Topology},
    snapshot::{Latest, Snapshot},
    telemetry::{CollectorName, RoundDone, Telemetry, chain},
};

/// What changes slowly (log directories, start offsets, topic configuration) is read in every
/// fourth round.
const SLOW_ROUNDS: u32 = 4;

pub struct Collector {
    cluster: ClusterName,
    interval: Duration,
    /// How long a round waits for answers.
    patience: Duration,
    export: Export,
    kafka: SharedKafka,
    clock: SharedClock,
    telemetry: Arc<Telemetry>,
    in_flight: InFlight,
    latest: watch::Sender<Option<Arc<Snapshot>>>,
    containers: Option<ContainersCollector>,
    state: CollectState,
    /// The round in which each request was last answered.
    answered: BTreeMap<RequestKey, u64>,
    round: u64,
    /// What the latest round could not read, as text for people, and why.
    failures: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Collector");
        shown.field("cluster", &self.cluster).field("round", &self.round).finish_non_exhaustive()
    }
}

/// A collector: what it requests in a round, and what it publishes.
trait Collect {
    /// Drops what belongs to brokers and topics that are gone, and what is too old.
    fn retain(&mut self, _topology: &Topology, _now: Timestamps) {}

    /// Adds the requests of this round.
    fn plan(&mut self, plan: &mut RoundPlan<'_>);

    /// Fills in its part of the snapshot.
    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot);
}

/// The requests of one round.
struct RoundPlan<'a> {
    topology: &'a Topology,
    round: u64,
    answered: &'a BTreeMap<RequestKey, u64>,
    report: &'a mut RoundReport,
    requests: Vec<Request>,
}

impl RoundPlan<'_> {
    fn brokers(&self) -> Vec<BrokerId> {
        self.topology.brokers.iter().map(|it| it.id).collect()
    }

    /// Whether a request on the slow cadence is due. One that failed stays due, so that one bad
    /// moment does not cost a slow section.
    fn is_due(&self, key: RequestKey) -> bool {
        let last = self.answered.get(&key);
        last.is_none_or(|it| self.round.saturating_sub(*it) >= u64::from(SLOW_ROUNDS))
    }

    fn send(&mut self, request: Request) {
        self.requests.push(request);
    }
}

/// What outlives a round, by collector.
struct CollectState {
    topology: TopologyCollector,
    quorum: QuorumCollector,
    reassignments: ReassignmentsCollector,
    configs: ConfigsCollector,
    offsets: OffsetsCollector,
    groups: GroupsCollector,
    log_dirs: LogDirsCollector,
    min_insync: MinInsyncCollector,
    containers: LatestUsage,
}

impl CollectState {
    fn new(config: &ClusterConfig, containers: LatestUsage) -> Self {
        let (each_round, slow) = (config.collect_interval, config.collect_interval * SLOW_ROUNDS);
        let groups = GroupSelection {
            filter: config.groups.clone(),
            states: config.group_states.clone(),
            lag_seconds: config.export.lag_seconds,
        };

        Self {
            topology: TopologyCollector::new(each_round, config.topics.clone()),
            quorum: QuorumCollector::new(each_round),
            reassignments: ReassignmentsCollector::new(each_round),
            configs: ConfigsCollector::new(each_round),
            offsets: OffsetsCollector::new(each_round, slow),
            groups: GroupsCollector::new(each_round, groups),
            log_dirs: LogDirsCollector::new(slow),
            min_insync: MinInsyncCollector::new(slow),
            containers,
        }
    }

    /// All but the topology, in the order of their requests. A broker answers in order, and
    /// remediation waits for the configuration, so that comes before the large answers.
    fn collectors(&mut self) -> [&mut dyn Collect; 8] {
        [
            &mut self.quorum,
            &mut self.reassignments,
            &mut self.configs,
            &mut self.offsets,
            &mut self.groups,
            &mut self.log_dirs,
            &mut self.min_insync,
            &mut self.containers,
        ]
    }

    /// Puts together what depends on several answers. Returns how many commits are ahead of their
    /// log end.
    fn assemble(
        &mut self,
        topology: &Topology,
        round: &mut Round,
        began: Timestamps,
        now: Timestamps,
    ) -> u64 {
        let unreadable = u64::try_from(topology.unreadable.len()).unwrap_or(u64::MAX);
        round.report.count_unknown(CollectorName::Topology, ReadFailure::Other, unreadable);

        let offsets = self.offsets.assemble(topology, round, began);
        self.groups.assemble(topology, &offsets, round, began, now)
    }
}

/// What belongs to one round.
struct Round {
    report: RoundReport,
    end_offsets: offsets::EndOffsets,
    groups: groups::GroupAnswers,
    /// Requests that an answer of this round calls for.
    follow_ups: Vec<Request>,
}

impl Collector {
    /// Reads `config.name` through `kafka`, and its containers through `docker` if there is one.
    pub fn new(
        config: &ClusterConfig,
        kafka: SharedKafka,
        docker: Option<SharedDocker>,
        clock: SharedClock,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let (containers, latest_usage) = containers::channel(
            docker,
            config.name.clone(),
            config.collect_interval,
            SharedClock::clone(&clock),
            Arc::clone(&telemetry),
        );
        let collector = Self {
            cluster: config.name.clone(),
            interval: config.collect_interval,
            patience: patience(config),
            export: config.export,
            in_flight: InFlight::new(SharedKafka::clone(&kafka), SharedClock::clone(&clock)),
            kafka,
            clock,
            telemetry,
            latest: watch::channel(None).0,
            containers,
            state: CollectState::new(config, latest_usage),
            answered: BTreeMap::new(),
            round: 0,
            failures: BTreeMap::new(),
        };

        collector.publish_request_counts();
        collector
    }

    /// The latest snapshot, now and later.
    pub fn latest(&self) -> Latest {
        self.latest.subscribe()
    }

    /// Reads round after round until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let containers = self.containers.take();
        let containers = async move {
            match containers {
                Some(containers) => containers.run().await,
                None => pending().await,
            }
        };

        // Everything here only reads, so it may be dropped at any point.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.rounds() => {}
            () = containers => {}
        }
    }

    /// Reads one round and the containers, and returns the snapshot: for a command that reads once
    /// or now and then. Not beside [`Self::run`].
    pub async fn read(&mut self) -> Arc<Snapshot> {
        let began = Timestamps::now(&self.clock);
        let containers = self.containers.take();
        let of_containers = async {
            match &containers {
                Some(containers) => containers.round(began).await,
                None => None,
            }
        };
        let (failure, ()) = tokio::join!(of_containers, self.round(began));
        self.round = self.round.saturating_add(1);
        self.containers = containers;

        if let Some(failure) = failure {
            self.failures.insert(CollectorName::Containers.reads(), failure);
        }

        // Again: the engine is slower than the brokers.
        self.publish_snapshot(Timestamps::now(&self.clock))
    }

    async fn rounds(&mut self) {
        loop {
            let began = Timestamps::now(&self.clock);
            self.round(began).await;
            self.round = self.round.saturating_add(1);

            let took = Timestamps::now(&self.clock).since(began.monotonic);
            self.wait(self.interval.saturating_sub(took)).await;
        }
    }

    /// Waits for the next round, and stores late answers meanwhile.
    async fn wait(&mut self, pause: Duration) {
        let clock = SharedClock::clone(&self.clock);
        let mut alarm = clock.sleep(pause);

        loop {
            tokio::select! {
                biased;
                Some(completed) = self.in_flight.next() => self.store_late(completed),
                () = &mut alarm => return,
            }
        }
    }

    async fn round(&mut self, began: Timestamps) {
        let requests_before = self.requests_sent();
        let answer = self.kafka.topology().await;
        let now = Timestamps::now(&self.clock);
        let mut report = RoundReport::new(began);
        report.ran(CollectorName::Topology);
        report.ended(CollectorName::Topology, now);

        let commits_ahead = match answer {
            Ok(topology) => {
                let topology = self.state.topology.store(topology, now);
                for collector in self.state.collectors() {
                    collector.retain(&topology, now);
                }
                self.collect(&topology, &mut report).await
            }
            Err(error) => {
                self.state.topology.failed();
                let message = chain(&error);
                report.collector_failed(CollectorName::Topology, error.failure(), message);
                0
            }
        };

        let now = Timestamps::now(&self.clock);
        self.failures = report.by_what();
        report.publish(&self.cluster, &self.telemetry, now);
        let read = self.state.topology.read();
        self.telemetry.snapshot_made(&self.cluster, read, commits_ahead);
        let requests = self.requests_sent().saturating_sub(requests_before);
        let took = now.since(began.monotonic);
        self.telemetry.round_done(&self.cluster, RoundDone { took, requests });
        self.publish_request_counts();
        let _published = self.publish_snapshot(now);
    }

    /// Returns how many commits are ahead of their log end.
    async fn collect(&mut self, topology: &Topology, report: &mut RoundReport) -> u64 {
        let began = Timestamps::now(&self.clock);
        let mut round = Round {
            report: std::mem::replace(report, RoundReport::new(began)),
            end_offsets: offsets::EndOffsets::default(),
            groups: groups::GroupAnswers::default(),
            follow_ups: Vec::new(),
        };

        self.send_requests(topology, &mut round);
        self.receive_answers(&mut round).await;
        let now = Timestamps::now(&self.clock);
        let commits_ahead = self.state.assemble(topology, &mut round, began, now);

        *report = round.report;
        commits_ahead
    }

    fn send_requests(&mut self, topology: &Topology, round: &mut Round) {
        let mut plan = RoundPlan {
            topology,
            round: self.round,
            answered: &self.answered,
            report: &mut round.report,
            requests: Vec::new(),
        };

        for collector in self.state.collectors() {
            collector.plan(&mut plan);
        }

        for request in plan.requests {
            self.send(round, request);
        }
    }

    fn send(&mut self, round: &mut Round, request: Request) {
        let key = request.key;
        match self.in_flight.send(self.round, request) {
            Sent::Sent => round.report.sent(key),
            Sent::Busy => {
                let message = "an earlier request is still unanswered";
                round.report.failed(key, ReadFailure::Busy, message);
            }
        }
    }

    async fn receive_answers(&mut self, round: &mut Round) {
        let clock = SharedClock::clone(&self.clock);
        let mut alarm = clock.sleep(self.patience);

        while round.report.is_waiting() {
            tokio::select! {
                biased;
                Some(completed) = self.in_flight.next() => self.receive(round, completed),
                () = &mut alarm => break,
            }
        }

        round.report.close(Timestamps::now(&self.clock));
    }

    fn receive(&mut self, round: &mut Round, completed: Completed) {
        if completed.round != self.round {
            self.store_late(completed);
            return;
        }

        let Completed { key, answer, at, .. } = completed;
        round.report.answered(key, at);

        match answer {
            Ok(store) => {
                self.answered.insert(key, self.round);
                store(&mut self.state, Some(round), at);
                for request in std::mem::take(&mut round.follow_ups) {
                    self.send(round, request);
                }
            }
            Err(error) => round.report.failed(key, error.failure(), &chain(&error)),
        }
    }

    /// Stores an answer to an earlier round, if it outlives the round.
    fn store_late(&mut self, completed: Completed) {
        let Completed { round, key, answer, at } = completed;
        if let Ok(store) = answer {
            self.answered.insert(key, round);
            store(&mut self.state, None, at);
        }
    }

    fn publish_snapshot(&mut self, now: Timestamps) -> Arc<Snapshot> {
        let mut snapshot = Snapshot::unknown(self.cluster.clone());
        snapshot.export = self.export;
        snapshot.failures = self.failures.clone();
        self.state.topology.publish(now, &mut snapshot);

        for collector in self.state.collectors() {
            collector.publish(now, &mut snapshot);
        }

        let snapshot = Arc::new(snapshot);
        self.latest.send_replace(Some(Arc::clone(&snapshot)));

        snapshot
    }

    fn requests_sent(&self) -> u64 {
        self.kafka.request_counts().iter().map(|it| it.sent).sum()
    }

    fn publish_request_counts(&self) {
        self.telemetry.requests_counted(&self.cluster, self.kafka.request_counts());
    }
}

/// A request ends by its own deadline; commits and members are requested after the list of groups,
/// so a round may take two deadlines. It gives up before the next round is due, but not before a
/// little more than one deadline, so that a request's own error is reported.
fn patience(config: &ClusterConfig) -> Duration {
    let once = config.request_timeout + config.request_timeout / 10;
    (config.request_timeout * 2).min(config.collect_interval).max(once)
}
