//! Moves a run from one state to another: stored first, then published to telemetry.

use tracing::{info, warn};

use super::{context::Context, hold::Hold, view};
use crate::{
    model::{RollbackReason, RunEvent, RunState, Trigger, Verdict},
    store::{RunRow, RunUpdate, StoreError},
};

/// Stores and publishes the state that `event` leads to. Returns it.
pub(super) async fn transition(
    context: &Context,
    run: &RunRow,
    event: RunEvent,
    change: RunUpdate,
) -> Result<RunState, StoreError> {
    let state = context.store.move_run(run.id, context.now(), event, change).await?;
    if state.is_end() && state != RunState::Rehearsed {
        context.telemetry.run_ended(&context.cluster.name, run.optimizer, state);
    }
    view::publish(context).await?;

    Ok(state)
}

/// Holds a run. A person's order is cancelled instead, since the person waits for an answer; unless
/// an alert was merged into it, which would lose its only attempt.
pub(super) async fn hold(context: &Context, run: &RunRow, hold: Hold) -> Result<(), StoreError> {
    let Hold { reason, detail } = hold;
    let is_same = run.state == RunState::Held && run.hold == Some(reason);

    // A run that was stored as held has no note, and has not been reported.
    if !is_same || run.note.is_none() {
        context.telemetry.held(&context.cluster.name, &run.playbook, reason);
        info!(run = %run.id, playbook = run.playbook, %reason, detail, "Run held.");
    }

    let event = match run.trigger {
        Trigger::Alert => RunEvent::Hold,
        Trigger::Person if context.store.claims(run.id).await?.open > 0 => RunEvent::Hold,
        Trigger::Person => RunEvent::Cancel,
    };
    let change = RunUpdate { hold: Some(reason), note: Some(detail), ..RunUpdate::default() };
    if is_same && event == RunEvent::Hold {
        context.store.move_run(run.id, context.now(), event, change).await?;
    } else {
        transition(context, run, event, change).await?;
    }
    Ok(())
}

/// Begins to roll a run back. `text` is the value that decided (I32).
pub(super) async fn roll_back(
    context: &Context,
    run: &RunRow,
    reason: RollbackReason,
    verdict: Option<Verdict>,
    text: String,
) -> Result<(), StoreError> {
    warn!(run = %run.id, %reason, text, "Rolling back run.");
    let entry = if verdict.is_some() { "verdict" } else { "stop" };
    context.store.note(run.id, context.now(), entry, text).await?;

    let change = RunUpdate { rollback_reason: Some(reason), verdict, ..RunUpdate::default() };
    transition(context, run, RunEvent::RollBack, change).await?;

    Ok(())
}
