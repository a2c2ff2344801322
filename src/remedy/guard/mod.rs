//! The guard: may this run start now? Every "no" has a reason from [`Hold`] and the value that
//! decided.
//!
//! Questions are asked in the order of their cost: the operator's stop, the store, Prometheus, the
//! brokers. The last of them is the rehearsal on the target brokers themselves, so that a plan that
//! passes has been validated by the brokers a moment before it is written (I19).

mod facts;
pub(super) mod gate;
pub(super) mod group;
mod health;
mod past;

pub(super) use past::QUARANTINE_AFTER;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    context::Context,
    deed,
    evidence::{self, Questions},
    held::Held,
};
use crate::{
    kafka::{MinInsync, Topology, WriteMode},
    model::{BrokerId, Hold, RunId, Target, TopicName, Trigger},
    optimizers::Plan,
    playbook::{Optimizer, Playbook, Rollout},
    store::{Measured, RunRow, StepRow, StepState},
    telemetry::chain,
};

/// A run that may start: its plan, rehearsed, and its baseline.
#[derive(Debug)]
pub(super) struct Cleared {
    pub(super) steps: Vec<StepRow>,
    pub(super) remarks: Vec<String>,
    pub(super) measured: Measured,
}

/// Asks everything. `Err` holds the run.
pub(super) async fn clear(at: &Context, run: &RunRow) -> Result<Cleared, Held> {
    let playbook = playbook(at, run)?;
    past::allows(at, run, playbook).await?;
    past::no_measure_ended(at, playbook.windows.baseline).await?;
    health::snapshot(at)?;
    let canary = canary(at, run, playbook);
    let questions = Questions::of(playbook, (&run.target, &at.values(&run.target, canary)))?;
    confirmed(at, run, (playbook, &questions)).await?;
    evidence::fresh(at, &questions).await?;
    let topology = at.kafka.topology().await?;
    health::cluster(at, (run, playbook.optimizer.kind()), &topology).await?;
    let plan = facts::plan(at, (run, playbook), (&topology, canary)).await?;
    let steps = rows(at, run.id, &plan);
    rehearse(at, &steps).await?;
    let mut measured = evidence::baseline(at, &questions, playbook.windows.baseline).await?;
    measured.canary = canary.map(BrokerId::to_wire);
    Ok(Cleared { steps, remarks: plan.remarks, measured })
}

/// Whether the past lets the run start, and Prometheus confirms it: what has to hold before another
/// run is ended for it. No broker is asked.
pub(super) async fn is_called_for(at: &Context, run: &RunRow) -> Result<(), Held> {
    let playbook = playbook(at, run)?;
    past::allows(at, run, playbook).await?;
    let values = at.values(&run.target, canary(at, run, playbook));
    let questions = Questions::of(playbook, (&run.target, &values))?;
    confirmed(at, run, (playbook, &questions)).await
}

fn playbook<'a>(at: &'a Context, run: &RunRow) -> Result<&'a Playbook, Held> {
    at.playbook(run).ok_or_else(|| {
        Held::new(Hold::Unplannable, format!("there is no playbook `{}` any more", run.playbook))
    })
}

/// The alert fires in Prometheus too, and the playbook's condition holds (I34). A person is their
/// own confirmation, but not of the condition.
async fn confirmed(
    at: &Context,
    run: &RunRow,
    (playbook, questions): (&Playbook, &Questions),
) -> Result<(), Held> {
    let prometheus = evidence::prometheus(at)?;
    if run.trigger == Trigger::Alert {
        let query = evidence::firing(playbook, at.cluster.name.as_str(), &run.target);
        let firing = prometheus.instant(&query).await?;
        Held::unless(!firing.is_empty(), Hold::NotConfirmed, || {
            format!("`{query}` has no series: the alert does not fire in Prometheus")
        })?;
    }
    if let Some(when) = &questions.when {
        let holds = prometheus.instant(when).await?;
        Held::unless(!holds.is_empty(), Hold::NotConfirmed, || {
            format!("the playbook's condition `{when}` does not hold")
        })?;
    }
    Ok(())
}

/// The broker that goes first, where the playbook wants one to.
fn canary(at: &Context, run: &RunRow, playbook: &Playbook) -> Option<BrokerId> {
    let Optimizer::TuneBrokers(parameters) = &playbook.optimizer else { return None };
    if run.target != Target::Cluster || parameters.rollout != Rollout::Canary {
        return None;
    }
    let latest = at.latest.borrow().clone();
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
async fn rehearse(at: &Context, steps: &[StepRow]) -> Result<(), Held> {
    let first = steps.iter().filter(|it| it.wave == 0);
    let sent = first.map(|step| deed::set(at, step, (step.to.as_deref(), WriteMode::ValidateOnly)));
    match try_join_all(sent).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_refusal() => Err(Held::new(Hold::RehearsalRefused, chain(&error))),
        // Nobody has said no.
        Err(error) => Err(error.into()),
    }
}

fn rows(at: &Context, run: RunId, plan: &Plan) -> Vec<StepRow> {
    let now = at.now();
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
    at: &Context,
    topology: &Topology,
    brokers: &[BrokerId],
) -> Result<BTreeMap<TopicName, MinInsync>, Held> {
    let on_it = topology.topics.iter().filter(|topic| {
        topic
            .partitions
            .iter()
            .any(|partition| partition.replicas.iter().any(|it| brokers.contains(it)))
    });
    let names: Vec<TopicName> = on_it.map(|it| it.name.clone()).collect();
    Ok(at.kafka.min_insync_replicas(&names).await?.into_iter().collect())
}
