//! The remediation pipeline: intake → guard → plan → rehearse → execute → verify → keep or roll
//! back.
//!
//! [`Remediator`] is the handle that `http` and `cli` hold; [`Remediator::start`] starts a worker for
//! each cluster. The stages in the order a run meets them: `schedule`, `guard`, `reconcile` (`execute`,
//! `watch`, `verdict`, `undo`).
//!
//! Invariant: nothing here runs inside a request; a request stores and wakes a worker (I3).
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod approval;
mod change;
mod context;
mod evidence;
mod execute;
mod guard;
mod hold;
mod reconcile;
mod schedule;
mod temporary;
mod transition;
mod undo;
mod verdict;
mod view;
mod watch;
mod worker;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use context::{Context, PauseFile};

use crate::{
    alert::{Alert, Notification},
    clock::SharedClock,
    config::RemediationConfig,
    model::{AlertOutcome, ClusterName, RunId, RunState, Target, Trigger},
    playbook::{Level, OptimizerKind, Playbook},
    shutdown::Tasks,
    store::{
        Answered, Extent, NewRun, Routed, RunDetail, RunRow, Store, StoreError, TakenAlerts,
        Urgency,
    },
    telemetry::Telemetry,
};

/// A person's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The cluster; may be left out when there is one.
    pub cluster: Option<ClusterName>,
    pub optimizer: OptimizerKind,
    pub target: Target,
    /// How far, for an optimizer with levels.
    pub level: Option<Level>,
    /// Whether to stop after the rehearsal.
    pub extent: Extent,
}

impl Order {
    /// The command, as a person types it.
    fn command(&self) -> String {
        let command = match self.optimizer {
            OptimizerKind::TuneBrokers => "tune-brokers",
            OptimizerKind::Reapply => "reapply",
            OptimizerKind::ElectLeaders => "elect-leaders",
            OptimizerKind::ShedLoad => "shed-load",
            OptimizerKind::ScaleConsumers => "scale-consumers",
        };
        self.level.map_or_else(|| command.to_owned(), |it| format!("{command} --level {it}"))
    }
}

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The store cannot be written; try again.
    #[error("the state cannot be written")]
    Store(#[from] StoreError),
    /// There is no such run, cluster or playbook.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done now, or not to this run.
    #[error("{0}")]
    Conflict(String),
}

/// What all requests and workers share.
struct Shared {
    remediation: Arc<RemediationConfig>,
    clock: SharedClock,
    store: Store,
    telemetry: Arc<Telemetry>,
    pause: PauseFile,
    clusters: Vec<Context>,
}

/// The handle of the pipeline. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seams have none")]
pub struct Remediator {
    shared: Arc<Shared>,
}

impl Remediator {
    /// The pipeline over `clusters`, which share one store, one clock and one configuration.
    ///
    /// # Errors
    ///
    /// When there is no cluster.
    pub fn new(clusters: Vec<Context>) -> Result<Self, NoCluster> {
        let first = clusters.first().ok_or(NoCluster)?.clone();
        let shared = Shared {
            remediation: first.remediation,
            clock: first.clock,
            store: first.store,
            telemetry: first.telemetry,
            pause: first.pause,
            clusters,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts a worker for each cluster.
    pub fn start(&self, tasks: &Tasks) {
        for cluster in &self.shared.clusters {
            tasks.start("remediation", |stop| worker::run(cluster.clone(), stop));
        }
    }

    /// The work of one cluster's worker until `stop`, for who runs it on a task of their own: the
    /// simulated world, which drops it wherever a process could end. Ends at once when there is no
    /// such cluster. Never run two of a cluster at a time (I10).
    pub async fn work(&self, cluster: &ClusterName, stop: CancellationToken) {
        let found = self.shared.clusters.iter().find(|it| it.cluster.name == *cluster);
        if let Some(cluster) = found {
            worker::run(cluster.clone(), stop).await;
        }
    }

    /// Makes a notification durable: episodes opened, repeated, closed, in one transaction (I2).
    ///
    /// # Errors
    ///
    /// When it could not be stored. Then nothing of it was.
    pub async fn take(&self, notification: Notification) -> Result<TakenAlerts, StoreError> {
        let shared = &self.shared;
        let mut invalid = u64::try_from(notification.faults.len()).unwrap_or(u64::MAX);
        let mut routed = Vec::with_capacity(notification.alerts.len());
        for alert in notification.alerts {
            match self.route(alert) {
                Some(it) => routed.push(it),
                None => invalid = invalid.saturating_add(1),
            }
        }
        let started = shared.clock.monotonic();
        let mut taken = shared.store.take_alerts(routed, shared.clock.wall()).await?;
        shared.telemetry.store_written(shared.clock.monotonic().0.saturating_sub(started.0));
        if 0 < invalid {
            taken.insert(AlertOutcome::Invalid, invalid);
        }
        for (&outcome, &count) in &taken {
            shared.telemetry.alerts_taken(outcome, count);
        }
        if 0 < notification.truncated {
            shared.telemetry.truncated_alerts(notification.truncated);
        }
        self.wake();
        Ok(taken)
    }

    /// The alert's cluster, and whether a playbook answers it. An alert of no known cluster is
    /// nobody's.
    fn route(&self, alert: Alert) -> Option<Routed> {
        let named = alert.label("kafka_cluster")?;
        let cluster = self.shared.clusters.iter().find(|it| it.cluster.name.as_str() == named)?;
        let playbooks = &self.shared.remediation.playbooks;
        let answered = playbooks.iter().any(|it| it.matches.answers(&alert.labels));
        Some(Routed {
            cluster: cluster.cluster.name.clone(),
            answered: if answered { Answered::Yes } else { Answered::No },
            alert,
        })
    }

    fn wake(&self) {
        for cluster in &self.shared.clusters {
            cluster.wake.notify_one();
        }
    }

    /// The latest runs, newest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        self.shared.store.runs(limit).await
    }

    /// One run with all that is known of it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.shared.store.run(id).await
    }

    /// Stores a person's order as a run.
    ///
    /// # Errors
    ///
    /// See [`OrderError`].
    pub async fn order(&self, order: Order) -> Result<RunId, OrderError> {
        let cluster = self.named(order.cluster.as_ref())?;
        let playbook = self.playbook_for(&order)?;
        let new = NewRun {
            cluster: cluster.cluster.name.clone(),
            playbook: playbook.name.clone(),
            optimizer: order.optimizer,
            level: order.level,
            cause: order.command(),
            target: order.target,
            trigger: Trigger::Person,
            extent: order.extent,
            urgency: Urgency::Usual,
            created: self.shared.clock.wall(),
        };
        let added = self.shared.store.add_run(new, None).await?;
        self.wake();
        added
            .map(|(run, _)| run)
            .ok_or_else(|| OrderError::Conflict("it is stored already".to_owned()))
    }

    /// The playbook whose objective, guards and windows prove an order's effect.
    fn playbook_for(&self, order: &Order) -> Result<&Playbook, OrderError> {
        let kind = order.optimizer;
        let playbooks = self.shared.remediation.playbooks.iter();
        let mut fitting = playbooks.filter(|it| it.optimizer.kind() == kind).peekable();
        if fitting.peek().is_none() {
            return Err(OrderError::Conflict(format!(
                "no playbook has `{kind}`: its objective is what proves the effect; configure one"
            )));
        }
        // A canary stands for the brokers of its cluster.
        let judges = |it: &&Playbook| {
            order.target.broker().is_some() || it.has_canary() || !it.needs("broker_id")
        };
        fitting.find(judges).ok_or_else(|| {
            OrderError::Conflict(format!(
                "every playbook with `{kind}` judges one broker: name one with `--broker`, or \
                 configure a playbook without $broker_id"
            ))
        })
    }

    fn named(&self, name: Option<&ClusterName>) -> Result<&Context, OrderError> {
        let clusters = &self.shared.clusters;
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

    /// Asks for a kept or active run to be undone.
    ///
    /// # Errors
    ///
    /// See [`OrderError`].
    pub async fn roll_back(&self, id: RunId) -> Result<(), OrderError> {
        let run = self.existing(id).await?;
        match run.state {
            RunState::Kept | RunState::Acting | RunState::Settling | RunState::Observing => {
                self.shared.store.request_undo(id, self.shared.clock.wall()).await?;
                self.wake();
                Ok(())
            }
            RunState::Queued
            | RunState::Held
            | RunState::AwaitingApproval
            | RunState::Rehearsed
            | RunState::Expiring
            | RunState::Expired
            | RunState::RollingBack
            | RunState::RolledBack
            | RunState::Stuck
            | RunState::Cancelled => Err(OrderError::Conflict(format!(
                "run {id} is {}: only a run that is kept or under way can be undone",
                run.state
            ))),
        }
    }

    /// Approves a run that waits for it. The guard is asked again before anything is written.
    ///
    /// # Errors
    ///
    /// See [`OrderError`].
    pub async fn approve(&self, id: RunId) -> Result<(), OrderError> {
        let run = self.existing(id).await?;
        if run.state != RunState::AwaitingApproval {
            return Err(OrderError::Conflict(format!(
                "run {id} is {}, not awaiting_approval",
                run.state
            )));
        }
        self.shared.store.approve(id, self.shared.clock.wall()).await?;
        self.wake();
        Ok(())
    }

    /// The measures that are in force, oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        self.shared.store.temporary_changes().await
    }

    /// Says that a person has seen a stuck run, so that others may start again.
    ///
    /// # Errors
    ///
    /// See [`OrderError`].
    pub async fn acknowledge(&self, id: RunId) -> Result<(), OrderError> {
        let run = self.existing(id).await?;
        if run.state != RunState::Stuck {
            return Err(OrderError::Conflict(format!("run {id} is {}, not stuck", run.state)));
        }
        self.shared.store.acknowledge(id, self.shared.clock.wall()).await?;
        self.wake();
        Ok(())
    }

    async fn existing(&self, id: RunId) -> Result<RunRow, OrderError> {
        let run = self.shared.store.run(id).await?.map(|it| it.run);
        run.ok_or_else(|| OrderError::NotFound(format!("there is no run {id}")))
    }

    /// Lifts the quarantines and the marks of externally changed keys of a cluster (or of all).
    /// Returns what was released, in words.
    ///
    /// # Errors
    ///
    /// See [`OrderError`].
    pub async fn release(&self, cluster: Option<ClusterName>) -> Result<Vec<String>, OrderError> {
        let chosen = match &cluster {
            Some(name) => std::slice::from_ref(self.named(Some(name))?),
            None => self.shared.clusters.as_slice(),
        };
        let mut released = Vec::new();
        for it in chosen {
            let name = &it.cluster.name;
            for (subject, key) in self.shared.store.release(name, it.clock.wall()).await? {
                released.push(format!("{name}: {key} of {subject}"));
            }
            released.push(format!("{name}: quarantines"));
        }
        self.wake();
        Ok(released)
    }

    /// Stops new runs; survives a restart.
    ///
    /// # Errors
    ///
    /// When the pause file cannot be written.
    pub fn pause(&self) -> std::io::Result<()> {
        self.shared.pause.set()?;
        self.wake();
        Ok(())
    }

    /// Lets runs start again.
    ///
    /// # Errors
    ///
    /// When the pause file cannot be removed.
    pub fn resume(&self) -> std::io::Result<()> {
        self.shared.pause.clear()?;
        self.wake();
        Ok(())
    }

    /// Whether the pause file is there.
    pub fn paused(&self) -> bool {
        self.shared.pause.is_set()
    }
}

/// A pipeline without a cluster makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no cluster is configured")]
pub struct NoCluster;
