//! The way out of the restart trap (KAFKA-20890): a broker that runs none of its dynamic keys
//! refuses every change that leaves it so. What a run wrote there goes back in one request, to what
//! was stored before the run, and not rung by rung.

use std::collections::BTreeMap;

use super::super::{
    change::{self, Observed},
    context::Context,
    execute::{self, StepEnd},
};
use crate::{
    model::{BrokerId, ConfigChange, OnUndo, Subject, WriteMode},
    store::{StepRow, StepState, StoreError},
    telemetry::chain,
};

/// The steps of one key of one broker, first to last.
type Ladder<'a> = Vec<&'a StepRow>;

/// Takes back what is not in force, broker by broker. What this cannot do is left to the steps'
/// own undo, which says why.
pub(in crate::remediation) async fn restore_lost(
    context: &Context,
    steps: &[StepRow],
) -> Result<(), StoreError> {
    for (broker, ladders) in by_broker(steps) {
        let mut lost = Vec::new();
        for ladder in ladders {
            if is_back(context, &ladder).await {
                record_all(context, &ladder, StepState::Undone, "found as before the run").await?;
            } else if is_lost(context, &ladder).await {
                lost.push(ladder);
            }
        }
        if !lost.is_empty() {
            take_back(context, broker, &lost).await?;
        }
    }
    Ok(())
}

fn by_broker(steps: &[StepRow]) -> BTreeMap<BrokerId, Vec<Ladder<'_>>> {
    let mut ladders = BTreeMap::<(BrokerId, &str), Ladder<'_>>::new();
    let ours = steps.iter().filter(|it| it.on_undo == OnUndo::Restore);
    for step in ours.filter(|it| [StepState::Applied, StepState::UndoBegan].contains(&it.state)) {
        if let Subject::Broker(broker) = step.subject {
            ladders.entry((broker, &step.key)).or_default().push(step);
        }
    }
    let mut by_broker = BTreeMap::<BrokerId, Vec<Ladder<'_>>>::new();
    for ((broker, _), ladder) in ladders {
        by_broker.entry(broker).or_default().push(ladder);
    }
    by_broker
}

/// Whether the last value is stored and another one in force.
async fn is_lost(context: &Context, ladder: &[&StepRow]) -> bool {
    let Some(last) = ladder.last() else { return false };
    matches!(change::observe(context, last).await, Ok(Observed::NotEffective))
}

/// Whether a process ended after it had taken the whole ladder back: only here do all of its steps
/// begin their undo together.
async fn is_back(context: &Context, ladder: &[&StepRow]) -> bool {
    let together = 1 < ladder.len() && ladder.iter().all(|it| it.state == StepState::UndoBegan);
    let Some(first) = ladder.first().filter(|_| together) else { return false };
    matches!(change::observe(context, first).await, Ok(Observed::Prior))
}

async fn take_back(
    context: &Context,
    broker: BrokerId,
    lost: &[Ladder<'_>],
) -> Result<(), StoreError> {
    let mut changes = Vec::with_capacity(lost.len());
    for ladder in lost {
        let Some(first) = ladder.first() else { continue };
        let prior = execute::said(first.from_stored.as_ref());
        let text = format!("{} {}, which a restart undid → {prior}", first.subject, first.key);
        record_all(context, ladder, StepState::UndoBegan, &text).await?;
        changes.push(ConfigChange { key: first.key.clone(), value: first.from_stored.clone() });
    }
    let answer = context.kafka.alter_broker_config(broker, &changes, WriteMode::Write).await;
    if let Some(error) = answer.err().filter(|it| !it.outcome_is_unknown()) {
        let run = lost.first().and_then(|it| it.first()).map(|it| it.run);
        let text = format!("broker {broker} keeps what a restart undid: {}", chain(&error));
        return match run {
            Some(run) => context.store.note(run, context.now(), "step", text).await,
            None => Ok(()),
        };
    }
    for ladder in lost {
        let Some(first) = ladder.first() else { continue };
        let end = execute::read_back(context, first, super::APPLY_MAX, Observed::Prior).await;
        if end == StepEnd::Done {
            record_all(context, ladder, StepState::Undone, "taken back in one request").await?;
        }
    }
    Ok(())
}

/// Last first, as every undo is told.
async fn record_all(
    context: &Context,
    ladder: &[&StepRow],
    state: StepState,
    text: &str,
) -> Result<(), StoreError> {
    for step in ladder.iter().rev() {
        execute::record(context, step, state, text.to_owned()).await?;
    }
    Ok(())
}
