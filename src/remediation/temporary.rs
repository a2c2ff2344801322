//! Temporary changes: kept runs that are undone later (I27), when their time to live ends, when
//! they are no longer needed, or when a clone does not stay up (I37). All hold after a crash too,
//! because what decides is in the store.

use std::time::Duration;

use super::{
    breach::Breach,
    change::{self, Observed},
    context::Context,
    evidence,
    transition::transition,
};
use crate::{
    model::{Change, RunEvent, WallTime},
    store::{RunDetail, RunRow, RunUpdate, StepProgress, StepRow, StepState, StoreError},
    telemetry::OverdueChange,
};

/// How long an expired change may wait for another run's observation (I40).
const WAIT_MAX: Duration = Duration::from_mins(15);

/// Checks in a row in which a clone does not run before the change ends.
const CHECKS_MAX: u32 = 3;

/// When the change of a run that takes effect now expires; `None`: it is not temporary.
pub(super) fn expiry(context: &Context, run: &RunRow) -> Option<WallTime> {
    let temporary = context.playbook(run)?.temporary.as_ref()?;
    Some(context.now().after(temporary.expire_after))
}

/// Begins to undo a kept change when it is time. Returns whether it did.
pub(super) async fn expire_if_due(
    context: &Context,
    detail: &RunDetail,
) -> Result<bool, StoreError> {
    let run = &detail.run;
    let why = match due(context, run).await {
        Some(why) => Some(why),
        None => failed_clone(context, &detail.steps).await?,
    };
    let Some(why) = why else { return Ok(false) };
    context.store.note(run.id, context.now(), "expire", why).await?;
    transition(context, run, RunEvent::Expire, RunUpdate::default()).await?;

    Ok(true)
}

/// Why the change expires now. If Prometheus does not answer, it stays until its time ends.
async fn due(context: &Context, run: &RunRow) -> Option<String> {
    let expires = run.times.expires?;
    if context.now() >= expires && !Breach::I27NeverExpires.is_played() {
        return Some("its time to live has ended".to_owned());
    }

    let temporary = context.playbook(run)?.temporary.as_ref()?;
    let query = temporary.expire_when.as_ref()?.render(&context.values(&run.target, None));
    let series = evidence::prometheus(context).ok()?.instant(&query).await.ok()?;

    (!series.is_empty()).then(|| format!("it is no longer needed: `{query}` returns a series"))
}

/// Why a clone ends the change: a clone that the engine restarts again and again makes its whole
/// group rebalance each time. An engine that does not answer says nothing about it.
async fn failed_clone(context: &Context, steps: &[StepRow]) -> Result<Option<String>, StoreError> {
    let is_clone = |it: &&StepRow| {
        matches!(it.change, Change::ConsumerClone(_)) && it.state == StepState::Applied
    };
    for step in steps.iter().filter(is_clone) {
        let Ok(observed) = change::observe(context, step).await else { continue };
        let known = step.progress.checks_without_effect;
        let checks = if observed == Observed::Desired { 0 } else { known.saturating_add(1) };

        if checks != known {
            let progress = StepProgress { checks_without_effect: checks, ..step.progress.clone() };
            context.store.set_progress(step.run, step.index, progress).await?;
        }

        if checks >= CHECKS_MAX {
            let subject = step.change.text().subject;
            return Ok(Some(format!("{subject} did not run in {CHECKS_MAX} checks in a row")));
        }
    }

    Ok(None)
}

/// Temporary changes of the cluster whose time has ended.
pub(super) async fn overdue(context: &Context) -> Result<Vec<OverdueChange>, StoreError> {
    let now = context.now();
    let changes = context.store.temporary_changes().await?;
    let ours = changes.into_iter().filter(|it| it.cluster == context.cluster.name);
    let late = ours.filter_map(|it| {
        let late = now.since(it.times.expires?);
        Some(OverdueChange { run: it.id, late })
    });

    Ok(late.filter(|it| !it.late.is_zero()).collect())
}

/// Whether the change has waited too long for another run's observation.
pub(super) fn is_overdue(context: &Context, run: &RunRow) -> bool {
    run.times.expires.is_some_and(|it| context.now() >= it.after(WAIT_MAX))
}
