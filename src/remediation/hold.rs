//! "Not now", with its reason.

use super::change::ApplyError;
use crate::{
    docker::DockerError, kafka::KafkaError, model::HoldReason, prometheus::PrometheusError,
    telemetry::chain,
};

/// Why a run does not start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    /// The reason, from a closed list.
    pub(super) reason: HoldReason,
    /// What was found, in words: the value that decided.
    pub(super) detail: String,
}

impl Hold {
    /// Holds for `reason`.
    pub(super) fn new(reason: HoldReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// Holds unless `fine`.
    pub(super) fn unless(
        fine: impl Into<Fine>,
        reason: HoldReason,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        match fine.into() {
            Fine::Yes => Ok(()),
            Fine::No => Err(Self::new(reason, detail())),
        }
    }
}

/// The answer to one question of the guard.
pub(super) enum Fine {
    Yes,
    No,
}

impl From<bool> for Fine {
    fn from(fine: bool) -> Self {
        if fine { Self::Yes } else { Self::No }
    }
}

impl From<ApplyError> for Hold {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Kafka(error) => error.into(),
            ApplyError::Docker(error) => error.into(),
        }
    }
}

impl From<DockerError> for Hold {
    fn from(error: DockerError) -> Self {
        Self::new(HoldReason::DockerUnavailable, chain(&error))
    }
}

impl From<KafkaError> for Hold {
    fn from(error: KafkaError) -> Self {
        Self::new(HoldReason::KafkaUnavailable, chain(&error))
    }
}

impl From<PrometheusError> for Hold {
    fn from(error: PrometheusError) -> Self {
        Self::new(HoldReason::PrometheusUnavailable, chain(&error))
    }
}
