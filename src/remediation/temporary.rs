//! Measures: kept runs whose change does not stay (I27). Each is taken back when its time is over,
//! or when it is no longer needed; after a crash too, since the time is in the store.

use std::time::Duration;

use super::{context::Context, evidence, transition};
use crate::{
    model::RunEvent,
    store::{RunRow, RunUpdate, StoreError},
};

/// How long a measure that is due may wait for another run's observation (I40).
pub(super) const WAIT_MAX: Duration = Duration::from_mins(15);

/// Whether a measure is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    Yes,
    No,
}

/// Looks at a kept measure, and begins to take it back when it is time.
pub(super) async fn look(context: &Context, run: &RunRow) -> Result<Needed, StoreError> {
    let Some(why) = due(context, run).await else { return Ok(Needed::Yes) };
    context.store.note(run.id, context.now(), "expire", why).await?;
    transition::transition(context, run, RunEvent::Expire, RunUpdate::default()).await?;
    Ok(Needed::No)
}

/// Why the measure ends now, if it does. A Prometheus that does not answer lifts nothing before the
/// time is over.
async fn due(context: &Context, run: &RunRow) -> Option<String> {
    if run.times.expires? <= context.now() {
        return Some("its time is over".to_owned());
    }
    let temporary = context.playbook(run)?.temporary.as_ref()?;
    let query = temporary.expire_when.as_ref()?.render(&context.values(&run.target, None));
    let series = evidence::prometheus(context).ok()?.instant(&query).await.ok()?;
    (!series.is_empty()).then(|| format!("it is no longer needed: `{query}` holds"))
}

/// A measure of the cluster that has waited too long for the run that is observed.
pub(super) async fn overdue(context: &Context) -> Result<Option<RunRow>, StoreError> {
    let temporary_changes = context.store.temporary_changes().await?;
    let waited =
        |it: &RunRow| it.times.expires.is_some_and(|it| it.after(WAIT_MAX) <= context.now());
    Ok(temporary_changes.into_iter().find(|it| it.cluster == context.cluster.name && waited(it)))
}
