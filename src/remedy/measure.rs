//! Measures: kept runs whose change does not stay (I27). Each is taken back when its time is over,
//! or when it is no longer needed; after a crash too, since the time is in the store.

use std::time::Duration;

use super::{context::Context, evidence, moves};
use crate::{
    model::RunEvent,
    store::{Change, RunRow, StoreError},
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
pub(super) async fn look(at: &Context, run: &RunRow) -> Result<Needed, StoreError> {
    let Some(why) = due(at, run).await else { return Ok(Needed::Yes) };
    at.store.note(run.id, at.now(), "lift", why).await?;
    moves::move_to(at, run, RunEvent::Lift, Change::default()).await?;
    Ok(Needed::No)
}

/// Why the measure ends now, if it does. A Prometheus that does not answer lifts nothing before the
/// time is over.
async fn due(at: &Context, run: &RunRow) -> Option<String> {
    if run.times.lift? <= at.now() {
        return Some("its time is over".to_owned());
    }
    let measure = at.playbook(run)?.measure.as_ref()?;
    let query = measure.lift_when.as_ref()?.render(&at.values(&run.target, None));
    let series = evidence::prometheus(at).ok()?.instant(&query).await.ok()?;
    (!series.is_empty()).then(|| format!("it is no longer needed: `{query}` holds"))
}

/// A measure of the cluster that has waited too long for the run that is observed.
pub(super) async fn overdue(at: &Context) -> Result<Option<RunRow>, StoreError> {
    let measures = at.store.measures().await?;
    let waited = |it: &RunRow| it.times.lift.is_some_and(|it| it.after(WAIT_MAX) <= at.now());
    Ok(measures.into_iter().find(|it| it.cluster == at.cluster.name && waited(it)))
}
