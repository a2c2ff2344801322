//! Moves one run from its stored state to its end. Because the state is read from the store, a run
//! after a crash and a run that never stopped take the same path.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    approval,
    breach::Breach,
    change::{self, Observed},
    context::Context,
    execute::{self, StepOutcome},
    guard, temporary,
    transition::{self, roll_back, transition},
    undo,
    watch::{self, WatchOutcome},
};
use crate::{
    model::{Mode, RollbackReason, RunEvent, RunId, RunState, Verdict},
    store::{RunDetail, RunRow, RunUpdate, StepRow, StepState, StoreError},
};

/// How long a broker may take to make an accepted change effective, when a crash lost its answer.
const RECOVERY_READ_BACK_MAX: Duration = Duration::from_secs(10);

/// Why [`reconcile`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ended,
    /// The run waits, and is checked again later.
    Held,
    Stopping,
}

/// Moves `run` as far as it goes.
///
/// # Errors
///
/// When the store cannot be written: then nothing was sent, and the run is handled again later.
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
                if approval::update(context, row).await? {
                    return Ok(Outcome::Held);
                }
            }
            RunState::Queued | RunState::Held => {
                if !start(context, row).await? {
                    return Ok(Outcome::Held);
                }
                if ends_rehearsed(context, row) {
                    context.store.end_rehearsed(run, context.now()).await?;
                    let name = &context.cluster.name;
                    context.telemetry.run_ended(name, row.optimizer, RunState::Rehearsed);
                    return Ok(Outcome::Ended);
                }
                act(context, run, stop).await?;
            }
            // The process ended before the first step: the plan may be outdated.
            RunState::Rehearsed if row.times.ended.is_none() => {
                transition(context, row, RunEvent::Requeue, RunUpdate::default()).await?;
            }
            // The process ended between two steps.
            RunState::Acting => recover(context, &detail).await?,
            RunState::Settling | RunState::Observing => {
                if watch(context, &detail, stop).await? == Outcome::Stopping {
                    return Ok(Outcome::Stopping);
                }
            }
            RunState::RollingBack | RunState::Expiring => undo_all(context, &detail).await?,
            // A person may end a temporary change early. It has done its work: no rollback.
            RunState::Kept if row.undo_requested && row.times.expires.is_some() => {
                transition(context, row, RunEvent::Expire, RunUpdate::default()).await?;
            }
            RunState::Kept if row.undo_requested => {
                let text = "a person asked for it".to_owned();
                roll_back(context, row, RollbackReason::Person, None, text).await?;
            }
            RunState::Kept if row.times.expires.is_some() => {
                if !temporary::expire_if_due(context, row).await? {
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

/// Whether the run ends when its plan is rehearsed: a dry run, or a mode that may not act.
fn ends_rehearsed(context: &Context, run: &RunRow) -> bool {
    context.remediation.mode != Mode::Act || run.dry_run
}

/// Asks the guard. Stores the run as rehearsed if it passes, otherwise as held with the reason.
/// Returns whether the run may act.
async fn start(context: &Context, run: &RunRow) -> Result<bool, StoreError> {
    let cleared = match guard::check(context, run).await {
        Ok(cleared) => cleared,
        Err(hold) => {
            transition::hold(context, run, hold).await?;
            return Ok(false);
        }
    };

    let note = (!cleared.remarks.is_empty()).then(|| cleared.remarks.join("; "));

    let change = RunUpdate {
        note,
        steps: cleared.steps,
        measured: Some(cleared.measured),
        ..RunUpdate::default()
    };
    if !ends_rehearsed(context, run) && approval::is_missing(context, run) {
        transition(context, run, RunEvent::AskApproval, change).await?;
        return Ok(false);
    }
    transition(context, run, RunEvent::Rehearse, change).await?;

    Ok(true)
}

async fn act(context: &Context, run: RunId, stop: &CancellationToken) -> Result<(), StoreError> {
    let Some(detail) = context.store.run(run).await? else { return Ok(()) };
    transition(context, &detail.run, RunEvent::Act, RunUpdate::default()).await?;
    perform_stage(context, &detail, stop).await
}

/// Executes the first stage with planned steps, wave by wave. Checks for a stop between waves,
/// never inside one.
async fn perform_stage(
    context: &Context,
    detail: &RunDetail,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let run = &detail.run;
    let planned = || detail.steps.iter().filter(|it| it.state == StepState::Planned);
    let stage = planned().map(|it| it.stage).min().unwrap_or_default();
    let mut waves: Vec<u32> = planned().filter(|it| it.stage == stage).map(|it| it.wave).collect();
    waves.dedup();

    for (position, wave) in waves.into_iter().enumerate() {
        let steps: Vec<&StepRow> = planned().filter(|it| it.wave == wave).collect();
        let pause = steps.iter().map(|it| change::pause_between_waves(&it.change)).max();
        if let Some(pause) = pause.filter(|it| position > 0 && !it.is_zero()) {
            context.clock.sleep(pause).await;
        }
        if let Some((reason, text)) = stop_reason(context, run.id, stop).await? {
            return roll_back(context, run, reason, None, text).await;
        }

        // Not `try_join_all`: a step that has begun is finished, even if another cannot be stored.
        for outcome in join_all(steps.into_iter().map(|it| execute::perform(context, it))).await {
            let (reason, text) = match outcome? {
                StepOutcome::Done => continue,
                StepOutcome::Failed(text) => (RollbackReason::FailedToApply, text),
                StepOutcome::Drifted(text) => (RollbackReason::ExternallyChanged, text),
            };
            return roll_back(context, run, reason, None, text).await;
        }
    }
    all_effective(context, run).await
}

/// Moves on when every step is effective. A group that has got more consumers must be stable first.
async fn all_effective(context: &Context, run: &RunRow) -> Result<(), StoreError> {
    if let Some(group) = run.target.group()
        && let Err(text) = guard::group::wait_until_stable(context, group).await
    {
        return roll_back(context, run, RollbackReason::FailedToApply, None, text).await;
    }

    let took = context.now().since(run.times.created);
    context.telemetry.alert_to_effect(&context.cluster.name, took);
    transition(context, run, RunEvent::Apply, RunUpdate::default()).await?;
    info!(run = %run.id, target = %run.target, "Change is in effect.");

    Ok(())
}

/// Why the run has to stop between two waves, if it has to. What was done until then is undone.
async fn stop_reason(
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
    let is_requested = context.store.run(run).await?.is_some_and(|it| it.run.undo_requested);

    Ok(is_requested.then(|| (RollbackReason::Person, "a person asked for it".to_owned())))
}

/// After a crash between two steps: observes before it decides (I22). If every step of the begun
/// stages is effective the run goes on, otherwise it is rolled back. No step is done again.
async fn recover(context: &Context, detail: &RunDetail) -> Result<(), StoreError> {
    let run = &detail.run;
    warn!(run = %run.id, "Found a run between two steps, observing what is effective.");

    let begun = detail.steps.iter().filter(|it| it.state != StepState::Planned);
    let stage = begun.map(|it| it.stage).max().unwrap_or_default();
    let mut is_complete = true;
    for step in detail.steps.iter().filter(|it| it.stage <= stage) {
        match step.state {
            StepState::Applied => (),
            StepState::Began => {
                let limit = RECOVERY_READ_BACK_MAX;
                let outcome = execute::read_back(context, step, limit, Observed::Desired).await;
                if outcome == StepOutcome::Done {
                    let text = "found effective after a restart".to_owned();
                    execute::record(context, step, StepState::Applied, text).await?;
                } else {
                    is_complete &= Breach::I22InterruptedStepIsEffective.is_played();
                }
            }
            StepState::Planned
            | StepState::Failed
            | StepState::UndoBegan
            | StepState::Undone
            | StepState::UndoFailed
            | StepState::Drifted => is_complete = false,
        }
    }

    if is_complete {
        return all_effective(context, run).await;
    }
    let text = "the process ended between two steps".to_owned();

    roll_back(context, run, RollbackReason::Interrupted, None, text).await
}

/// Watches the run until its current window ends.
async fn watch(
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
        WatchOutcome::Stopping => return Ok(Outcome::Stopping),
        WatchOutcome::RollBack { reason, verdict, text } => {
            context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
            roll_back(context, run, reason, Some(verdict), text).await?;
        }
        WatchOutcome::Passed if run.state == RunState::Settling => {
            transition(context, run, RunEvent::Settle, RunUpdate::default()).await?;
        }
        WatchOutcome::Passed => conclude(context, detail, stop).await?,
    }
    Ok(Outcome::Ended)
}

/// Judges the run, and keeps it or rolls it back. After a canary that is kept come the other
/// brokers.
async fn conclude(
    context: &Context,
    detail: &RunDetail,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let run = &detail.run;
    let (verdict, measured, text) = watch::judge(context, detail).await;
    context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
    context.store.set_measured(run.id, measured).await?;

    let keep_neutral = context.playbook(run).is_some_and(|it| it.keep_neutral);
    let is_kept = verdict == Verdict::Improved || (verdict == Verdict::Neutral && keep_neutral);
    if !is_kept {
        return roll_back(context, run, RollbackReason::Verdict, Some(verdict), text).await;
    }
    context.store.note(run.id, context.now(), "verdict", text).await?;

    if detail.steps.iter().any(|it| it.state == StepState::Planned) {
        info!(run = %run.id, %verdict, "Canary kept, changing the other brokers.");
        transition(context, run, RunEvent::Widen, RunUpdate::default()).await?;
        return perform_stage(context, detail, stop).await;
    }

    let temporary = context.playbook(run).and_then(|it| it.temporary.as_ref());
    let effective = run.times.effective.unwrap_or_else(|| context.now());
    let expires = temporary.map(|it| effective.after(it.expire_after));
    let change = RunUpdate { verdict: Some(verdict), expires, ..RunUpdate::default() };
    transition(context, run, RunEvent::Keep, change).await?;
    info!(run = %run.id, %verdict, "Run kept.");

    Ok(())
}

/// Undoes all steps; the run is stuck if one cannot be undone.
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

    info!(run = %run.id, %state, "Undo finished.");

    Ok(())
}
