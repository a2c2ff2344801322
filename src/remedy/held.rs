//! "Not now", with its reason.

use super::deed::DeedError;
use crate::{
    docker::DockerError, kafka::KafkaError, model::Hold, prometheus::PrometheusError,
    telemetry::chain,
};

/// Why a run does not start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The reason, from a closed list.
    pub(super) reason: Hold,
    /// What was found, in words: the value that decided.
    pub(super) note: String,
}

impl Held {
    /// Holds for `reason`.
    pub(super) fn new(reason: Hold, note: impl Into<String>) -> Self {
        Self { reason, note: note.into() }
    }

    /// Holds unless `fine`.
    pub(super) fn unless(
        fine: impl Into<Fine>,
        reason: Hold,
        note: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        match fine.into() {
            Fine::Yes => Ok(()),
            Fine::No => Err(Self::new(reason, note())),
        }
    }
}

/// The answer to one question of the guard.
pub(super) enum Fine {
    /// Nothing speaks against it.
    Yes,
    /// Something does.
    No,
}

impl From<bool> for Fine {
    fn from(fine: bool) -> Self {
        if fine { Self::Yes } else { Self::No }
    }
}

impl From<DeedError> for Held {
    fn from(error: DeedError) -> Self {
        match error {
            DeedError::Kafka(error) => error.into(),
            DeedError::Docker(error) => error.into(),
        }
    }
}

impl From<DockerError> for Held {
    fn from(error: DockerError) -> Self {
        Self::new(Hold::DockerUnavailable, chain(&error))
    }
}

impl From<KafkaError> for Held {
    fn from(error: KafkaError) -> Self {
        Self::new(Hold::KafkaUnavailable, chain(&error))
    }
}

impl From<PrometheusError> for Held {
    fn from(error: PrometheusError) -> Self {
        Self::new(Hold::PrometheusUnavailable, chain(&error))
    }
}
