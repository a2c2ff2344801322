//! Observes and applies the change of a step. One file for each kind of change.

mod broker_config;
mod client_quota;
mod consumer_clone;
mod preferred_leaders;
mod remove_broker_config;

use std::time::Duration;

use async_trait::async_trait;

use super::{breach::Breach, context::Context};
use crate::{
    docker::DockerError,
    kafka::KafkaError,
    model::{Change, RequestOutcome, RunId, WriteMode},
    store::StepRow,
};

/// How long after its answer a broker may still process an older request of ours. It shows what it
/// has accepted within 2.3 s, measured at load 10.
const IN_FLIGHT_MAX: Duration = Duration::from_secs(3);

/// Current state of the resources of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    Prior,
    /// As the change wants it.
    Desired,
    /// The new value is stored, and another one is effective.
    NotEffective,
    /// The prior value is stored again, and the new one is still effective.
    PriorNotEffective,
    /// One broker reports the prior state, and another the desired one: the change is on its way.
    Propagating,
    /// Neither; in words.
    Diverged(String),
}

impl Observed {
    /// What the views of several brokers show together. A broker that is cut off from the
    /// controllers has an old state, so that only what all of them report is a change by someone
    /// else.
    fn of_views(views: impl IntoIterator<Item = Self>) -> Self {
        let joined = views.into_iter().reduce(|one, other| match (one, other) {
            (first, _) if Breach::I12OneBrokerDecides.is_played() => first,
            (Self::Diverged(_), known) | (known, Self::Diverged(_)) => known,
            (one, other) if one == other => one,
            _ => Self::Propagating,
        });
        joined.unwrap_or_else(|| Self::Diverged("no broker reports it".to_owned()))
    }
}

/// The state that `apply` brings about: [`Direction::Prior`] undoes the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Desired,
    Prior,
}

/// A change could not be observed or applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Docker(#[from] DockerError),
}

impl ApplyError {
    pub(super) const fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Kafka(error) => error.outcome(),
            Self::Docker(error) => error.outcome(),
        }
    }
}

#[async_trait]
trait ApplyChange: Sync {
    /// Reads the current state from the resource itself.
    async fn observe(&self, context: &Context, run: RunId) -> Result<Observed, ApplyError>;

    /// Makes or undoes the change. Success says that the request was accepted, not that the change
    /// is effective. A kind that cannot be validated succeeds with [`WriteMode::ValidateOnly`] and
    /// sends nothing.
    async fn apply(
        &self,
        context: &Context,
        run: RunId,
        direction: Direction,
        mode: WriteMode,
    ) -> Result<(), ApplyError>;

    /// How long after an answer an older request of ours may still take effect.
    fn in_flight_max(&self) -> Duration {
        IN_FLIGHT_MAX
    }

    /// Pause before each wave with a change of this kind but the first.
    fn pause_between_waves(&self) -> Duration {
        Duration::ZERO
    }
}

fn kind(change: &Change) -> &dyn ApplyChange {
    match change {
        Change::BrokerConfig(it) => it,
        Change::RemoveBrokerConfig(it) => it,
        Change::ClientQuota(it) => it,
        Change::PreferredLeaders(it) => it,
        Change::ConsumerClone(it) => it,
    }
}

/// See [`ApplyChange::observe`].
pub(super) async fn observe(context: &Context, step: &StepRow) -> Result<Observed, ApplyError> {
    kind(&step.change).observe(context, step.run).await
}

/// See [`ApplyChange::apply`].
pub(super) async fn apply(
    context: &Context,
    step: &StepRow,
    direction: Direction,
    mode: WriteMode,
) -> Result<(), ApplyError> {
    kind(&step.change).apply(context, step.run, direction, mode).await
}

/// See [`ApplyChange::in_flight_max`].
pub(super) fn in_flight_max(change: &Change) -> Duration {
    kind(change).in_flight_max()
}

/// See [`ApplyChange::pause_between_waves`].
pub(super) fn pause_between_waves(change: &Change) -> Duration {
    kind(change).pause_between_waves()
}
