//! What a step changes, whatever that is: where it stands, and setting it. One file for each kind
//! of subject.

mod broker;
mod broker_keys;
mod container;
mod leaders;
mod quota;

use super::context::Context;
use crate::{
    docker::DockerError,
    kafka::KafkaError,
    model::{Subject, WriteMode},
    store::StepRow,
};

/// Where a key stands, against a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    Prior,
    /// As the step wants it.
    Desired,
    /// The step's value is stored, another one is in force.
    NotEffective,
    /// What was stored before the step is stored again, the step's value is still in force.
    PriorNotEffective,
    Diverged(String),
}

/// Why a deed, or a look at what it changes, came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The engine of the containers.
    #[error(transparent)]
    Docker(#[from] DockerError),
}

impl ApplyError {
    /// Whether the change may have happened all the same.
    pub(super) fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Kafka(error) => error.outcome_is_unknown(),
            Self::Docker(error) => error.outcome_is_unknown(),
        }
    }

    /// Whether someone said no.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Kafka(error) => {
                matches!(error, KafkaError::Refused { .. }) && !error.outcome_is_unknown()
            }
            Self::Docker(error) => !error.outcome_is_unknown(),
        }
    }
}

/// Where the step's key stands, asked of its subject now.
pub(super) async fn observe(context: &Context, step: &StepRow) -> Result<Observed, ApplyError> {
    match &step.subject {
        Subject::Broker(id) => Ok(broker::observe(context, *id, step).await?),
        Subject::BrokerKeys(id) => Ok(broker_keys::observe(context, *id, step).await?),
        Subject::Quota(entity) => Ok(quota::observe(context, entity, step).await?),
        Subject::Leaders => Ok(leaders::observe(context, step).await?),
        Subject::Container(name) => Ok(container::observe(context, name, step).await?),
    }
}

/// Sets the step's key to `value`; none takes away what is stored.
pub(super) async fn apply(
    context: &Context,
    step: &StepRow,
    (value, mode): (Option<&str>, WriteMode),
) -> Result<(), ApplyError> {
    match &step.subject {
        Subject::Broker(id) => Ok(broker::apply(context, (*id, &step.key), (value, mode)).await?),
        Subject::BrokerKeys(id) => Ok(broker_keys::apply(context, (*id, step), mode).await?),
        Subject::Quota(entity) => {
            Ok(quota::apply(context, (entity, &step.key), (value, mode)).await?)
        }
        Subject::Leaders => Ok(leaders::apply(context, step, mode).await?),
        Subject::Container(name) => {
            Ok(container::apply(context, (name, step), (value, mode)).await?)
        }
    }
}
