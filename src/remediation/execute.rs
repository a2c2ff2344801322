//! Carries steps out, one wave after the other, and reads each back.
//!
//! Invariant (I22): the intent is durable before the request, the outcome after it.
//! Invariant (I21): success is what the named broker says it runs, never what it answered to the
//! write.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    change::{self, ApplyError, Observed},
    context::Context,
};
use crate::{
    model::{MonotonicTime, WriteMode},
    store::{StepRow, StepState, StepUpdate, StoreError},
    telemetry::chain,
};

/// How long a broker may take to apply what it accepted. Seen: 4–143 ms idle, 2.3 s at load 10.
const APPLY_MAX: Duration = Duration::from_secs(30);
/// The same when the answer to the write was lost: the request may still stand in the broker's
/// queue.
const APPLY_UNANSWERED_MAX: Duration = Duration::from_mins(1);
/// How long a look before a step is tried.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// First pause between two reads; doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// Longest pause between two reads.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepEnd {
    Done,
    /// Not in force; may be stored.
    Failed(String),
    /// Someone else changed the key.
    Drifted(String),
}

pub(super) async fn perform(context: &Context, step: &StepRow) -> Result<StepEnd, StoreError> {
    let started = context.clock.monotonic();
    // The first step of each broker was rehearsed a moment ago; a later one could not be (I19).
    if let Some(end) = refused_beforehand(context, step).await {
        match &end {
            StepEnd::Drifted(text) => {
                record(context, step, StepState::Drifted, text.clone()).await?;
            }
            // It stays planned: nothing was sent, so that there is nothing to undo.
            StepEnd::Failed(text) => {
                let text = format!("step {}: not begun: {text}", step.index);
                context.store.note(step.run, context.now(), "step", text).await?;
            }
            StepEnd::Done => (),
        }
        return Ok(end);
    }
    let intent =
        format!("{} {} {} → {}", step.subject, step.key, step.from, said(step.to.as_ref()));
    record(context, step, StepState::Began, intent).await?;
    let answer = change::apply(context, step, (step.to.as_deref(), WriteMode::Write)).await;
    let end = match &answer {
        Err(error) if !error.outcome_is_unknown() => StepEnd::Failed(chain(error)),
        Err(_) => read_back(context, step, APPLY_UNANSWERED_MAX, Observed::Desired).await,
        Ok(()) => read_back(context, step, APPLY_MAX, Observed::Desired).await,
    };
    let took = took(context, started);
    context.telemetry.step_done(&context.cluster.name, took);
    let said = answer.err().map_or("accepted".to_owned(), |error| chain(&error));
    match &end {
        StepEnd::Done => {
            let text =
                format!("in force after {} ms; the broker's answer: {said}", took.as_millis());
            record(context, step, StepState::Applied, text).await?;
        }
        StepEnd::Drifted(text) => record(context, step, StepState::Drifted, text.clone()).await?,
        StepEnd::Failed(text) => record(context, step, StepState::Failed, text.clone()).await?,
    }
    Ok(end)
}

/// A value, or the lack of one, for people.
pub(super) fn said(value: Option<&String>) -> &str {
    value.map_or("no entry of its own", String::as_str)
}

async fn refused_beforehand(context: &Context, step: &StepRow) -> Option<StepEnd> {
    match patiently(context, || Box::pin(change::observe(context, step))).await {
        Ok(Observed::Prior) => (),
        Ok(Observed::Diverged(text)) => return Some(StepEnd::Drifted(text)),
        Ok(found @ (Observed::Desired | Observed::NotEffective | Observed::PriorNotEffective)) => {
            return Some(StepEnd::Drifted(format!("{found:?} before it was written by this run")));
        }
        Err(error) => return Some(StepEnd::Failed(chain(&error))),
    }
    if step.wave == 0 {
        return None;
    }
    let change = (step.to.as_deref(), WriteMode::ValidateOnly);
    let rehearsed = patiently(context, || Box::pin(change::apply(context, step, change))).await;
    rehearsed.err().map(|error| StepEnd::Failed(chain(&error)))
}

/// Asks again for a while where nobody said no: what is asked here changes nothing, and a cluster
/// that needs the step is one that answers late.
async fn patiently<'a, T>(
    context: &'a Context,
    ask: impl Fn() -> BoxFuture<'a, Result<T, ApplyError>>,
) -> Result<T, ApplyError> {
    let started = context.clock.monotonic();
    loop {
        match ask().await {
            Err(error) if !error.is_refusal() && took(context, started) < LOOK_MAX => {
                context.clock.sleep(PAUSE_MAX).await;
            }
            answer => return answer,
        }
    }
}

/// Polls the broker until the key stands as `wanted`. The next step is validated against what is in
/// force, so that sleeping a fixed time would be wrong on either side.
pub(super) async fn read_back(
    context: &Context,
    step: &StepRow,
    limit: Duration,
    wanted: Observed,
) -> StepEnd {
    let started = context.clock.monotonic();
    let mut pause = PAUSE_FIRST;
    loop {
        let found = change::observe(context, step).await;
        if found.as_ref().is_ok_and(|it| *it == wanted) {
            return StepEnd::Done;
        }
        if limit <= took(context, started) {
            let seen = match found {
                Ok(Observed::Diverged(text)) => return StepEnd::Drifted(text),
                Ok(standing) => format!("{standing:?}"),
                Err(error) => chain(&error),
            };
            return StepEnd::Failed(format!(
                "not in force within {} s; last seen: {seen}",
                limit.as_secs()
            ));
        }
        context.clock.sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

/// Time since `started`.
pub(super) fn took(context: &Context, started: MonotonicTime) -> Duration {
    context.clock.monotonic().0.saturating_sub(started.0)
}

/// Writes a step's state and its line in the journal.
pub(super) async fn record(
    context: &Context,
    step: &StepRow,
    state: StepState,
    text: String,
) -> Result<(), StoreError> {
    context
        .store
        .move_step(StepUpdate { run: step.run, index: step.index, state, text }, context.now())
        .await
}
