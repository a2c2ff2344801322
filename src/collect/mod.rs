//! One cluster, read in rounds. A round fills one immutable snapshot; any number of readers share
//! it.
//!
//! The number of requests in a round grows with brokers, not with topics or groups. Brokers are
//! asked at the same time, each question on its own deadline; what is not answered has no value in
//! the snapshot and a counted reason. Nothing here retries: the next round does.
//!
//! Invariant: collectors take no orders and change nothing in the cluster.

pub mod configs;
mod containers;
mod groups;
mod history;
mod kept;
mod lag;
mod leaders;
mod log_dirs;
mod min_insync;
mod offsets;
mod pool;
mod progress;
mod tally;
mod topology;

use std::{collections::BTreeMap, fmt, future::pending, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use containers::{Containers, LastUse};
use kept::{Kept, Moment};
use log_dirs::PerBroker;
use pool::{Answer, Answered, Asked, Pool, Question, Request};
use tally::Tallies;

use crate::{
    clock::SharedClock,
    config::{ClusterConfig, NameFilter},
    docker::SharedDocker,
    kafka::SharedKafka,
    model::{
        BrokerConfig, BrokerId, ClusterName, Export, GroupState, LagSeconds, LogDir, Quorum,
        ReadFailure, TopicPartition, Topology, WallTime,
    },
    snapshot::{Group, Latest, Offsets, Snapshot},
    telemetry::{CollectorName, RoundDone, Telemetry, chain},
};

/// Log directories, first offsets and topic configuration change slowly: every fourth round.
const SLOW_ROUNDS: u32 = 4;

pub struct Collector {
    cluster: ClusterName,
    interval: Duration,
    /// How long a round waits for its answers.
    patience: Duration,
    selection: Selection,
    kafka: SharedKafka,
    clock: SharedClock,
    telemetry: Arc<Telemetry>,
    pool: Pool,
    latest: watch::Sender<Option<Arc<Snapshot>>>,
    /// Taken by `run`.
    containers: Option<Containers>,
    last_use: LastUse,
    known: Known,
    round: u64,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Collector");
        shown.field("cluster", &self.cluster).field("round", &self.round).finish_non_exhaustive()
    }
}

/// What of the cluster is collected and shown.
struct Selection {
    topics: NameFilter,
    groups: NameFilter,
    group_states: Vec<GroupState>,
    export: Export,
}

#[derive(Default)]
struct Known {
    /// Whether the latest round read the topology.
    up: bool,
    topology: Option<Kept<Topology>>,
    topology_at: WallTime,
    members: topology::Members,
    min_insync: min_insync::MinInsync,
    quorum: Option<Kept<Quorum>>,
    reassignments: Option<Kept<Vec<TopicPartition>>>,
    firsts: offsets::Firsts,
    offsets: Option<Kept<Offsets>>,
    groups: Option<Kept<Vec<Group>>>,
    log_dirs: PerBroker<Vec<LogDir>>,
    configs: PerBroker<BrokerConfig>,
    reporting: BTreeMap<BrokerId, WallTime>,
    leaders: leaders::Leaders,
    history: history::History,
    progress: progress::Progress,
    /// In which round a slow question was last answered.
    answered: BTreeMap<Question, u64>,
}

struct Heard {
    tallies: Tallies,
    lasts: offsets::Lasts,
    groups: groups::Groups,
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
        let interval = config.collect_interval;
        let (found, last_use) = watch::channel(None);
        let containers = docker.map(|docker| Containers {
            docker,
            cluster: config.name.clone(),
            clock: SharedClock::clone(&clock),
            telemetry: Arc::clone(&telemetry),
            interval,
            found,
        });
        let collector = Self {
            cluster: config.name.clone(),
            interval,
            patience: patience(config),
            selection: Selection {
                topics: config.topics.clone(),
                groups: config.groups.clone(),
                group_states: config.group_states.clone(),
                export: config.export,
            },
            pool: Pool::new(SharedKafka::clone(&kafka), SharedClock::clone(&clock)),
            kafka,
            clock,
            telemetry,
            latest: watch::channel(None).0,
            containers,
            last_use,
            known: Known::default(),
            round: 0,
        };
        collector.count_requests();
        collector
    }

    /// The latest snapshot, now and later.
    pub fn latest(&self) -> Latest {
        self.latest.subscribe()
    }

    /// Reads round after round until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let containers = self.containers.take();
        let beside = async move {
            match containers {
                Some(containers) => containers.run().await,
                None => pending().await,
            }
        };
        // Everything here only reads: it may be dropped anywhere.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.rounds() => {}
            () = beside => {}
        }
    }

    async fn rounds(&mut self) {
        loop {
            let began = Moment::now(&self.clock);
            self.round(began).await;
            self.round = self.round.saturating_add(1);
            let took = Moment::now(&self.clock).since(began.uptime);
            self.rest(self.interval.saturating_sub(took)).await;
        }
    }

    /// Waits for the next round; takes what still comes in.
    async fn rest(&mut self, pause: Duration) {
        let clock = SharedClock::clone(&self.clock);
        let mut alarm = clock.sleep(pause);
        loop {
            tokio::select! {
                biased;
                Some(answered) = self.pool.next() => self.hear_late(answered),
                () = &mut alarm => return,
            }
        }
    }

    async fn round(&mut self, began: Moment) {
        let requests_before = self.requests_sent();
        let read = self.kafka.topology().await;
        let now = Moment::now(&self.clock);
        let mut tallies = Tallies::new(began);
        tallies.had_turn(CollectorName::Topology);
        tallies.ended(CollectorName::Topology, now);
        self.known.up = read.is_ok();
        let ahead = match read {
            Ok(topology) => {
                let topology = self.selection.of(topology);
                self.known.look(topology, now, self.interval * SLOW_ROUNDS);
                self.ask_and_hear(&mut tallies).await
            }
            Err(error) => {
                let reason = error.failure();
                tallies.collector_failed(CollectorName::Topology, reason, chain(&error));
                0
            }
        };
        let now = Moment::now(&self.clock);
        tallies.report(&self.cluster, &self.telemetry, now);
        self.telemetry.snapshot_made(&self.cluster, self.known.topology_at, ahead);
        let requests = self.requests_sent().saturating_sub(requests_before);
        let took = now.since(began.uptime);
        self.telemetry.round_done(&self.cluster, RoundDone { took, requests });
        self.count_requests();
        self.latest.send_replace(Some(Arc::new(self.snapshot(now))));
    }

    /// Returns how many commits lay ahead of their log's end.
    async fn ask_and_hear(&mut self, tallies: &mut Tallies) -> u64 {
        let began = Moment::now(&self.clock);
        let mut heard = Heard {
            tallies: std::mem::replace(tallies, Tallies::new(began)),
            lasts: offsets::Lasts::default(),
            groups: groups::Groups::default(),
        };
        self.ask_all(&mut heard);
        self.hear_all(&mut heard).await;
        let ahead = self.assemble(&mut heard, began);
        *tallies = heard.tallies;
        ahead
    }

    fn ask_all(&mut self, heard: &mut Heard) {
        let Some(topology) = self.known.topology.clone() else { return };
        let topology = topology.value();
        self.ask(heard, Request::Quorum);
        self.ask(heard, Request::Reassignments);
        for (broker, led) in offsets::by_leader(topology) {
            // The configuration goes first: a broker answers in order, and remediation waits
            // for this one.
            self.ask(heard, Request::Config(broker));
            let firsts = if self.is_due(Question::Firsts(broker)) {
                led.clone()
            } else {
                self.known.firsts.missing(&led)
            };
            if !led.is_empty() {
                self.ask(heard, Request::Lasts(broker, led));
            }
            if !firsts.is_empty() {
                self.ask(heard, Request::Firsts(broker, firsts));
            }
            self.ask(heard, Request::Groups(broker, self.selection.group_states.clone()));
            if self.is_due(Question::LogDirs(broker)) {
                self.ask(heard, Request::LogDirs(broker));
            }
        }
        let topics = if self.is_due(Question::MinInsync) {
            topology.topics.iter().map(|it| it.name.clone()).collect()
        } else {
            self.known.min_insync.missing(topology)
        };
        if !topics.is_empty() {
            self.ask(heard, Request::MinInsync(topics));
        }
        for always in [CollectorName::Offsets, CollectorName::Committed, CollectorName::Lag] {
            heard.tallies.had_turn(always);
        }
    }

    /// A slow question that failed stays due, so a slow section is not lost for one bad moment.
    fn is_due(&self, question: Question) -> bool {
        let before = self.known.answered.get(&question);
        before.is_none_or(|it| u64::from(SLOW_ROUNDS) <= self.round.saturating_sub(*it))
    }

    fn ask(&mut self, heard: &mut Heard, request: Request) {
        let question = request.question();
        match self.pool.ask(self.round, request) {
            Asked::Sent => heard.tallies.sent(question),
            Asked::Busy => {
                let why = "an earlier request still owes its answer";
                heard.tallies.failed(question, ReadFailure::Busy, why);
            }
        }
    }

    async fn hear_all(&mut self, heard: &mut Heard) {
        let clock = SharedClock::clone(&self.clock);
        let mut alarm = clock.sleep(self.patience);
        while heard.tallies.is_owed() {
            tokio::select! {
                biased;
                Some(answered) = self.pool.next() => self.hear(heard, answered),
                () = &mut alarm => break,
            }
        }
        heard.tallies.close(Moment::now(&self.clock));
    }

    fn hear(&mut self, heard: &mut Heard, answered: Answered) {
        if answered.round != self.round {
            self.hear_late(answered);
            return;
        }
        let Answered { question, answer, at, .. } = answered;
        heard.tallies.answered(question, at);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let reason = error.failure();
                heard.tallies.failed(question, reason, &chain(&error));
                return;
            }
        };
        self.known.answered.insert(question, self.round);
        heard.tallies.lacks(&answer);
        match self.known.keep(question, answer, at) {
            Some(Answer::Lasts(ends)) => heard.lasts.take(ends, at),
            Some(Answer::Members(described)) => heard.groups.describe(described),
            Some(Answer::Commits(committed)) => heard.groups.commit(committed),
            Some(Answer::Groups(listed)) => {
                let Question::Groups(broker) = question else { return };
                let ask = heard.groups.list(broker, listed, &self.selection.groups);
                if !ask.commits.is_empty() {
                    self.ask(heard, Request::Commits(broker, ask.commits));
                }
                for (group_type, groups) in ask.members {
                    self.ask(heard, Request::Members(broker, group_type, groups));
                }
            }
            // `keep` keeps the others.
            Some(_) | None => {}
        }
    }

    /// An answer to a round that is over. What has its own age is still worth keeping.
    fn hear_late(&mut self, answered: Answered) {
        let Answered { round, question, answer, at } = answered;
        if let Ok(answer) = answer {
            self.known.answered.insert(question, round);
            let _too_late = self.known.keep(question, answer, at);
        }
    }

    fn assemble(&mut self, heard: &mut Heard, began: Moment) -> u64 {
        let Some(topology) = self.known.topology.clone() else { return 0 };
        let topology = topology.value();
        let now = Moment::now(&self.clock);
        let Heard { tallies, lasts, groups } = heard;
        let unread = u64::try_from(topology.unreadable.len()).unwrap_or(u64::MAX);
        tallies.unknown(CollectorName::Topology, ReadFailure::Other, unread);
        lasts.sort();
        let ends = offsets::assemble(topology, lasts, &self.known.firsts, tallies);
        let lag_seconds = self.selection.export.lag_seconds;
        if lag_seconds == LagSeconds::Followed {
            let history = &mut self.known.history;
            let without_room = groups.follow(topology, history, now);
            tallies.unknown(CollectorName::Lag, ReadFailure::Budget, without_room);
            lasts.observe(history);
            history.retain(topology, now.uptime);
        }
        let history = &self.known.history;
        let beside = groups::Beside { topology, ends: &ends, history, lag_seconds, now };
        let groups = std::mem::take(groups);
        let (groups, count) = groups.assemble(&beside, &mut self.known.progress, tallies);
        tallies.unknown(CollectorName::Lag, ReadFailure::Incomplete, count.unknown);
        self.known.offsets = Some(Kept::new(ends, began));
        self.known.groups = Some(Kept::new(groups, began));
        count.ahead
    }

    fn snapshot(&self, now: Moment) -> Snapshot {
        let (known, often) = (&self.known, self.interval);
        let slow = often * SLOW_ROUNDS;
        Snapshot {
            cluster: self.cluster.clone(),
            at: known.topology_at,
            up: known.up,
            topology: known.topology.as_ref().and_then(|it| it.shown(now, often)),
            min_insync_replicas: known.min_insync.shown(now, slow),
            quorum: known.quorum.as_ref().and_then(|it| it.shown(now, often)),
            reassignments: known.reassignments.as_ref().and_then(|it| it.shown(now, often)),
            offsets: known.offsets.as_ref().and_then(|it| it.shown(now, often)),
            groups: known.groups.as_ref().and_then(|it| it.shown(now, often)),
            log_dirs: known.log_dirs.shown(now, slow),
            configs: known.configs.shown(now, often),
            containers: self.last_use.borrow().as_ref().and_then(|it| it.shown(now, often)),
            membership: known.members.membership(),
            reporting: known.reporting.clone(),
            leader_changes: known.leaders.changes(),
            export: self.selection.export,
        }
    }

    fn requests_sent(&self) -> u64 {
        self.kafka.request_counts().iter().map(|it| it.sent).sum()
    }

    fn count_requests(&self) {
        self.telemetry.requests_counted(&self.cluster, self.kafka.request_counts());
    }
}

impl Selection {
    /// The topology without the topics that are not collected.
    fn of(&self, mut topology: Topology) -> Topology {
        topology.topics.retain(|it| self.topics.admits(it.name.as_str()));
        topology.unreadable.retain(|it| self.topics.admits(it.as_str()));
        topology
    }
}

impl Known {
    /// Takes a topology, and drops what belongs to brokers and topics that are gone.
    fn look(&mut self, topology: Topology, now: Moment, slow: Duration) {
        self.members.look(&topology, now.wall);
        self.leaders.look(&topology);
        self.min_insync.forget(&topology, now, slow);
        self.firsts.forget(&topology, now, slow);
        self.log_dirs.forget(&topology);
        self.configs.forget(&topology);
        self.reporting.retain(|broker, _| topology.brokers.iter().any(|it| it.id == *broker));
        self.topology = Some(Kept::new(topology, now));
        self.topology_at = now.wall;
    }

    /// Keeps what has its own age; gives back what belongs to one round.
    fn keep(&mut self, question: Question, answer: Answer, at: Moment) -> Option<Answer> {
        let topology = self.topology.as_ref()?.value();
        match (question, answer) {
            (_, Answer::MinInsync(values)) => self.min_insync.take(topology, values, at),
            (_, Answer::Firsts(ends)) => self.firsts.take(topology, ends, at),
            (_, Answer::Quorum(quorum)) => {
                self.members.look_at_quorum(&quorum, at.wall);
                self.quorum = Some(Kept::new(quorum, at));
            }
            (_, Answer::Reassignments(moving)) => {
                self.reassignments = Some(Kept::new(moving, at));
            }
            (Question::LogDirs(broker), Answer::LogDirs(dirs)) => {
                self.log_dirs.take(broker, dirs, at);
            }
            (Question::Config(broker), Answer::Config(config)) => {
                self.configs.take(broker, config, at);
                self.reporting.insert(broker, at.wall);
            }
            (_, of_the_round) => return Some(of_the_round),
        }
        None
    }
}

/// A request ends by its own deadline; commits and members are asked for after the list of groups,
/// so a round may take two. It gives up before the next one is due, and a little after one deadline
/// at the earliest, so that a request's own end is heard first.
fn patience(config: &ClusterConfig) -> Duration {
    let once = config.request_timeout + config.request_timeout / 10;
    (config.request_timeout * 2).min(config.collect_interval).max(once)
}
