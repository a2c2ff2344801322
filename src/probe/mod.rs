//! The end-to-end probe: every few seconds one small record through each broker and back, as a
//! client would send and read it.
//!
//! It runs for clusters whose configuration has `probe`, and is the one thing here that writes
//! records and makes a topic, in every mode of remediation: nothing else in the process depends on
//! it. Records go to the partition that a broker leads, with `acks=all` and without retries, so
//! that what is measured is that broker and its followers.
//!
//! Invariant: a broker has at most one record under way, and a broker that does not answer delays
//! no other.
//! Invariant: only the probe's own topic is written to, made or extended; nothing is deleted and no
//! setting is changed.

mod attempt;
mod client;
mod fault;
mod refresh;
mod topic;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use rdkafka::error::KafkaError;
use tokio::{
    runtime::Handle,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use attempt::{Attempt, AttemptResult};
use client::ProbeClients;
use refresh::{MetadataRefresh, RefreshOutcome, TopicSetup};
use topic::ProbeMetadata;

use crate::{
    clock::SharedClock,
    config::{ClusterConfig, ProbeConfig},
    model::{BrokerId, ClusterName, MonotonicTime},
    telemetry::{ProbeFault, ProbeResult, Telemetry},
};

/// Between two tries to make the clients, or the topic.
const TRY_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// How long a broker that is gone keeps its series: as long as the collector remembers it.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// Records that came back and wait for a look. Only where no look is answered for minutes while
/// records come back are the oldest left uncounted.
const UNCONFIRMED_MAX: usize = 1_024;

/// What a probe is told.
#[derive(Debug)]
struct ProbeOptions {
    cluster: ClusterName,
    bootstrap: Vec<String>,
    config: ProbeConfig,
}

/// The probe of one cluster.
pub struct Probe {
    options: Arc<ProbeOptions>,
    clock: SharedClock,
    telemetry: Arc<Telemetry>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Probe {
    /// Probes `cluster` as `config` says, in plain text. librdkafka's threads start with
    /// [`Probe::run`].
    pub fn new(
        cluster: &ClusterConfig,
        config: ProbeConfig,
        clock: SharedClock,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let options = ProbeOptions {
            cluster: cluster.name.clone(),
            bootstrap: cluster.bootstrap_servers.clone(),
            config,
        };
        Self { options: Arc::new(options), clock, telemetry }
    }

    /// Probes until `stop`. A record that is under way then is counted neither way.
    pub async fn run(self, stop: CancellationToken) {
        let Some(clients) = self.connect(&stop).await else { return };
        let ends = CancellationToken::new();
        // Cancelled whichever way this function ends, so that no thread outlives it.
        let _ends_with_this = ends.clone().drop_guard();
        let mut threads = JoinSet::new();
        for poll in [ProbeClients::take_acknowledgements, ProbeClients::take_records] {
            let (clients, ends) = (Arc::clone(&clients), ends.clone());
            threads.spawn_blocking(move || poll(&clients, &ends));
        }
        tokio::select! {
            () = ProbeLoop::new(&self, clients).run(&stop) => (),
            Some(ended) = threads.join_next() => finished(ended),
        }
        // The threads hold the clients last, and close them.
        ends.cancel();
        while let Some(ended) = threads.join_next().await {
            finished(ended);
        }
    }

    /// The clients, or nothing when the stop came first.
    async fn connect(&self, stop: &CancellationToken) -> Option<Arc<ProbeClients>> {
        while !stop.is_cancelled() {
            let cluster = &self.options.cluster;
            match ProbeClients::new(&self.options, &self.clock) {
                Ok(clients) => return Some(Arc::new(clients)),
                Err(error) => error!(%cluster, %error, "No client for the probe."),
            }
            stop.run_until_cancelled(self.clock.sleep(TRY_AGAIN_AFTER)).await?;
        }
        None
    }
}

/// A bug of one of our tasks ends the process, as everywhere.
fn finished<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(value) => value,
        Err(bug) => std::panic::resume_unwind(bug.into_panic()),
    }
}

enum Work {
    RefreshOutcome(Result<RefreshOutcome, KafkaError>),
    AttemptResult(AttemptResult),
}

/// Looks and attempts, and what they left behind.
#[expect(clippy::struct_excessive_bools, reason = "three facts that are independent of each other")]
struct ProbeLoop<'a> {
    probe: &'a Probe,
    clients: Arc<ProbeClients>,
    work: JoinSet<Work>,
    /// Looks begun so far; the latest may be under way.
    looks: u64,
    looking: bool,
    /// Whether another look is to follow the one that is under way.
    look_again: bool,
    /// Records that came back, each with the first look that begins after that.
    unconfirmed: VecDeque<(u64, AttemptResult)>,
    /// Brokers with a record under way.
    busy: BTreeSet<BrokerId>,
    seen: ProbeMetadata,
    /// Whether the latest look was answered.
    sighted: bool,
    /// Why brokers without a partition have none.
    fault: Option<ProbeFault>,
    /// When something was last tried to be made.
    tried: Option<MonotonicTime>,
    /// Since when the same brokers have been there.
    brokers_since: MonotonicTime,
    /// When each broker was last there.
    there: BTreeMap<BrokerId, MonotonicTime>,
    /// Partitions that are being read.
    reading: BTreeSet<i32>,
}

impl<'a> ProbeLoop<'a> {
    fn new(probe: &'a Probe, clients: Arc<ProbeClients>) -> Self {
        Self {
            probe,
            clients,
            work: JoinSet::new(),
            looks: 0,
            looking: false,
            look_again: false,
            unconfirmed: VecDeque::new(),
            busy: BTreeSet::new(),
            seen: ProbeMetadata::default(),
            sighted: true,
            fault: None,
            tried: None,
            brokers_since: MonotonicTime::default(),
            there: BTreeMap::new(),
            reading: BTreeSet::new(),
        }
    }

    async fn run(mut self, stop: &CancellationToken) {
        let clock = SharedClock::clone(&self.probe.clock);
        let mut tick = clock.sleep(Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut tick => {
                    tick = clock.sleep(self.probe.options.config.interval);
                    self.round();
                }
                Some(ended) = self.work.join_next() => match finished(ended) {
                    Work::RefreshOutcome(looked) => self.looked(looked),
                    Work::AttemptResult(done) => self.done(done),
                },
            }
        }
        // A look that blocks ends by its own deadline; it holds the clients until then.
        self.work.shutdown().await;
    }

    /// Starts what is not under way from the round before.
    fn round(&mut self) {
        if !self.looking {
            self.look();
        }
        let brokers: Vec<BrokerId> = self.seen.brokers.iter().copied().collect();
        for broker in brokers {
            if self.busy.contains(&broker) {
                continue;
            }
            match (self.seen.led_by(broker), self.fault) {
                (Some(partition), _) => self.send(broker, partition),
                (None, Some(fault)) => {
                    let probed = ProbeResult { fault: Some(fault), ..ProbeResult::default() };
                    self.probe.telemetry.probed(&self.probe.options.cluster, broker, probed);
                }
                // It leads no partition for the moment: clients send it no record either.
                (None, None) => (),
            }
        }
    }

    fn look(&mut self) {
        self.looking = true;
        self.looks = self.looks.saturating_add(1);
        let rests = self.tried.is_some_and(|it| self.passed(it) < TRY_AGAIN_AFTER);
        let look = MetadataRefresh {
            clients: Arc::clone(&self.clients),
            options: Arc::clone(&self.probe.options),
            before: self.seen.clone(),
            steady_for: self.passed(self.brokers_since),
            set_up: if rests { TopicSetup::Rests(self.fault) } else { TopicSetup::May },
        };
        let runtime = Handle::current();
        self.work.spawn_blocking(move || Work::RefreshOutcome(look.run(&runtime)));
    }

    fn passed(&self, since: MonotonicTime) -> Duration {
        self.probe.clock.monotonic().0.saturating_sub(since.0)
    }

    fn send(&mut self, broker: BrokerId, partition: i32) {
        self.busy.insert(broker);
        let attempt = Attempt {
            clients: Arc::clone(&self.clients),
            clock: SharedClock::clone(&self.probe.clock),
            broker,
            partition,
            reading: self.reading.contains(&partition),
            timeout: self.probe.options.config.timeout,
            record_bytes: self.probe.options.config.record_bytes,
        };
        self.work.spawn(async move { Work::AttemptResult(attempt.run().await) });
    }

    fn looked(&mut self, looked: Result<RefreshOutcome, KafkaError>) {
        self.looking = false;
        let cluster = &self.probe.options.cluster;
        let sighted = looked.is_ok();
        let was_sighted = std::mem::replace(&mut self.sighted, sighted);
        let now = self.probe.clock.monotonic();
        match looked {
            // What was seen before holds: records say themselves whether a broker answers.
            Err(error) if was_sighted => {
                let reason = fault::of(&error).label();
                warn!(%cluster, reason, %error, "Probe sees no cluster.");
            }
            Err(_again) => (),
            Ok(looked) => {
                if !was_sighted {
                    info!(%cluster, "Probe sees the cluster again.");
                }
                self.there.extend(looked.seen.brokers.iter().map(|it| (*it, now)));
                self.there.retain(|_, at| now.0.saturating_sub(at.0) < FORGET_AFTER);
                let known = self.there.keys().copied().collect();
                self.probe.telemetry.probe_brokers(cluster, &known);
                self.reading.retain(|it| looked.seen.partitions.contains_key(it));
                self.fault = looked.fault;
                if looked.seen.brokers != self.seen.brokers {
                    self.brokers_since = now;
                }
                self.seen = looked.seen;
                if looked.tried {
                    self.tried = Some(now);
                }
                self.confirm();
                if std::mem::take(&mut self.look_again) {
                    self.look();
                }
            }
        }
    }

    fn done(&mut self, done: AttemptResult) {
        self.busy.remove(&done.broker);
        if done.reading {
            self.reading.insert(done.partition);
        } else {
            self.reading.remove(&done.partition);
        }
        if done.probed.fault.is_some() {
            return self.count(&done);
        }
        // It came back; whether through this broker, a look that begins now says.
        if self.unconfirmed.len() == UNCONFIRMED_MAX {
            self.unconfirmed.pop_front();
        }
        self.unconfirmed.push_back((self.looks.saturating_add(1), done));
        if self.looking {
            self.look_again = true;
        } else {
            self.look();
        }
    }

    /// Counts what came back before the latest look began: leadership does not go back and forth.
    fn confirm(&mut self) {
        while let Some((look, done)) = self.unconfirmed.front().copied() {
            if self.looks < look {
                return;
            }
            self.unconfirmed.pop_front();
            let partition = self.seen.partitions.get(&done.partition);
            if partition.is_some_and(|it| it.leader == Some(done.broker)) {
                self.count(&done);
            } else {
                // A partition that moves takes its records along, and they come back late.
                let fault = Some(ProbeFault::NotLeader);
                self.count(&AttemptResult {
                    probed: ProbeResult { fault, ..ProbeResult::default() },
                    ..done
                });
            }
        }
    }

    fn count(&self, done: &AttemptResult) {
        self.probe.telemetry.probed(&self.probe.options.cluster, done.broker, done.probed);
    }
}

#[cfg(test)]
mod tests;
