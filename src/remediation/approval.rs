//! A person's approval of a run, where its playbook requires one (I33). The request for approval
//! expires; an approved run passes the guard once more. An approval is for the plan that was shown:
//! if the guard plans something else, the run asks again.

use std::time::Duration;

use super::{context::Context, reconcile::Requeue, transition::transition};
use crate::{
    model::{RunEvent, Trigger},
    store::{RunDetail, RunRow, RunUpdate, StepRow, StoreError, plan_digest},
};

/// How long a run waits for approval, and how long an approval is valid.
const APPROVAL_MAX: Duration = Duration::from_mins(30);

/// Number of steps of a changed plan that the note shows.
const CHANGES_SHOWN: usize = 3;

/// Whether the run needs an approval of the plan `steps` that it does not have. A person's own
/// order needs none.
pub(super) fn is_missing(context: &Context, run: &RunRow, steps: &[StepRow]) -> bool {
    let is_required =
        context.playbook(run).is_some_and(|it| it.approve) && run.trigger == Trigger::Alert;
    let is_for_this_plan = run.approved_digest == plan_digest(steps);
    is_required && !(is_approved(context, run) && is_for_this_plan)
}

/// Whether a person has approved any plan of the run, and not too long ago.
fn is_approved(context: &Context, run: &RunRow) -> bool {
    let approved = run.times.approved;
    approved.is_some_and(|it| context.now().since(it) < APPROVAL_MAX)
}

/// What an approved run asks again for: the steps of `now` that the approved plan, which is the
/// stored one, did not have. `None` if nobody has approved it.
pub(super) async fn note_on_changed_plan(
    context: &Context,
    run: &RunRow,
    now: &[StepRow],
) -> Result<Option<String>, StoreError> {
    if !is_approved(context, run) {
        return Ok(None);
    }

    let stored = context.store.run_without_journal(run.id).await?;
    let stored = stored.map(|it| it.steps).unwrap_or_default();
    let is_new = |it: &&StepRow| !stored.iter().any(|old| old.change == it.change);
    let mut new: Vec<String> =
        now.iter().filter(is_new).map(|it| it.change.text().to_string()).collect();
    let more = new.len().saturating_sub(CHANGES_SHOWN);
    new.truncate(CHANGES_SHOWN);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let what = if new.is_empty() { "steps are gone".to_owned() } else { new.join(", ") };

    Ok(Some(format!("the plan has changed since it was approved: {what}{more}")))
}

/// Queues an approved run again, and cancels one that nobody approved in time.
pub(super) async fn update(context: &Context, detail: &RunDetail) -> Result<Requeue, StoreError> {
    let run = &detail.run;
    if !is_missing(context, run, &detail.steps) {
        transition(context, run, RunEvent::Requeue, RunUpdate::default()).await?;
        return Ok(Requeue::NOW);
    }

    let asked = run.times.asked.unwrap_or_else(|| context.now());
    if context.now().since(asked) < APPROVAL_MAX {
        return Ok(Requeue::Waiting);
    }

    let note = Some("nobody approved it within 30 min".to_owned());
    let change = RunUpdate { note, ..RunUpdate::default() };
    transition(context, run, RunEvent::Cancel, change).await?;

    Ok(Requeue::Done)
}
