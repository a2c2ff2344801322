//! Restores what a restart lost (KAFKA-20890): a broker that runs none of its dynamic entries
//! refuses every change that leaves one of them. So the entries of a run are set in one request, to
//! what was stored before the run, and not step by step.

use std::collections::BTreeMap;

use super::{
    super::{
        change::{self, Observed},
        context::Context,
        execute::{self, EFFECTIVE_MAX, StepOutcome},
    },
    order::UndoOrder,
};
use crate::{
    model::{BrokerConfigChange, BrokerId, Change, ConfigChange, RequestOutcome, WriteMode},
    store::{StepRow, StepState, StoreError},
    telemetry::chain,
};

/// The changes of one key of one broker, first to last. Never empty.
struct KeySteps<'a> {
    first: &'a BrokerConfigChange,
    steps: Vec<&'a StepRow>,
}

/// Restores the entries of one broker that are not effective. What fails is left to the steps' own
/// undo, which says why. Returns whether anything was done.
pub(super) async fn restore_lost(context: &Context, order: &UndoOrder) -> Result<bool, StoreError> {
    for (broker, keys) in by_broker(order) {
        let mut lost = Vec::new();
        let mut has_restored = false;

        for key in keys {
            if is_restored(context, &key).await {
                let text = "found as before the run";
                record_all(context, order, &key, StepState::Undone, text).await?;
                has_restored = true;
            } else if is_lost(context, &key).await? {
                lost.push(key);
            }
        }

        if !lost.is_empty() {
            restore(context, order, broker, &lost).await?;
        }

        if has_restored || !lost.is_empty() {
            return Ok(true);
        }
    }

    Ok(false)
}

fn by_broker(order: &UndoOrder) -> BTreeMap<BrokerId, Vec<KeySteps<'_>>> {
    let mut by_key = BTreeMap::<(BrokerId, &str), KeySteps<'_>>::new();
    let steps: Vec<&StepRow> = order.steps().collect();

    for step in steps.into_iter().rev() {
        if let Change::BrokerConfig(change) = &step.change
            && order.is_open(step)
            && !order.is_removed(step)
            && !order.is_theirs(step)
        {
            let key = by_key
                .entry((change.broker, &change.key))
                .or_insert_with(|| KeySteps { first: change, steps: Vec::new() });
            key.steps.push(step);
        }
    }

    let mut by_broker = BTreeMap::<BrokerId, Vec<KeySteps<'_>>>::new();

    for ((broker, _), key) in by_key {
        // A step whose outcome is not known is undone by itself.
        let is_known = |it: &&StepRow| !matches!(it.state, StepState::Began | StepState::Failed);
        if key.steps.iter().all(is_known) {
            by_broker.entry(broker).or_default().push(key);
        }
    }

    by_broker
}

/// Whether the last value is stored and not effective. Asked once, and again after a refusal.
async fn is_lost(context: &Context, key: &KeySteps<'_>) -> Result<bool, StoreError> {
    let Some(last) = key.steps.last().filter(|it| !it.progress.loss_checked) else {
        return Ok(false);
    };
    let mut progress = last.progress.clone();
    progress.loss_checked = true;
    context.store.set_progress(last.run, last.index, progress).await?;

    Ok(matches!(change::observe(context, last).await, Ok(Observed::NotEffective)))
}

/// Whether a process ended after it had restored the key here: only here do all steps of a key
/// begin their undo together.
async fn is_restored(context: &Context, key: &KeySteps<'_>) -> bool {
    let began_together =
        key.steps.len() > 1 && key.steps.iter().all(|it| it.state == StepState::UndoBegan);
    let Some(first) = key.steps.first().filter(|_| began_together) else { return false };
    matches!(change::observe(context, first).await, Ok(Observed::Prior))
}

async fn restore(
    context: &Context,
    order: &UndoOrder,
    broker: BrokerId,
    lost: &[KeySteps<'_>],
) -> Result<(), StoreError> {
    let mut changes = Vec::with_capacity(lost.len());
    for key in lost {
        let BrokerConfigChange { key: name, from_stored, .. } = key.first;
        let prior = from_stored.as_deref().unwrap_or("no entry of its own");
        let text = format!("broker {broker} {name}, lost at a restart → {prior}");
        record_all(context, order, key, StepState::UndoBegan, &text).await?;
        changes.push(ConfigChange { key: name.clone(), value: from_stored.clone() });
    }

    let answer = context.kafka.alter_broker_config(broker, &changes, WriteMode::Write).await;
    if let Some(error) = answer.err().filter(|it| it.outcome() != RequestOutcome::Unknown) {
        let text = format!("broker {broker} keeps what a restart lost: {}", chain(&error));
        return match lost.iter().find_map(|it| it.steps.last()) {
            Some(step) => context.store.note(step.run, context.now(), "step", text).await,
            None => Ok(()),
        };
    }

    for key in lost {
        let Some(first) = key.steps.first() else { continue };
        let read = execute::read_back(context, first, EFFECTIVE_MAX, &[Observed::Prior]).await;
        if read == StepOutcome::Done {
            let text = "restored in one request";
            record_all(context, order, key, StepState::Undone, text).await?;
        }
    }

    Ok(())
}

/// Stores a state for all steps of a key, last first as every undo.
async fn record_all(
    context: &Context,
    order: &UndoOrder,
    key: &KeySteps<'_>,
    state: StepState,
    text: &str,
) -> Result<(), StoreError> {
    for step in key.steps.iter().rev() {
        execute::record(context, step, state, text.to_owned()).await?;
        if state == StepState::Undone {
            order.mention(context, step).await?;
        }
    }
    Ok(())
}
