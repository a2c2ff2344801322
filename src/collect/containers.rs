//! What the brokers' containers use: one request to the Docker engine per interval. An engine takes
//! about a second to answer, so this runs beside the rounds, which publish the latest answer.
//!
//! Publishes `containers`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    Collect, RoundPlan,
    cached::{Cached, Timestamps},
};
use crate::{
    clock::SharedClock,
    docker::SharedDocker,
    model::{ClusterName, ContainerUsage, ReadFailure},
    snapshot::{Section, Snapshot},
    telemetry::{CollectorDone, CollectorName, Telemetry},
};

/// Ten times what an engine takes.
const DEADLINE: Duration = Duration::from_secs(10);

type CachedUsage = Option<Cached<Section<Vec<ContainerUsage>>>>;

/// The latest answer, for the rounds.
#[derive(Debug)]
pub(super) struct LatestUsage {
    cadence: Duration,
    usage: watch::Receiver<CachedUsage>,
}

impl Collect for LatestUsage {
    fn plan(&mut self, _plan: &mut RoundPlan<'_>) {
        // `ContainersCollector` asks by itself.
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        let usage = self.usage.borrow();
        snapshot.containers = usage.as_ref().and_then(|it| it.fresh(now, self.cadence));
    }
}

pub(super) struct ContainersCollector {
    docker: SharedDocker,
    cluster: ClusterName,
    clock: SharedClock,
    telemetry: Arc<Telemetry>,
    interval: Duration,
    usage: watch::Sender<CachedUsage>,
}

/// What reads the containers, if there is an engine, and what the rounds publish of it.
pub(super) fn channel(
    docker: Option<SharedDocker>,
    cluster: ClusterName,
    interval: Duration,
    clock: SharedClock,
    telemetry: Arc<Telemetry>,
) -> (Option<ContainersCollector>, LatestUsage) {
    let (sender, receiver) = watch::channel(None);
    let collector = docker.map(|docker| ContainersCollector {
        docker,
        cluster,
        clock,
        telemetry,
        interval,
        usage: sender,
    });

    (collector, LatestUsage { cadence: interval, usage: receiver })
}

impl ContainersCollector {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        loop {
            let began = Timestamps::now(&self.clock);
            // The failure is counted and logged already.
            drop(self.round(began).await);
            let took = Timestamps::now(&self.clock).since(began.monotonic);
            self.clock.sleep(self.interval.saturating_sub(took)).await;
        }
    }

    /// Returns why the engine could not be asked, if it could not.
    pub(super) async fn round(&self, began: Timestamps) -> Option<String> {
        let read = tokio::select! {
            read = self.docker.broker_usage(self.cluster.as_str()) => {
                read.map_err(|error| (ReadFailure::Refused, error.to_string()))
            }
            () = self.clock.sleep(DEADLINE) => {
                Err((ReadFailure::Timeout, format!("no answer within {DEADLINE:?}")))
            }
        };

        let ended = Timestamps::now(&self.clock);
        let (failure, unknown) = match read {
            Ok(answers) => {
                let mut unknown = BTreeMap::new();
                let mut found = Vec::with_capacity(answers.len());

                for answer in answers {
                    match answer {
                        Ok(usage) => found.push(usage),
                        Err(error) => *unknown.entry(error.failure()).or_insert(0) += 1,
                    }
                }

                found.sort_by_key(|it: &ContainerUsage| it.broker);

                // Two containers with the label of one broker would be two samples of one series.
                found.dedup_by_key(|it| it.broker);
                self.usage.send_replace(Some(Cached::section(found, ended)));
                (None, unknown)
            }
            Err((failure, message)) => (Some(message), BTreeMap::from([(failure, 1)])),
        };

        let collector = CollectorName::Containers;
        let took = ended.since(began.monotonic);
        let at = ended.wall;
        let done = CollectorDone { collector, failure: failure.clone(), took, at, unknown };
        self.telemetry.collector_done(&self.cluster, done);

        failure
    }
}
