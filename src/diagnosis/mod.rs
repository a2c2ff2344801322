//! Gathers what is known of a cluster, from its latest snapshot and from Prometheus, and has it
//! analysed.
//!
//! Invariant: read-only. It has no access to Docker, none to Kafka but its [`Sampler`], and never
//! names `remediation`.

mod advising;
mod from_prometheus;
mod from_snapshot;
mod rates;
mod usage;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use from_prometheus::cluster_names;
use tokio::sync::{Mutex, watch};
pub use usage::{MeasuredHours, MeasuredUsage, PastWindow};

use crate::{
    advice::ClusterAdvice,
    analysis::{Analysis, ClusterSignals, NotSeen, Signal, Subject, analyze},
    clock::SharedClock,
    model::{ClusterName, GroupName, MonotonicTime, TopicName, WallTime},
    prometheus::SharedPrometheus,
    sampling::Sampler,
    snapshot::{Latest, Snapshot},
};

/// A report of this age is given again: everybody may ask, and each one takes about fifty queries.
const REPORT_AGE_MAX: Duration = Duration::from_secs(5);

/// What two readings do not show.
const HISTORY: &str = "request times, and what takes minutes or hours to see: ISR shrinks, changes \
                       of the controller, rebalances, the growth of disks, retention, and since \
                       when a value is bad";

/// What one reading does not show.
const HISTORY_AND_RATES: &str =
    "rates, request times and everything else that takes more than one look";

const NO_PROMETHEUS: &str =
    "no `prometheus` is configured for the cluster, or named by --prometheus.url";
const WORST_LAGS_MAX: usize = 5;

/// Where the values of one cluster come from.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seam to Prometheus has none")]
pub struct ClusterSource {
    pub cluster: ClusterName,
    /// The snapshots of this process; `None` where nothing reads the cluster.
    pub latest: Option<Latest>,
    /// A snapshot from before the latest one, for rates that Prometheus does not know.
    pub earlier: Option<Arc<Snapshot>>,
    /// `None` if the cluster has no `prometheus` configured.
    pub prometheus: Option<SharedPrometheus>,
    /// Reads record batches for advice; `None` where nothing reads the cluster.
    pub sampler: Option<Sampler>,
    /// Names of playbooks by the alert that they answer.
    pub playbooks: BTreeMap<String, String>,
}

/// What was found in one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterReport {
    pub cluster: ClusterName,
    pub at: WallTime,
    pub analysis: Analysis,
    /// Only where it was asked for.
    pub advice: Option<ClusterAdvice>,
    /// The group with the most records behind comes first.
    pub worst_lags: Vec<WorstLag>,
    /// Names of playbooks by the alert that they answer.
    pub playbooks: BTreeMap<String, String>,
}

/// A group that is behind on a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct WorstLag {
    pub group: GroupName,
    pub topic: TopicName,
    pub records: f64,
}

impl ClusterSource {
    /// Whether Prometheus has rates of this cluster, so that one snapshot beside it suffices.
    pub async fn knows_rates(&self) -> bool {
        match &self.prometheus {
            Some(prometheus) => from_prometheus::knows_rates(prometheus, &self.cluster).await,
            None => false,
        }
    }

    /// Gathers the values and analyses them.
    pub async fn report(&self, now: WallTime) -> ClusterReport {
        self.analysed(self.signals(now).await, now)
    }

    fn analysed(&self, signals: ClusterSignals, now: WallTime) -> ClusterReport {
        ClusterReport {
            cluster: self.cluster.clone(),
            at: now,
            worst_lags: worst_lags(&signals),
            analysis: analyze(signals),
            advice: None,
            playbooks: self.playbooks.clone(),
        }
    }

    async fn signals(&self, now: WallTime) -> ClusterSignals {
        let mut signals = ClusterSignals::default();
        if let Some(prometheus) = &self.prometheus {
            from_prometheus::add(prometheus, &self.cluster, &mut signals).await;
        } else {
            let what = if self.earlier.is_some() { HISTORY } else { HISTORY_AND_RATES };
            note(&mut signals, what, NO_PROMETHEUS);
        }

        // Cloned at once: a borrow blocks the collector.
        let snapshot = self.latest.as_ref().map(|it| it.borrow().clone());
        match snapshot {
            Some(Some(snapshot)) => {
                if let Some(earlier) = &self.earlier {
                    rates::add(earlier, &snapshot, &mut signals);
                }
                from_snapshot::add(&snapshot, now, &mut signals);
            }
            Some(None) => note(
                &mut signals,
                "the cluster as it is now",
                "the first round of collection has not ended: try again in a minute",
            ),
            None => (),
        }

        signals
    }
}

fn worst_lags(signals: &ClusterSignals) -> Vec<WorstLag> {
    let lag = |(subject, records): (&Subject, f64)| {
        let Subject::GroupTopic { group, topic } = subject else { return None };
        let (group, topic) = (group.clone(), topic.clone());

        (records > 0.0).then_some(WorstLag { group, topic, records })
    };
    let mut lags: Vec<WorstLag> = signals.all(Signal::Lag).filter_map(lag).collect();
    lags.sort_by(|one, other| other.records.total_cmp(&one.records));
    lags.truncate(WORST_LAGS_MAX);

    lags
}

fn note(signals: &mut ClusterSignals, what: &str, why: &str) {
    signals.not_seen.insert(NotSeen { what: what.to_owned(), why: why.to_owned() });
}

/// Advice of this age is given again: each one reads record batches from the brokers.
const ADVICE_AGE_MAX: Duration = Duration::from_mins(1);

/// A report, and when it was made.
#[derive(Clone, Debug)]
struct CachedReport {
    at: MonotonicTime,
    report: Arc<ClusterReport>,
}

/// Reports about the clusters of a running server. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seam to Prometheus has none")]
pub struct Diagnosis {
    sources: watch::Receiver<Vec<ClusterSource>>,
    clock: SharedClock,
    cached: Arc<Mutex<BTreeMap<ClusterName, CachedReport>>>,
    /// The latest reports with advice. Its lock keeps samples from being read twice at once.
    advised: Arc<Mutex<BTreeMap<ClusterName, CachedReport>>>,
}

impl Diagnosis {
    /// `sources` has the clusters that are configured at the time of a request.
    pub fn new(sources: watch::Receiver<Vec<ClusterSource>>, clock: SharedClock) -> Self {
        Self { sources, clock, cached: Arc::default(), advised: Arc::default() }
    }

    /// Reports of all clusters, or of one. Empty if there is no such cluster. One request at a time
    /// asks Prometheus; others wait for it, and then get the same report.
    pub async fn reports(&self, cluster: Option<&ClusterName>) -> Vec<Arc<ClusterReport>> {
        let mut cached = self.cached.lock().await;
        let mut reports = Vec::new();

        for source in self.wanted(cluster) {
            let known = self.fresh(&cached, &source.cluster, REPORT_AGE_MAX);
            let report = if let Some(report) = known {
                report
            } else {
                let made = self.made(source.report(self.clock.wall()).await);
                let report = Arc::clone(&made.report);
                cached.insert(source.cluster, made);
                report
            };
            reports.push(report);
        }

        reports
    }

    /// Reports with advice about all clusters, or one. What is found in the samples is also in
    /// [`Self::reports`] until the next report. One request at a time reads samples.
    pub async fn advised(&self, cluster: Option<&ClusterName>) -> Vec<Arc<ClusterReport>> {
        let mut advised = self.advised.lock().await;
        let mut reports = Vec::new();

        for source in self.wanted(cluster) {
            let known = self.fresh(&advised, &source.cluster, ADVICE_AGE_MAX);
            let report = if let Some(report) = known {
                report
            } else {
                let made = self.made(source.advised_report(self.clock.wall()).await);
                let report = Arc::clone(&made.report);
                self.cached.lock().await.insert(source.cluster.clone(), made.clone());
                advised.insert(source.cluster, made);
                report
            };
            reports.push(report);
        }

        reports
    }

    /// How long the probe's records took in a stretch of the past: see
    /// [`ClusterSource::probe_p99`].
    pub async fn probe_p99(&self, cluster: &ClusterName, window: PastWindow) -> Option<f64> {
        let source = self.wanted(Some(cluster)).pop()?;
        source.probe_p99(window, self.clock.wall()).await
    }

    /// What one cluster used in the last days; `None` if there is no such cluster.
    pub async fn usage(&self, cluster: &ClusterName, days: u32) -> Option<MeasuredUsage> {
        let source = self.wanted(Some(cluster)).pop()?;
        Some(source.usage(days, self.clock.wall()).await)
    }

    fn wanted(&self, cluster: Option<&ClusterName>) -> Vec<ClusterSource> {
        let mut sources = self.sources.borrow().clone();
        sources.retain(|it| cluster.is_none_or(|name| it.cluster == *name));

        sources
    }

    fn fresh(
        &self,
        known: &BTreeMap<ClusterName, CachedReport>,
        cluster: &ClusterName,
        age_max: Duration,
    ) -> Option<Arc<ClusterReport>> {
        let known = known.get(cluster)?;
        let is_fresh = self.clock.monotonic().since(known.at) < age_max;

        is_fresh.then(|| Arc::clone(&known.report))
    }

    fn made(&self, report: ClusterReport) -> CachedReport {
        CachedReport { at: self.clock.monotonic(), report: Arc::new(report) }
    }
}
