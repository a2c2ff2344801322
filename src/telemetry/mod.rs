//! What this process says about itself: log lines and its own metrics.
//!
//! One event is one log line and one metric, from one place ([`Telemetry`]'s methods), so that
//! neither can be forgotten. Values that replace each other (a round's result, the state of
//! remediation) are kept as views and written out at the scrape: what is gone from a view is gone
//! from the page.
//!
//! Invariant: every series of a closed list exists, at 0, from the first scrape.

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
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{encoding::text::encode_registry, registry::Registry};
use tracing::{debug, error, info, warn};

pub use collected::{CollectorDone, CollectorName, RoundDone};
pub use log::{LogError, LogFormat, chain, init};
pub use probe::{ProbeFailure, ProbeResult};
pub use spec::{Kind, Spec};
pub use status::{ClusterStatus, CollectorStatus};
pub use view::{Cooldown, Quarantine, RemediationView, RunInfo};

use counters::Counters;
use probe::{PreviousAttempt, Probes};
use view::Views;

use crate::{
    model::{
        AlertOutcome, BrokerId, ClusterName, HoldReason, RequestCount, RunState, Verdict, WallTime,
    },
    playbook::OptimizerKind,
};

/// What was built, for `kafka_optimizer_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo {
    pub version: &'static str,
    /// Commit it was built from.
    pub revision: &'static str,
    /// Compiler it was built with.
    pub rustc: &'static str,
}

/// How a (re)load of the configuration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It is in force since then.
    Applied(WallTime),
    /// The file was refused; the configuration before it stays in force.
    Refused,
}

/// The own metrics could not be written out.
#[derive(Debug, thiserror::Error)]
#[error("write the own metrics")]
pub struct EncodeError(#[from] fmt::Error);

/// Series of one cluster on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesCount {
    pub shown: u64,
    /// At most so many more, which the cluster's budget left out.
    pub dropped: u64,
}

/// The page of cluster metrics, as it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageMade {
    pub series: Vec<(ClusterName, SeriesCount)>,
    /// Bytes as they are.
    pub identity_bytes: u64,
    /// Bytes compressed.
    pub gzip_bytes: u64,
}

/// The own metrics and the log. Shared by all stages.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    counters: Counters,
    probes: Probes,
    views: Arc<Mutex<Views>>,
}

impl Telemetry {
    /// Creates every series that has a closed list of labels.
    pub fn new(build: BuildInfo, playbooks: &[String], clusters: &[ClusterName]) -> Self {
        let mut registry = Registry::default();
        let counters = Counters::new(&mut registry, playbooks, clusters);
        let probes = Probes::new(&mut registry);
        let views = Arc::new(Mutex::new(Views::new(build, clusters)));
        registry.register_collector(Box::new(view::ViewsCollector(Arc::clone(&views))));
        registry.register_collector(Box::new(process::ProcessCollector));
        Self { registry, counters, probes, views }
    }

    /// The own metrics in text format 0.0.4.
    ///
    /// # Errors
    ///
    /// When a value cannot be formatted.
    pub fn encode(&self) -> Result<String, EncodeError> {
        self.encode_open_metrics().map(|open| text::from_open_metrics(&open))
    }

    /// The own metrics as `OpenMetrics`, without the line that ends a page.
    ///
    /// # Errors
    ///
    /// When a value cannot be formatted.
    pub fn encode_open_metrics(&self) -> Result<String, EncodeError> {
        let mut open = String::with_capacity(16 * 1024);
        encode_registry(&mut open, &self.registry)?;
        Ok(open)
    }

    /// What the collectors of each cluster last reported.
    pub fn status(&self) -> Vec<ClusterStatus> {
        self.with_views(|views| views.status())
    }

    /// The webhook or the API was answered.
    pub fn webhook_answered(&self, code: u16) {
        self.emit(Event::WebhookAnswered(code));
    }

    /// That many alerts of a notification came to `outcome`.
    pub fn alerts_taken(&self, outcome: AlertOutcome, count: u64) {
        self.emit(Event::AlertsTaken(outcome, count));
    }

    /// Alertmanager cut alerts off a notification.
    pub fn truncated_alerts(&self, count: u64) {
        self.emit(Event::TruncatedAlerts(count));
    }

    /// A run that could start was held. Call it when the reason is new, not at each look.
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

    /// From the alert being durable to the last value being in force.
    pub fn alert_to_effect(&self, cluster: &ClusterName, took: Duration) {
        self.emit(Event::AlertToEffect(cluster, took));
    }

    /// From a step's request to its value being read back.
    pub fn step_done(&self, cluster: &ClusterName, took: Duration) {
        self.emit(Event::StepDone(cluster, took));
    }

    /// One transaction of the store.
    pub fn store_written(&self, took: Duration) {
        self.emit(Event::StoreWritten(took));
    }

    /// The configuration was loaded, at the start too, or refused.
    pub fn config_reloaded(&self, reload: Reload) {
        match reload {
            Reload::Applied(at) => info!(at = at.0, "Configuration loaded."),
            Reload::Refused => error!("Configuration refused, the one before stays in force."),
        }
        self.with_views(|views| views.config_reloaded(reload));
    }

    /// One collector finished its part of a round.
    pub fn collector_done(&self, cluster: &ClusterName, done: CollectorDone) {
        let collector = done.collector.label();
        let failure = done.failure.clone();
        let before = self.with_views(|views| views.collector_done(cluster, done));
        // A cluster that is down for an hour is one line, not one line a round.
        match (before, failure) {
            (Some(true) | None, Some(failure)) => {
                warn!(%cluster, collector, failure, "Collector failed.");
            }
            (Some(false), None) => info!(%cluster, collector, "Collector works again."),
            (_, failure) => debug!(%cluster, collector, ?failure, "Collector done."),
        }
    }

    /// A snapshot of the cluster is out.
    pub fn snapshot_made(&self, cluster: &ClusterName, at: WallTime, commits_ahead: u64) {
        debug!(%cluster, at = at.0, commits_ahead, "Snapshot made.");
        self.with_views(|views| views.snapshot_made(cluster, at, commits_ahead));
    }

    /// A round of collection has ended.
    pub fn round_done(&self, cluster: &ClusterName, done: RoundDone) {
        debug!(%cluster, took = ?done.took, requests = done.requests, "Round done.");
        self.with_views(|views| views.round_done(cluster, done));
    }

    /// The brokers that the probe knows. Replaces what was said before.
    pub fn probe_brokers(&self, cluster: &ClusterName, brokers: &BTreeSet<BrokerId>) {
        self.probes.brokers(cluster, brokers);
    }

    /// A record of the probe came back from `broker`, or did not.
    pub fn probed(&self, cluster: &ClusterName, broker: BrokerId, probed: ProbeResult) {
        let Some(PreviousAttempt(before)) = self.probes.count(cluster, broker, probed) else {
            return;
        };
        // As with a collector: what goes on is not news.
        match (before, probed.failure) {
            (before, Some(failure)) if before != Some(failure) => {
                warn!(%cluster, %broker, reason = failure.label(), "Probe failed.");
            }
            (Some(_), None) => info!(%cluster, %broker, "Probe works again."),
            (_, failure) => debug!(%cluster, %broker, ?failure, "Probe done."),
        }
    }

    /// Requests to the cluster so far. Replaces what was said before.
    pub fn requests_counted(&self, cluster: &ClusterName, requests: Vec<RequestCount>) {
        self.with_views(|views| views.requests_counted(cluster, requests));
    }

    /// The page of cluster metrics was made.
    pub fn page_made(&self, page: PageMade) {
        debug!(identity = page.identity_bytes, gzip = page.gzip_bytes, "Page made.");
        self.with_views(|views| views.page_made(page));
    }

    /// The state of remediation on one cluster. Replaces what was said before.
    pub fn remediation_changed(&self, cluster: &ClusterName, view: RemediationView) {
        debug!(%cluster, active = ?view.active, paused = view.paused, "Remediation changed.");
        self.with_views(|views| views.remediation_changed(cluster, view));
    }

    /// The one place where an event becomes its log line and its metric.
    fn emit(&self, event: Event<'_>) {
        event.log();
        self.counters.count(&event);
    }

    fn with_views<T>(&self, what: impl FnOnce(&mut Views) -> T) -> T {
        // Views hold plain values: a panic of another holder leaves nothing half done.
        what(&mut self.views.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What can happen that is worth a line and a count.
#[derive(Clone, Copy, Debug)]
enum Event<'a> {
    WebhookAnswered(u16),
    AlertsTaken(AlertOutcome, u64),
    TruncatedAlerts(u64),
    Held(&'a ClusterName, &'a str, HoldReason),
    RunEnded(&'a ClusterName, OptimizerKind, RunState),
    VerdictGiven(&'a ClusterName, OptimizerKind, Verdict),
    AlertToEffect(&'a ClusterName, Duration),
    StepDone(&'a ClusterName, Duration),
    StoreWritten(Duration),
}

impl Event<'_> {
    fn log(&self) {
        match *self {
            Self::WebhookAnswered(code) if code < 400 => debug!(code, "Webhook answered."),
            Self::WebhookAnswered(code) => warn!(code, "Webhook refused."),
            Self::AlertsTaken(outcome, count) => {
                debug!(outcome = outcome.label(), count, "Alerts taken.");
            }
            Self::TruncatedAlerts(count) => warn!(count, "Alertmanager cut alerts off."),
            Self::Held(cluster, playbook, reason) => {
                info!(%cluster, playbook, reason = reason.label(), "Run held.");
            }
            Self::RunEnded(cluster, optimizer, RunState::Stuck) => {
                error!(%cluster, %optimizer, "Run is stuck and waits for a person.");
            }
            Self::RunEnded(cluster, optimizer, state) => {
                info!(%cluster, %optimizer, %state, "Run ended.");
            }
            Self::VerdictGiven(cluster, optimizer, verdict) => {
                info!(%cluster, %optimizer, %verdict, "Verdict given.");
            }
            Self::AlertToEffect(cluster, took) => {
                info!(%cluster, ?took, "Alert has taken effect.");
            }
            Self::StepDone(cluster, took) => debug!(%cluster, ?took, "Step done."),
            Self::StoreWritten(took) => debug!(?took, "Store written."),
        }
    }
}

#[cfg(test)]
mod tests;
