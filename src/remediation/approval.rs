//! A person's approval of a run, where its playbook wants one (I33). It is waited for, for a time;
//! what is approved meets the guard once more.

use std::time::Duration;

use super::{context::Context, transition};
use crate::{
    model::{RunEvent, Trigger},
    store::{RunRow, RunUpdate, StoreError},
};

/// How long an approval is waited for, and how long it counts.
const APPROVAL_MAX: Duration = Duration::from_mins(30);

/// Whether a run that waits for approval still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approval {
    Awaited,
    /// It was given, or nobody will.
    Over,
}

/// Whether a person has to approve the run. One who ordered it has.
pub(super) fn is_wanted(context: &Context, run: &RunRow) -> bool {
    let wanted =
        context.playbook(run).is_some_and(|it| it.approve) && run.trigger == Trigger::Alert;
    let counts = |approved| context.now().since(approved) < APPROVAL_MAX;
    wanted && !run.times.approved.is_some_and(counts)
}

/// Looks at a run that waits for approval: on to the guard, or cancelled when nobody came.
pub(super) async fn look(context: &Context, run: &RunRow) -> Result<Approval, StoreError> {
    if !is_wanted(context, run) {
        transition::transition(context, run, RunEvent::Requeue, RunUpdate::default()).await?;
        return Ok(Approval::Over);
    }
    let asked = run.times.asked.unwrap_or_else(|| context.now());
    if context.now().since(asked) < APPROVAL_MAX {
        return Ok(Approval::Awaited);
    }
    let note = Some("nobody approved it within 30 min".to_owned());
    transition::transition(
        context,
        run,
        RunEvent::Cancel,
        RunUpdate { note, ..RunUpdate::default() },
    )
    .await?;
    Ok(Approval::Over)
}
