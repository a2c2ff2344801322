//! What can go wrong between this program and a broker.

use std::time::Duration;

use crate::model::{BrokerId, ReadFailure};

/// Kafka's `Errors.REQUEST_TIMED_OUT`.
const REQUEST_TIMED_OUT: i16 = 7;

/// What went wrong between us and the Kafka cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// No connection to the broker.
    #[error("connect to {peer}")]
    Unreachable {
        /// `host:port`, or the bootstrap list.
        peer: String,
        #[source]
        source: std::io::Error,
    },
    /// No encrypted connection to a broker that proves who it is. Nothing was sent.
    #[error("secure the connection to {peer}: {problem}")]
    Tls {
        /// `host:port`.
        peer: String,
        /// What is wrong, and where to look.
        problem: String,
    },
    /// The broker does not accept who we say we are, or we have nothing to show. Nothing was sent.
    #[error("authenticate to {peer}: {problem}")]
    Authentication {
        /// `host:port`.
        peer: String,
        /// What is wrong, and where to look; without the secret.
        problem: String,
    },
    /// The connection broke while the request was under way. It may have taken effect.
    #[error("{request} to {peer}: the connection broke")]
    Broken {
        request: &'static str,
        /// `host:port`.
        peer: String,
        #[source]
        source: std::io::Error,
    },
    /// The broker did not answer in time. The request may have taken effect.
    #[error("{request} to {peer}: no answer within {deadline:?}")]
    NoAnswer {
        request: &'static str,
        /// `host:port`.
        peer: String,
        deadline: Duration,
    },
    /// The broker answered with an error: nothing was changed, unless it says that time ran out.
    #[error("{request} to {peer}: error {code}{}", message.as_deref().map(|it| format!(": {it}")).unwrap_or_default())]
    Refused {
        request: &'static str,
        /// `host:port`.
        peer: String,
        code: i16,
        message: Option<String>,
    },
    /// The answer was not what the protocol says, or no common version exists.
    #[error("{request} to {peer}: {problem}")]
    Protocol {
        request: &'static str,
        /// `host:port`.
        peer: String,
        problem: String,
    },
    /// The broker is not in the cluster's metadata.
    #[error("broker {0} is not in the cluster's metadata")]
    UnknownBroker(BrokerId),
}

impl KafkaError {
    /// The failure as a metric label.
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

    /// Whether a mutating request that ended so may have taken effect all the same. A broker that
    /// passed it on to the controller, and had no answer in time, says so in a refusal.
    pub const fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Broken { .. }
            | Self::NoAnswer { .. }
            | Self::Protocol { .. }
            | Self::Refused { code: REQUEST_TIMED_OUT, .. } => true,
            Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::Refused { .. }
            | Self::UnknownBroker(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i21_a_controller_that_did_not_answer_the_broker_in_time_may_have_done_it() {
        let refused = |code| KafkaError::Refused {
            request: "AlterClientQuotas",
            peer: "kafka-1:9092".to_owned(),
            code,
            message: None,
        };
        assert!(refused(REQUEST_TIMED_OUT).outcome_is_unknown());
        assert!(!refused(42).outcome_is_unknown());
    }
}
