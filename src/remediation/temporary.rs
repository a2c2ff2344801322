//! Temporary changes: kept runs that are undone later (I27), when their time to live ends or when
//! they are no longer needed. Both hold after a crash too, because the time is in the store.

use std::time::Duration;

use super::{breach::Breach, context::Context, evidence, transition::transition};
use crate::{
    model::RunEvent,
    store::{RunRow, RunUpdate, StoreError},
};

/// How long an expired change may wait for another run's observation (I40).
const WAIT_MAX: Duration = Duration::from_mins(15);

/// Begins to undo a kept change when it is time. Returns whether it did.
pub(super) async fn expire_if_due(context: &Context, run: &RunRow) -> Result<bool, StoreError> {
    let Some(why) = due(context, run).await else { return Ok(false) };
    context.store.note(run.id, context.now(), "expire", why).await?;
    transition(context, run, RunEvent::Expire, RunUpdate::default()).await?;
    Ok(true)
}

/// Why the change expires now. If Prometheus does not answer, it stays until its time ends.
async fn due(context: &Context, run: &RunRow) -> Option<String> {
    let expires = run.times.expires?;
    if context.now() >= expires && !Breach::I27NeverExpires.is_played() {
        return Some("its time to live has ended".to_owned());
    }

    let temporary = context.playbook(run)?.temporary.as_ref()?;
    let query = temporary.expire_when.as_ref()?.render(&context.values(&run.target, None));
    let series = evidence::prometheus(context).ok()?.instant(&query).await.ok()?;

    (!series.is_empty()).then(|| format!("it is no longer needed: `{query}` returns a series"))
}

/// Whether the change has waited too long for another run's observation.
pub(super) fn is_overdue(context: &Context, run: &RunRow) -> bool {
    run.times.expires.is_some_and(|it| context.now() >= it.after(WAIT_MAX))
}
