//! The end-to-end probe: sends one small record through each broker every few seconds and reads it
//! back, as a client would.
//!
//! It runs for clusters whose configuration has `probe`, in every mode of remediation. It is the
//! only part of the process that produces records or creates a topic, and nothing else depends on
//! it. Each record goes to a partition that the broker leads, with `acks=all` and without retries,
//! so that the latency is that of the broker and its followers.
//!
//! Invariant: each broker has at most one record in flight, and a broker that does not answer
//! delays no other. Invariant: only the probe's own topic is written, created or extended; nothing
//! is deleted and no configuration is changed.

mod attempt;
mod client;
mod failure;
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

use attempt::{Attempt, AttemptOutcome};
use client::ProbeClients;
use refresh::{MetadataRefresh, RefreshOutcome, TopicSetup};
use topic::ProbeMetadata;

use crate::{
    clock::SharedClock,
    config::{ClusterConfig, ProbeConfig},
    librdkafka::ClientConnection,
    model::{BrokerId, ClusterName, MonotonicTime},
    security::FileStamps,
    telemetry::{ProbeFailure, ProbeResult, Telemetry},
};

/// Back-off between attempts to create the clients or the topic.
const RETRY_AFTER: Duration = Duration::from_mins(1);
/// Credentials are read again this soon after their files have changed.
const CHECK_FILES_EVERY: Duration = Duration::from_secs(5);
/// How long the series of a broker that is gone remain. The collector uses the same time.
const FORGET_BROKER_AFTER: Duration = Duration::from_hours(1);

/// Outcomes that may wait for a metadata refresh. The oldest are dropped if refreshes fail for
/// minutes while records come back.
const UNCONFIRMED_MAX: usize = 1_024;

#[derive(Debug)]
struct ProbeOptions {
    cluster: ClusterName,
    connection: ClientConnection,
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
    /// A probe of `cluster`. librdkafka's threads start with [`Probe::run`].
    pub fn new(
        cluster: &ClusterConfig,
        config: ProbeConfig,
        clock: SharedClock,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let options = ProbeOptions {
            cluster: cluster.name.clone(),
            connection: ClientConnection {
                bootstrap_servers: cluster.bootstrap_servers.clone(),
                security: cluster.security.clone(),
            },
            config,
        };
        Self { options: Arc::new(options), clock, telemetry }
    }

    /// Probes until `stop`. Records in flight at that time are not counted.
    ///
    /// When a file with credentials has changed, the clients are replaced by new ones.
    pub async fn run(self, stop: CancellationToken) {
        let mut known = KnownCluster::default();
        while !stop.is_cancelled() {
            // Before the files are read: one that changes meanwhile is read again.
            let stamps = self.blocking(ClientConnection::stamps).await;
            let Some(clients) = self.create_clients(&stop).await else { return };

            let replaced = stop.child_token();
            let watch = async {
                self.wait_for_change(&stamps, &replaced).await;
                replaced.cancel();
            };
            (known, ()) = tokio::join!(self.probe_with(clients, known, &replaced), watch);
        }
    }

    /// Runs `read` on a thread that may block.
    async fn blocking<T: Send + 'static>(&self, read: fn(&ClientConnection) -> T) -> T {
        let options = Arc::clone(&self.options);
        propagate_panic(tokio::task::spawn_blocking(move || read(&options.connection)).await)
    }

    /// Returns when a file of the connection has changed, or at `stop`.
    async fn wait_for_change(&self, stamps: &FileStamps, stop: &CancellationToken) {
        let changed = async {
            loop {
                self.clock.sleep(CHECK_FILES_EVERY).await;
                if self.blocking(ClientConnection::stamps).await != *stamps {
                    let cluster = &self.options.cluster;
                    info!(%cluster, "Replacing the probe's clients: credentials have changed.");
                    return;
                }
            }
        };
        stop.run_until_cancelled(changed).await;
    }

    async fn probe_with(
        &self,
        clients: Arc<ProbeClients>,
        known: KnownCluster,
        stop: &CancellationToken,
    ) -> KnownCluster {
        // Cancelled however this function ends, so that no thread outlives it.
        let stop_threads = CancellationToken::new();
        let _stop_on_drop = stop_threads.clone().drop_guard();
        let mut threads = JoinSet::new();
        for poll in [ProbeClients::poll_producer, ProbeClients::poll_consumer] {
            let (clients, stop_threads) = (Arc::clone(&clients), stop_threads.clone());
            threads.spawn_blocking(move || poll(&clients, &stop_threads));
        }

        let mut probe_loop = ProbeLoop::new(self, clients, known);
        tokio::select! {
            () = probe_loop.run(stop) => (),
            Some(thread) = threads.join_next() => propagate_panic(thread),
        }

        // The threads hold the last references to the clients, and close them.
        stop_threads.cancel();

        let known = probe_loop.into_known();
        while let Some(thread) = threads.join_next().await {
            propagate_panic(thread);
        }

        known
    }

    /// Retries until `stop`; then returns `None`.
    async fn create_clients(&self, stop: &CancellationToken) -> Option<Arc<ProbeClients>> {
        while !stop.is_cancelled() {
            let cluster = &self.options.cluster;
            let (options, clock) = (Arc::clone(&self.options), SharedClock::clone(&self.clock));
            let created = tokio::task::spawn_blocking(move || ProbeClients::new(&options, &clock));
            match propagate_panic(created.await) {
                Ok(clients) => return Some(Arc::new(clients)),
                Err(error) => error!(%cluster, %error, "Cannot create the probe's clients."),
            }
            stop.run_until_cancelled(self.clock.sleep(RETRY_AFTER)).await?;
        }

        None
    }
}

/// A panic of a task ends the process, as everywhere in this program.
fn propagate_panic<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// What is known of the cluster, also after the clients have been replaced: with credentials that
/// are refused, each broker is a failure, not unknown.
#[derive(Default)]
struct KnownCluster {
    /// The result of the last successful refresh.
    metadata: ProbeMetadata,
    /// When the set of brokers last changed.
    brokers_changed_at: MonotonicTime,
    /// When each broker was last in the metadata.
    last_seen: BTreeMap<BrokerId, MonotonicTime>,
}

enum ProbeEvent {
    MetadataRefreshed(Result<RefreshOutcome, KafkaError>),
    AttemptFinished(AttemptOutcome),
}

/// Starts metadata refreshes and attempts, and counts their outcomes.
struct ProbeLoop<'a> {
    probe: &'a Probe,
    clients: Arc<ProbeClients>,
    tasks: JoinSet<ProbeEvent>,
    /// Refreshes started so far. The last one may be in progress.
    refreshes: u64,
    refreshing: bool,
    /// Whether to start another refresh when the current one has finished.
    refresh_again: bool,
    /// Outcomes of records that came back, each with the number of the first refresh that started
    /// afterwards.
    unconfirmed: VecDeque<(u64, AttemptOutcome)>,
    /// Brokers with a record in flight.
    in_flight: BTreeSet<BrokerId>,
    known: KnownCluster,
    /// Whether the last refresh was successful.
    reachable: bool,
    /// Why some brokers have no partition.
    failure: Option<ProbeFailure>,
    /// When creating the topic or partitions was last attempted.
    setup_attempted_at: Option<MonotonicTime>,
    /// Partitions that are assigned to the consumer.
    assigned: BTreeSet<i32>,
}

impl<'a> ProbeLoop<'a> {
    fn new(probe: &'a Probe, clients: Arc<ProbeClients>, known: KnownCluster) -> Self {
        Self {
            probe,
            clients,
            tasks: JoinSet::new(),
            refreshes: 0,
            refreshing: false,
            refresh_again: false,
            unconfirmed: VecDeque::new(),
            in_flight: BTreeSet::new(),
            known,
            reachable: true,
            failure: None,
            setup_attempted_at: None,
            assigned: BTreeSet::new(),
        }
    }

    async fn run(&mut self, stop: &CancellationToken) {
        let clock = SharedClock::clone(&self.probe.clock);
        let mut tick = clock.sleep(Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut tick => {
                    tick = clock.sleep(self.probe.options.config.interval);
                    self.start_round();
                }
                Some(task) = self.tasks.join_next() => match propagate_panic(task) {
                    ProbeEvent::MetadataRefreshed(outcome) => self.on_refreshed(outcome),
                    ProbeEvent::AttemptFinished(outcome) => self.on_attempt(outcome),
                },
            }
        }

        // A blocking refresh ends by its own timeout, and holds the clients until then.
        self.tasks.shutdown().await;
    }

    /// Drops the loop's references to the clients.
    fn into_known(self) -> KnownCluster {
        self.known
    }

    /// Starts a refresh, and an attempt for each broker, unless the previous one is in progress.
    fn start_round(&mut self) {
        if !self.refreshing {
            self.start_refresh();
        }

        let brokers: Vec<BrokerId> = self.known.metadata.brokers.iter().copied().collect();

        for broker in brokers {
            if self.in_flight.contains(&broker) {
                continue;
            }
            match (self.known.metadata.led_by(broker), self.failure) {
                (Some(partition), _) => self.start_attempt(broker, partition),
                (None, Some(failure)) => {
                    let result = ProbeResult { failure: Some(failure), ..ProbeResult::default() };
                    self.probe.telemetry.probed(&self.probe.options.cluster, broker, result);
                }
                // It leads no partition at the moment, so clients send it no records either.
                (None, None) => (),
            }
        }
    }

    fn start_refresh(&mut self) {
        self.refreshing = true;
        self.refreshes = self.refreshes.saturating_add(1);

        let backing_off = self.setup_attempted_at.is_some_and(|it| self.since(it) < RETRY_AFTER);
        let refresh = MetadataRefresh {
            clients: Arc::clone(&self.clients),
            options: Arc::clone(&self.probe.options),
            previous: self.known.metadata.clone(),
            brokers_stable_for: self.since(self.known.brokers_changed_at),
            topic_setup: if backing_off {
                TopicSetup::BackingOff(self.failure)
            } else {
                TopicSetup::Allowed
            },
        };

        let runtime = Handle::current();
        self.tasks.spawn_blocking(move || ProbeEvent::MetadataRefreshed(refresh.run(&runtime)));
    }

    fn since(&self, start: MonotonicTime) -> Duration {
        self.probe.clock.monotonic().0.saturating_sub(start.0)
    }

    fn start_attempt(&mut self, broker: BrokerId, partition: i32) {
        self.in_flight.insert(broker);
        let attempt = Attempt {
            clients: Arc::clone(&self.clients),
            clock: SharedClock::clone(&self.probe.clock),
            broker,
            partition,
            assigned: self.assigned.contains(&partition),
            timeout: self.probe.options.config.timeout,
            record_bytes: self.probe.options.config.record_bytes,
        };
        self.tasks.spawn(async move { ProbeEvent::AttemptFinished(attempt.run().await) });
    }

    fn on_refreshed(&mut self, outcome: Result<RefreshOutcome, KafkaError>) {
        self.refreshing = false;
        let cluster = &self.probe.options.cluster;
        let was_reachable = std::mem::replace(&mut self.reachable, outcome.is_ok());

        match outcome {
            // The previous metadata stays in use: each attempt shows whether its broker answers.
            Err(error) => {
                if was_reachable {
                    let reason = failure::from_error(&error).label();
                    let connection =
                        self.clients.last_error().map(|it| it.text).unwrap_or_default();
                    warn!(%cluster, reason, %error, connection, "Probe cannot fetch metadata.");
                }
            }
            Ok(outcome) => {
                if !was_reachable {
                    info!(%cluster, "Probe can fetch metadata again.");
                }
                self.apply(outcome);
                self.confirm();
                if std::mem::take(&mut self.refresh_again) {
                    self.start_refresh();
                }
            }
        }
    }

    fn apply(&mut self, outcome: RefreshOutcome) {
        let RefreshOutcome { metadata, failure, setup_attempted } = outcome;
        let now = self.probe.clock.monotonic();

        self.known.last_seen.extend(metadata.brokers.iter().map(|it| (*it, now)));
        self.known.last_seen.retain(|_, seen| now.0.saturating_sub(seen.0) < FORGET_BROKER_AFTER);
        let known = self.known.last_seen.keys().copied().collect();
        self.probe.telemetry.probe_brokers(&self.probe.options.cluster, &known);

        self.assigned.retain(|it| metadata.partitions.contains_key(it));
        self.failure = failure;
        if metadata.brokers != self.known.metadata.brokers {
            self.known.brokers_changed_at = now;
        }

        if setup_attempted {
            self.setup_attempted_at = Some(now);
        }

        self.known.metadata = metadata;
    }

    fn on_attempt(&mut self, outcome: AttemptOutcome) {
        self.in_flight.remove(&outcome.broker);
        if outcome.assigned {
            self.assigned.insert(outcome.partition);
        } else {
            self.assigned.remove(&outcome.partition);
        }

        if outcome.result.failure.is_some() {
            return self.count(&outcome);
        }

        // The record came back. Only a refresh that starts now shows whether this broker still led
        // the partition.
        if self.unconfirmed.len() == UNCONFIRMED_MAX {
            self.unconfirmed.pop_front();
        }

        self.unconfirmed.push_back((self.refreshes.saturating_add(1), outcome));

        if self.refreshing {
            self.refresh_again = true;
        } else {
            self.start_refresh();
        }
    }

    /// Counts the records that came back before the last refresh started. If the broker leads the
    /// partition now, it did so then: leadership does not move back and forth that quickly.
    fn confirm(&mut self) {
        while let Some((refresh, outcome)) = self.unconfirmed.front().copied() {
            if refresh > self.refreshes {
                return;
            }
            self.unconfirmed.pop_front();

            let partition = self.known.metadata.partitions.get(&outcome.partition);
            if partition.is_some_and(|it| it.leader == Some(outcome.broker)) {
                self.count(&outcome);
            } else {
                // The record came back through another broker, late because the leader moved.
                let failure = Some(ProbeFailure::NotLeader);
                let result = ProbeResult { failure, ..ProbeResult::default() };
                self.count(&AttemptOutcome { result, ..outcome });
            }
        }
    }

    fn count(&self, outcome: &AttemptOutcome) {
        self.probe.telemetry.probed(&self.probe.options.cluster, outcome.broker, outcome.result);
    }
}

#[cfg(test)]
mod tests;
