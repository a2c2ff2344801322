//! A clone of a consumer's container: absent before, running after.

use super::{super::context::Context, Observed};
use crate::{
    docker::DockerError,
    model::{CloneName, CloneState, WriteMode},
    store::StepRow,
};

fn named(context: &Context, name: &str, step: &StepRow) -> CloneName {
    let cluster = context.cluster.name.to_string();
    CloneName { name: name.to_owned(), run: step.run.0, cluster }
}

pub(super) async fn observe(
    context: &Context,
    name: &str,
    step: &StepRow,
) -> Result<Observed, DockerError> {
    Ok(match context.engine()?.clone_state(&named(context, name, step)).await? {
        CloneState::Absent => Observed::Prior,
        CloneState::Running => Observed::Desired,
        CloneState::Created | CloneState::Restarting => Observed::NotEffective,
        CloneState::Foreign => Observed::Diverged(format!("{name} is a container of someone else")),
    })
}

/// The engine rehearses nothing; what may be cloned was looked at a moment ago.
pub(super) async fn apply(
    context: &Context,
    (name, step): (&str, &StepRow),
    (value, mode): (Option<&str>, WriteMode),
) -> Result<(), DockerError> {
    if mode == WriteMode::ValidateOnly {
        return Ok(());
    }
    let clone = named(context, name, step);
    match value {
        Some(_) => context.engine()?.start_clone(&step.key, &clone).await,
        None => context.engine()?.remove_clone(&clone).await,
    }
}
