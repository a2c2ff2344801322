//! Drives one run from where it stands to its end. The store says where that is, so that a run
//! after a crash and a run that never stopped take the same way.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    approval::{self, Approval},
    context::Context,
    deed::Standing,
    execute::{self, StepEnd},
    guard, measure,
    moves::{back, hold, move_to},
    undo,
    watch::{self, Watched},
};
use crate::{
    model::{Mode, RollbackReason, RunEvent, RunId, RunState, Subject, Verdict},
    store::{Change, Extent, RunDetail, RunRow, StepRow, StepState, StoreError},
};

/// Between two steps of a quota: a broker measures a client over about as long (11 samples of a
/// second), and what the client holds back is worked off meanwhile.
const QUOTA_PAUSE: Duration = Duration::from_secs(10);

/// How driving a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driven {
    /// It is over.
    Ended,
    /// Something speaks against starting it.
    Held,
    /// The process is stopping.
    Stopping,
}

/// Drives `run` as far as it goes.
///
/// # Errors
///
/// When the store cannot be written: then no deed followed, and the run is looked at again later.
pub(super) async fn drive(
    at: &Context,
    run: RunId,
    stop: &CancellationToken,
) -> Result<Driven, StoreError> {
    loop {
        let Some(detail) = at.store.run(run).await? else { return Ok(Driven::Ended) };
        let row = &detail.run;
        match row.state {
            RunState::AwaitingApproval => {
                if approval::look(at, row).await? == Approval::Awaited {
                    return Ok(Driven::Held);
                }
            }
            RunState::Queued | RunState::Held => {
                if start(at, row).await? == Started::No {
                    return Ok(Driven::Held);
                }
                if rehearsal_is_all(at, row) {
                    at.store.end_rehearsed(run, at.now()).await?;
                    at.telemetry.run_ended(&at.cluster.name, row.optimizer, RunState::Rehearsed);
                    return Ok(Driven::Ended);
                }
                act(at, run, stop).await?;
            }
            // Rehearsed, and no step has begun: the plan may be old by now.
            RunState::Rehearsed if row.times.ended.is_none() => {
                move_to(at, row, RunEvent::Requeue, Change::default()).await?;
            }
            // Found so at the start: the process ended among its steps.
            RunState::Acting => recover(at, &detail).await?,
            RunState::Settling | RunState::Observing => {
                if watch_on(at, &detail, stop).await? == Driven::Stopping {
                    return Ok(Driven::Stopping);
                }
            }
            RunState::RollingBack | RunState::Lifting => undo_all(at, &detail).await?,
            // A measure that a person ends has done its work: that is no rollback.
            RunState::Kept if row.undo_requested && row.times.lift.is_some() => {
                move_to(at, row, RunEvent::Lift, Change::default()).await?;
            }
            RunState::Kept if row.undo_requested => {
                let text = "a person asked for it".to_owned();
                back(at, row, (RollbackReason::Person, None), text).await?;
            }
            RunState::Kept if row.times.lift.is_some() => {
                if measure::look(at, row).await? == measure::Needed::Yes {
                    return Ok(Driven::Held);
                }
            }
            RunState::Kept
            | RunState::Rehearsed
            | RunState::Lifted
            | RunState::RolledBack
            | RunState::Stuck
            | RunState::Cancelled => return Ok(Driven::Ended),
        }
        if stop.is_cancelled() {
            return Ok(Driven::Stopping);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Started {
    Yes,
    No,
}

fn rehearsal_is_all(at: &Context, run: &RunRow) -> bool {
    at.remediation.mode != Mode::Act || run.extent == Extent::RehearseOnly
}

/// Asks the guard. What it clears is stored as rehearsed; what it holds is held, with the reason.
async fn start(at: &Context, run: &RunRow) -> Result<Started, StoreError> {
    match guard::clear(at, run).await {
        Ok(cleared) => {
            let note = (!cleared.remarks.is_empty()).then(|| cleared.remarks.join("; "));
            let change = Change {
                note,
                steps: cleared.steps,
                measured: Some(cleared.measured),
                ..Change::default()
            };
            if !rehearsal_is_all(at, run) && approval::is_wanted(at, run) {
                move_to(at, run, RunEvent::AskApproval, change).await?;
                return Ok(Started::No);
            }
            move_to(at, run, RunEvent::Rehearse, change).await?;
            Ok(Started::Yes)
        }
        Err(held) => {
            hold(at, run, (held.reason, held.note)).await?;
            Ok(Started::No)
        }
    }
}

/// Begins to act on a rehearsed plan.
async fn act(at: &Context, run: RunId, stop: &CancellationToken) -> Result<(), StoreError> {
    let Some(detail) = at.store.run(run).await? else { return Ok(()) };
    move_to(at, &detail.run, RunEvent::Act, Change::default()).await?;
    take_stage(at, &detail, stop).await
}

/// Takes the steps of the first stage that waits, wave by wave. Looks at the stop signs between
/// waves, never inside one.
async fn take_stage(
    at: &Context,
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
            at.clock.sleep(QUOTA_PAUSE).await;
        }
        if let Some((reason, text)) = told_to_stop(at, row.id, stop).await? {
            return back(at, row, (reason, None), text).await;
        }
        // Not `try_`: a step in hand is finished even when another cannot be stored.
        for end in join_all(steps().map(|it| execute::perform(at, it))).await {
            match end? {
                StepEnd::Done => (),
                StepEnd::Failed(text) => {
                    return back(at, row, (RollbackReason::FailedToApply, None), text).await;
                }
                StepEnd::Drifted(text) => {
                    return back(at, row, (RollbackReason::ExternallyChanged, None), text).await;
                }
            }
        }
    }
    applied(at, row).await
}

/// Every step is in force; a group whose consumers have become more is stable again.
async fn applied(at: &Context, run: &RunRow) -> Result<(), StoreError> {
    if let Some(group) = run.target.group()
        && let Err(text) = guard::group::stable(at, group).await
    {
        return back(at, run, (RollbackReason::FailedToApply, None), text).await;
    }
    at.telemetry.alert_to_effect(&at.cluster.name, at.now().since(run.times.stored));
    move_to(at, run, RunEvent::Apply, Change::default()).await?;
    info!(run = %run.id, target = %run.target, "Every step is in force.");
    Ok(())
}

/// Whether someone wants the run to stop among its steps. What is done by then is undone.
async fn told_to_stop(
    at: &Context,
    run: RunId,
    stop: &CancellationToken,
) -> Result<Option<(RollbackReason, String)>, StoreError> {
    if stop.is_cancelled() {
        return Ok(Some((RollbackReason::Interrupted, "the process is stopping".to_owned())));
    }
    if at.pause.is_set() {
        return Ok(Some((RollbackReason::Interrupted, "remediation was paused".to_owned())));
    }
    let asked = at.store.run(run).await?.is_some_and(|it| it.run.undo_requested);
    Ok(asked.then(|| (RollbackReason::Person, "a person asked for it".to_owned())))
}

/// After a crash among the steps: look at the cluster before deciding (I22). If every step is in
/// force the run goes on; else what took effect is undone. Nothing is done again.
async fn recover(at: &Context, detail: &RunDetail) -> Result<(), StoreError> {
    let run = &detail.run;
    warn!(run = %run.id, "Run found among its steps, looking at the brokers.");
    let begun = detail.steps.iter().filter(|it| it.state != StepState::Planned);
    let stage = begun.map(|it| it.stage).max().unwrap_or_default();
    let mut in_force = true;
    for step in detail.steps.iter().filter(|it| it.stage <= stage) {
        match step.state {
            StepState::Applied => (),
            StepState::Began => {
                let applied = came_into_force(at, step).await;
                if applied {
                    let text = "found in force after a restart".to_owned();
                    execute::record(at, step, StepState::Applied, text).await?;
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
        return applied(at, run).await;
    }
    let text = "the process ended among the steps".to_owned();
    back(at, run, (RollbackReason::Interrupted, None), text).await
}

/// Whether a step that had begun is in force, once the broker has had time to apply what it may
/// have accepted.
async fn came_into_force(at: &Context, step: &StepRow) -> bool {
    let end = execute::read_back(at, step, Duration::from_secs(10), Standing::After).await;
    end == StepEnd::Done
}

async fn watch_on(
    at: &Context,
    detail: &RunDetail,
    stop: &CancellationToken,
) -> Result<Driven, StoreError> {
    let run = &detail.run;
    let windows = at.playbook(run).map(|it| it.windows);
    let effective = run.times.effective.unwrap_or_default();
    let settled = effective.after(windows.map_or(Duration::ZERO, |it| it.settle));
    let observed = settled.after(windows.map_or(Duration::ZERO, |it| it.observe));
    let end = if run.state == RunState::Settling { settled } else { observed };
    match watch::until(at, detail, end, stop).await? {
        Watched::Stopping => return Ok(Driven::Stopping),
        Watched::Back(reason, verdict, text) => {
            at.telemetry.verdict_given(&at.cluster.name, run.optimizer, verdict);
            back(at, run, (reason, Some(verdict)), text).await?;
        }
        Watched::Passed if run.state == RunState::Settling => {
            move_to(at, run, RunEvent::Settle, Change::default()).await?;
        }
        Watched::Passed => conclude(at, detail, stop).await?,
    }
    Ok(Driven::Ended)
}

/// Judges the run, and keeps it or sends it back. A canary that is worth keeping leads on to the
/// others.
async fn conclude(
    at: &Context,
    detail: &RunDetail,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let run = &detail.run;
    let (verdict, measured, text) = watch::judge(at, detail).await;
    at.telemetry.verdict_given(&at.cluster.name, run.optimizer, verdict);
    at.store.keep_measured(run.id, measured).await?;
    let keep_neutral = at.playbook(run).is_some_and(|it| it.keep_neutral);
    let keep = verdict == Verdict::Improved || (verdict == Verdict::Neutral && keep_neutral);
    if !keep {
        return back(at, run, (RollbackReason::Verdict, Some(verdict)), text).await;
    }
    at.store.note(run.id, at.now(), "verdict", text).await?;
    if detail.steps.iter().any(|it| it.state == StepState::Planned) {
        info!(run = %run.id, %verdict, "Canary kept, on to the others.");
        move_to(at, run, RunEvent::Widen, Change::default()).await?;
        return take_stage(at, detail, stop).await;
    }
    let measure = at.playbook(run).and_then(|it| it.measure.as_ref());
    let effective = run.times.effective.unwrap_or_else(|| at.now());
    let lift = measure.map(|it| effective.after(it.time_limit));
    let change = Change { verdict: Some(verdict), lift, ..Change::default() };
    move_to(at, run, RunEvent::Keep, change).await?;
    info!(run = %run.id, %verdict, "Run kept.");
    Ok(())
}

async fn undo_all(at: &Context, detail: &RunDetail) -> Result<(), StoreError> {
    let run = &detail.run;
    undo::trap::spring(at, &detail.steps).await?;
    let steps = at.store.run(run.id).await?.map(|it| it.steps).unwrap_or_default();
    let undone = undo::all(at, &steps).await?;
    let (event, note) = if undone.failed.is_empty() {
        (RunEvent::Undo, undone.drifted.join("; "))
    } else {
        (RunEvent::Jam, undone.failed.join("; "))
    };
    let change = Change {
        note: (!note.is_empty()).then_some(note),
        rollback_reason: (!undone.drifted.is_empty()).then_some(RollbackReason::ExternallyChanged),
        ..Change::default()
    };
    let state = move_to(at, run, event, change).await?;
    info!(run = %run.id, %state, "Undone.");
    Ok(())
}
