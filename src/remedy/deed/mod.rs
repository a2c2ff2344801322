//! What a step changes, whatever that is: where it stands, and setting it. One file for each kind
//! of subject.

mod broker;

use super::context::Context;
use crate::{
    kafka::{KafkaError, WriteMode},
    model::Subject,
    store::StepRow,
};

/// Where a key stands, against a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As before the step.
    Before,
    /// As the step wants it.
    After,
    /// The step's value is stored, another one is in force.
    StoredOnly,
    /// What was stored before the step is stored again, the step's value is still in force.
    BeforeStoredOnly,
    /// Neither before nor after.
    Elsewhere(String),
}

/// Where the step's key stands, asked of its subject now.
pub(super) async fn observe(at: &Context, step: &StepRow) -> Result<Standing, KafkaError> {
    match step.subject {
        Subject::Broker(id) => broker::observe(at, id, step).await,
    }
}

/// Sets the step's key to `value`; none takes away what is stored.
pub(super) async fn set(
    at: &Context,
    step: &StepRow,
    (value, mode): (Option<&str>, WriteMode),
) -> Result<(), KafkaError> {
    match step.subject {
        Subject::Broker(id) => broker::set(at, (id, &step.key), (value, mode)).await,
    }
}
