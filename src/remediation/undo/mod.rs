//! Undoes steps, last first, each to exactly the state before it (I23).
//!
//! Every undo observes before it acts, so that it may be repeated after a crash: a step that is
//! already undone is not touched, and a value that someone else wrote is theirs (I12).

pub(super) mod restart_loss;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;

use super::{
    breach::Breach,
    change::{self, ApplyError, Direction, Observed},
    context::Context,
    execute::{self, EFFECTIVE_MAX, StepOutcome},
    guard::{self, availability},
};
use crate::{
    model::{BrokerId, RequestOutcome, ResourceKey, RunId, WriteMode},
    optimizers::tune_brokers::changes_network_threads,
    store::{StepRow, StepState, StoreError},
    telemetry::chain,
};

/// How often an undo is tried if the broker refuses it. The pause between two tries doubles from
/// one second.
const TRIES_MAX: u32 = 6;

/// How long an undo is tried if the broker does not answer: a restart with log recovery takes
/// minutes, and a stuck run needs a person.
const UNANSWERED_MAX: Duration = Duration::from_mins(10);

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long an undo of network threads waits until the broker may lose connections (I15).
const AVAILABILITY_MAX: Duration = Duration::from_mins(5);
const AVAILABILITY_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Steps that are not undone, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Undone {
    /// The undo failed.
    pub(super) failed: Vec<String>,
    /// Someone else changed the resource.
    pub(super) drifted: Vec<String>,
}

/// Undoes every step that may have taken effect, wave by wave, last first.
pub(super) async fn all(context: &Context, steps: &[StepRow]) -> Result<Undone, StoreError> {
    let mut undone = Undone::default();
    let mut waves: Vec<u32> = steps.iter().map(|it| it.wave).collect();
    waves.sort_unstable();
    waves.dedup();

    // A crash between two halvings does not shorten the pause between them.
    let is_shrunk = |it: &StepRow| shrinking_broker(it).is_some() && it.state == StepState::Undone;
    let mut has_shrunk = steps.iter().any(is_shrunk);

    let resources = |it: &StepRow| it.change.resources();
    let drifted = steps.iter().filter(|it| it.state == StepState::Drifted);
    let mut theirs: BTreeSet<ResourceKey> = drifted.flat_map(resources).collect();
    let mut failed = BTreeSet::<ResourceKey>::new();

    for wave in waves.into_iter().rev() {
        let in_wave = steps.iter().filter(|it| {
            it.wave == wave && may_have_effect(it.state) && it.change.is_restored_on_undo()
        });
        // After a failed undo the earlier steps of the same resource cannot be undone.
        let in_wave: Vec<&StepRow> =
            in_wave.filter(|it| !resources(it).iter().any(|it| failed.contains(it))).collect();

        if in_wave.iter().any(|it| shrinking_broker(it).is_some()) {
            if has_shrunk {
                context.clock.sleep(context.remediation.shrink_pause).await;
            }
            has_shrunk = true;
        }

        let outcomes = in_wave.iter().map(|step| {
            // Once someone else changed a resource, an earlier value that looks like ours is
            // theirs too.
            let is_theirs = resources(step).iter().any(|it| theirs.contains(it));
            async move { Ok::<_, StoreError>((*step, undo(context, step, is_theirs).await?)) }
        });
        // Not `try_join_all`: an undo that has begun is finished, even if another cannot be stored.
        for done in join_all(outcomes).await {
            let (step, outcome) = done?;
            let text = step.change.text();
            let named = |problem: String| format!("{} {}: {problem}", text.subject, text.key);

            match outcome {
                StepOutcome::Done => (),
                StepOutcome::Failed(problem) => {
                    failed.extend(resources(step));
                    undone.failed.push(named(problem));
                }
                StepOutcome::Drifted(problem) => {
                    theirs.extend(resources(step));
                    undone.drifted.push(named(problem));
                }
            }
        }
    }
    Ok(undone)
}

/// The broker that loses network threads, and with them connections, when the step is undone.
fn shrinking_broker(step: &StepRow) -> Option<BrokerId> {
    step.change.broker().filter(|_| changes_network_threads(&step.change))
}

/// A failed step may have taken effect too.
const fn may_have_effect(state: StepState) -> bool {
    match state {
        StepState::Began
        | StepState::Applied
        | StepState::Failed
        | StepState::UndoBegan
        | StepState::UndoFailed => true,
        StepState::Planned | StepState::Undone | StepState::Drifted => false,
    }
}

/// Undoes one step, and stores how that went. `is_theirs`: someone else changed the resource after
/// a later step.
async fn undo(
    context: &Context,
    step: &StepRow,
    is_theirs: bool,
) -> Result<StepOutcome, StoreError> {
    if is_theirs {
        return drifted(context, step, "someone else changed it after a later step").await;
    }
    if step.state == StepState::Applied && is_prior(context, step).await {
        return drifted(context, step, "someone else set it back").await;
    }

    let text = step.change.text();

    execute::record(context, step, StepState::UndoBegan, text.undo()).await?;

    if let Some(broker) = shrinking_broker(step) {
        wait_for_availability(context, step.run, broker).await?;
    }

    // Unless the step is known to be applied, its own request may still be in the broker's queue.
    // Then the prior state proves nothing, since the request may be processed later. The undo is
    // sent all the same: once a broker has answered it, no older request of ours is left.
    let mut may_be_in_flight = step.state != StepState::Applied;
    let started = context.clock.monotonic();
    let mut pause = Duration::from_secs(1);
    let mut tries_left = TRIES_MAX;
    let mut problem = String::new();
    while tries_left > 0 && execute::elapsed(context, started) < UNANSWERED_MAX {
        let attempt = attempt(context, step, &mut may_be_in_flight).await;

        match attempt.outcome {
            StepOutcome::Done => {
                let text = format!("{} again, stored: {}", text.from, text.prior());
                execute::record(context, step, StepState::Undone, text).await?;
                return Ok(StepOutcome::Done);
            }
            StepOutcome::Drifted(text) => return drifted(context, step, &text).await,
            StepOutcome::Failed(text) => problem = text,
        }

        tries_left = tries_left.saturating_sub(u32::from(attempt.is_answered));

        if tries_left > 0 {
            context.clock.sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    execute::record(context, step, StepState::UndoFailed, problem.clone()).await?;

    Ok(StepOutcome::Failed(problem))
}

async fn is_prior(context: &Context, step: &StepRow) -> bool {
    let observed = change::observe(context, step).await;
    matches!(observed, Ok(Observed::Prior | Observed::PriorNotEffective))
}

async fn drifted(context: &Context, step: &StepRow, text: &str) -> Result<StepOutcome, StoreError> {
    execute::record(context, step, StepState::Drifted, text.to_owned()).await?;
    Ok(StepOutcome::Drifted(text.to_owned()))
}

/// One try to undo a step.
struct UndoAttempt {
    outcome: StepOutcome,
    /// Whether the broker or engine answered at all.
    is_answered: bool,
}

impl UndoAttempt {
    fn answered(outcome: StepOutcome) -> Self {
        Self { outcome, is_answered: true }
    }

    fn failed(error: &ApplyError) -> Self {
        Self {
            outcome: StepOutcome::Failed(chain(error)),
            is_answered: error.outcome() == RequestOutcome::Refused,
        }
    }
}

async fn attempt(context: &Context, step: &StepRow, may_be_in_flight: &mut bool) -> UndoAttempt {
    let was_in_flight = *may_be_in_flight;
    let is_prior = match change::observe(context, step).await {
        Ok(Observed::Prior) if !was_in_flight => {
            return UndoAttempt::answered(StepOutcome::Done);
        }
        Ok(Observed::Prior) => true,
        Ok(Observed::Diverged(_)) if Breach::I12UndoOverwrites.is_played() => false,
        Ok(Observed::Diverged(text)) => return UndoAttempt::answered(StepOutcome::Drifted(text)),
        Ok(Observed::Desired | Observed::NotEffective | Observed::PriorNotEffective) => false,
        Err(error) => return UndoAttempt::failed(&error),
    };

    let answer = change::apply(context, step, Direction::Prior, WriteMode::Write).await;
    let failure = answer.as_ref().err().map(ApplyError::outcome);
    if failure.is_none_or(|it| it == RequestOutcome::Refused) {
        if was_in_flight {
            context.clock.sleep(change::in_flight_max(&step.change)).await;
        }
        *may_be_in_flight = false;
    }

    let has_failed = match failure {
        None => false,
        // Nothing was changed. That is fine if nothing had to be.
        Some(RequestOutcome::Refused) => !is_prior,
        // The answer was lost. Where there is something to see, the read-back decides.
        Some(RequestOutcome::Unknown) => is_prior,
        Some(RequestOutcome::NotSent) => true,
    };
    match answer {
        Err(error) if has_failed => UndoAttempt::failed(&error),
        _ => {
            let read = execute::read_back(context, step, EFFECTIVE_MAX, Observed::Prior).await;
            UndoAttempt::answered(read)
        }
    }
}

/// Removing network threads closes connections: waits until every partition of the broker has an
/// in-sync replica to spare, at most [`AVAILABILITY_MAX`].
async fn wait_for_availability(
    context: &Context,
    run: RunId,
    broker: BrokerId,
) -> Result<(), StoreError> {
    let started = context.clock.monotonic();

    loop {
        let problem = match context.kafka.topology().await {
            Ok(topology) => match guard::minimums(context, &topology, &[broker]).await {
                Ok(minimums) => availability::problem(&topology, &minimums, broker),
                Err(hold) => Some(hold.detail),
            },
            Err(error) => Some(chain(&error)),
        };
        let Some(problem) = problem else { return Ok(()) };

        if execute::elapsed(context, started) >= AVAILABILITY_MAX {
            let text = format!(
                "the availability check did not pass within 5 min ({problem}); the undo goes on"
            );
            return context.store.note(run, context.now(), "gate", text).await;
        }
        context.clock.sleep(AVAILABILITY_POLL_INTERVAL).await;
    }
}
