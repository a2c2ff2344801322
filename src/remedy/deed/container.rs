//! A clone of a consumer's container: absent before, running after.

use super::{super::context::Context, Standing};
use crate::{
    docker::{CloneName, CloneState, DockerError},
    kafka::WriteMode,
    store::StepRow,
};

fn named(at: &Context, name: &str, step: &StepRow) -> CloneName {
    let cluster = at.cluster.name.to_string();
    CloneName { name: name.to_owned(), run: step.run.0, cluster }
}

pub(super) async fn observe(
    at: &Context,
    name: &str,
    step: &StepRow,
) -> Result<Standing, DockerError> {
    Ok(match at.engine()?.clone_state(&named(at, name, step)).await? {
        CloneState::Absent => Standing::Before,
        CloneState::Running => Standing::After,
        CloneState::Created | CloneState::Restarting => Standing::StoredOnly,
        CloneState::Foreign => {
            Standing::Elsewhere(format!("{name} is a container of someone else"))
        }
    })
}

/// The engine rehearses nothing; what may be cloned was looked at a moment ago.
pub(super) async fn set(
    at: &Context,
    (name, step): (&str, &StepRow),
    (value, mode): (Option<&str>, WriteMode),
) -> Result<(), DockerError> {
    if mode == WriteMode::ValidateOnly {
        return Ok(());
    }
    let clone = named(at, name, step);
    match value {
        Some(_) => at.engine()?.start_clone(&step.key, &clone).await,
        None => at.engine()?.remove_clone(&clone).await,
    }
}
