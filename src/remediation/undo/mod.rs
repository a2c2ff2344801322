//! Undoes steps, last first, each to exactly the state before it (I23).
//!
//! Nothing here waits for the time to pass: [`advance`] does one unit of work and says when to come
//! back. What the next unit has to know is in the store, so that a crash loses nothing. Every undo
//! observes before it acts, so that it may be repeated: a step that is already undone is not
//! touched, and a value that someone else wrote is theirs (I12).

mod attempt;
mod order;
mod restart_loss;
pub(super) mod stuck;

use std::time::Duration;

use futures_util::future::join_all;

use self::order::UndoOrder;
use super::{
    change::{self, Observed},
    context::Context,
    execute,
    guard::{self, availability},
};
use crate::{
    model::{BrokerId, RequestOutcome, RunId, WallTime},
    optimizers::tune_brokers::changes_network_threads,
    store::{RunDetail, StepProgress, StepRow, StepState, StoreError},
    telemetry::chain,
};

/// How often an undo is tried if the broker refuses it.
const REFUSALS_MAX: u32 = 6;

/// How long an undo is tried if nobody answers: a restart with log recovery takes minutes. After
/// that the run is stuck, which stops other runs and tells people; [`stuck`] goes on from there.
const UNANSWERED_MAX: Duration = Duration::from_mins(10);

/// Longest pause between two tries. The first is one second; it doubles.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long an undo of network threads waits until the broker may lose connections (I15).
const AVAILABILITY_MAX: Duration = Duration::from_mins(5);
const AVAILABILITY_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Longest wait that is ever stored, apart from the pause between two halvings. A later time means
/// that the clock was set back.
const WAIT_MAX: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UndoProgress {
    /// There is nothing to do before that time.
    Again(WallTime),
    Finished(Undone),
}

/// Steps that are not undone, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Undone {
    /// The undo failed.
    pub(super) failed: Vec<String>,
    /// Someone else changed the resource.
    pub(super) drifted: Vec<String>,
    /// Another run of ours wrote the resource later: undone with that one.
    pub(super) superseded: Vec<String>,
}

/// Does one unit of a run's undo: one try at the steps of one wave, with at most one read-back.
pub(super) async fn advance(
    context: &Context,
    detail: &RunDetail,
) -> Result<UndoProgress, StoreError> {
    let order = UndoOrder::read(context, detail).await?;
    let now = context.now();

    if !order.covered.is_empty() {
        for (step, text) in &order.covered {
            execute::record(context, step, StepState::Superseded, text.clone()).await?;
        }
        return Ok(UndoProgress::Again(now));
    }

    if restart_loss::restore_lost(context, &order).await? {
        return Ok(UndoProgress::Again(now));
    }

    let Some(wave) = order.next_wave() else {
        return Ok(UndoProgress::Finished(order.outcome()));
    };

    let steps = order.open_steps(wave);
    let waits = |it: &&StepRow| it.progress.not_before.filter(|it| is_ahead(context, *it));
    let (due, waiting): (Vec<&StepRow>, Vec<&StepRow>) =
        steps.into_iter().partition(|it| waits(it).is_none());

    if due.is_empty() {
        let first = waiting.iter().filter_map(waits).min();
        return Ok(UndoProgress::Again(first.unwrap_or(now)));
    }

    let tries = due.into_iter().map(|step| undo(context, &order, step));

    // Not `try_join_all`: an undo that has begun is finished, even if another cannot be stored.
    for done in join_all(tries).await {
        done?;
    }

    // The next call finds out what has to be waited for.
    Ok(UndoProgress::Again(context.now()))
}

/// Whether a stored time has to be waited for. One too far ahead was stored by a clock that has
/// been set back since.
fn is_ahead(context: &Context, time: WallTime) -> bool {
    let left = time.since(context.now());
    !left.is_zero() && left <= WAIT_MAX.max(context.remediation.shrink_pause)
}

/// The broker that loses network threads, and with them connections, when the step is undone.
fn shrinking_broker(step: &StepRow) -> Option<BrokerId> {
    step.change.broker().filter(|_| changes_network_threads(&step.change))
}

/// Whether the undo of a step has to be tried. A failed step may have taken effect too; an undo
/// that failed is tried again when the run is.
const fn is_open(state: StepState) -> bool {
    match state {
        StepState::Began
        | StepState::Applied
        | StepState::Failed
        | StepState::UndoBegan
        | StepState::Superseded => true,
        StepState::Planned | StepState::Undone | StepState::UndoFailed | StepState::Drifted => {
            false
        }
    }
}

/// Tries to undo one step, and stores how that went.
async fn undo(context: &Context, order: &UndoOrder, step: &StepRow) -> Result<(), StoreError> {
    if order.is_theirs(step) {
        return drifted(context, step, "someone else changed it after a later step").await;
    }

    let mut step = step.clone();
    if step.state != StepState::UndoBegan {
        let is_settled = matches!(step.state, StepState::Applied | StepState::Superseded);
        if is_settled && !order.is_removed(&step) && is_prior(context, &step).await {
            return drifted(context, &step, "someone else set it back").await;
        }
        begin(context, &mut step, is_settled).await?;
    }

    if !passes_gate(context, &mut step).await? {
        return Ok(());
    }

    let attempt = if order.is_removed(&step) {
        attempt::restore_removed(context, order, &step).await
    } else {
        attempt::attempt(context, &step).await
    };
    match attempt {
        attempt::UndoAttempt::Done => {
            if shrinking_broker(&step).is_some() {
                order.delay_next_halving(context, &step).await?;
            }

            let text = step.change.text();
            let text = format!("{} again, stored: {}", text.from, text.prior());
            execute::record(context, &step, StepState::Undone, text).await?;

            order.mention(context, &step).await
        }
        attempt::UndoAttempt::Drifted(text) => drifted(context, &step, &text).await,
        attempt::UndoAttempt::Settles(time) => {
            step.progress.settled = Some(time);
            step.progress.not_before = Some(time);
            store_progress(context, &step).await
        }
        attempt::UndoAttempt::Failed { outcome, problem } => {
            failed(context, &mut step, outcome, problem).await
        }
    }
}

/// Stores that the undo of a step begins. `is_settled`: its own request is known to be processed.
async fn begin(context: &Context, step: &mut StepRow, is_settled: bool) -> Result<(), StoreError> {
    let now = context.now();
    step.progress = StepProgress {
        undo_began: Some(now),
        settled: is_settled.then_some(now),
        loss_checked: true,
        ..StepProgress::default()
    };
    store_progress(context, step).await?;

    execute::record(context, step, StepState::UndoBegan, step.change.text().undo()).await
}

async fn store_progress(context: &Context, step: &StepRow) -> Result<(), StoreError> {
    context.store.set_progress(step.run, step.index, step.progress.clone()).await
}

/// A try failed. Stores when the next one is due, or that there is none.
async fn failed(
    context: &Context,
    step: &mut StepRow,
    outcome: RequestOutcome,
    problem: String,
) -> Result<(), StoreError> {
    let now = context.now();
    let progress = &mut step.progress;
    let first_try = *progress.first_try.get_or_insert(now);
    let pause = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(progress.tries));
    progress.tries = progress.tries.saturating_add(1);

    if outcome == RequestOutcome::Refused {
        progress.refusals = progress.refusals.saturating_add(1);
        // A broker that has lost its values refuses every change but one that restores all.
        progress.loss_checked = false;
    }

    progress.not_before = Some(now.after(pause.min(PAUSE_MAX)));
    progress.problem = Some(problem.clone());

    let is_over = progress.refusals >= REFUSALS_MAX || now.since(first_try) >= UNANSWERED_MAX;
    store_progress(context, step).await?;

    if is_over {
        execute::record(context, step, StepState::UndoFailed, problem).await?;
    }

    Ok(())
}

async fn is_prior(context: &Context, step: &StepRow) -> bool {
    let observed = change::observe(context, step).await;
    matches!(observed, Ok(Observed::Prior | Observed::PriorNotEffective))
}

async fn drifted(context: &Context, step: &StepRow, text: &str) -> Result<(), StoreError> {
    execute::record(context, step, StepState::Drifted, text.to_owned()).await
}

/// Removing network threads closes connections: whether every partition of the broker has an
/// in-sync replica to spare, or was waited for [`AVAILABILITY_MAX`]. Otherwise the next look is
/// stored.
async fn passes_gate(context: &Context, step: &mut StepRow) -> Result<bool, StoreError> {
    let Some(broker) = shrinking_broker(step).filter(|_| !step.progress.gate_passed) else {
        return Ok(true);
    };
    let now = context.now();
    let began = *step.progress.undo_began.get_or_insert(now);

    let problem = availability_problem(context, broker).await;
    if problem.is_some() && now.since(began) < AVAILABILITY_MAX {
        step.progress.not_before = Some(now.after(AVAILABILITY_POLL_INTERVAL));
        store_progress(context, step).await?;
        return Ok(false);
    }

    if let Some(problem) = problem {
        note_gate(context, step.run, &problem).await?;
    }

    step.progress.gate_passed = true;
    store_progress(context, step).await?;

    Ok(true)
}

async fn availability_problem(context: &Context, broker: BrokerId) -> Option<String> {
    match context.kafka.topology().await {
        Ok(topology) => match guard::minimums(context, &topology, &[broker]).await {
            Ok(minimums) => availability::problem(&topology, &minimums, broker),
            Err(hold) => Some(hold.detail),
        },
        Err(error) => Some(chain(&error)),
    }
}

async fn note_gate(context: &Context, run: RunId, problem: &str) -> Result<(), StoreError> {
    let text =
        format!("the availability check did not pass within 5 min ({problem}); the undo goes on");
    context.store.note(run, context.now(), "gate", text).await
}
