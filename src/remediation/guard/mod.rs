//! The guard: may this run start now? Every "no" has a reason from [`HoldReason`] and the value that
//! decided.
//!
//! Questions are asked in the order of their cost: the operator's stop, the store, Prometheus, the
//! brokers. The last of them is the rehearsal on the target brokers themselves, so that a plan that
//! passes has been validated by the brokers a moment before it is written (I19).

pub(super) mod availability;
pub(super) mod group;
mod health;
mod limits;
mod planning;

pub(super) use limits::QUARANTINE_AFTER;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    change,
    context::Context,
    evidence::{self, Questions},
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

/// A run that may start: its plan, rehearsed, and its baseline.
#[derive(Debug)]
pub(super) struct Cleared {
    pub(super) steps: Vec<StepRow>,
    pub(super) remarks: Vec<String>,
    pub(super) measured: Measurement,
}

/// Asks everything. `Err` holds the run.
pub(super) async fn clear(context: &Context, run: &RunRow) -> Result<Cleared, Hold> {
    let playbook = playbook(context, run)?;
    limits::allows(context, run, playbook).await?;
    limits::no_measure_ended(context, playbook.windows.baseline).await?;
    health::snapshot(context)?;
    let canary = canary(context, run, playbook);
    let questions = Questions::of(playbook, (&run.target, &context.values(&run.target, canary)))?;
    confirmed(context, run, (playbook, &questions)).await?;
    evidence::fresh(context, &questions).await?;
    let topology = context.kafka.topology().await?;
    health::cluster(context, (run, playbook.optimizer.kind()), &topology).await?;
    let plan = planning::plan(context, (run, playbook), (&topology, canary)).await?;
    let steps = rows(context, run.id, &plan);
    rehearse(context, &steps).await?;
    let mut measured = evidence::baseline(context, &questions, playbook.windows.baseline).await?;
    measured.canary = canary.map(BrokerId::to_wire);
    Ok(Cleared { steps, remarks: plan.remarks, measured })
}

/// Whether the past lets the run start, and Prometheus confirms it: what has to hold before another
/// run is ended for it. No broker is asked.
pub(super) async fn is_called_for(context: &Context, run: &RunRow) -> Result<(), Hold> {
    let playbook = playbook(context, run)?;
    limits::allows(context, run, playbook).await?;
    let values = context.values(&run.target, canary(context, run, playbook));
    let questions = Questions::of(playbook, (&run.target, &values))?;
    confirmed(context, run, (playbook, &questions)).await
}

fn playbook<'a>(context: &'a Context, run: &RunRow) -> Result<&'a Playbook, Hold> {
    context.playbook(run).ok_or_else(|| {
        Hold::new(
            HoldReason::Unplannable,
            format!("there is no playbook `{}` any more", run.playbook),
        )
    })
}

/// The alert fires in Prometheus too, and the playbook's condition holds (I34). A person is their
/// own confirmation, but not of the condition.
async fn confirmed(
    context: &Context,
    run: &RunRow,
    (playbook, questions): (&Playbook, &Questions),
) -> Result<(), Hold> {
    let prometheus = evidence::prometheus(context)?;
    if run.trigger == Trigger::Alert {
        let query = evidence::firing(playbook, context.cluster.name.as_str(), &run.target);
        let firing = prometheus.instant(&query).await?;
        Hold::unless(!firing.is_empty(), HoldReason::NotConfirmed, || {
            format!("`{query}` has no series: the alert does not fire in Prometheus")
        })?;
    }
    if let Some(when) = &questions.when {
        let holds = prometheus.instant(when).await?;
        Hold::unless(!holds.is_empty(), HoldReason::NotConfirmed, || {
            format!("the playbook's condition `{when}` does not hold")
        })?;
    }
    Ok(())
}

/// The broker that goes first, where the playbook wants one to.
fn canary(context: &Context, run: &RunRow, playbook: &Playbook) -> Option<BrokerId> {
    let Optimizer::TuneBrokers(parameters) = &playbook.optimizer else { return None };
    if run.target != Target::Cluster || parameters.rollout != Rollout::Canary {
        return None;
    }
    let latest = context.latest.borrow().clone();
    let brokers = latest.iter().flat_map(|it| &it.topology).flat_map(|it| &it.value.brokers);
    brokers.map(|it| it.id).min()
}

/// The brokers that a run may change: the one it is about, or all.
fn targets(run: &RunRow, topology: &Topology) -> Vec<BrokerId> {
    let only = run.target.broker();
    let live = topology.brokers.iter().map(|it| it.id);
    live.filter(|it| only.is_none_or(|only| only == *it)).collect()
}

/// Sends the first steps with `validate_only`; the broker runs its real checks.
async fn rehearse(context: &Context, steps: &[StepRow]) -> Result<(), Hold> {
    let first = steps.iter().filter(|it| it.wave == 0);
    let sent = first
        .map(|step| change::apply(context, step, (step.to.as_deref(), WriteMode::ValidateOnly)));
    match try_join_all(sent).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_refusal() => {
            Err(Hold::new(HoldReason::RehearsalRefused, chain(&error)))
        }
        // Nobody has said no.
        Err(error) => Err(error.into()),
    }
}

fn rows(context: &Context, run: RunId, plan: &Plan) -> Vec<StepRow> {
    let now = context.now();
    (0..)
        .zip(&plan.steps)
        .map(|(index, step)| StepRow {
            run,
            index,
            stage: step.stage,
            wave: step.wave,
            subject: step.subject.clone(),
            key: step.key.clone(),
            from: step.from.clone(),
            from_stored: step.from_stored.clone(),
            to: step.to.clone(),
            on_undo: step.on_undo,
            state: StepState::Planned,
            at: now,
        })
        .collect()
}

/// `min.insync.replicas` of every topic with a replica on one of `brokers`, read now. A topic whose
/// own is refused is there with the reason, and one that vanished is not: both shut the gate.
pub(super) async fn minimums(
    context: &Context,
    topology: &Topology,
    brokers: &[BrokerId],
) -> Result<BTreeMap<TopicName, MinInsync>, Hold> {
    let on_it = topology.topics.iter().filter(|topic| {
        topic
            .partitions
            .iter()
            .any(|partition| partition.replicas.iter().any(|it| brokers.contains(it)))
    });
    let names: Vec<TopicName> = on_it.map(|it| it.name.clone()).collect();
    Ok(context.kafka.min_insync_replicas(&names).await?.into_iter().collect())
}
