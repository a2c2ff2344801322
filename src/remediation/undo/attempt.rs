//! One try to undo one step: observes, sends, reads back.

use super::{
    super::{
        breach::Breach,
        change::{self, ApplyError, Direction, Observed},
        context::Context,
        execute::{self, EFFECTIVE_MAX, StepOutcome},
    },
    is_ahead,
    order::UndoOrder,
};
use crate::{
    model::{Change, ConfigEntry, RequestOutcome, WallTime, WriteMode},
    store::StepRow,
    telemetry::chain,
};

pub(super) enum UndoAttempt {
    /// The prior state was read back.
    Done,
    /// Someone else changed the resource.
    Drifted(String),
    /// It was answered. Until then an older request of ours may still take effect, so that what is
    /// observed proves nothing.
    Settles(WallTime),
    Failed {
        outcome: RequestOutcome,
        problem: String,
    },
}

impl UndoAttempt {
    fn failed(error: &ApplyError) -> Self {
        Self::Failed { outcome: error.outcome(), problem: chain(error) }
    }
}

/// Undoes the step if it is not undone.
///
/// Unless the step is known to be applied, its own request may still be in the broker's queue. Then
/// the prior state proves nothing, since the request may be processed later. The undo is sent all
/// the same: once a broker has answered it, no older request of ours is left.
pub(super) async fn attempt(context: &Context, step: &StepRow) -> UndoAttempt {
    let settled = step.progress.settled;
    let may_be_in_flight = settled.is_none_or(|it| is_ahead(context, it));
    let is_blind = Breach::I23RetryIsBlind.is_played() && step.progress.is_retried;

    let is_prior = match change::observe(context, step).await {
        Ok(_) if is_blind => false,
        Ok(Observed::Prior) if !may_be_in_flight => return UndoAttempt::Done,
        Ok(Observed::Prior) => true,
        Ok(Observed::Diverged(_)) if Breach::I12UndoOverwrites.is_played() => false,
        Ok(Observed::Diverged(text)) => return UndoAttempt::Drifted(text),
        Ok(
            Observed::Desired
            | Observed::NotEffective
            | Observed::PriorNotEffective
            | Observed::Propagating,
        ) => false,
        Err(error) => return UndoAttempt::failed(&error),
    };

    let answer = change::apply(context, step, Direction::Prior, WriteMode::Write).await;
    match answer {
        Err(error) if error.outcome() == RequestOutcome::NotSent => UndoAttempt::failed(&error),
        // Nothing was changed. That is fine if nothing had to be.
        Err(error) if error.outcome() == RequestOutcome::Refused && !is_prior => {
            UndoAttempt::failed(&error)
        }
        // The answer was lost, and there is nothing to see.
        Err(error) if error.outcome() == RequestOutcome::Unknown && is_prior => {
            UndoAttempt::failed(&error)
        }
        // Without an answer, one broker that reports the prior state may just be cut off.
        Err(error) if error.outcome() == RequestOutcome::Unknown => {
            read_back(context, step, &[Observed::Prior]).await
        }
        Ok(()) | Err(_) if may_be_in_flight => {
            UndoAttempt::Settles(context.now().after(change::in_flight_max(&step.change)))
        }
        Ok(()) => read_back(context, step, &[Observed::Prior, Observed::Propagating]).await,
        Err(_) => read_back(context, step, &[Observed::Prior]).await,
    }
}

/// Undoes a step whose entry a later run of ours has deleted, since the broker did not run it. The
/// steps of that entry are undone at once: the first one has what was there before all.
pub(super) async fn restore_removed(
    context: &Context,
    order: &UndoOrder,
    step: &StepRow,
) -> UndoAttempt {
    if order.has_open_below(step) {
        return UndoAttempt::Done;
    }

    match change::observe(context, step).await {
        Ok(Observed::Prior) => return UndoAttempt::Done,
        Ok(_) => (),
        Err(error) => return UndoAttempt::failed(&error),
    }

    match is_absent(context, step).await {
        Ok(true) => (),
        Ok(false) => {
            let text = "someone else set it after this program had deleted it";
            return UndoAttempt::Drifted(text.to_owned());
        }
        Err(error) => return UndoAttempt::failed(&error),
    }

    match change::apply(context, step, Direction::Prior, WriteMode::Write).await {
        Err(error) if error.outcome() != RequestOutcome::Unknown => UndoAttempt::failed(&error),
        Ok(()) | Err(_) => read_back(context, step, &[Observed::Prior]).await,
    }
}

async fn is_absent(context: &Context, step: &StepRow) -> Result<bool, ApplyError> {
    let Change::BrokerConfig(change) = &step.change else { return Ok(false) };
    let config = context.kafka.broker_config(change.broker, &[&change.key]).await?;
    Ok(config.get(&change.key).and_then(ConfigEntry::stored).is_none())
}

async fn read_back(context: &Context, step: &StepRow, wanted: &[Observed]) -> UndoAttempt {
    match execute::read_back(context, step, EFFECTIVE_MAX, wanted).await {
        StepOutcome::Done => UndoAttempt::Done,
        StepOutcome::Drifted(text) => UndoAttempt::Drifted(text),
        // It was accepted, and is not in effect: more tries may not help.
        StepOutcome::Failed(problem) => {
            UndoAttempt::Failed { outcome: RequestOutcome::Refused, problem }
        }
    }
}
