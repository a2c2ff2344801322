//! The remediation pipeline: intake → guard → plan → rehearse → execute → verify → keep or roll
//! back.
//!
//! [`Remediator`] is the handle for `http`; [`Remediator::start`] starts the worker of a cluster.
//! The stages in the order of a run: `schedule`, `guard`, `reconcile` (`execute`, `watch`,
//! `interim`, `undo`). `change` observes and applies what a step changes.
//!
//! Invariant: nothing here runs inside a request; a request stores and wakes a worker (I3).
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod approval;
mod baselines;
mod bins;
mod breach;
mod change;
mod context;
mod evidence;
mod execute;
mod firing;
mod guard;
mod hold;
mod identity;
mod interim;
mod observation;
mod orders;
mod orphans;
mod queue;
mod reconcile;
mod replay;
mod schedule;
mod status;
mod temporary;
mod transition;
mod undo;
mod view;
mod watch;
mod worker;

use std::sync::Arc;

use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use baselines::{BaselineOrder, BaselineRequest, ComparedBaseline};
pub use context::{Context, IdentityCell, PauseFile};
pub use orders::{Decision, Order, ReleaseOrder};
pub use replay::{Replay, ReplayError, Replayed};
pub use status::{ClusterRemediation, QuarantinedTarget, RemediationStatus};

use crate::{
    alert::{Alert, AlertFault, Faults, Notification, UnusableAlert},
    clock::SharedClock,
    config::RemediationConfig,
    model::{AlertOutcome, ClusterName, RunId},
    shutdown::Tasks,
    store::{
        AlertCounts, RoutedAlert, RunDetail, RunRow, Store, StoreError, StoredAlerts, VaryingLabels,
    },
    telemetry::Telemetry,
    verdict::VerdictCase,
};

/// Why an order was refused.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The store cannot be written. The order may be repeated.
    #[error("the state cannot be written")]
    Store(#[from] StoreError),
    /// There is no such run or cluster.
    #[error("{0}")]
    NotFound(String),
    /// The state of the run, or the configuration, does not allow it.
    #[error("{0}")]
    Conflict(String),
}

/// What became of a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Number of alerts by outcome.
    pub counts: AlertCounts,
    /// The alerts that cannot be used.
    pub faults: Faults,
}

struct Shared {
    clock: SharedClock,
    store: Store,
    telemetry: Arc<Telemetry>,
    pause: PauseFile,
    active: Sender<Arc<ActiveClusters>>,
}

/// The configuration in force: one pointer, which a reload replaces.
struct ActiveClusters {
    remediation: Arc<RemediationConfig>,
    clusters: Vec<Context>,
}

impl ActiveClusters {
    fn new(clusters: Vec<Context>) -> Result<Arc<Self>, NoCluster> {
        let first = clusters.first().ok_or(NoCluster)?;
        Ok(Arc::new(Self { remediation: Arc::clone(&first.remediation), clusters }))
    }

    /// Finds the alert's cluster, and the playbooks that match it.
    fn route(&self, alert: Alert) -> Result<RoutedAlert, UnusableAlert> {
        let clusters = &self.clusters;
        let known = || {
            let names = clusters.iter().map(|it| it.cluster.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let context = match (alert.label("kafka_cluster"), clusters.as_slice()) {
            (Some(name), all) => {
                let found = all.iter().find(|it| it.cluster.name.as_str() == name);
                found.ok_or_else(|| AlertFault::UnknownCluster {
                    found: name.to_owned(),
                    known: known(),
                })
            }
            (None, [only]) => Ok(only),
            (None, _) => Err(AlertFault::NoCluster { known: known() }),
        };
        let playbooks = &self.remediation.playbooks;

        match context {
            Ok(context) => Ok(RoutedAlert {
                cluster: context.cluster.name.clone(),
                subjects: schedule::subjects(playbooks, &alert.labels),
                alert,
            }),
            Err(fault) => Err(UnusableAlert {
                position: alert.position,
                name: alert.labels.get("alertname").cloned(),
                fingerprint: Some(alert.fingerprint),
                fault,
            }),
        }
    }

    /// The context of a cluster; `None` if it is not configured.
    fn cluster(&self, name: &ClusterName) -> Option<&Context> {
        self.clusters.iter().find(|it| it.cluster.name == *name)
    }

    /// The named cluster, or the only one.
    fn find_cluster(&self, name: Option<&ClusterName>) -> Result<&Context, OrderError> {
        let clusters = &self.clusters;

        match (name, clusters.as_slice()) {
            (Some(name), all) => all
                .iter()
                .find(|it| it.cluster.name == *name)
                .ok_or_else(|| OrderError::NotFound(format!("there is no cluster `{name}`"))),
            (None, [one]) => Ok(one),
            (None, all) => {
                let names: Vec<&str> = all.iter().map(|it| it.cluster.name.as_str()).collect();
                Err(OrderError::Conflict(format!("name one of the clusters: {}", names.join(", "))))
            }
        }
    }
}

/// Handle of the pipeline. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seams have none")]
pub struct Remediator {
    shared: Arc<Shared>,
}

impl Remediator {
    /// The clusters share one store, one clock and one configuration.
    pub fn new(clusters: Vec<Context>) -> Result<Self, NoCluster> {
        let first = clusters.first().ok_or(NoCluster)?.clone();
        let shared = Shared {
            clock: first.clock,
            store: first.store,
            telemetry: first.telemetry,
            pause: first.pause,
            active: Sender::new(ActiveClusters::new(clusters)?),
        };

        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts the worker of a cluster, which uses the configuration in force at each pass.
    pub fn start(&self, cluster: ClusterName, tasks: &Tasks) {
        let active = self.shared.active.subscribe();
        tasks.start("remediation", |stop| async move {
            worker::run(active.clone(), cluster.clone(), stop).await;

            // The step in hand has ended: another process may act.
            let context = active.borrow().cluster(&cluster).cloned();
            if let Some(context) = context {
                context.kafka.resign().await;
            }
        });
    }

    /// Starts to count the runs of clusters that are not configured.
    pub fn watch_orphans(&self, tasks: &Tasks) {
        let shared = Arc::clone(&self.shared);
        tasks.start("orphaned runs", |stop| async move {
            orphans::watch(&shared.store, &shared.clock, &shared.telemetry, stop).await;
        });
    }

    /// Replaces the configuration. Runs go on with it at the next pass of their worker; the caller
    /// starts the workers of new clusters and stops those of removed ones.
    pub fn replace(&self, clusters: Vec<Context>) -> Result<(), NoCluster> {
        let previous = self.shared.active.send_replace(ActiveClusters::new(clusters)?);

        // Workers still wait with the contexts that they have.
        for cluster in &previous.clusters {
            cluster.wake.notify_one();
        }

        Ok(())
    }

    fn active(&self) -> Arc<ActiveClusters> {
        Arc::clone(&self.shared.active.borrow())
    }

    /// Runs one cluster's worker until `stop`, on the caller's task: the simulated world drops it
    /// wherever a process could end. Returns at once if there is no such cluster. Never run two
    /// workers of a cluster at the same time (I10).
    pub async fn work(&self, cluster: &ClusterName, stop: CancellationToken) {
        if self.active().cluster(cluster).is_some() {
            worker::run(self.shared.active.subscribe(), cluster.clone(), stop).await;
        }
    }

    /// Stores a notification: opens, repeats and closes episodes in one transaction (I2).
    pub async fn take(&self, notification: Notification) -> Result<Taken, StoreError> {
        let shared = &self.shared;
        let active = self.active();
        let Notification { alerts, mut faults, truncated } = notification;
        let mut routed = Vec::with_capacity(alerts.len());

        for alert in alerts {
            match active.route(alert) {
                Ok(it) => routed.push(it),
                Err(unusable) => faults.push(unusable),
            }
        }

        let started = shared.clock.monotonic();
        let taken = shared.store.take_alerts(routed, shared.clock.wall()).await;
        shared.telemetry.store_used(shared.store.is_usable());
        let StoredAlerts { mut counts, varying } = taken?;
        shared.telemetry.store_written(shared.clock.monotonic().0.saturating_sub(started.0));

        if faults.count > 0 {
            counts.insert(AlertOutcome::Invalid, faults.count);
        }

        for (&outcome, &count) in &counts {
            shared.telemetry.alerts_taken(outcome, count);
        }

        for unusable in &faults.first {
            warn!(%unusable, "Alert cannot be used.");
        }

        for VaryingLabels { cluster, subject, labels } in &varying {
            shared.telemetry.labels_vary(cluster, &subject.playbook, labels);
        }

        if truncated > 0 {
            shared.telemetry.truncated_alerts(truncated);
        }

        self.wake();

        Ok(Taken { counts, faults })
    }

    fn wake(&self) {
        for cluster in &self.active().clusters {
            cluster.wake.notify_one();
        }
    }

    /// One run with its steps, measurement and journal.
    pub async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.shared.store.run(id).await
    }

    /// What the verdict on a run depended on, as [`Store::case`].
    pub async fn case(&self, id: RunId) -> Result<Option<VerdictCase>, StoreError> {
        self.shared.store.case(id).await
    }

    /// The temporary changes that are in effect, oldest first.
    pub async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        self.shared.store.temporary_changes().await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no cluster is configured")]
pub struct NoCluster;
