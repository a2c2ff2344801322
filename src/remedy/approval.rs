//! A person's approval of a run, where its playbook wants one (I33). It is waited for, for a time;
//! what is approved meets the guard once more.

use std::time::Duration;

use super::{context::Context, moves};
use crate::{
    model::{RunEvent, Trigger},
    store::{Change, RunRow, StoreError},
};

/// How long an approval is waited for, and how long it counts.
const APPROVAL_MAX: Duration = Duration::from_mins(30);

/// Whether a run that waits for approval still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approval {
    /// It does.
    Awaited,
    /// It was given, or nobody will.
    Over,
}

/// Whether a person has to approve the run. One who ordered it has.
pub(super) fn is_wanted(at: &Context, run: &RunRow) -> bool {
    let wanted = at.playbook(run).is_some_and(|it| it.approve) && run.trigger == Trigger::Alert;
    let counts = |approved| at.now().since(approved) < APPROVAL_MAX;
    wanted && !run.times.approved.is_some_and(counts)
}

/// Looks at a run that waits for approval: on to the guard, or cancelled when nobody came.
pub(super) async fn look(at: &Context, run: &RunRow) -> Result<Approval, StoreError> {
    if !is_wanted(at, run) {
        moves::move_to(at, run, RunEvent::Requeue, Change::default()).await?;
        return Ok(Approval::Over);
    }
    let asked = run.times.asked.unwrap_or_else(|| at.now());
    if at.now().since(asked) < APPROVAL_MAX {
        return Ok(Approval::Awaited);
    }
    let note = Some("nobody approved it within 30 min".to_owned());
    moves::move_to(at, run, RunEvent::Cancel, Change { note, ..Change::default() }).await?;
    Ok(Approval::Over)
}
