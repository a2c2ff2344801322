//! Moves one run on from its stored state. Because the state is read from the store, a run after a
//! crash and a run that never stopped take the same path.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    approval,
    breach::Breach,
    change,
    context::Context,
    execute::{self, StepOutcome},
    guard::{
        self, Permit,
        group::{STABLE_MAX, STABLE_POLL_INTERVAL},
    },
    interim::{self, InterimError, InterimResult, LooksMade},
    temporary,
    transition::{self, roll_back, transition},
    undo::{self, UndoProgress, stuck::STUCK_CHECK_INTERVAL},
    watch::{self, StopWatching, Watched},
    worker::CHECK_INTERVAL,
};
use crate::{
    model::{HoldReason, MonotonicTime, RollbackReason, RunEvent, RunId, RunState, Verdict},
    store::{Measurement, RunDetail, RunRow, RunUpdate, StepRow, StepState, StoreError},
};

/// How long a broker may take to make an accepted change effective, when a crash lost its answer.
const RECOVERY_READ_BACK_MAX: Duration = Duration::from_secs(10);

/// How long the brokers after a canary wait for the guard. Then the canary alone is kept.
const WIDEN_MAX: Duration = Duration::from_mins(15);

/// How long a run waits between two waves for its acting lease, and how often that is checked.
const LEASE_WAIT_MAX: Duration = Duration::from_mins(1);
const LEASE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a verdict waits for an answer of Prometheus.
const UNREAD_MAX: Duration = Duration::from_mins(2);

/// When a run is reconciled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requeue {
    /// Not before this time has passed, unless something else changes its state.
    After(Duration),
    /// It goes on waiting: the worker says when it is checked again.
    Waiting,
    /// Not at all: it has ended.
    Done,
}

impl Requeue {
    pub(super) const NOW: Self = Self::After(Duration::ZERO);
}

/// What this process knows of a run that is not in the store. A process that starts knows nothing,
/// and observes.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether this process began the stage, and has finished each step that it began.
    has_begun_stage: bool,
    /// Since when the run waits: for its lease, for a group to be stable, or for the guard to widen
    /// it.
    waits_since: Option<MonotonicTime>,
    /// Why it waited when that was last reported.
    reported: Option<HoldReason>,
    watched: Watched,
    looks: LooksMade,
    /// Since when the bins of a look could not be read.
    unread_since: Option<MonotonicTime>,
}

/// Does what is next for `run`: one check, one wave of steps, one check of its effect, or one part
/// of its undo. Waits for answers and for values to become effective, and for nothing else, so that
/// the worker can decide anew after each.
///
/// # Errors
///
/// When the store cannot be written: then nothing was sent, and the run is handled again later.
pub(super) async fn reconcile(
    context: &Context,
    run: RunId,
    progress: &mut Progress,
    stop: &CancellationToken,
) -> Result<Requeue, StoreError> {
    let Some(detail) = context.store.run_without_journal(run).await? else {
        return Ok(Requeue::Done);
    };
    let run = &detail.run;

    match run.state {
        RunState::AwaitingApproval => approval::update(context, &detail).await,
        RunState::Queued | RunState::Held => start(context, run, progress).await,
        // The process ended before the first step: the plan may be outdated.
        RunState::Rehearsed if run.times.ended.is_none() => {
            transition(context, run, RunEvent::Requeue, RunUpdate::default()).await?;
            Ok(Requeue::NOW)
        }
        RunState::Acting if progress.has_begun_stage => act(context, &detail, progress, stop).await,
        RunState::Acting => recover(context, &detail, progress).await,
        RunState::Settling | RunState::Observing => watch(context, &detail, progress).await,
        RunState::RollingBack | RunState::Expiring => undo_all(context, &detail).await,
        RunState::Kept => end_kept(context, &detail).await,
        RunState::Stuck if run.undo_requested || !run.acknowledged => {
            let is_retried = undo::stuck::retry(context, &detail).await?;
            Ok(if is_retried { Requeue::NOW } else { Requeue::After(STUCK_CHECK_INTERVAL) })
        }
        RunState::Rehearsed
        | RunState::Expired
        | RunState::RolledBack
        | RunState::Stuck
        | RunState::Cancelled => Ok(Requeue::Done),
    }
}

/// Begins to undo a kept change if a person asked for it, or if it is temporary and expires.
async fn end_kept(context: &Context, detail: &RunDetail) -> Result<Requeue, StoreError> {
    let run = &detail.run;

    match (run.undo_requested, run.times.expires) {
        // A person may end a temporary change early. It has done its work: no rollback.
        (true, Some(_)) => {
            transition(context, run, RunEvent::Expire, RunUpdate::default()).await?;
        }
        (true, None) => roll_back_on_request(context, run).await?,
        (false, Some(_)) => {
            if !temporary::expire_if_due(context, detail).await? {
                return Ok(Requeue::After(CHECK_INTERVAL));
            }
        }
        (false, None) => return Ok(Requeue::Done),
    }

    Ok(Requeue::NOW)
}

async fn roll_back_on_request(context: &Context, run: &RunRow) -> Result<(), StoreError> {
    let text = "a person asked for it".to_owned();
    roll_back(context, run, RollbackReason::Person, None, text).await
}

/// Asks the guard, and performs the first wave if it passes. Otherwise the run is held.
async fn start(
    context: &Context,
    run: &RunRow,
    progress: &mut Progress,
) -> Result<Requeue, StoreError> {
    let mut cleared = match guard::check(context, run).await {
        Ok(cleared) => cleared,
        Err(hold) => {
            transition::hold(context, run, hold).await?;
            return Ok(Requeue::Waiting);
        }
    };

    let mut note = (!cleared.remarks.is_empty()).then(|| cleared.remarks.join("; "));
    let asks = cleared.permit.is_none() && !guard::ends_rehearsed(context, run);

    if asks
        && let Some(changed) = approval::note_on_changed_plan(context, run, &cleared.steps).await?
    {
        note = Some(note.map_or(changed.clone(), |it| format!("{changed}; {it}")));
    }

    let change = RunUpdate {
        note,
        steps: cleared.steps.clone(),
        measured: Some(cleared.measured.clone()),
        ..RunUpdate::default()
    };

    if guard::ends_rehearsed(context, run) {
        transition(context, run, RunEvent::Rehearse, change).await?;
        context.store.end_rehearsed(run.id, context.now()).await?;
        let name = &context.cluster.name;
        context.telemetry.run_ended(name, run.optimizer, RunState::Rehearsed);
        return Ok(Requeue::Done);
    }

    let Some(permit) = cleared.permit.take() else {
        transition(context, run, RunEvent::AskApproval, change).await?;
        return Ok(Requeue::Waiting);
    };
    transition(context, run, RunEvent::Rehearse, change).await?;
    transition(context, run, RunEvent::Act, RunUpdate::default()).await?;
    progress.has_begun_stage = true;

    perform_wave(context, run, &cleared.steps, permit).await
}

/// Performs the next wave of the stage that has begun. Checks for a reason to stop before it, never
/// inside one.
async fn act(
    context: &Context,
    detail: &RunDetail,
    progress: &mut Progress,
    stop: &CancellationToken,
) -> Result<Requeue, StoreError> {
    let RunDetail { run, steps, .. } = detail;
    let stage = begun_stage(steps);

    if next_wave(steps, stage).is_none() {
        return all_effective(context, run, progress).await;
    }

    if stop.is_cancelled() {
        let text = "the process is stopping".to_owned();
        roll_back(context, run, RollbackReason::Interrupted, None, text).await?;
    } else if run.undo_requested {
        roll_back_on_request(context, run).await?;
    } else {
        match guard::go_on(context) {
            Ok(permit) => {
                progress.waits_since = None;
                return perform_wave(context, run, steps, permit).await;
            }
            // The group of actors may be joined anew, which takes up to its session timeout.
            Err(hold) if hold.reason == HoldReason::NoLease && !is_too_long(context, progress) => {
                return Ok(Requeue::After(LEASE_POLL_INTERVAL));
            }
            Err(hold) => {
                let (reason, text) = (RollbackReason::Interrupted, hold.detail);
                roll_back(context, run, reason, None, text).await?;
            }
        }
    }

    Ok(Requeue::NOW)
}

/// Whether the run has waited for the lease for too long.
fn is_too_long(context: &Context, progress: &mut Progress) -> bool {
    let since = *progress.waits_since.get_or_insert_with(|| context.clock.monotonic());
    execute::elapsed(context, since) >= LEASE_WAIT_MAX
}

/// The stage whose steps are being performed, or have been.
fn begun_stage(steps: &[StepRow]) -> u32 {
    let begun = steps.iter().filter(|it| it.state != StepState::Planned);
    begun.map(|it| it.stage).max().unwrap_or_default()
}

/// The planned steps of a stage that are performed next, all at the same time.
fn next_wave(steps: &[StepRow], stage: u32) -> Option<Vec<&StepRow>> {
    let planned = || steps.iter().filter(|it| it.state == StepState::Planned && it.stage == stage);
    let wave = planned().map(|it| it.wave).min()?;
    Some(planned().filter(|it| it.wave == wave).collect())
}

/// Performs the next planned wave of the earliest stage that is not finished. The permit is used
/// up: the next wave needs another one (I41).
async fn perform_wave(
    context: &Context,
    run: &RunRow,
    steps: &[StepRow],
    permit: Permit,
) -> Result<Requeue, StoreError> {
    let planned = steps.iter().filter(|it| it.state == StepState::Planned);
    let stage = planned.map(|it| it.stage).min().unwrap_or_default();
    let wave = next_wave(steps, stage).unwrap_or_default();
    let number = wave.first().map_or(0, |it| it.wave);

    // Not `try_join_all`: a step that has begun is finished, even if another cannot be stored.
    let outcomes = join_all(wave.iter().map(|it| execute::perform(context, it, &permit))).await;

    for outcome in outcomes {
        let (reason, text) = match outcome? {
            StepOutcome::Done => continue,
            StepOutcome::Failed(text) => (RollbackReason::FailedToApply, text),
            StepOutcome::Drifted(text) => (RollbackReason::ExternallyChanged, text),
        };
        roll_back(context, run, reason, None, text).await?;
        return Ok(Requeue::NOW);
    }

    let later = steps.iter().filter(|it| it.stage == stage && it.wave > number);
    let pause = later.map(|it| change::pause_between_waves(&it.change)).max();

    Ok(Requeue::After(pause.unwrap_or_default()))
}

/// Moves on when every step is effective. A group that has got more consumers must be stable first.
async fn all_effective(
    context: &Context,
    run: &RunRow,
    progress: &mut Progress,
) -> Result<Requeue, StoreError> {
    if let Some(group) = run.target.group()
        && let Err(seen) = guard::group::check_stable(context, group).await
    {
        let since = *progress.waits_since.get_or_insert_with(|| context.clock.monotonic());
        if execute::elapsed(context, since) < STABLE_MAX {
            return Ok(Requeue::After(STABLE_POLL_INTERVAL));
        }

        let limit = STABLE_MAX.as_secs();
        let text = format!("the group `{group}` was not stable within {limit} s: {seen}");
        roll_back(context, run, RollbackReason::FailedToApply, None, text).await?;
        return Ok(Requeue::NOW);
    }

    let took = context.now().since(run.times.created);
    context.telemetry.alert_to_effect(&context.cluster.name, took);

    // From now on its end is in the store, whatever becomes of the watch.
    let change = RunUpdate { expires: temporary::expiry(context, run), ..RunUpdate::default() };
    transition(context, run, RunEvent::Apply, change).await?;
    info!(run = %run.id, target = %run.target, "Change is in effect.");
    *progress = Progress::default();

    Ok(Requeue::NOW)
}

/// After a crash between two steps: observes before it decides (I22). If every step of the begun
/// stages is effective the run goes on, otherwise it is rolled back. No step is done again.
async fn recover(
    context: &Context,
    detail: &RunDetail,
    progress: &mut Progress,
) -> Result<Requeue, StoreError> {
    let run = &detail.run;
    warn!(run = %run.id, "Found a run between two steps, observing what is effective.");

    let stage = begun_stage(&detail.steps);
    let mut is_complete = true;

    for step in detail.steps.iter().filter(|it| it.stage <= stage) {
        match step.state {
            StepState::Applied => (),
            StepState::Began => {
                let limit = RECOVERY_READ_BACK_MAX;
                let outcome = execute::read_back(context, step, limit, execute::MADE).await;
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
            | StepState::Drifted
            | StepState::Superseded => is_complete = false,
        }
    }

    if is_complete {
        progress.has_begun_stage = true;
    } else {
        let text = "the process ended between two steps".to_owned();
        roll_back(context, run, RollbackReason::Interrupted, None, text).await?;
    }

    Ok(Requeue::NOW)
}

/// Checks the effect of the run, and moves on when its current window has ended.
async fn watch(
    context: &Context,
    detail: &RunDetail,
    progress: &mut Progress,
) -> Result<Requeue, StoreError> {
    let run = &detail.run;
    if run.undo_requested {
        roll_back_on_request(context, run).await?;
        return Ok(Requeue::NOW);
    }

    if let Some(StopWatching { reason, verdict, text }) =
        watch::check(context, detail, &mut progress.watched).await
    {
        context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
        roll_back(context, run, reason, Some(verdict), text).await?;
        return Ok(Requeue::NOW);
    }

    if run.state == RunState::Settling {
        let settle = detail.measured.observation.as_ref().map_or(Duration::ZERO, |it| it.settle);
        let settled = run.times.effective.unwrap_or_default().after(settle);
        let left = settled.since(context.now());
        if !left.is_zero() {
            return Ok(Requeue::After(context.scrape_interval().min(left)));
        }

        transition(context, run, RunEvent::Settle, RunUpdate::default()).await?;
        return Ok(Requeue::NOW);
    }

    let is_canary = detail.steps.iter().any(|it| it.state == StepState::Planned);
    if let Some(verdict) = run.verdict.filter(|_| is_canary) {
        return widen(context, detail, verdict, progress).await;
    }

    observe(context, detail, progress).await
}

/// Makes the looks that are due, and concludes if one gives a verdict.
async fn observe(
    context: &Context,
    detail: &RunDetail,
    progress: &mut Progress,
) -> Result<Requeue, StoreError> {
    let run = &detail.run;
    let scrape = context.scrape_interval();

    let judged = interim::judge(context, detail, &mut progress.looks).await;
    if judged.is_ok() {
        progress.unread_since = None;
    }

    match judged {
        Ok(InterimResult::Next(time)) => Ok(Requeue::After(scrape.min(time))),
        Ok(InterimResult::Tripped(text)) => {
            let verdict = Verdict::Regressed;
            context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
            roll_back(context, run, RollbackReason::GuardTripped, Some(verdict), text).await?;
            Ok(Requeue::NOW)
        }
        Ok(InterimResult::Over { verdict, measured, text, case }) => {
            if let Some(case) = case {
                context.store.set_case(run.id, *case).await?;
            }
            conclude(context, detail, verdict, *measured, text).await
        }
        // If it stays away, the watch ends the run.
        Err(InterimError::Evidence(hold)) => {
            let since = *progress.unread_since.get_or_insert_with(|| context.clock.monotonic());
            if execute::elapsed(context, since) < UNREAD_MAX {
                return Ok(Requeue::After(scrape));
            }

            let (reason, verdict) = (RollbackReason::EvidenceLost, Verdict::Inconclusive);
            context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
            roll_back(context, run, reason, Some(verdict), hold.detail).await?;
            Ok(Requeue::NOW)
        }
        Err(InterimError::Store(error)) => Err(error),
    }
}

/// Keeps the run or rolls it back. After a canary that is kept come the other brokers.
async fn conclude(
    context: &Context,
    detail: &RunDetail,
    verdict: Verdict,
    measured: Measurement,
    text: String,
) -> Result<Requeue, StoreError> {
    let run = &detail.run;
    let is_canary = detail.steps.iter().any(|it| it.state == StepState::Planned);
    context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);

    let keep_neutral = context.playbook(run).is_some_and(|it| it.keep_neutral);
    let is_kept = verdict == Verdict::Improved || (verdict == Verdict::Neutral && keep_neutral);
    let canary_verdict = (is_kept && is_canary).then_some(verdict);
    context.store.set_measured(run.id, measured, canary_verdict).await?;

    if !is_kept {
        roll_back(context, run, RollbackReason::Verdict, Some(verdict), text).await?;
        return Ok(Requeue::NOW);
    }

    context.store.note(run.id, context.now(), "verdict", text).await?;
    if is_canary {
        return Ok(Requeue::NOW);
    }

    keep(context, run, verdict, None).await
}

/// Goes on to the brokers after the canary, if the guard lets it. A mode that forbids it, or a
/// guard that does not pass in time, leaves them as they are: the canary has proved itself, and is
/// kept.
async fn widen(
    context: &Context,
    detail: &RunDetail,
    verdict: Verdict,
    progress: &mut Progress,
) -> Result<Requeue, StoreError> {
    let run = &detail.run;
    let hold = match guard::widen(context, detail).await {
        Ok(permit) => {
            info!(run = %run.id, %verdict, "Canary kept, changing the other brokers.");
            transition(context, run, RunEvent::Widen, RunUpdate::default()).await?;
            *progress = Progress { has_begun_stage: true, ..Progress::default() };
            return perform_wave(context, run, &detail.steps, permit).await;
        }
        Err(hold) => hold,
    };

    let since = *progress.waits_since.get_or_insert_with(|| context.clock.monotonic());
    let is_final = matches!(hold.reason, HoldReason::NotActing | HoldReason::AdviseOnly);

    if is_final || execute::elapsed(context, since) >= WIDEN_MAX {
        let note = format!("the other brokers were not changed: {}", hold.detail);
        return keep(context, run, verdict, Some(note)).await;
    }

    if progress.reported.replace(hold.reason) != Some(hold.reason) {
        context.telemetry.held(&context.cluster.name, &run.playbook, hold.reason);
        let text = format!("the other brokers wait: {}", hold.detail);
        context.store.note(run.id, context.now(), "gate", text).await?;
    }

    Ok(Requeue::After(CHECK_INTERVAL))
}

async fn keep(
    context: &Context,
    run: &RunRow,
    verdict: Verdict,
    note: Option<String>,
) -> Result<Requeue, StoreError> {
    // An earlier version stored the end only now.
    let expires = run.times.expires.or_else(|| temporary::expiry(context, run));
    let change = RunUpdate { verdict: Some(verdict), expires, note, ..RunUpdate::default() };
    transition(context, run, RunEvent::Keep, change).await?;
    info!(run = %run.id, %verdict, "Run kept.");

    Ok(Requeue::NOW)
}

/// Undoes all steps; the run is stuck if one cannot be undone.
async fn undo_all(context: &Context, detail: &RunDetail) -> Result<Requeue, StoreError> {
    let run = &detail.run;
    let undone = match undo::advance(context, detail).await? {
        UndoProgress::Again(time) => return Ok(Requeue::After(time.since(context.now()))),
        UndoProgress::Finished(undone) => undone,
    };

    let is_stuck = !undone.failed.is_empty();
    let has_drifted = !is_stuck && !undone.drifted.is_empty();
    let (event, notes) = if is_stuck {
        (RunEvent::Jam, undone.failed)
    } else {
        (RunEvent::Undo, [undone.drifted, undone.superseded].concat())
    };
    let change = RunUpdate {
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        rollback_reason: has_drifted.then_some(RollbackReason::ExternallyChanged),
        ..RunUpdate::default()
    };
    let state = transition(context, run, event, change).await?;

    info!(run = %run.id, %state, "Undo finished.");

    Ok(Requeue::Done)
}
