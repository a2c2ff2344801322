//! Why a run does not start now.

use super::change::ApplyError;
use crate::{
    docker::DockerError, kafka::KafkaError, model::HoldReason, prometheus::PrometheusError,
    telemetry::chain,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) reason: HoldReason,
    /// The value that decided, in words.
    pub(super) detail: String,
}

impl Hold {
    pub(super) fn new(reason: HoldReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// `Err` unless `condition` is met.
    pub(super) fn unless(
        condition: bool,
        reason: HoldReason,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        if condition { Ok(()) } else { Err(Self::new(reason, detail())) }
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
