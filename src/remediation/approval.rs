//! A person's approval of a run, where its playbook requires one (I33). The request for approval
//! expires; an approved run passes the guard once more.

use std::time::Duration;

use super::{context::Context, reconcile::Requeue, transition::transition, worker::CHECK_INTERVAL};
use crate::{
    model::{RunEvent, Trigger},
    store::{RunRow, RunUpdate, StoreError},
};

/// How long a run waits for approval, and how long an approval is valid.
const APPROVAL_MAX: Duration = Duration::from_mins(30);

/// Whether the run needs an approval that it does not have. A person's own order needs none.
pub(super) fn is_missing(context: &Context, run: &RunRow) -> bool {
    let is_required =
        context.playbook(run).is_some_and(|it| it.approve) && run.trigger == Trigger::Alert;
    let is_valid = |approved| context.now().since(approved) < APPROVAL_MAX;
    is_required && !run.times.approved.is_some_and(is_valid)
}

/// Queues an approved run again, and cancels one that nobody approved in time.
pub(super) async fn update(context: &Context, run: &RunRow) -> Result<Requeue, StoreError> {
    if !is_missing(context, run) {
        transition(context, run, RunEvent::Requeue, RunUpdate::default()).await?;
        return Ok(Requeue::After(Duration::ZERO));
    }

    let asked = run.times.asked.unwrap_or_else(|| context.now());
    if context.now().since(asked) < APPROVAL_MAX {
        return Ok(Requeue::After(CHECK_INTERVAL));
    }

    let note = Some("nobody approved it within 30 min".to_owned());
    let change = RunUpdate { note, ..RunUpdate::default() };
    transition(context, run, RunEvent::Cancel, change).await?;

    Ok(Requeue::Done)
}
