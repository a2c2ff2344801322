//! A run is stuck when one of its undos failed. That stops other runs and tells people, and is not
//! the end: a person's rollback tries again at once, and every [`STUCK_CHECK_INTERVAL`] it is
//! checked whether the undo would be taken now.

use std::time::Duration;

use super::{
    super::{
        change::{self, Direction, Observed},
        context::Context,
        execute,
        transition::transition,
    },
    order::UndoOrder,
};
use crate::{
    model::{RunEvent, WriteMode},
    store::{RunDetail, RunRow, RunUpdate, StepProgress, StepRow, StepState, StoreError},
};

/// How often a stuck run is checked that nobody has acknowledged.
pub(in crate::remediation) const STUCK_CHECK_INTERVAL: Duration = Duration::from_mins(5);

/// Tries a stuck run again, if a person asks for it or the undo would be taken now. Returns whether
/// it does.
pub(in crate::remediation) async fn retry(
    context: &Context,
    detail: &RunDetail,
) -> Result<bool, StoreError> {
    let run = &detail.run;
    if !run.undo_requested && has_just_failed(context, run) {
        return Ok(false);
    }

    let order = UndoOrder::read(context, detail).await?;
    let failed: Vec<&StepRow> =
        order.steps().filter(|it| it.state == StepState::UndoFailed).collect();

    let mut ready = Vec::new();
    for step in &failed {
        if run.undo_requested || would_be_taken(context, step).await {
            ready.push(*step);
        }
    }

    if ready.is_empty() && !failed.is_empty() {
        return Ok(false);
    }

    for step in ready {
        let progress = StepProgress {
            undo_began: Some(context.now()),
            is_retried: true,
            ..StepProgress::default()
        };
        context.store.set_progress(step.run, step.index, progress).await?;
        let text = format!("tried again: {}", step.change.text().undo());
        execute::record(context, step, StepState::UndoBegan, text).await?;
    }

    transition(context, run, way_back(run), RunUpdate::default()).await?;

    Ok(true)
}

fn has_just_failed(context: &Context, run: &RunRow) -> bool {
    let now = context.now();
    run.times.ended.is_some_and(|it| it <= now && now.since(it) < STUCK_CHECK_INTERVAL)
}

/// A temporary change that did its work expires; every other run is rolled back.
fn way_back(run: &RunRow) -> RunEvent {
    if run.times.expires.is_some() && run.rollback_reason.is_none() {
        RunEvent::Expire
    } else {
        RunEvent::RollBack
    }
}

/// Whether the resource answers, and the undo would not be refused: nothing is changed to find out.
async fn would_be_taken(context: &Context, step: &StepRow) -> bool {
    match change::observe(context, step).await {
        // There may be nothing left to do.
        Ok(Observed::Prior | Observed::Diverged(_)) => true,
        Ok(
            Observed::Desired
            | Observed::NotEffective
            | Observed::PriorNotEffective
            | Observed::Propagating,
        ) => change::apply(context, step, Direction::Prior, WriteMode::ValidateOnly).await.is_ok(),
        Err(_) => false,
    }
}
