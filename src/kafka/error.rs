//! Errors of requests to a broker, and whether such a request may have taken effect.

use std::time::Duration;

use crate::model::{BrokerId, ReadFailure, RequestOutcome};

/// The code of Kafka's `Errors.REQUEST_TIMED_OUT`.
const REQUEST_TIMED_OUT: i16 = 7;

/// The code of Kafka's `Errors.NOT_CONTROLLER`.
const NOT_CONTROLLER: i16 = 41;

/// Why a request failed. `peer` is the `host:port` that it went to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// There is no connection to the broker. Nothing was sent.
    #[error("connect to {peer}")]
    Unreachable {
        /// The bootstrap servers, if no broker is known yet.
        peer: String,
        #[source]
        source: std::io::Error,
    },
    /// The TLS handshake failed, or its files cannot be used. Nothing was sent.
    #[error("secure the connection to {peer}: {problem}")]
    Tls {
        peer: String,
        /// Names the setting to check.
        problem: String,
    },
    /// The broker refused our credentials, or we have none. The request was not sent.
    #[error("authenticate to {peer}: {problem}")]
    Authentication {
        peer: String,
        /// Names the setting to check. Never contains the secret.
        problem: String,
    },
    /// The connection was lost before the response. The request may have taken effect.
    #[error("{request} to {peer}: connection lost")]
    Broken {
        request: &'static str,
        peer: String,
        #[source]
        source: std::io::Error,
    },
    /// The broker did not answer before the deadline. The request may have taken effect.
    #[error("{request} to {peer}: no answer within {deadline:?}")]
    NoAnswer { request: &'static str, peer: String, deadline: Duration },
    /// The broker answered with an error code. Nothing was changed, unless it is
    /// `REQUEST_TIMED_OUT`.
    #[error("{request} to {peer}: error {code}{}", message.as_deref().map(|it| format!(": {it}")).unwrap_or_default())]
    Refused { request: &'static str, peer: String, code: i16, message: Option<String> },
    /// The response violates the protocol, or there is no version that both sides support.
    #[error("{request} to {peer}: {problem}")]
    Protocol { request: &'static str, peer: String, problem: String },
    #[error("broker {0} is not in the cluster's metadata")]
    UnknownBroker(BrokerId),
}

impl KafkaError {
    /// The failure to count, as a metric label.
    pub const fn failure(&self) -> ReadFailure {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::UnknownBroker(_) => {
                ReadFailure::Connection
            }
            Self::NoAnswer { .. } => ReadFailure::Timeout,
            Self::Refused { .. } => ReadFailure::Refused,
            Self::Protocol { .. } => ReadFailure::Protocol,
            Self::Tls { .. } => ReadFailure::Tls,
            Self::Authentication { .. } => ReadFailure::Authentication,
        }
    }

    /// What is known of a write that failed with this error. `REQUEST_TIMED_OUT` is no refusal: a
    /// broker sends it when it has forwarded the request and the controller has not answered.
    pub const fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Broken { .. }
            | Self::NoAnswer { .. }
            | Self::Protocol { .. }
            | Self::Refused { code: REQUEST_TIMED_OUT, .. } => RequestOutcome::Unknown,
            Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::UnknownBroker(_) => RequestOutcome::NotSent,
            Self::Refused { .. } => RequestOutcome::Refused,
        }
    }

    /// Whether the broker answered that it does not reach the controllers. Another broker may.
    pub(crate) const fn is_cut_off(&self) -> bool {
        matches!(self, Self::Refused { code: REQUEST_TIMED_OUT | NOT_CONTROLLER, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i21_request_timed_out_may_have_taken_effect() {
        let refused = |code| KafkaError::Refused {
            request: "AlterClientQuotas",
            peer: "kafka-1:9092".to_owned(),
            code,
            message: None,
        };

        assert_eq!(refused(REQUEST_TIMED_OUT).outcome(), RequestOutcome::Unknown);
        assert_eq!(refused(42).outcome(), RequestOutcome::Refused);
        assert_eq!(refused(NOT_CONTROLLER).outcome(), RequestOutcome::Refused);
    }
}
