//! The guard: checks whether a run may start now. Every hold has a [`HoldReason`] and the value
//! that decided.
//!
//! Checks are made in the order of their cost: the pause, the store, Prometheus, the brokers. The
//! last one is the rehearsal (dry run) on the target brokers themselves, so that they have just
//! validated a plan when it is executed (I19).

pub(super) mod actor;
pub(super) mod availability;
pub(super) mod group;
mod health;
mod limits;
mod planning;

pub(super) use limits::is_quarantined;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    approval,
    breach::Breach,
    change::{self, Direction},
    context::Context,
    evidence::{self, Baseline},
    firing::Firing,
    hold::Hold,
    observation::Expressions,
};
use crate::{
    model::{
        BrokerId, HoldReason, MinInsync, Mode, RequestOutcome, RunId, Target, TopicName, Topology,
        Trigger, WriteMode,
    },
    optimizers::Plan,
    playbook::{Optimizer, Playbook, Rollout},
    store::{Measurement, RunDetail, RunRow, StepProgress, StepRow, StepState},
    telemetry::chain,
};

/// Permission to write one wave of steps. Every forward write takes one, and only the guard gives
/// one, in the mode in force at that moment (I41).
#[derive(Debug)]
pub(super) struct Permit {
    /// The wave that the brokers have just validated.
    validated: Option<u32>,
}

impl Permit {
    /// Whether the brokers have validated the step when the permit was given.
    pub(super) fn covers(&self, step: &StepRow) -> bool {
        self.validated == Some(step.wave)
    }
}

/// What a run needs to start: its rehearsed plan, and its baseline.
#[derive(Debug)]
pub(super) struct Cleared {
    pub(super) steps: Vec<StepRow>,
    pub(super) remarks: Vec<String>,
    pub(super) measured: Measurement,
    /// For the first wave; `None` while an approval is missing, and for a run that ends with its
    /// rehearsal.
    pub(super) permit: Option<Permit>,
}

/// Makes all checks, and plans.
///
/// # Errors
///
/// Why the run is held.
pub(super) async fn check(context: &Context, run: &RunRow) -> Result<Cleared, Hold> {
    let playbook = playbook(context, run)?;

    let mut holds = Holds { is_preview: run.dry_run, remarks: Vec::new() };

    holds.pass(limits::check(context, run, playbook).await)?;
    holds.pass(actor::check(context))?;
    holds.pass(limits::check_no_overlap(context, playbook.windows.baseline).await)?;
    holds.pass(health::check_snapshot(context))?;

    let canary = canary(context, run, playbook);
    let values = context.values(&run.target, canary);
    let expressions = Expressions::of(context, playbook, &run.target, &values)?;

    holds.pass(check_confirmed(context, run, playbook, &expressions).await)?;
    holds.pass(evidence::check_fresh(context, expressions.inputs()).await)?;

    let topology = context.kafka.topology().await?;
    holds.pass(health::check_cluster(context, run, playbook.optimizer.kind(), &topology).await)?;

    let plan = planning::plan(context, run, playbook, &topology, canary).await?;
    let steps = rows(context, run.id, &plan);

    rehearse(context, first_waves(&steps)).await?;

    let baseline = holds.pass(evidence::baseline(context, &expressions).await)?;
    let Baseline { measured, remarks } = baseline.unwrap_or_default();
    let measured = Measurement { canary: canary.map(BrokerId::to_wire), ..measured };

    let may_act = !ends_rehearsed(context, run) && !approval::is_missing(context, run, &steps);
    let permit = may_act.then_some(Permit { validated: Some(0) });

    Ok(Cleared {
        steps,
        remarks: [holds.remarks, plan.remarks, remarks].concat(),
        measured,
        permit,
    })
}

/// What holds a run. A dry run changes nothing, and a person wants its plan most when the real run
/// would be held: there the hold is a remark.
struct Holds {
    is_preview: bool,
    remarks: Vec<String>,
}

impl Holds {
    /// `None` if the check did not pass and the run goes on without it.
    fn pass<T>(&mut self, checked: Result<T, Hold>) -> Result<Option<T>, Hold> {
        match checked {
            Ok(passed) => Ok(Some(passed)),
            Err(Hold { reason, detail }) if self.is_preview => {
                self.remarks.push(format!("would be held ({reason}): {detail}"));
                Ok(None)
            }
            Err(hold) => Err(hold),
        }
    }
}

/// Whether the run ends when its plan is rehearsed: a dry run, or a mode that may not act.
pub(super) fn ends_rehearsed(context: &Context, run: &RunRow) -> bool {
    context.remediation.mode != Mode::Act || run.dry_run
}

/// Checks that a run may write the next wave of the stage that it has begun.
///
/// # Errors
///
/// Why it has to stop.
pub(super) fn go_on(context: &Context) -> Result<Permit, Hold> {
    check_mode(context)?;
    actor::check(context)?;
    limits::check_not_stopped(context)?;

    Ok(Permit { validated: None })
}

/// Checks that a run may go on from its canary to the other brokers: the cluster and the mode may
/// have changed since the canary was written. Its alert is not confirmed again, since the canary
/// may have cured it.
///
/// # Errors
///
/// Why it may not, for now.
pub(super) async fn widen(context: &Context, detail: &RunDetail) -> Result<Permit, Hold> {
    if Breach::I41GateIsPassedBy.is_played() {
        return Ok(Permit { validated: None });
    }

    check_mode(context)?;
    actor::check(context)?;
    limits::check_not_stopped(context)?;
    limits::check_none_stuck(context, &detail.run).await?;
    health::check_snapshot(context)?;

    let run = &detail.run;
    let playbook = playbook(context, run)?;
    let topology = context.kafka.topology().await?;
    health::check_cluster(context, run, playbook.optimizer.kind(), &topology).await?;

    let planned = || detail.steps.iter().filter(|it| it.state == StepState::Planned);
    let first = planned().map(|it| it.wave).min();
    rehearse(context, planned().filter(|it| Some(it.wave) == first)).await?;

    Ok(Permit { validated: first })
}

fn check_mode(context: &Context) -> Result<(), Hold> {
    let mode = context.remediation.mode;
    Hold::unless(mode == Mode::Act, HoldReason::NotActing, || {
        format!("remediation.mode is `{mode}` now")
    })
}

/// Checks what must hold before another run is ended for this one: it would start at once, as far
/// as can be told before the other one is undone. It has a plan, Prometheus confirms its alert, and
/// it needs no approval.
pub(super) async fn may_preempt(context: &Context, run: &RunRow) -> Result<(), Hold> {
    let playbook = playbook(context, run)?;
    limits::check(context, run, playbook).await?;
    let canary = canary(context, run, playbook);
    let values = context.values(&run.target, canary);
    let expressions = Expressions::of(context, playbook, &run.target, &values)?;

    check_confirmed(context, run, playbook, &expressions).await?;

    let topology = context.kafka.topology().await?;
    health::check_cluster(context, run, playbook.optimizer.kind(), &topology).await?;
    let plan = planning::plan(context, run, playbook, &topology, canary).await?;

    let steps = rows(context, run.id, &plan);

    Hold::unless(!approval::is_missing(context, run, &steps), HoldReason::NotConfirmed, || {
        "a person has to approve it".to_owned()
    })
}

fn playbook<'a>(context: &'a Context, run: &RunRow) -> Result<&'a Playbook, Hold> {
    context.playbook(run).ok_or_else(|| {
        let detail = format!("the playbook `{}` is no longer configured", run.playbook);
        Hold::new(HoldReason::Unplannable, detail)
    })
}

/// Checks that the alert fires in Prometheus too, and that the playbook's `when` holds (I34). A
/// person's order needs no alert, but the condition.
async fn check_confirmed(
    context: &Context,
    run: &RunRow,
    playbook: &Playbook,
    expressions: &Expressions,
) -> Result<(), Hold> {
    let prometheus = evidence::prometheus(context)?;
    if run.trigger == Trigger::Alert {
        Firing::query_for(context, [playbook]).await.confirms(playbook, &run.target)?;
    }

    if let Some(when) = &expressions.when {
        let series = prometheus.instant(when).await?;
        Hold::unless(!series.is_empty(), HoldReason::NotConfirmed, || {
            format!("the playbook's condition `{when}` does not hold")
        })?;
    }

    Ok(())
}

/// The broker that is changed first, if the playbook asks for a canary.
fn canary(context: &Context, run: &RunRow, playbook: &Playbook) -> Option<BrokerId> {
    let Optimizer::TuneBrokers(parameters) = &playbook.optimizer else { return None };
    if run.target != Target::Cluster || parameters.rollout != Rollout::Canary {
        return None;
    }

    let latest = context.latest.borrow().clone();
    let brokers = latest.iter().flat_map(|it| &it.topology).flat_map(|it| &it.value.brokers);

    brokers.map(|it| it.id).min()
}

/// The brokers that a run may change: its target, or all.
fn targets(run: &RunRow, topology: &Topology) -> Vec<BrokerId> {
    let only = run.target.broker();
    let live = topology.brokers.iter().map(|it| it.id);
    live.filter(|it| only.is_none_or(|only| only == *it)).collect()
}

/// The steps of the first wave of each stage: what is effective now decides whether a broker
/// accepts them. A later one cannot be validated before the one in front of it is effective (I19).
fn first_waves(steps: &[StepRow]) -> impl Iterator<Item = &StepRow> {
    let first = |stage| steps.iter().filter(|it| it.stage == stage).map(|it| it.wave).min();
    steps.iter().filter(move |it| Some(it.wave) == first(it.stage))
}

/// Sends steps with `validate_only`: the brokers run their real checks.
async fn rehearse<'a>(
    context: &Context,
    steps: impl Iterator<Item = &'a StepRow>,
) -> Result<(), Hold> {
    let writes = Breach::I19DryRunWrites.is_played();
    let mode = if writes { WriteMode::Write } else { WriteMode::ValidateOnly };
    let requests = steps.map(|it| change::apply(context, it, Direction::Desired, mode));

    match try_join_all(requests).await {
        Ok(_) => Ok(()),
        Err(error) if error.outcome() == RequestOutcome::Refused => {
            Err(Hold::new(HoldReason::RehearsalRefused, chain(&error)))
        }
        Err(error) => Err(error.into()),
    }
}

fn rows(context: &Context, run: RunId, plan: &Plan) -> Vec<StepRow> {
    let now = context.now();
    let rows = (0..).zip(&plan.steps).map(|(index, step)| StepRow {
        run,
        index,
        stage: step.stage,
        wave: step.wave,
        change: step.change.clone(),
        state: StepState::Planned,
        at: now,
        progress: StepProgress::default(),
    });

    rows.collect()
}

/// Current `min.insync.replicas` of every topic with a replica on one of `brokers`. A topic that
/// cannot be read has the reason, and a deleted one is left out: both fail the availability check.
pub(super) async fn minimums(
    context: &Context,
    topology: &Topology,
    brokers: &[BrokerId],
) -> Result<BTreeMap<TopicName, MinInsync>, Hold> {
    let topics = topology.topics.iter().filter(|topic| {
        let mut replicas = topic.partitions.iter().flat_map(|it| &it.replicas);
        replicas.any(|it| brokers.contains(it))
    });
    let names: Vec<TopicName> = topics.map(|it| it.name.clone()).collect();

    Ok(context.kafka.min_insync_replicas(&names).await?.into_iter().collect())
}
