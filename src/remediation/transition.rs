//! How a run gets from one state to another: stored first, then told to whoever watches.

use tracing::{info, warn};

use super::{context::Context, view};
use crate::{
    model::{HoldReason, RollbackReason, RunEvent, RunState, Trigger, Verdict},
    store::{RunRow, RunUpdate, StoreError},
};

/// Moves a run and tells whoever watches.
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

/// Holds a run. A person waits for an answer, so that their order is not held but cancelled; unless
/// an alert has joined it, which must not lose its only attempt for that.
pub(super) async fn hold(
    context: &Context,
    run: &RunRow,
    (reason, note): (HoldReason, String),
) -> Result<(), StoreError> {
    // A run that was stored as held has not been spoken of yet: it has no note.
    if run.state != RunState::Held || run.hold != Some(reason) || run.note.is_none() {
        context.telemetry.held(&context.cluster.name, &run.playbook, reason);
        info!(run = %run.id, playbook = run.playbook, %reason, note, "Run held.");
    }
    let event = match run.trigger {
        Trigger::Alert => RunEvent::Hold,
        Trigger::Person if 0 < context.store.claims(run.id).await?.0 => RunEvent::Hold,
        Trigger::Person => RunEvent::Cancel,
    };
    let same = event == RunEvent::Hold && run.state == RunState::Held && run.hold == Some(reason);
    let change = RunUpdate { hold: Some(reason), note: Some(note), ..RunUpdate::default() };
    if same {
        context.store.move_run(run.id, context.now(), event, change).await?;
    } else {
        transition(context, run, event, change).await?;
    }
    Ok(())
}

/// Sends a run back, with the value that decided (I32).
pub(super) async fn roll_back(
    context: &Context,
    run: &RunRow,
    (reason, verdict): (RollbackReason, Option<Verdict>),
    text: String,
) -> Result<(), StoreError> {
    warn!(run = %run.id, %reason, text, "Run goes back.");
    context
        .store
        .note(run.id, context.now(), if verdict.is_some() { "verdict" } else { "stop" }, text)
        .await?;
    let change = RunUpdate { rollback_reason: Some(reason), verdict, ..RunUpdate::default() };
    transition(context, run, RunEvent::RollBack, change).await?;
    Ok(())
}
