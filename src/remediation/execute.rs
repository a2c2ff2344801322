//! Executes steps and reads each back.
//!
//! Invariant (I22): the intent is stored before the request is sent, the outcome after it.
//! Invariant (I21): a step succeeds when the named broker reports the new state, whatever it
//! answered to the request.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    breach::Breach,
    change::{self, ApplyError, Direction, Observed},
    context::Context,
    guard::{self, Permit},
};
use crate::{
    model::{MonotonicTime, RequestOutcome, WriteMode},
    store::{StepRow, StepState, StepUpdate, StoreError},
    telemetry::chain,
};

/// How long a broker may take to make an accepted change effective. Measured: 4–143 ms idle, 2.3 s
/// at load 10.
pub(super) const EFFECTIVE_MAX: Duration = Duration::from_secs(30);

/// The same when the answer was lost: the request may still be in the broker's queue.
const EFFECTIVE_UNANSWERED_MAX: Duration = Duration::from_mins(1);

/// How long the checks before a step are retried.
const CHECKS_MAX: Duration = Duration::from_secs(30);

/// First pause between two reads; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A change was made if one broker reports it: others may be late.
pub(super) const MADE: &[Observed] = &[Observed::Desired, Observed::Propagating];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepOutcome {
    /// The wanted state was read back.
    Done,
    /// It was not; the change may be stored.
    Failed(String),
    /// Someone else changed the resource.
    Drifted(String),
}

/// Makes the change of a step, and stores how that went.
///
/// The permit is the guard's: without one nothing is written (I41).
pub(super) async fn perform(
    context: &Context,
    step: &StepRow,
    permit: &Permit,
) -> Result<StepOutcome, StoreError> {
    let started = context.clock.monotonic();
    if let Some(outcome) = check_before(context, step, permit).await {
        match &outcome {
            StepOutcome::Drifted(text) => {
                record(context, step, StepState::Drifted, text.clone()).await?;
            }
            // The step stays planned: nothing was sent, so there is nothing to undo.
            StepOutcome::Failed(text) => {
                let text = format!("step {}: not begun: {text}", step.index);
                context.store.note(step.run, context.now(), "step", text).await?;
            }
            StepOutcome::Done => {
                let text = "nothing was left to do".to_owned();
                record(context, step, StepState::Applied, text).await?;
            }
        }

        return Ok(outcome);
    }

    // The guard was asked before the checks above, which may have taken longer than the lease.
    if let Err(hold) = guard::actor::check(context) {
        let text = format!("step {}: not begun: {}", step.index, hold.detail);
        context.store.note(step.run, context.now(), "step", text).await?;
        return Ok(StepOutcome::Failed(hold.detail));
    }

    let intent = step.change.text().to_string();
    let is_late = Breach::I22IntentAfterRequest.is_played();

    if !is_late {
        record(context, step, StepState::Began, intent.clone()).await?;
    }

    let answer = change::apply(context, step, Direction::Desired, WriteMode::Write).await;
    if is_late {
        record(context, step, StepState::Began, intent).await?;
    }

    let outcome = match &answer {
        Err(error) if error.outcome() != RequestOutcome::Unknown => {
            StepOutcome::Failed(chain(error))
        }
        Err(_) => read_back(context, step, EFFECTIVE_UNANSWERED_MAX, MADE).await,
        Ok(()) if Breach::I21AnswerIsBelieved.is_played() => StepOutcome::Done,
        Ok(()) => read_back(context, step, EFFECTIVE_MAX, MADE).await,
    };

    let took = elapsed(context, started);
    context.telemetry.step_done(&context.cluster.name, took);

    let (state, text) = match &outcome {
        StepOutcome::Done => {
            let answer = answer.err().map_or("accepted".to_owned(), |error| chain(&error));
            let text =
                format!("effective after {} ms; the broker's answer: {answer}", took.as_millis());
            (StepState::Applied, text)
        }
        StepOutcome::Drifted(text) => (StepState::Drifted, text.clone()),
        StepOutcome::Failed(text) => (StepState::Failed, text.clone()),
    };
    record(context, step, state, text).await?;

    Ok(outcome)
}

/// Checks that the prior state is there, and that the change would be accepted. Returns the outcome
/// if it is not.
async fn check_before(context: &Context, step: &StepRow, permit: &Permit) -> Option<StepOutcome> {
    match with_retries(context, || Box::pin(change::observe(context, step))).await {
        // What is on its way is what this run writes: writing it again changes nothing.
        Ok(Observed::Prior | Observed::Propagating) => (),
        // Kafka has elected the leaders itself: what the step would do is done.
        Ok(Observed::Desired) if !step.change.is_restored_on_undo() => {
            return Some(StepOutcome::Done);
        }
        Ok(Observed::Diverged(text)) => return Some(StepOutcome::Drifted(text)),
        Ok(found @ (Observed::Desired | Observed::NotEffective | Observed::PriorNotEffective)) => {
            let text = format!("{found:?} before this run wrote it");
            return Some(StepOutcome::Drifted(text));
        }
        Err(error) => return Some(StepOutcome::Failed(chain(&error))),
    }

    if permit.covers(step) {
        return None;
    }

    let (direction, mode) = (Direction::Desired, WriteMode::ValidateOnly);
    let validated =
        with_retries(context, || Box::pin(change::apply(context, step, direction, mode))).await;
    validated.err().map(|error| StepOutcome::Failed(chain(&error)))
}

/// Retries a request that changes nothing, unless it is refused: a cluster that needs the step may
/// answer late.
async fn with_retries<'a, T>(
    context: &'a Context,
    request: impl Fn() -> BoxFuture<'a, Result<T, ApplyError>>,
) -> Result<T, ApplyError> {
    let started = context.clock.monotonic();

    loop {
        match request().await {
            Err(error)
                if error.outcome() != RequestOutcome::Refused
                    && elapsed(context, started) < CHECKS_MAX =>
            {
                context.clock.sleep(PAUSE_MAX).await;
            }
            answer => return answer,
        }
    }
}

/// Polls until one of `wanted` is observed, at most `limit`. The next step is validated against
/// what is effective, so that a fixed pause would be too short or too long.
pub(super) async fn read_back(
    context: &Context,
    step: &StepRow,
    limit: Duration,
    wanted: &[Observed],
) -> StepOutcome {
    let started = context.clock.monotonic();
    let mut pause = PAUSE_FIRST;

    loop {
        let found = change::observe(context, step).await;
        if found.as_ref().is_ok_and(|it| wanted.contains(it)) {
            return StepOutcome::Done;
        }

        if elapsed(context, started) >= limit {
            let seen = match found {
                Ok(Observed::Diverged(text)) => return StepOutcome::Drifted(text),
                Ok(observed) => format!("{observed:?}"),
                Err(error) => chain(&error),
            };
            let limit = limit.as_secs();

            return StepOutcome::Failed(format!(
                "not effective within {limit} s; last observed: {seen}"
            ));
        }

        context.clock.sleep(pause).await;

        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

/// Time since `started`.
pub(super) fn elapsed(context: &Context, started: MonotonicTime) -> Duration {
    context.clock.monotonic().0.saturating_sub(started.0)
}

/// Stores a step's state and its line in the journal.
pub(super) async fn record(
    context: &Context,
    step: &StepRow,
    state: StepState,
    text: String,
) -> Result<(), StoreError> {
    let update = StepUpdate { run: step.run, index: step.index, state, text };
    context.store.move_step(update, context.now()).await
}
