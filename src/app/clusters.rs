//! The adapters and tasks of each cluster, and what a reload of the configuration replaces of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::AppError;
use crate::{
    clock::SharedClock,
    collect::Collector,
    config::{ClusterConfig, Config, DockerConfig, RemediationConfig},
    diagnosis::ClusterSource,
    docker::{SharedDocker, engine::Engine},
    expose::SnapshotSource,
    kafka::{
        SharedKafka,
        wire::{Wire, WireOptions},
    },
    model::{ActorIdentity, ClusterName},
    probe::Probe,
    prometheus::{PrometheusError, SharedPrometheus, http::HttpPrometheus},
    remediation::{Context, IdentityCell, PauseFile, Remediator},
    sampling::Sampler,
    shutdown::Tasks,
    store::Store,
    telemetry::Telemetry,
};

/// The Docker engine needs about a second for the statistics of a container.
const DOCKER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the start, or a reload, waits for clusters that are to be told apart.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct ClusterBuilder {
    pub(super) clock: SharedClock,
    pub(super) store: Store,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) pause: PauseFile,
    pub(super) tasks: Tasks,
    /// The id in the state file.
    pub(super) installation: Arc<str>,
}

/// A cluster as a new configuration wants it. No task of it has started.
struct PreparedCluster {
    context: Context,
    /// `None` for a cluster whose configuration has not changed.
    collection: Option<Collection>,
}

/// The tasks that read a cluster, before they start.
struct Collection {
    collector: Collector,
    probe: Option<Probe>,
    tasks: Tasks,
}

impl Collection {
    fn start(self) -> Tasks {
        let Self { collector, probe, tasks } = self;
        tasks.start("collect", |stop| collector.run(stop));

        if let Some(probe) = probe {
            tasks.start("probe", |stop| probe.run(stop));
        }

        tasks
    }
}

/// All clusters of a new configuration, complete: putting them into effect cannot fail.
pub(super) struct PreparedClusters(Vec<PreparedCluster>);

impl PreparedClusters {
    pub(super) fn contexts(&self) -> Vec<Context> {
        self.0.iter().map(|it| it.context.clone()).collect()
    }

    /// Checks that no two names stand for one cluster (I43), as far as the clusters answer now.
    /// Later the second name is only kept from acting.
    pub(super) async fn check_distinct(&self) -> Result<(), AppError> {
        let acts = self.0.iter().any(|it| !it.context.remediation.playbooks.is_empty());
        if !acts || self.0.len() < 2 {
            return Ok(());
        }

        let topologies =
            self.0.iter().map(|it| timeout(IDENTIFY_TIMEOUT, it.context.kafka.topology()));
        let answered = join_all(topologies).await;
        let mut known: BTreeMap<String, ClusterName> = BTreeMap::new();

        for (cluster, topology) in self.0.iter().zip(answered) {
            let Ok(Ok(topology)) = topology else { continue };
            let Some(kafka_id) = topology.cluster_id else { continue };
            let name = cluster.context.cluster.name.clone();
            if let Some(first) = known.insert(kafka_id.clone(), name.clone()) {
                return Err(AppError::SameCluster { clusters: [first, name], kafka_id });
            }
        }

        Ok(())
    }

    fn sources(&self) -> Vec<SnapshotSource> {
        let source = |it: &PreparedCluster| SnapshotSource {
            cluster: it.context.cluster.name.clone(),
            latest: it.context.latest.clone(),
        };

        self.0.iter().map(source).collect()
    }

    fn diagnosed(&self) -> Vec<ClusterSource> {
        let source = |it: &PreparedCluster| ClusterSource {
            cluster: it.context.cluster.name.clone(),
            latest: Some(it.context.latest.clone()),
            earlier: None,
            prometheus: it.context.prometheus.clone(),
            sampler: Some(Sampler::new(
                SharedKafka::clone(&it.context.kafka),
                SharedClock::clone(&it.context.clock),
            )),
            playbooks: it.context.remediation.playbooks_by_alert(),
        };

        self.0.iter().map(source).collect()
    }
}

struct RunningCluster {
    context: Context,
    /// Collector and probe: replaced with the cluster's configuration.
    collection: Tasks,
    /// The worker, which stays as long as a cluster of this name is configured.
    worker: Tasks,
}

pub(super) struct Clusters {
    builder: ClusterBuilder,
    running: BTreeMap<ClusterName, RunningCluster>,
    sources: watch::Sender<Vec<SnapshotSource>>,
    diagnosed: watch::Sender<Vec<ClusterSource>>,
}

impl Clusters {
    pub(super) fn new(builder: ClusterBuilder) -> Self {
        Self {
            builder,
            running: BTreeMap::new(),
            sources: watch::Sender::new(Vec::new()),
            diagnosed: watch::Sender::new(Vec::new()),
        }
    }

    /// What the analysis reads, now and later.
    pub(super) fn diagnosed(&self) -> watch::Receiver<Vec<ClusterSource>> {
        self.diagnosed.subscribe()
    }

    /// Where the snapshots come from, now and later.
    pub(super) fn sources(&self) -> watch::Receiver<Vec<SnapshotSource>> {
        self.sources.subscribe()
    }

    pub(super) fn builder(&self) -> &ClusterBuilder {
        &self.builder
    }

    /// The running clusters that `config` does not have.
    pub(super) fn missing_in(&self, config: &Config) -> Vec<ClusterName> {
        let is_there = |name: &ClusterName| config.clusters.iter().any(|it| it.name == *name);
        self.running.keys().filter(|it| !is_there(it)).cloned().collect()
    }

    /// Builds what `config` needs beside what runs already. Starts nothing.
    pub(super) fn prepare(&self, config: &Config) -> Result<PreparedClusters, AppError> {
        let remediation = Arc::new(config.remediation.clone());
        let is_only_cluster = config.clusters.len() == 1;
        let prepare = |cluster: &ClusterConfig| match self.running.get(&cluster.name) {
            Some(running) if *running.context.cluster == *cluster => {
                let remediation = Arc::clone(&remediation);
                let context = Context { is_only_cluster, remediation, ..running.context.clone() };
                Ok(PreparedCluster { context, collection: None })
            }
            _ => {
                let mut built = self.builder.build(cluster.clone(), Arc::clone(&remediation))?;
                built.context.is_only_cluster = is_only_cluster;
                Ok(built)
            }
        };

        config.clusters.iter().map(prepare).collect::<Result<_, _>>().map(PreparedClusters)
    }

    /// Starts what is new, and stops what is replaced or not configured any more. The remediator
    /// must have the contexts of `prepared` already.
    pub(super) fn start(&mut self, prepared: PreparedClusters, remediator: &Remediator) {
        // Before the old collectors end: their snapshots are shown until there are new ones.
        self.sources.send_replace(prepared.sources());
        self.diagnosed.send_replace(prepared.diagnosed());

        let mut previous = std::mem::take(&mut self.running);
        for PreparedCluster { context, collection } in prepared.0 {
            let name = context.cluster.name.clone();
            let (old_collection, worker) = match previous.remove(&name) {
                Some(old) => (Some(old.collection), old.worker),
                None => (None, self.start_worker(&name, remediator)),
            };

            let collection = match (collection, old_collection) {
                (None, Some(unchanged)) => unchanged,
                (None, None) => self.builder.tasks.group(),
                (Some(new), old) => {
                    old.iter().for_each(Tasks::stop_group);
                    new.start()
                }
            };

            self.running.insert(name, RunningCluster { context, collection, worker });
        }

        for (_name, removed) in previous {
            removed.worker.stop_group();
            removed.collection.stop_group();
        }
    }

    fn start_worker(&self, name: &ClusterName, remediator: &Remediator) -> Tasks {
        let tasks = self.builder.tasks.group();
        remediator.start(name.clone(), &tasks);
        tasks
    }
}

/// The name of this host or container, for other processes that act on the same cluster.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}

impl ClusterBuilder {
    /// Builds the adapters, the collector, the probe and the pipeline's context of one cluster.
    fn build(
        &self,
        config: ClusterConfig,
        remediation: Arc<RemediationConfig>,
    ) -> Result<PreparedCluster, AppError> {
        let tasks = self.tasks.group();

        // A worker may use the connections until its current pass ends, so they are not tasks of
        // the group.
        let wire = wire(&config, SharedClock::clone(&self.clock), self.tasks.clone());
        let installation = self.installation.to_string();
        let kafka: SharedKafka =
            Arc::new(wire.with_identity(ActorIdentity { installation, host: host_name() }));
        let prometheus = prometheus(&config)?;
        let docker = config.docker.as_ref().map(|it| self.engine(it));
        let collector = Collector::new(
            &config,
            SharedKafka::clone(&kafka),
            docker.clone(),
            SharedClock::clone(&self.clock),
            Arc::clone(&self.telemetry),
        );

        let probe = config.probe.clone().map(|probe| {
            let clock = SharedClock::clone(&self.clock);
            Probe::new(&config, probe, clock, Arc::clone(&self.telemetry))
        });

        let latest = collector.latest();
        let context = Context {
            cluster: Arc::new(config),
            is_only_cluster: false,
            remediation,
            kafka,
            prometheus,
            docker,
            clock: SharedClock::clone(&self.clock),
            store: self.store.clone(),
            telemetry: Arc::clone(&self.telemetry),
            latest,
            pause: self.pause.clone(),
            wake: Arc::new(Notify::new()),
            installation: Arc::clone(&self.installation),
            identity: IdentityCell::default(),
        };

        let collection = Some(Collection { collector, probe, tasks });

        Ok(PreparedCluster { context, collection })
    }

    fn engine(&self, config: &DockerConfig) -> SharedDocker {
        engine(config, Arc::clone(&self.clock), Arc::clone(&self.installation))
    }
}

/// The brokers of a cluster. Opens no connection.
pub(super) fn wire(config: &ClusterConfig, clock: SharedClock, tasks: Tasks) -> Wire {
    let options = WireOptions {
        bootstrap: config.bootstrap_servers.clone(),
        request_timeout: config.request_timeout,
        client_id: "kafka-optimizer".to_owned(),
        security: config.security.clone(),
    };

    Wire::new(options, clock, tasks)
}

/// The Prometheus of a cluster, if it has one.
pub(super) fn prometheus(
    config: &ClusterConfig,
) -> Result<Option<SharedPrometheus>, PrometheusError> {
    let client = config.prometheus.as_ref().map(|it| {
        HttpPrometheus::with_options(&it.url, it.timeout, it.http.clone())
            .map(|it| Arc::new(it) as SharedPrometheus)
    });

    client.transpose()
}

/// The Docker engine that runs the brokers.
pub(super) fn engine(
    config: &DockerConfig,
    clock: SharedClock,
    installation: Arc<str>,
) -> SharedDocker {
    let socket = config.socket.to_string_lossy();
    Arc::new(Engine::new(socket, DOCKER_TIMEOUT, clock, installation))
}
