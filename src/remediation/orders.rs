//! What people order: runs, decisions about runs, pause and resume, releases. Each order has the
//! name of who gave it, which is written to the journal and to the log (I32).

use tracing::{error, info, warn};

use super::{
    ActiveClusters, OrderError, Remediator,
    context::Context,
    status::{self, QuarantinedTarget},
    transition::transition,
};
use crate::{
    model::{ClusterName, Principal, RunEvent, RunId, RunState, Target, Trigger, WallTime},
    playbook::{Level, OptimizerKind, Playbook},
    store::{
        JournalFilter, JournalLine, NewLine, NewRun, Priority, Release, RunRow, RunUpdate,
        StoreError,
    },
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// May be left out when one cluster is configured.
    pub cluster: Option<ClusterName>,
    pub optimizer: OptimizerKind,
    /// The playbook that judges the run; the first that can if left out.
    pub playbook: Option<String>,
    pub target: Target,
    /// `None` for an optimizer without levels.
    pub level: Option<Level>,
    /// Whether to stop after the rehearsal.
    pub dry_run: bool,
}

impl Order {
    /// The command line as a person types it.
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

/// What to release. Without a playbook, a target and a key: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseOrder {
    /// All clusters if left out; with any of the other fields, the only one.
    pub cluster: Option<ClusterName>,
    /// With `target`: the quarantine of this playbook on that target.
    pub playbook: Option<String>,
    pub target: Option<Target>,
    /// The value that someone else changed, by its key: `num.io.threads`. With a target, of that
    /// broker only.
    pub key: Option<String>,
}

/// What a person decides about one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To carry out the plan with this digest, or the one that the store has.
    Approve {
        plan_digest: Option<String>,
    },
    /// Not to carry out a plan that waits for approval.
    Reject {
        reason: Option<String>,
    },
    /// To end a run that has not started.
    Cancel {
        reason: Option<String>,
    },
    RollBack,
    /// To try again to undo a stuck run.
    Retry,
    /// That a stuck run is repaired.
    Acknowledge,
}

impl Remediator {
    /// Carries out the decision about a run, if the run's state allows it.
    pub async fn decide(
        &self,
        id: RunId,
        decision: Decision,
        by: &Principal,
    ) -> Result<(), OrderError> {
        match decision {
            Decision::Approve { plan_digest } => self.approve(id, plan_digest, by).await,
            Decision::Reject { reason } => self.reject(id, reason, by).await,
            Decision::Cancel { reason } => self.cancel(id, reason, by).await,
            Decision::RollBack => self.roll_back(id, by).await,
            Decision::Retry => self.retry(id, by).await,
            Decision::Acknowledge => self.acknowledge(id, by).await,
        }
    }

    /// Stores a person's order as a run.
    pub async fn order(&self, order: Order, by: &Principal) -> Result<RunId, OrderError> {
        let active = self.active();
        let cluster = active.find_cluster(order.cluster.as_ref())?;
        let playbook = playbook_for(&active, &order)?;
        let new = NewRun {
            cluster: cluster.cluster.name.clone(),
            playbook: playbook.name.clone(),
            optimizer: order.optimizer,
            level: order.level,
            parameters: format!("{:?}", playbook.optimizer.at_level(order.level)),
            cause: order.command(),
            target: order.target,
            trigger: Trigger::Person,
            dry_run: order.dry_run,
            priority: Priority::Normal,
            created: self.shared.clock.wall(),
            by: Some(by.clone()),
        };
        let (command, target) = (new.cause.clone(), new.target.clone());

        let added = self.shared.store.add_run(new, None).await?;
        let (run, _) =
            added.ok_or_else(|| OrderError::Conflict("it is stored already".to_owned()))?;
        info!(%run, %by, command, %target, dry_run = order.dry_run, "Run ordered.");
        self.wake();

        Ok(run)
    }

    /// Requests the rollback of a kept or active run, or that the undo of a stuck one is tried
    /// again.
    pub async fn roll_back(&self, id: RunId, by: &Principal) -> Result<(), OrderError> {
        let run = self.find_run(id).await?;
        if self.active().cluster(&run.cluster).is_none() {
            return Err(OrderError::Conflict(format!(
                "run {id} is of `{}`, which is not configured: configure that cluster again, or \
                 undo the change by hand and acknowledge the run",
                run.cluster
            )));
        }

        match run.state {
            RunState::Kept
            | RunState::Acting
            | RunState::Settling
            | RunState::Observing
            | RunState::Stuck => {
                self.shared.store.request_undo(id, self.shared.clock.wall(), by).await?;
                info!(run = %id, %by, "Rollback ordered.");
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
            | RunState::Cancelled => Err(OrderError::Conflict(format!(
                "run {id} is {}: only a kept, active or stuck run can be rolled back",
                run.state
            ))),
        }
    }

    /// Tries again to undo a stuck run.
    pub async fn retry(&self, id: RunId, by: &Principal) -> Result<(), OrderError> {
        let run = self.find_run(id).await?;
        if run.state != RunState::Stuck {
            return Err(OrderError::Conflict(format!("run {id} is {}, not stuck", run.state)));
        }

        self.roll_back(id, by).await
    }

    /// Approves the plan of a run that waits for it. The guard checks it again before anything is
    /// written. `shown` is the digest of the plan that the person has seen; if the plan has changed
    /// since, it is not approved.
    pub async fn approve(
        &self,
        id: RunId,
        shown: Option<String>,
        by: &Principal,
    ) -> Result<(), OrderError> {
        self.find_awaiting_approval(id).await?;
        if !self.shared.store.approve(id, self.shared.clock.wall(), by, shown).await? {
            let what = format!("run {id} has another plan now: look at it again");
            return Err(OrderError::Conflict(what));
        }

        info!(run = %id, %by, "Run approved.");
        self.wake();

        Ok(())
    }

    /// Ends a run that waits for approval.
    pub async fn reject(
        &self,
        id: RunId,
        reason: Option<String>,
        by: &Principal,
    ) -> Result<(), OrderError> {
        let run = self.find_awaiting_approval(id).await?;
        self.end_waiting(&run, "rejected", reason, by).await
    }

    async fn find_awaiting_approval(&self, id: RunId) -> Result<RunRow, OrderError> {
        let run = self.find_run(id).await?;
        if run.state == RunState::AwaitingApproval {
            return Ok(run);
        }

        Err(OrderError::Conflict(format!("run {id} is {}, not awaiting_approval", run.state)))
    }

    /// Ends a run that has not started.
    pub async fn cancel(
        &self,
        id: RunId,
        reason: Option<String>,
        by: &Principal,
    ) -> Result<(), OrderError> {
        let run = self.find_run(id).await?;

        match run.state {
            RunState::Queued | RunState::Held | RunState::AwaitingApproval => {
                self.end_waiting(&run, "cancelled", reason, by).await
            }
            RunState::Acting | RunState::Settling | RunState::Observing | RunState::Kept => {
                Err(OrderError::Conflict(format!(
                    "run {id} is {}: only a waiting run can be cancelled, roll this one back",
                    run.state
                )))
            }
            RunState::Rehearsed
            | RunState::Expiring
            | RunState::Expired
            | RunState::RollingBack
            | RunState::RolledBack
            | RunState::Stuck
            | RunState::Cancelled => Err(OrderError::Conflict(format!(
                "run {id} is {}: only a waiting run can be cancelled",
                run.state
            ))),
        }
    }

    /// `done` is `cancelled` or `rejected`.
    async fn end_waiting(
        &self,
        run: &RunRow,
        done: &'static str,
        reason: Option<String>,
        by: &Principal,
    ) -> Result<(), OrderError> {
        let reason = reason.filter(|it| !it.is_empty()).map(|it| format!(": {it}"));
        let reason = reason.unwrap_or_default();
        let note = Some(format!("{done} by {by}{reason}"));
        let change = RunUpdate { note, by: Some(by.clone()), ..RunUpdate::default() };

        let active = self.active();
        let moved = if let Some(context) = active.cluster(&run.cluster) {
            transition(context, run, RunEvent::Cancel, change).await
        } else {
            // Its cluster is no longer configured.
            let now = self.shared.clock.wall();
            self.shared.store.move_run(run.id, now, RunEvent::Cancel, change).await
        };

        match moved {
            Ok(_) => info!(run = %run.id, %by, reason, "Run {done}."),
            // The worker was faster.
            Err(StoreError::InvalidTransition { problem, .. }) => {
                return Err(OrderError::Conflict(format!("run {}: {problem}", run.id)));
            }
            Err(error) => return Err(error.into()),
        }

        self.wake();

        Ok(())
    }

    /// Acknowledges a stuck run, so that others of its cluster may start again, or a run of a
    /// cluster that is not configured, so that it no longer counts as orphaned.
    pub async fn acknowledge(&self, id: RunId, by: &Principal) -> Result<(), OrderError> {
        let run = self.find_run(id).await?;
        let is_configured = self.active().cluster(&run.cluster).is_some();

        if run.state != RunState::Stuck && is_configured {
            return Err(OrderError::Conflict(format!("run {id} is {}, not stuck", run.state)));
        }

        self.shared.store.acknowledge(id, self.shared.clock.wall(), by).await?;
        info!(run = %id, %by, "Run acknowledged.");

        self.wake();

        Ok(())
    }

    async fn find_run(&self, id: RunId) -> Result<RunRow, OrderError> {
        let run = self.shared.store.run(id).await?.map(|it| it.run);
        run.ok_or_else(|| OrderError::NotFound(format!("there is no run {id}")))
    }

    /// Releases quarantines and externally changed values. Returns what was released, in words.
    pub async fn release(
        &self,
        order: ReleaseOrder,
        by: &Principal,
    ) -> Result<Vec<String>, OrderError> {
        let ReleaseOrder { cluster, playbook, target, key } = order;
        if key.is_none() && playbook.is_some() != target.is_some() {
            let what = "name both the playbook and the target whose quarantine to release";
            return Err(OrderError::Conflict(what.to_owned()));
        }

        if key.is_some() && playbook.is_some() {
            let what = "a key has no playbook: release the key or the quarantine";
            return Err(OrderError::Conflict(what.to_owned()));
        }

        let is_narrow = target.is_some() || key.is_some();
        let active = self.active();
        let chosen = if is_narrow || cluster.is_some() {
            std::slice::from_ref(active.find_cluster(cluster.as_ref())?)
        } else {
            active.clusters.as_slice()
        };

        let mut released = Vec::new();
        for context in chosen {
            let name = &context.cluster.name;
            let release = Release {
                cluster: name.clone(),
                playbook: playbook.clone(),
                target: target.clone(),
                key: key.clone(),
            };
            let mut words = Vec::new();

            if key.is_none() {
                for QuarantinedTarget { playbook, target } in status::quarantined(context).await? {
                    if release.includes(&playbook, &target) {
                        words.push(format!("{name}: quarantine of {playbook} on {target}"));
                    }
                }
            }

            let keys = self.shared.store.release(release, context.clock.wall(), by).await?;
            words.extend(keys.iter().map(|it| format!("{name}: {it}")));
            info!(cluster = %name, %by, released = words.join(", "), "Released.");
            released.append(&mut words);
        }

        self.wake();

        Ok(released)
    }

    /// Stops new runs; survives a restart, unless the pause file cannot be created.
    pub async fn pause(&self, by: &Principal) -> std::io::Result<()> {
        if let Err(error) = self.shared.pause.set() {
            error!(%error, "Remediation is paused only until this process ends: the pause file cannot be created.");
        }

        self.wake();
        info!(%by, "Remediation paused.");
        self.record(format!("{by} paused remediation"), by).await;

        Ok(())
    }

    pub async fn resume(&self, by: &Principal) -> std::io::Result<()> {
        self.shared.pause.clear()?;
        self.wake();
        info!(%by, "Remediation resumed.");
        self.record(format!("{by} resumed remediation"), by).await;

        Ok(())
    }

    pub fn paused(&self) -> bool {
        self.shared.pause.is_set()
    }

    /// A pause must not depend on the store: an error is only logged.
    pub(super) async fn record(&self, text: String, by: &Principal) {
        let line = NewLine { entry: "order", text, by: Some(by.clone()), ..NewLine::default() };
        if let Err(error) = self.shared.store.record(line, self.now()).await {
            let error = crate::telemetry::chain(&error);
            warn!(error, "The order is carried out, but cannot be written to the journal.");
        }
    }

    pub(super) fn now(&self) -> WallTime {
        self.shared.clock.wall()
    }

    /// Lines of the journal, newest first.
    pub async fn journal(&self, filter: JournalFilter) -> Result<Vec<JournalLine>, StoreError> {
        self.shared.store.journal(filter).await
    }
}

/// The playbook whose objective, guards and windows judge the run.
fn playbook_for<'a>(active: &'a ActiveClusters, order: &Order) -> Result<&'a Playbook, OrderError> {
    let kind = order.optimizer;
    let playbooks = &active.remediation.playbooks;

    if let Some(name) = &order.playbook
        && !playbooks.iter().any(|it| it.name == *name && it.optimizer.kind() == kind)
    {
        let what = format!("no playbook with the optimizer `{kind}` has the name `{name}`");
        return Err(OrderError::Conflict(what));
    }

    let mut fitting = playbooks
        .iter()
        .filter(|it| it.optimizer.kind() == kind)
        .filter(|it| order.playbook.as_ref().is_none_or(|name| it.name == *name))
        .peekable();
    if fitting.peek().is_none() {
        return Err(OrderError::Conflict(format!(
            "no playbook has the optimizer `{kind}`: configure one, its objective judges the run"
        )));
    }

    // With a canary, the expressions are about that broker.
    let can_judge = |it: &&Playbook| {
        order.target.broker().is_some() || it.has_canary() || !it.needs("broker_id")
    };

    fitting.find(can_judge).ok_or_else(|| {
        OrderError::Conflict(format!(
            "every playbook with the optimizer `{kind}` judges one broker: name one with \
             `--broker`, or configure a playbook without $broker_id"
        ))
    })
}

/// Writes to the journal and to the log that someone made or removed the pause file by hand.
pub(super) async fn note_pause_by_hand(context: &Context) -> Result<(), StoreError> {
    let Some(paused) = context.pause.changed_by_hand() else { return Ok(()) };
    let by = Principal::new("pause file");
    let text = if paused {
        "the pause file was made: remediation is paused"
    } else {
        "the pause file was removed: remediation is resumed"
    };
    info!(%by, "{text}");
    let line =
        NewLine { entry: "order", text: text.to_owned(), by: Some(by), ..NewLine::default() };

    context.store.record(line, context.now()).await
}
