//! The log and this process's own metrics.
//!
//! An event is logged and counted by one method of [`Telemetry`], so that neither is forgotten.
//! Values that replace each other (the result of a round, the state of remediation) are kept in
//! views and encoded at each scrape, so a series disappears with its value.
//!
//! Invariant: every series whose labels are a closed list exists from the first scrape, starting at
//! 0.

mod collected;
mod counters;
mod log;
pub mod own;
pub mod probe;
mod process;
mod spec;
mod status;
mod text;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{encoding::text::encode_registry, registry::Registry};
use tracing::{debug, error, info, warn};

pub use collected::{CollectorDone, CollectorName, RoundDone};
pub use log::{LogError, LogFormat, chain, init};
pub use probe::{ProbeFailure, ProbeResult};
pub use spec::{Kind, Spec};
pub use status::{ClusterStatus, CollectorStatus};
pub use view::{Cooldown, OverdueChange, Quarantine, RemediationView, RunInfo};

use counters::Counters;
use probe::{PreviousAttempt, Probes};
use view::Views;

use crate::{
    model::{
        AlertOutcome, BrokerId, ClusterName, HoldReason, RequestCount, RunState, Verdict, WallTime,
        closed_list,
    },
    playbook::OptimizerKind,
};

/// Labels of `kafka_optimizer_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo {
    pub version: &'static str,
    /// The commit that was built.
    pub revision: &'static str,
    /// Version of the Rust compiler.
    pub rustc: &'static str,
}

/// This process's own metrics could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode this process's own metrics")]
pub struct EncodeError(#[from] fmt::Error);

/// Number of series of one cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesCount {
    pub shown: u64,
    /// Upper bound on the series omitted by `series_max`.
    pub dropped: u64,
}

/// Sizes of the encoded cluster metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageMade {
    pub series: Vec<(ClusterName, SeriesCount)>,
    pub identity_bytes: u64,
    pub gzip_bytes: u64,
}

/// The log and this process's own metrics; shared by all stages.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    counters: Counters,
    probes: Probes,
    views: Arc<Mutex<Views>>,
    refusals: LogLimit,
    exhaustions: LogLimit,
}

impl Telemetry {
    /// Creates every series whose labels are known from the start.
    pub fn new(build: BuildInfo, playbooks: &[String], clusters: &[ClusterName]) -> Self {
        let mut registry = Registry::default();
        let counters = Counters::new(&mut registry, playbooks, clusters);
        let probes = Probes::new(&mut registry);
        let views = Arc::new(Mutex::new(Views::new(build, clusters)));
        registry.register_collector(Box::new(view::ViewsCollector(Arc::clone(&views))));
        registry.register_collector(Box::new(process::ProcessCollector));

        Self {
            registry,
            counters,
            probes,
            views,
            refusals: LogLimit::default(),
            exhaustions: LogLimit::default(),
        }
    }

    /// This process's own metrics in the text format 0.0.4.
    ///
    /// # Errors
    ///
    /// When a value cannot be formatted.
    pub fn encode(&self) -> Result<String, EncodeError> {
        self.encode_open_metrics().map(|open| text::from_open_metrics(&open))
    }

    /// This process's own metrics as `OpenMetrics`, without the final `# EOF`.
    ///
    /// # Errors
    ///
    /// When a value cannot be formatted.
    pub fn encode_open_metrics(&self) -> Result<String, EncodeError> {
        let mut open = String::with_capacity(16 * 1024);
        encode_registry(&mut open, &self.registry)?;
        Ok(open)
    }

    /// The latest report of each cluster's collectors and pipeline.
    pub fn status(&self) -> Vec<ClusterStatus> {
        self.with_views(|views| views.status())
    }

    /// `POST /api/v1/alerts` was answered with this status code.
    pub fn webhook_responded(&self, code: u16) {
        self.emit(Event::WebhookAnswered(code));
    }

    /// A connection was closed at once, because its address had too many.
    pub fn connection_refused(&self, limit: ConnectionLimit, address: IpAddr) {
        self.emit(Event::ConnectionRefused(limit));
        if self.refusals.is_due() {
            warn!(%address, "Connection refused: the address has too many open connections.");
        }
    }

    /// All places for connections are taken: nobody else is served until one is free.
    pub fn connections_exhausted(&self, connections_max: usize) {
        self.emit(Event::ConnectionRefused(ConnectionLimit::Total));
        if self.exhaustions.is_due() {
            warn!(connections_max, "Every place for an HTTP connection is taken: others wait.");
        }
    }

    /// `count` alerts of a notification had this outcome.
    pub fn alerts_taken(&self, outcome: AlertOutcome, count: u64) {
        self.emit(Event::AlertsTaken(outcome, count));
    }

    /// The alerts of an episode differ in `labels`. Call it once for each episode.
    pub fn labels_vary(&self, cluster: &ClusterName, playbook: &str, labels: &[String]) {
        self.emit(Event::LabelsVary(cluster, playbook, labels));
    }

    /// Alertmanager omitted `count` alerts from a notification.
    pub fn truncated_alerts(&self, count: u64) {
        self.emit(Event::TruncatedAlerts(count));
    }

    /// A run that could start was held. Call it only when the reason changes, not at each check.
    pub fn held(&self, cluster: &ClusterName, playbook: &str, reason: HoldReason) {
        self.emit(Event::Held(cluster, playbook, reason));
    }

    /// A run ended in `state`.
    pub fn run_ended(&self, cluster: &ClusterName, optimizer: OptimizerKind, state: RunState) {
        self.emit(Event::RunEnded(cluster, optimizer, state));
    }

    pub fn verdict_given(&self, cluster: &ClusterName, optimizer: OptimizerKind, verdict: Verdict) {
        self.emit(Event::VerdictGiven(cluster, optimizer, verdict));
    }

    /// Time from the alert being stored to the last value being effective.
    pub fn alert_to_effect(&self, cluster: &ClusterName, took: Duration) {
        self.emit(Event::AlertToEffect(cluster, took));
    }

    /// Time from a step's request to its value being read back.
    pub fn step_done(&self, cluster: &ClusterName, took: Duration) {
        self.emit(Event::StepDone(cluster, took));
    }

    /// The store committed a transaction.
    pub fn store_written(&self, took: Duration) {
        self.emit(Event::StoreWritten(took));
    }

    /// A configuration was put into effect: at the start, or by a reload.
    pub fn config_loaded(&self, at: WallTime) {
        info!("Configuration loaded.");
        self.with_views(|views| views.config_loaded(at));
    }

    /// Whether the state store could be used just now.
    pub fn store_used(&self, is_usable: bool) {
        self.with_views(|views| views.store_usable = is_usable);
    }

    pub fn store_is_usable(&self) -> bool {
        self.with_views(|views| views.store_usable)
    }

    /// A reload was refused; the previous configuration stays in effect.
    pub fn config_rejected(&self, reason: &str) {
        error!(reason, "Configuration rejected, the previous one stays in effect.");
        self.with_views(|views| views.config_rejected(reason));
    }

    /// Why the latest reload was refused; `None` if the file is in effect.
    pub fn config_fault(&self) -> Option<String> {
        self.with_views(|views| views.config_fault.clone())
    }

    /// Creates the series of new playbooks and clusters, and ends those of `removed` clusters, but
    /// for their counters.
    pub fn configured(
        &self,
        playbooks: &[String],
        clusters: &[ClusterName],
        removed: &[ClusterName],
    ) {
        for cluster in clusters {
            self.counters.create_for(cluster, playbooks);
        }

        for cluster in removed {
            self.probes.brokers(cluster, &BTreeSet::new());
        }

        self.with_views(|views| views.configured(clusters, removed));
    }

    /// One collector finished its part of a round.
    pub fn collector_done(&self, cluster: &ClusterName, done: CollectorDone) {
        let collector = done.collector.label();
        let failure = done.failure.clone();
        let previous = self.with_views(|views| views.collector_done(cluster, done));

        // Only changes are logged above debug level: one line for a cluster that is down for an
        // hour.
        match (previous, failure) {
            (Some(true) | None, Some(failure)) => {
                warn!(%cluster, collector, failure, "Collector failed.");
            }
            (Some(false), None) => info!(%cluster, collector, "Collector recovered."),
            (_, failure) => debug!(%cluster, collector, ?failure, "Collector finished."),
        }
    }

    /// A snapshot of the cluster was published.
    pub fn snapshot_made(&self, cluster: &ClusterName, at: WallTime, commits_ahead: u64) {
        debug!(%cluster, at = at.0, commits_ahead, "Snapshot published.");
        self.with_views(|views| views.snapshot_made(cluster, at, commits_ahead));
    }

    /// A collection round has ended.
    pub fn round_done(&self, cluster: &ClusterName, done: RoundDone) {
        debug!(%cluster, took = ?done.took, requests = done.requests, "Collection round finished.");
        self.with_views(|views| views.round_done(cluster, done));
    }

    /// Replaces the set of brokers that the probe knows.
    pub fn probe_brokers(&self, cluster: &ClusterName, brokers: &BTreeSet<BrokerId>) {
        self.probes.brokers(cluster, brokers);
    }

    /// An attempt of the probe on `broker` has ended.
    pub fn probed(&self, cluster: &ClusterName, broker: BrokerId, probed: ProbeResult) {
        let Some(PreviousAttempt(previous)) = self.probes.count(cluster, broker, probed) else {
            return;
        };

        // As for collectors, only changes are logged above debug level.
        match (previous, probed.failure) {
            (previous, Some(failure)) if previous != Some(failure) => {
                warn!(%cluster, %broker, reason = failure.label(), "Probe failed.");
            }
            (Some(_), None) => info!(%cluster, %broker, "Probe recovered."),
            (_, failure) => debug!(%cluster, %broker, ?failure, "Probe finished."),
        }
    }

    /// Replaces the counts of requests to the cluster.
    pub fn requests_counted(&self, cluster: &ClusterName, requests: Vec<RequestCount>) {
        self.with_views(|views| views.requests_counted(cluster, requests));
    }

    /// The cluster metrics were encoded.
    pub fn page_made(&self, page: PageMade) {
        debug!(identity = page.identity_bytes, gzip = page.gzip_bytes, "Cluster metrics encoded.");
        self.with_views(|views| views.page_made(page));
    }

    /// Replaces the state of remediation on a cluster.
    pub fn remediation_changed(&self, cluster: &ClusterName, view: RemediationView) {
        debug!(%cluster, active = ?view.active, paused = view.paused, "Remediation state changed.");
        self.with_views(|views| views.remediation_changed(cluster, view));
    }

    /// The Kafka cluster behind a name is known, and whether an earlier name stands for it too.
    pub fn cluster_identified(&self, cluster: &ClusterName, same_as: Option<ClusterName>) {
        self.with_views(|views| views.cluster_identified(cluster, same_as));
    }

    /// The name stood for another Kafka cluster, whose state was parked under the name `parked`.
    pub fn cluster_replaced(&self, cluster: &ClusterName, parked: &ClusterName) {
        self.emit(Event::ClusterReplaced(cluster, parked));
    }

    /// Replaces the numbers of unfinished runs of clusters that are not configured.
    pub fn orphans_counted(&self, orphaned_runs: BTreeMap<ClusterName, u64>) {
        self.with_views(|views| views.orphans_counted(orphaned_runs));
    }

    /// Logs and counts an event.
    fn emit(&self, event: Event<'_>) {
        event.log();
        self.counters.count(&event);
    }

    fn with_views<T>(&self, what: impl FnOnce(&mut Views) -> T) -> T {
        // Poisoning is harmless: views are replaced as a whole.
        what(&mut self.views.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

closed_list! {
    /// Which limit of the HTTP server a connection met.
    pub enum ConnectionLimit {
        Address = "address",
        Total = "total",
    }
}

/// Logs the first of a hundred events, so that a flood of them does not flood the log.
#[derive(Debug, Default)]
struct LogLimit(AtomicU64);

impl LogLimit {
    fn is_due(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(100)
    }
}

/// Events that are both logged and counted.
#[derive(Clone, Copy, Debug)]
enum Event<'a> {
    WebhookAnswered(u16),
    ConnectionRefused(ConnectionLimit),
    AlertsTaken(AlertOutcome, u64),
    TruncatedAlerts(u64),
    LabelsVary(&'a ClusterName, &'a str, &'a [String]),
    Held(&'a ClusterName, &'a str, HoldReason),
    RunEnded(&'a ClusterName, OptimizerKind, RunState),
    VerdictGiven(&'a ClusterName, OptimizerKind, Verdict),
    AlertToEffect(&'a ClusterName, Duration),
    StepDone(&'a ClusterName, Duration),
    StoreWritten(Duration),
    ClusterReplaced(&'a ClusterName, &'a ClusterName),
}

impl Event<'_> {
    fn log(&self) {
        match *self {
            Self::WebhookAnswered(code) if code < 400 => debug!(code, "Webhook request accepted."),
            Self::WebhookAnswered(code) => warn!(code, "Webhook request rejected."),
            Self::ConnectionRefused(limit) => debug!(%limit, "Connection met a limit."),
            Self::AlertsTaken(outcome, count) => {
                debug!(outcome = outcome.label(), count, "Alerts received.");
            }
            Self::TruncatedAlerts(count) => {
                warn!(count, "Alertmanager truncated the notification.");
            }
            Self::LabelsVary(cluster, playbook, labels) => {
                warn!(%cluster, playbook, ?labels, "Alerts of one playbook and target differ in labels: they are one episode. If a label changes with each evaluation or replica, remove it from the rule.");
            }
            Self::Held(cluster, playbook, reason) => {
                info!(%cluster, playbook, reason = reason.label(), "Run held.");
            }
            Self::RunEnded(cluster, optimizer, RunState::Stuck) => {
                error!(%cluster, %optimizer, "Run is stuck: a step could not be undone; a person must fix it and acknowledge the run.");
            }
            Self::RunEnded(cluster, optimizer, state) => {
                info!(%cluster, %optimizer, %state, "Run ended.");
            }
            Self::VerdictGiven(cluster, optimizer, verdict) => {
                info!(%cluster, %optimizer, %verdict, "Run judged.");
            }
            Self::AlertToEffect(cluster, took) => {
                info!(%cluster, ?took, "Change is in effect.");
            }
            Self::StepDone(cluster, took) => debug!(%cluster, ?took, "Step applied."),
            Self::StoreWritten(took) => debug!(?took, "Store transaction committed."),
            Self::ClusterReplaced(cluster, parked) => error!(
                %cluster, %parked,
                "The name stands for another Kafka cluster than before: its old state is parked."
            ),
        }
    }
}

#[cfg(test)]
mod tests;
