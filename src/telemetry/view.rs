//! Gauges that are encoded from the latest reported values.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    BuildInfo, ClusterStatus, CollectorStatus, PageMade, SeriesCount,
    collected::{CollectorDone, CollectorName, RoundDone},
    own,
    spec::Spec,
};
use crate::{
    model::{
        ActingLease, ClusterName, Mode, ReadFailure, RequestCount, RunId, RunState, Verdict,
        WallTime,
    },
    playbook::OptimizerKind,
};

/// The state of remediation on one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct RemediationView {
    pub mode: Mode,
    pub paused: bool,
    /// State of the run that may be changing the cluster.
    pub active: Option<RunState>,
    /// The latest runs; at most 50 are exported.
    pub runs: Vec<RunInfo>,
    /// Number of stuck runs that no person has acknowledged.
    pub stuck: u64,
    /// Number of runs whose plan waits for a person's approval.
    pub awaiting_approval: u64,
    /// When the first of those asked.
    pub approval_asked: Option<WallTime>,
    pub quarantined: Vec<Quarantine>,
    pub cooldowns: Vec<Cooldown>,
    /// `None` unless the mode is `act`.
    pub lease: Option<ActingLease>,
    /// At most 50 are exported.
    pub overdue: Vec<OverdueChange>,
}

impl RemediationView {
    pub fn idle(mode: Mode) -> Self {
        Self {
            mode,
            paused: false,
            active: None,
            runs: Vec::new(),
            stuck: 0,
            awaiting_approval: 0,
            approval_asked: None,
            quarantined: Vec::new(),
            cooldowns: Vec::new(),
            lease: None,
            overdue: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    pub run: RunId,
    pub optimizer: OptimizerKind,
    pub target: String,
    /// `None` until the run has been judged.
    pub verdict: Option<Verdict>,
    /// Relative improvement of the objective, 0–1.
    pub effect: Option<f64>,
    /// The evidence in one sentence.
    pub sentence: Option<String>,
    pub outcome: RunState,
    pub started: WallTime,
}

/// A quarantined pair of playbook and target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantine {
    pub playbook: String,
    pub target: String,
}

/// A pair of playbook and target that is cooling down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cooldown {
    pub playbook: String,
    pub target: String,
    pub end: WallTime,
}

/// A temporary change whose time has ended, and that is still in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverdueChange {
    pub run: RunId,
    /// Time since it should have been undone.
    pub late: Duration,
}

/// Maximum exported runs per cluster.
const RUNS_SHOWN_MAX: usize = 50;

#[derive(Debug, Default)]
struct CollectorView {
    /// `None` before its first round.
    succeeded: Option<bool>,
    failure: Option<String>,
    took: Duration,
    last_success: Option<WallTime>,
    unknown: BTreeMap<ReadFailure, u64>,
}

impl CollectorView {
    /// `None` before its first round.
    fn status(&self, collector: CollectorName) -> Option<CollectorStatus> {
        self.succeeded?;

        Some(CollectorStatus {
            collector,
            failure: self.failure.clone(),
            took: self.took,
            last_success: self.last_success,
            unknown: self.unknown.iter().map(|it| (*it.0, *it.1)).filter(|it| it.1 != 0).collect(),
        })
    }
}

#[derive(Debug, Default)]
struct ClusterView {
    collectors: BTreeMap<CollectorName, CollectorView>,
    snapshot: Option<WallTime>,
    commits_ahead: u64,
    round: Option<RoundDone>,
    requests: Vec<RequestCount>,
    series: Option<SeriesCount>,
    remediation: Option<RemediationView>,
    /// An earlier name of the same cluster.
    same_as: Option<ClusterName>,
}

/// The latest reported values. Sorted, so that equal values give equal text.
#[derive(Debug)]
pub(super) struct Views {
    build: BuildInfo,
    config_loaded: Option<WallTime>,
    /// Why the latest reload was refused.
    pub(super) config_fault: Option<String>,
    pub(super) store_usable: bool,
    page: Option<PageMade>,
    clusters: BTreeMap<ClusterName, ClusterView>,
    orphaned_runs: BTreeMap<ClusterName, u64>,
    /// Clusters that a reload removed: their last tasks may still report.
    removed: BTreeSet<ClusterName>,
    /// Receives the reports of the removed clusters.
    discarded: ClusterView,
}

impl Views {
    pub(super) fn new(build: BuildInfo, clusters: &[ClusterName]) -> Self {
        let clusters = clusters.iter().map(|it| (it.clone(), ClusterView::default())).collect();

        Self {
            build,
            config_loaded: None,
            config_fault: None,
            store_usable: true,
            page: None,
            clusters,
            orphaned_runs: BTreeMap::new(),
            removed: BTreeSet::new(),
            discarded: ClusterView::default(),
        }
    }

    fn of(&mut self, cluster: &ClusterName) -> &mut ClusterView {
        if self.removed.contains(cluster) {
            return &mut self.discarded;
        }

        self.clusters.entry(cluster.clone()).or_default()
    }

    pub(super) fn config_loaded(&mut self, at: WallTime) {
        self.config_loaded = Some(at);
        self.config_fault = None;
    }

    pub(super) fn config_rejected(&mut self, reason: &str) {
        self.config_fault = Some(reason.to_owned());
    }

    pub(super) fn configured(&mut self, clusters: &[ClusterName], removed: &[ClusterName]) {
        self.clusters.retain(|it, _| !removed.contains(it));
        self.removed.extend(removed.iter().cloned());

        for cluster in clusters {
            self.removed.remove(cluster);
            self.of(cluster);
        }
    }

    /// Returns whether the collector's previous round succeeded.
    pub(super) fn collector_done(
        &mut self,
        cluster: &ClusterName,
        done: CollectorDone,
    ) -> Option<bool> {
        let view = self.of(cluster).collectors.entry(done.collector).or_default();
        let previous = view.succeeded.replace(done.failure.is_none());
        view.took = done.took;
        view.unknown = done.unknown;

        if done.failure.is_none() {
            view.last_success = Some(done.at);
        }

        view.failure = done.failure;

        previous
    }

    pub(super) fn snapshot_made(
        &mut self,
        cluster: &ClusterName,
        at: WallTime,
        commits_ahead: u64,
    ) {
        let view = self.of(cluster);
        view.snapshot = (at != WallTime::default()).then_some(at);
        view.commits_ahead = commits_ahead;
    }

    pub(super) fn round_done(&mut self, cluster: &ClusterName, done: RoundDone) {
        self.of(cluster).round = Some(done);
    }

    pub(super) fn requests_counted(&mut self, cluster: &ClusterName, requests: Vec<RequestCount>) {
        self.of(cluster).requests = requests;
    }

    pub(super) fn page_made(&mut self, page: PageMade) {
        for (cluster, series) in &page.series {
            self.of(cluster).series = Some(*series);
        }

        self.page = Some(page);
    }

    pub(super) fn remediation_changed(&mut self, cluster: &ClusterName, view: RemediationView) {
        self.of(cluster).remediation = Some(view);
    }

    pub(super) fn cluster_identified(
        &mut self,
        cluster: &ClusterName,
        same_as: Option<ClusterName>,
    ) {
        self.of(cluster).same_as = same_as;
    }

    pub(super) fn orphans_counted(&mut self, orphaned_runs: BTreeMap<ClusterName, u64>) {
        self.orphaned_runs = orphaned_runs;
    }

    pub(super) fn status(&self) -> Vec<ClusterStatus> {
        let one = |(name, view): (&ClusterName, &ClusterView)| ClusterStatus {
            cluster: name.clone(),
            snapshot: view.snapshot,
            series: view.series,
            collectors: view.collectors.iter().filter_map(|(name, it)| it.status(*name)).collect(),
            remediation: view.remediation.clone(),
        };

        self.clusters.iter().map(one).collect()
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_process(encoder)?;
        self.encode_collectors(encoder)?;
        self.encode_requests(encoder)?;
        self.encode_remediation(encoder)?;
        self.encode_actors(encoder)?;

        self.encode_history(encoder)
    }

    fn encode_process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let build = self.build;
        let parts = [build.version, build.revision, build.rustc];
        gauges(encoder, &own::BUILD_INFO, [(texts(&parts), 1.0)])?;
        let usable = f64::from(self.store_usable);
        gauges(encoder, &own::STORE_USABLE, [(Vec::new(), usable)])?;
        let successful = f64::from(self.config_fault.is_none());
        let loaded = self.config_loaded.map(|_| (Vec::new(), successful));
        gauges(encoder, &own::CONFIG_SUCCESSFUL, loaded)?;

        let since = self.config_loaded.map(|it| (Vec::new(), it.seconds()));
        gauges(encoder, &own::CONFIG_SUCCESS_TIMESTAMP, since)?;
        let sizes = self.page.iter().flat_map(|page| {
            [("identity", page.identity_bytes), ("gzip", page.gzip_bytes)]
                .map(|(encoding, bytes)| (texts(&[encoding]), count(bytes)))
        });

        gauges(encoder, &own::PAGE_BYTES, sizes)
    }

    fn encode_collectors(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let each = || {
            self.clusters.iter().flat_map(|(cluster, view)| {
                view.collectors.iter().map(move |(name, it)| (cluster.as_str(), name.label(), it))
            })
        };

        let done = |it: &CollectorView| it.succeeded.is_some();
        let success = each().filter(|it| done(it.2)).map(|(cluster, name, it)| {
            (texts(&[cluster, name]), f64::from(it.succeeded == Some(true)))
        });

        gauges(encoder, &own::COLLECTOR_SUCCESS, success)?;
        let took = each()
            .filter(|it| done(it.2))
            .map(|(cluster, name, it)| (texts(&[cluster, name]), it.took.as_secs_f64()));

        gauges(encoder, &own::COLLECTOR_DURATION, took)?;
        let last = each().filter_map(|(cluster, name, it)| {
            Some((texts(&[cluster, name]), it.last_success?.seconds()))
        });

        gauges(encoder, &own::COLLECTOR_LAST_SUCCESS, last)?;
        let unknown = self.clusters.iter().flat_map(|(cluster, view)| {
            CollectorName::ALL.iter().flat_map(move |name| {
                let counted = view.collectors.get(name).map(|it| &it.unknown);
                ReadFailure::ALL.iter().map(move |reason| {
                    let value = counted.and_then(|it| it.get(reason)).copied().unwrap_or(0);
                    (texts(&[cluster.as_str(), name.label(), reason.label()]), count(value))
                })
            })
        });

        gauges(encoder, &own::READINGS_UNKNOWN, unknown)?;
        let snapshots = self.by_cluster(|it| it.snapshot.map(WallTime::seconds));
        gauges(encoder, &own::SNAPSHOT_TIMESTAMP, snapshots)?;
        gauges(encoder, &own::COMMITS_AHEAD, self.by_cluster(|it| Some(count(it.commits_ahead))))?;
        let took = self.by_cluster(|it| it.round.map(|it| it.took.as_secs_f64()));
        gauges(encoder, &own::ROUND_DURATION, took)?;

        let requests = self.by_cluster(|it| it.round.map(|it| count(it.requests)));
        gauges(encoder, &own::ROUND_REQUESTS, requests)?;
        gauges(encoder, &own::SERIES, self.by_cluster(|it| it.series.map(|it| count(it.shown))))?;
        let dropped = self.by_cluster(|it| it.series.map(|it| count(it.dropped)));

        gauges(encoder, &own::SERIES_DROPPED, dropped)
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let each = || {
            let views = self.clusters.iter();
            views.flat_map(|(cluster, view)| {
                view.requests.iter().map(move |it| (cluster.as_str(), it))
            })
        };
        let sent = each().map(|(cluster, it)| (texts(&[cluster, it.api.label()]), it.sent));
        counters(encoder, &own::KAFKA_REQUESTS, sent)?;
        let failed = each().flat_map(|(cluster, it)| {
            let failed = it.failed.iter();
            failed.map(move |(reason, value)| {
                (texts(&[cluster, it.api.label(), reason.label()]), *value)
            })
        });

        counters(encoder, &own::KAFKA_REQUEST_ERRORS, failed)
    }

    fn encode_remediation(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mode = self.clusters.values().find_map(|it| it.remediation.as_ref()).map(|it| it.mode);
        let modes = mode.into_iter().flat_map(|mode| {
            Mode::ALL.iter().map(move |it| (texts(&[it.label()]), f64::from(*it == mode)))
        });

        gauges(encoder, &own::MODE, modes)?;
        gauges(encoder, &own::PAUSED, self.by_remediation(|it| f64::from(it.paused)))?;
        gauges(
            encoder,
            &own::RUN_ACTIVE,
            self.by_remediation(|it| f64::from(it.active.is_some())),
        )?;

        gauges(encoder, &own::STUCK, self.by_remediation(|it| count(it.stuck)))?;
        gauges(
            encoder,
            &own::AWAITING_APPROVAL,
            self.by_remediation(|it| count(it.awaiting_approval)),
        )?;
        let asked = self
            .remediations()
            .filter_map(|(cluster, it)| Some((texts(&[cluster]), it.approval_asked?.seconds())));
        gauges(encoder, &own::APPROVAL_ASKED, asked)?;
        let states = self.remediations().flat_map(|(cluster, it)| {
            RunState::ALL.iter().map(move |state| {
                (texts(&[cluster, state.label()]), f64::from(it.active == Some(*state)))
            })
        });

        gauges(encoder, &own::RUN_STATE, states)
    }

    fn encode_actors(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let leases = self.remediations().filter_map(|(cluster, it)| {
            let lease = it.lease.as_ref()?;
            Some((texts(&[cluster]), f64::from(*lease == ActingLease::Held)))
        });
        gauges(encoder, &own::ACTING_LEASE, leases)?;

        let others = self.remediations().filter_map(|(cluster, it)| {
            let Some(ActingLease::HeldBy(other)) = &it.lease else { return None };
            Some((texts(&[cluster, &other.installation, &other.host]), 1.0))
        });
        gauges(encoder, &own::OTHER_ACTOR_INFO, others)?;

        let duplicates = self.clusters.iter().filter_map(|(cluster, it)| {
            Some((texts(&[cluster.as_str(), it.same_as.as_ref()?.as_str()]), 1.0))
        });
        gauges(encoder, &own::DUPLICATE_CLUSTER_INFO, duplicates)?;

        let orphaned = self.orphaned_runs.iter();
        let orphaned = orphaned.map(|(cluster, runs)| (texts(&[cluster.as_str()]), count(*runs)));

        gauges(encoder, &own::ORPHANED_RUNS, orphaned)
    }

    fn encode_history(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let runs = self.remediations().flat_map(|(cluster, it)| {
            newest(&it.runs).into_iter().map(move |run| {
                // Prometheus drops labels with an empty value, so a run without a verdict has
                // `none`.
                let verdict = run.verdict.map_or("none", Verdict::label);
                let id = run.run.to_string();
                let optimizer = run.optimizer.label();
                let outcome = run.outcome.label();
                let labels = texts(&[cluster, &id, optimizer, &run.target, verdict, outcome]);

                (labels, run.started.seconds())
            })
        });

        gauges(encoder, &own::RUN_INFO, runs)?;
        let effects = self.remediations().flat_map(|(cluster, it)| {
            let judged = newest(&it.runs).into_iter();
            judged
                .filter_map(move |run| Some((texts(&[cluster, &run.run.to_string()]), run.effect?)))
        });

        gauges(encoder, &own::RUN_EFFECT, effects)?;
        let quarantined = self.remediations().flat_map(|(cluster, it)| {
            let each = it.quarantined.iter();
            each.map(move |it| (texts(&[cluster, &it.playbook, &it.target]), 1.0))
        });

        gauges(encoder, &own::QUARANTINED, quarantined)?;
        let cooldowns = self.remediations().flat_map(|(cluster, it)| {
            let each = it.cooldowns.iter();
            each.map(move |it| (texts(&[cluster, &it.playbook, &it.target]), it.end.seconds()))
        });

        gauges(encoder, &own::COOLDOWN_END, cooldowns)?;
        let overdue = self.remediations().flat_map(|(cluster, it)| {
            let each = it.overdue.iter().take(RUNS_SHOWN_MAX);
            each.map(move |it| (texts(&[cluster, &it.run.to_string()]), it.late.as_secs_f64()))
        });

        gauges(encoder, &own::TEMPORARY_OVERDUE, overdue)
    }

    fn remediations(&self) -> impl Iterator<Item = (&str, &RemediationView)> {
        let views = self.clusters.iter();
        views.filter_map(|(cluster, it)| Some((cluster.as_str(), it.remediation.as_ref()?)))
    }

    fn by_remediation(
        &self,
        value: impl Fn(&RemediationView) -> f64,
    ) -> impl Iterator<Item = GaugeSample> {
        self.remediations().map(move |(cluster, it)| (texts(&[cluster]), value(it)))
    }

    fn by_cluster(
        &self,
        value: impl Fn(&ClusterView) -> Option<f64>,
    ) -> impl Iterator<Item = GaugeSample> {
        let views = self.clusters.iter();
        views.filter_map(move |(cluster, it)| Some((texts(&[cluster.as_str()]), value(it)?)))
    }
}

/// Adapter to the library's trait.
#[derive(Debug)]
pub(super) struct ViewsCollector(pub(super) Arc<Mutex<Views>>);

impl Collector for ViewsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).encode(&mut encoder)
    }
}

/// Label values, in the order of the spec's labels, and the value of a sample.
type GaugeSample = (Vec<String>, f64);

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|it| (*it).to_owned()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus samples are floats")]
pub(super) fn count(value: u64) -> f64 {
    value as f64
}

fn newest(runs: &[RunInfo]) -> Vec<&RunInfo> {
    let mut runs: Vec<&RunInfo> = runs.iter().collect();
    runs.sort_by_key(|it| std::cmp::Reverse(it.run));
    runs.truncate(RUNS_SHOWN_MAX);

    runs
}

/// Encodes a family of gauges; omits HELP and TYPE too if there are no samples.
pub(super) fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    spec: &Spec,
    rows: impl IntoIterator<Item = GaugeSample>,
) -> fmt::Result {
    let rows = rows.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
    family(encoder, spec, MetricType::Gauge, rows)
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    spec: &Spec,
    rows: impl IntoIterator<Item = (Vec<String>, u64)>,
) -> fmt::Result {
    let rows = rows.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
    family(encoder, spec, MetricType::Counter, rows)
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    spec: &Spec,
    kind: MetricType,
    rows: impl Iterator<Item = (Vec<String>, impl EncodeMetric)>,
) -> fmt::Result {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }

    let name = spec.name.strip_suffix("_total").unwrap_or(spec.name);
    let mut family = encoder.encode_descriptor(name, spec.help, None, kind)?;

    for (values, metric) in rows {
        if values.is_empty() {
            // Avoids the empty braces that the library would write. Without labels there is one
            // sample.
            return metric.encode(family);
        }

        let labels: Vec<(&str, String)> = spec.labels.iter().copied().zip(values).collect();
        metric.encode(family.encode_family(&labels)?)?;
    }

    Ok(())
}
