//! How a run gets from one state to another: stored first, then told to whoever watches.

use tracing::{info, warn};

use super::{context::Context, view};
use crate::{
    model::{Hold, RollbackReason, RunEvent, RunState, Trigger, Verdict},
    store::{Change, RunRow, StoreError},
};

/// Moves a run and tells whoever watches.
pub(super) async fn move_to(
    at: &Context,
    run: &RunRow,
    event: RunEvent,
    change: Change,
) -> Result<RunState, StoreError> {
    let state = at.store.move_run(run.id, at.now(), event, change).await?;
    if state.is_end() && state != RunState::Rehearsed {
        at.telemetry.run_ended(&at.cluster.name, run.optimizer, state);
    }
    view::publish(at).await?;
    Ok(state)
}

/// Holds a run. A person waits for an answer, so that their order is not held but cancelled; unless
/// an alert has joined it, which must not lose its only attempt for that.
pub(super) async fn hold(
    at: &Context,
    run: &RunRow,
    (reason, note): (Hold, String),
) -> Result<(), StoreError> {
    // A run that was stored as held has not been spoken of yet: it has no note.
    if run.state != RunState::Held || run.hold != Some(reason) || run.note.is_none() {
        at.telemetry.held(&at.cluster.name, &run.playbook, reason);
        info!(run = %run.id, playbook = run.playbook, %reason, note, "Run held.");
    }
    let event = match run.trigger {
        Trigger::Alert => RunEvent::Hold,
        Trigger::Person if 0 < at.store.claims(run.id).await?.0 => RunEvent::Hold,
        Trigger::Person => RunEvent::Cancel,
    };
    let same = event == RunEvent::Hold && run.state == RunState::Held && run.hold == Some(reason);
    let change = Change { hold: Some(reason), note: Some(note), ..Change::default() };
    if same {
        at.store.move_run(run.id, at.now(), event, change).await?;
    } else {
        move_to(at, run, event, change).await?;
    }
    Ok(())
}

/// Sends a run back, with the value that decided (I32).
pub(super) async fn back(
    at: &Context,
    run: &RunRow,
    (reason, verdict): (RollbackReason, Option<Verdict>),
    text: String,
) -> Result<(), StoreError> {
    warn!(run = %run.id, %reason, text, "Run goes back.");
    at.store
        .note(run.id, at.now(), if verdict.is_some() { "verdict" } else { "stop" }, text)
        .await?;
    let change = Change { rollback_reason: Some(reason), verdict, ..Change::default() };
    move_to(at, run, RunEvent::RollBack, change).await?;
    Ok(())
}
