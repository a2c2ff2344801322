//! Gathers what is known of a cluster, from its latest snapshot and from Prometheus, and has it
//! analysed.
//!
//! Invariant: read-only. It has no access to Kafka or Docker, and never names `remediation`.

mod from_prometheus;
mod from_snapshot;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use from_prometheus::cluster_names;
use tokio::sync::{Mutex, watch};

use crate::{
    analysis::{Analysis, ClusterSignals, NotSeen, analyze},
    clock::SharedClock,
    model::{ClusterName, MonotonicTime, WallTime},
    prometheus::SharedPrometheus,
    snapshot::Latest,
};

/// A report of this age is given again: everybody may ask, and each one takes about fifty queries.
const REPORT_AGE_MAX: Duration = Duration::from_secs(5);

/// Where the values of one cluster come from.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seam to Prometheus has none")]
pub struct ClusterSource {
    pub cluster: ClusterName,
    /// The snapshots of this process; `None` where no server runs.
    pub latest: Option<Latest>,
    /// `None` if the cluster has no `prometheus` configured.
    pub prometheus: Option<SharedPrometheus>,
    /// Names of playbooks by the alert that they answer.
    pub playbooks: BTreeMap<String, String>,
}

/// What was found in one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterReport {
    pub cluster: ClusterName,
    pub at: WallTime,
    pub analysis: Analysis,
    /// Names of playbooks by the alert that they answer.
    pub playbooks: BTreeMap<String, String>,
}

impl ClusterSource {
    /// Gathers the values and analyses them.
    pub async fn report(&self, now: WallTime) -> ClusterReport {
        let mut signals = ClusterSignals::default();
        match &self.prometheus {
            Some(prometheus) => {
                from_prometheus::add(prometheus, &self.cluster, &mut signals).await;
            }
            None => note(
                &mut signals,
                "rates, request times and everything else that takes more than one look",
                "the cluster has no `prometheus` in the configuration",
            ),
        }

        // Cloned at once: a borrow blocks the collector.
        let snapshot = self.latest.as_ref().map(|it| it.borrow().clone());
        match snapshot {
            Some(Some(snapshot)) => from_snapshot::add(&snapshot, now, &mut signals),
            Some(None) => note(
                &mut signals,
                "the cluster as it is now",
                "the first round of collection has not ended: try again in a minute",
            ),
            None => (),
        }

        ClusterReport {
            cluster: self.cluster.clone(),
            at: now,
            analysis: analyze(signals),
            playbooks: self.playbooks.clone(),
        }
    }
}

fn note(signals: &mut ClusterSignals, what: &str, why: &str) {
    signals.not_seen.insert(NotSeen { what: what.to_owned(), why: why.to_owned() });
}

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
}

impl Diagnosis {
    /// `sources` has the clusters that are configured at the time of a request.
    pub fn new(sources: watch::Receiver<Vec<ClusterSource>>, clock: SharedClock) -> Self {
        Self { sources, clock, cached: Arc::default() }
    }

    /// Reports of all clusters, or of one. Empty if there is no such cluster. One request at a time
    /// asks Prometheus; others wait for it, and then get the same report.
    pub async fn reports(&self, cluster: Option<&ClusterName>) -> Vec<Arc<ClusterReport>> {
        let mut sources = self.sources.borrow().clone();
        sources.retain(|it| cluster.is_none_or(|name| it.cluster == *name));
        let mut cached = self.cached.lock().await;
        let mut reports = Vec::with_capacity(sources.len());

        for source in sources {
            let now = self.clock.monotonic();
            let known = cached.get(&source.cluster);
            if let Some(known) = known.filter(|it| now.since(it.at) < REPORT_AGE_MAX) {
                reports.push(Arc::clone(&known.report));
                continue;
            }

            let report = Arc::new(source.report(self.clock.wall()).await);
            let at = self.clock.monotonic();
            cached.insert(source.cluster, CachedReport { at, report: Arc::clone(&report) });
            reports.push(report);
        }

        reports
    }
}
