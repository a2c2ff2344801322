//! Builds what `analyze` needs without a server: for each cluster what reads its brokers, its
//! containers and its Prometheus, and nothing that could change it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use crate::diagnosis::{ClusterReport, ClusterSource};
use crate::{
    clock::{SharedClock, SystemClock},
    collect::Collector,
    config::{ClusterConfig, Config},
    diagnosis::cluster_names,
    kafka::SharedKafka,
    model::ClusterName,
    prometheus::{PrometheusError, SharedPrometheus, http::HttpPrometheus},
    sampling::Sampler,
    shutdown::Tasks,
    snapshot::Snapshot,
    telemetry::Telemetry,
};

use super::{BUILD, clusters};

/// Longest time of one query, where no configuration says another.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who asks the Docker engine. Only clones are named after it, and nothing here starts one.
const INSTALLATION: &str = "analyze";

/// When a cluster is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadingPlan {
    /// Time between the two readings that rates are computed from; zero reads once.
    pub rates_over: Duration,
    /// Time between two reports, if there is more than one.
    pub repeat: Option<Duration>,
}

/// A cluster that is analysed here and now.
#[expect(missing_debug_implementations, reason = "the seam to Prometheus has none")]
pub struct AnalyzedCluster {
    source: ClusterSource,
    /// `None` where only Prometheus is asked.
    collector: Option<Collector>,
    plan: ReadingPlan,
    /// The latest reading of the previous report.
    previous: Option<Arc<Snapshot>>,
    clock: SharedClock,
}

impl AnalyzedCluster {
    pub const fn name(&self) -> &ClusterName {
        &self.source.cluster
    }

    /// Reads the cluster and analyses it.
    pub async fn report(&mut self) -> ClusterReport {
        self.read().await;

        self.source.report(self.clock.wall()).await
    }

    /// The same with advice to clients, for which a few record batches are read.
    pub async fn advised_report(&mut self) -> ClusterReport {
        self.read().await;

        self.source.advised_report(self.clock.wall()).await
    }

    /// Reads the brokers and containers. Rates that Prometheus does not know take two readings; for
    /// a repeated report the first of them is that of the report before.
    async fn read(&mut self) {
        if let Some(collector) = &mut self.collector {
            let needs_rates = !self.plan.rates_over.is_zero() && !self.source.knows_rates().await;
            let mut latest = collector.read().await;
            let mut earlier = self.previous.take();

            if needs_rates && earlier.is_none() && latest.up {
                self.clock.sleep(self.plan.rates_over).await;
                earlier = Some(std::mem::replace(&mut latest, collector.read().await));
            }

            self.source.earlier = earlier.filter(|_| needs_rates);
            self.previous = Some(latest);
        }
    }
}

/// The clusters of a configuration: their brokers, containers and Prometheus.
///
/// # Errors
///
/// If the address of a Prometheus cannot be used.
pub fn configured(
    config: &Config,
    plan: ReadingPlan,
) -> Result<Vec<AnalyzedCluster>, PrometheusError> {
    let telemetry = Arc::new(Telemetry::new(BUILD, &[], &config.cluster_names()));
    let playbooks = config.remediation.playbooks_by_alert();
    let clock: SharedClock = Arc::new(SystemClock::new());
    let cluster = |it: &ClusterConfig| {
        let wire = clusters::wire(it, SharedClock::clone(&clock), Tasks::default());
        let kafka: SharedKafka = Arc::new(wire);
        let sampler = Sampler::new(SharedKafka::clone(&kafka), SharedClock::clone(&clock));
        let collector = collector(it, plan, kafka, &clock, &telemetry);
        let source = ClusterSource {
            cluster: it.name.clone(),
            latest: Some(collector.latest()),
            earlier: None,
            prometheus: clusters::prometheus(it)?,
            sampler: Some(sampler),
            playbooks: playbooks.clone(),
        };

        Ok(AnalyzedCluster {
            source,
            collector: Some(collector),
            plan,
            previous: None,
            clock: SharedClock::clone(&clock),
        })
    };

    config.clusters.iter().map(cluster).collect()
}

fn collector(
    config: &ClusterConfig,
    plan: ReadingPlan,
    kafka: SharedKafka,
    clock: &SharedClock,
    telemetry: &Arc<Telemetry>,
) -> Collector {
    let mut config = config.clone();
    // What is read less often must not be too old for the next report.
    config.collect_interval = config.collect_interval.max(plan.repeat.unwrap_or_default());

    let docker = config
        .docker
        .as_ref()
        .map(|it| clusters::engine(it, SharedClock::clone(clock), INSTALLATION.into()));

    Collector::new(&config, kafka, docker, SharedClock::clone(clock), Arc::clone(telemetry))
}

/// The clusters that the Prometheus at `url` knows, or the one that is named.
///
/// # Errors
///
/// If the address cannot be used, or if Prometheus has to be asked for the names and does not
/// answer.
pub async fn of_prometheus(
    url: &str,
    cluster: Option<ClusterName>,
) -> Result<Vec<AnalyzedCluster>, PrometheusError> {
    let prometheus: SharedPrometheus = Arc::new(HttpPrometheus::new(url, QUERY_TIMEOUT)?);
    let names = match cluster {
        Some(name) => vec![name],
        None => cluster_names(&prometheus).await?,
    };

    let clock: SharedClock = Arc::new(SystemClock::new());
    let analyzed = |cluster| AnalyzedCluster {
        source: ClusterSource {
            cluster,
            latest: None,
            earlier: None,
            prometheus: Some(SharedPrometheus::clone(&prometheus)),
            sampler: None,
            playbooks: BTreeMap::new(),
        },
        collector: None,
        plan: ReadingPlan { rates_over: Duration::ZERO, repeat: None },
        previous: None,
        clock: SharedClock::clone(&clock),
    };

    Ok(names.into_iter().map(analyzed).collect())
}

/// The name under which the Prometheus at `url` knows a cluster, if it knows one only.
///
/// # Errors
///
/// If the address cannot be used, or if Prometheus does not answer.
pub async fn only_name(url: &str) -> Result<Option<ClusterName>, PrometheusError> {
    let prometheus: SharedPrometheus = Arc::new(HttpPrometheus::new(url, QUERY_TIMEOUT)?);
    let mut names = cluster_names(&prometheus).await?;

    Ok(names.pop().filter(|_| names.is_empty()))
}
