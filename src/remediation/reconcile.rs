//! Drives one run from where it stands to its end. The store says where that is, so that a run
//! after a crash and a run that never stopped take the same way.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    approval::{self, Approval},
    change::Observed,
    context::Context,
    execute::{self, StepEnd},
    guard, temporary,
    transition::{self, roll_back, transition},
    undo,
    watch::{self, Watched},
};
use crate::{
    model::{Mode, RollbackReason, RunEvent, RunId, RunState, Subject, Verdict},
    store::{Extent, RunDetail, RunRow, RunUpdate, StepRow, StepState, StoreError},
};

/// Between two steps of a quota: a broker measures a client over about as long (11 samples of a
/// second), and what the client holds back is worked off meanwhile.
const QUOTA_PAUSE: Duration = Duration::from_secs(10);

/// How driving a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ended,
    /// Something speaks against starting it.
    Held,
    Stopping,
}

/// Drives `run` as far as it goes.
///
/// # Errors
///
/// When the store cannot be written: then no deed followed, and the run is looked at again later.
pub(super) async fn reconcile(
    context: &Context,
    run: RunId,
    stop: &CancellationToken,
) -> Result<Outcome, StoreError> {
    loop {
        let Some(detail) = context.store.run(run).await? else { return Ok(Outcome::Ended) };
        let row = &detail.run;
        match row.state {
            RunState::AwaitingApproval => {
                if approval::look(context, row).await? == Approval::Awaited {
                    return Ok(Outcome::Held);
                }
            }
            RunState::Queued | RunState::Held => {
                if start(context, row).await? == Started::No {
                    return Ok(Outcome::Held);
                }
                if rehearsal_is_all(context, row) {
                    context.store.end_rehearsed(run, context.now()).await?;
                    context.telemetry.run_ended(
                        &context.cluster.name,
                        row.optimizer,
                        RunState::Rehearsed,
                    );
                    return Ok(Outcome::Ended);
                }
                act(context, run, stop).await?;
            }
            // Rehearsed, and no step has begun: the plan may be old by now.
            RunState::Rehearsed if row.times.ended.is_none() => {
                transition(context, row, RunEvent::Requeue, RunUpdate::default()).await?;
            }
            // Found so at the start: the process ended among its steps.
            RunState::Acting => recover(context, &detail).await?,
            RunState::Settling | RunState::Observing => {
                if watch_on(context, &detail, stop).await? == Outcome::Stopping {
                    return Ok(Outcome::Stopping);
                }
            }
            RunState::RollingBack | RunState::Expiring => undo_all(context, &detail).await?,
            // A measure that a person ends has done its work: that is no rollback.
            RunState::Kept if row.undo_requested && row.times.expires.is_some() => {
                transition(context, row, RunEvent::Expire, RunUpdate::default()).await?;
            }
            RunState::Kept if row.undo_requested => {
                let text = "a person asked for it".to_owned();
                roll_back(context, row, (RollbackReason::Person, None), text).await?;
            }
            RunState::Kept if row.times.expires.is_some() => {
                if temporary::look(context, row).await? == temporary::Needed::Yes {
                    return Ok(Outcome::Held);
                }
            }
            RunState::Kept
            | RunState::Rehearsed
            | RunState::Expired
            | RunState::RolledBack
            | RunState::Stuck
            | RunState::Cancelled => return Ok(Outcome::Ended),
        }
        if stop.is_cancelled() {
            return Ok(Outcome::Stopping);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Started {
    Yes,
    No,
}

fn rehearsal_is_all(context: &Context, run: &RunRow) -> bool {
    context.remediation.mode != Mode::Act || run.extent == Extent::RehearseOnly
}

/// Asks the guard. What it clears is stored as rehearsed; what it holds is held, with the reason.
async fn start(context: &Context, run: &RunRow) -> Result<Started, StoreError> {
    match guard::clear(context, run).await {
        Ok(cleared) => {
            let note = (!cleared.remarks.is_empty()).then(|| cleared.remarks.join("; "));
            let change = RunUpdate {
                note,
                steps: cleared.steps,
                measured: Some(cleared.measured),
                ..RunUpdate::default()
            };
            if !rehearsal_is_all(context, run) && approval::is_wanted(context, run) {
                transition(context, run, RunEvent::AskApproval, change).await?;
                return Ok(Started::No);
            }
            transition(context, run, RunEvent::Rehearse, change).await?;
            Ok(Started::Yes)
        }
        Err(hold) => {
            transition::hold(context, run, (hold.reason, hold.detail)).await?;
            Ok(Started::No)
        }
    }
}

/// Begins to act on a rehearsed plan.
async fn act(context: &Context, run: RunId, stop: &CancellationToken) -> Result<(), StoreError> {
    let Some(detail) = context.store.run(run).await? else { return Ok(()) };
    transition(context, &detail.run, RunEvent::Act, RunUpdate::default()).await?;
    take_stage(context, &detail, stop).await
}

/// Takes the steps of the first stage that waits, wave by wave. Looks at the stop signs between
/// waves, never inside one.
async fn take_stage(
    context: &Context,
    detail: &RunDetail,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let row = &detail.run;
    let waits = || detail.steps.iter().filter(|it| it.state == StepState::Planned);
    let stage = waits().map(|it| it.stage).min().unwrap_or_default();
    let mut waves: Vec<u32> = waits().filter(|it| it.stage == stage).map(|it| it.wave).collect();
    waves.dedup();
    for (place, wave) in waves.into_iter().enumerate() {
        let steps = || waits().filter(|it| it.wave == wave);
        if 0 < place && steps().any(|it| matches!(it.subject, Subject::Quota(_))) {
            context.clock.sleep(QUOTA_PAUSE).await;
        }
        if let Some((reason, text)) = told_to_stop(context, row.id, stop).await? {
            return roll_back(context, row, (reason, None), text).await;
        }
        // Not `try_`: a step in hand is finished even when another cannot be stored.
        for end in join_all(steps().map(|it| execute::perform(context, it))).await {
            match end? {
                StepEnd::Done => (),
                StepEnd::Failed(text) => {
                    return roll_back(context, row, (RollbackReason::FailedToApply, None), text)
                        .await;
                }
                StepEnd::Drifted(text) => {
                    return roll_back(
                        context,
                        row,
                        (RollbackReason::ExternallyChanged, None),
                        text,
                    )
                    .await;
                }
            }
        }
    }
    applied(context, row).await
}

/// Every step is in force; a group whose consumers have become more is stable again.
async fn applied(context: &Context, run: &RunRow) -> Result<(), StoreError> {
    if let Some(group) = run.target.group()
        && let Err(text) = guard::group::stable(context, group).await
    {
        return roll_back(context, run, (RollbackReason::FailedToApply, None), text).await;
    }
    context
        .telemetry
        .alert_to_effect(&context.cluster.name, context.now().since(run.times.created));
    transition(context, run, RunEvent::Apply, RunUpdate::default()).await?;
    info!(run = %run.id, target = %run.target, "Every step is in force.");
    Ok(())
}

/// Whether someone wants the run to stop among its steps. What is done by then is undone.
async fn told_to_stop(
    context: &Context,
    run: RunId,
    stop: &CancellationToken,
) -> Result<Option<(RollbackReason, String)>, StoreError> {
    if stop.is_cancelled() {
        return Ok(Some((RollbackReason::Interrupted, "the process is stopping".to_owned())));
    }
    if context.pause.is_set() {
        return Ok(Some((RollbackReason::Interrupted, "remediation was paused".to_owned())));
    }
    let asked = context.store.run(run).await?.is_some_and(|it| it.run.undo_requested);
    Ok(asked.then(|| (RollbackReason::Person, "a person asked for it".to_owned())))
}

/// After a crash among the steps: look at the cluster before deciding (I22). If every step is in
/// force the run goes on; else what took effect is undone. Nothing is done again.
async fn recover(context: &Context, detail: &RunDetail) -> Result<(), StoreError> {
    let run = &detail.run;
    warn!(run = %run.id, "Run found among its steps, looking at the brokers.");
    let begun = detail.steps.iter().filter(|it| it.state != StepState::Planned);
    let stage = begun.map(|it| it.stage).max().unwrap_or_default();
    let mut in_force = true;
    for step in detail.steps.iter().filter(|it| it.stage <= stage) {
        match step.state {
            StepState::Applied => (),
            StepState::Began => {
                let applied = came_into_force(context, step).await;
                if applied {
                    let text = "found in force after a restart".to_owned();
                    execute::record(context, step, StepState::Applied, text).await?;
                }
                in_force &= applied;
            }
            StepState::Planned
            | StepState::Failed
            | StepState::UndoBegan
            | StepState::Undone
            | StepState::UndoFailed
            | StepState::Drifted => in_force = false,
        }
    }
    if in_force {
        return applied(context, run).await;
    }
    let text = "the process ended among the steps".to_owned();
    roll_back(context, run, (RollbackReason::Interrupted, None), text).await
}

/// Whether a step that had begun is in force, once the broker has had time to apply what it may
/// have accepted.
async fn came_into_force(context: &Context, step: &StepRow) -> bool {
    let end = execute::read_back(context, step, Duration::from_secs(10), Observed::Desired).await;
    end == StepEnd::Done
}

async fn watch_on(
    context: &Context,
    detail: &RunDetail,
    stop: &CancellationToken,
) -> Result<Outcome, StoreError> {
    let run = &detail.run;
    let windows = context.playbook(run).map(|it| it.windows);
    let effective = run.times.effective.unwrap_or_default();
    let settled = effective.after(windows.map_or(Duration::ZERO, |it| it.settle));
    let observed = settled.after(windows.map_or(Duration::ZERO, |it| it.observe));
    let end = if run.state == RunState::Settling { settled } else { observed };
    match watch::until(context, detail, end, stop).await? {
        Watched::Stopping => return Ok(Outcome::Stopping),
        Watched::Back(reason, verdict, text) => {
            context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
            roll_back(context, run, (reason, Some(verdict)), text).await?;
        }
        Watched::Passed if run.state == RunState::Settling => {
            transition(context, run, RunEvent::Settle, RunUpdate::default()).await?;
        }
        Watched::Passed => conclude(context, detail, stop).await?,
    }
    Ok(Outcome::Ended)
}

/// Judges the run, and keeps it or sends it back. A canary that is worth keeping leads on to the
/// others.
async fn conclude(
    context: &Context,
    detail: &RunDetail,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let run = &detail.run;
    let (verdict, measured, text) = watch::judge(context, detail).await;
    context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
    context.store.keep_measured(run.id, measured).await?;
    let keep_neutral = context.playbook(run).is_some_and(|it| it.keep_neutral);
    let keep = verdict == Verdict::Improved || (verdict == Verdict::Neutral && keep_neutral);
    if !keep {
        return roll_back(context, run, (RollbackReason::Verdict, Some(verdict)), text).await;
    }
    context.store.note(run.id, context.now(), "verdict", text).await?;
    if detail.steps.iter().any(|it| it.state == StepState::Planned) {
        info!(run = %run.id, %verdict, "Canary kept, on to the others.");
        transition(context, run, RunEvent::Widen, RunUpdate::default()).await?;
        return take_stage(context, detail, stop).await;
    }
    let temporary = context.playbook(run).and_then(|it| it.temporary.as_ref());
    let effective = run.times.effective.unwrap_or_else(|| context.now());
    let expires = temporary.map(|it| effective.after(it.expire_after));
    let change = RunUpdate { verdict: Some(verdict), expires, ..RunUpdate::default() };
    transition(context, run, RunEvent::Keep, change).await?;
    info!(run = %run.id, %verdict, "Run kept.");
    Ok(())
}

async fn undo_all(context: &Context, detail: &RunDetail) -> Result<(), StoreError> {
    let run = &detail.run;
    undo::restart_loss::restore_lost(context, &detail.steps).await?;
    let steps = context.store.run(run.id).await?.map(|it| it.steps).unwrap_or_default();
    let undone = undo::all(context, &steps).await?;
    let (event, note) = if undone.failed.is_empty() {
        (RunEvent::Undo, undone.drifted.join("; "))
    } else {
        (RunEvent::Jam, undone.failed.join("; "))
    };
    let change = RunUpdate {
        note: (!note.is_empty()).then_some(note),
        rollback_reason: (!undone.drifted.is_empty()).then_some(RollbackReason::ExternallyChanged),
        ..RunUpdate::default()
    };
    let state = transition(context, run, event, change).await?;
    info!(run = %run.id, %state, "Undone.");
    Ok(())
}
