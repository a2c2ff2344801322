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

pub(super) use limits::QUARANTINE_AFTER;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    breach::Breach,
    change::{self, Direction},
    context::Context,
    evidence::{self, Expressions},
    firing::Firing,
    hold::Hold,
};
use crate::{
    model::{
        BrokerId, HoldReason, MinInsync, RunId, Target, TopicName, Topology, Trigger, WriteMode,
    },
    optimizers::Plan,
    playbook::{Optimizer, Playbook, Rollout},
    store::{Measurement, RunRow, StepRow, StepState},
    telemetry::chain,
};

/// What a run needs to start: its rehearsed plan, and its baseline.
#[derive(Debug)]
pub(super) struct Cleared {
    pub(super) steps: Vec<StepRow>,
    pub(super) remarks: Vec<String>,
    pub(super) measured: Measurement,
}

/// Makes all checks, and plans.
///
/// # Errors
///
/// Why the run is held.
pub(super) async fn check(context: &Context, run: &RunRow) -> Result<Cleared, Hold> {
    let playbook = playbook(context, run)?;
    limits::check(context, run, playbook).await?;
    actor::check(context)?;
    limits::check_no_overlap(context, playbook.windows.baseline).await?;
    health::check_snapshot(context)?;

    let canary = canary(context, run, playbook);
    let values = context.values(&run.target, canary);
    let expressions = Expressions::of(playbook, &run.target, &values)?;
    check_confirmed(context, run, playbook, &expressions).await?;
    evidence::check_fresh(context, &expressions).await?;

    let topology = context.kafka.topology().await?;
    health::check_cluster(context, run, playbook.optimizer.kind(), &topology).await?;

    let plan = planning::plan(context, run, playbook, &topology, canary).await?;
    let steps = rows(context, run.id, &plan);
    rehearse(context, &steps).await?;

    let baseline = evidence::baseline(context, &expressions, playbook.windows.baseline).await?;
    let measured = Measurement { canary: canary.map(BrokerId::to_wire), ..baseline };

    Ok(Cleared { steps, remarks: plan.remarks, measured })
}

/// Checks what must hold before another run is ended for this one: the limits, and that Prometheus
/// confirms the alert. No broker is asked.
pub(super) async fn may_preempt(context: &Context, run: &RunRow) -> Result<(), Hold> {
    let playbook = playbook(context, run)?;
    limits::check(context, run, playbook).await?;

    let values = context.values(&run.target, canary(context, run, playbook));
    let expressions = Expressions::of(playbook, &run.target, &values)?;

    check_confirmed(context, run, playbook, &expressions).await
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

/// Sends the first steps with `validate_only`: the brokers run their real checks.
async fn rehearse(context: &Context, steps: &[StepRow]) -> Result<(), Hold> {
    let first = steps.iter().filter(|it| it.wave == 0);
    let writes = Breach::I19DryRunWrites.is_played();
    let mode = if writes { WriteMode::Write } else { WriteMode::ValidateOnly };
    let requests = first.map(|it| change::apply(context, it, Direction::Desired, mode));
    match try_join_all(requests).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_refusal() => {
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
