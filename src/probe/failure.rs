//! Maps librdkafka's errors to the failures that the probe counts.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

use crate::{model::BrokerId, telemetry::ProbeFailure};

/// Codes that are not listed are [`ProbeFailure::Other`].
const FAILURES: &[(ProbeFailure, &[Code])] = &[
    (
        ProbeFailure::Timeout,
        &[
            Code::MessageTimedOut,
            Code::OperationTimedOut,
            Code::TimedOutQueue,
            Code::RequestTimedOut,
            Code::PurgeInflight,
        ],
    ),
    (
        ProbeFailure::Connection,
        &[
            Code::BrokerTransportFailure,
            Code::Resolve,
            Code::AllBrokersDown,
            Code::NetworkException,
            Code::BrokerNotAvailable,
        ],
    ),
    (
        ProbeFailure::NotLeader,
        &[
            Code::NotLeaderForPartition,
            Code::LeaderNotAvailable,
            Code::FencedLeaderEpoch,
            Code::UnknownLeaderEpoch,
        ],
    ),
    (
        ProbeFailure::NotEnoughReplicas,
        &[Code::NotEnoughReplicas, Code::NotEnoughReplicasAfterAppend, Code::ISRInsufficient],
    ),
    (
        ProbeFailure::Authentication,
        &[
            Code::Authentication,
            Code::SaslAuthenticationFailed,
            Code::SSL,
            Code::UnsupportedSASLMechanism,
            Code::IllegalSASLState,
        ],
    ),
    (
        ProbeFailure::Authorization,
        &[Code::TopicAuthorizationFailed, Code::ClusterAuthorizationFailed],
    ),
    (
        ProbeFailure::Topic,
        &[
            Code::UnknownTopic,
            Code::UnknownPartition,
            Code::UnknownTopicOrPartition,
            Code::InvalidTopic,
            Code::InvalidPartitions,
            Code::InvalidReplicationFactor,
            Code::InvalidReplicaAssignment,
            Code::InvalidConfig,
            Code::PolicyViolation,
            Code::MessageSizeTooLarge,
        ],
    ),
];

pub(super) fn from_error(error: &KafkaError) -> ProbeFailure {
    let code = if let KafkaError::AdminOp(code) = error {
        // `rdkafka_error_code` leaves these out.
        Some(*code)
    } else {
        error.rdkafka_error_code()
    };
    code.map_or(ProbeFailure::Other, from_code)
}

pub(super) fn from_code(code: Code) -> ProbeFailure {
    let found = FAILURES.iter().find(|(_, codes)| codes.contains(&code));
    found.map_or(ProbeFailure::Other, |(failure, _)| *failure)
}

/// The broker and failure of a client-level error, if it is about one broker's connection.
/// librdkafka starts its text with the connection's name: `sasl_ssl://kafka-2:9092/2: Connect to …
/// failed: …`.
pub(super) fn from_connection_error(
    error: &KafkaError,
    text: &str,
) -> Option<(BrokerId, ProbeFailure)> {
    let (connection, message) = text.split_once(": ")?;
    let broker = BrokerId::parse(connection.rsplit_once('/')?.1)?;

    // librdkafka reports a frozen broker with the same code as a broker that is down.
    let timed_out = message.contains("timed out");
    let failure = if timed_out { ProbeFailure::Timeout } else { from_error(error) };

    Some((broker, failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32) -> BrokerId {
        BrokerId::from_wire(id).unwrap()
    }

    #[test]
    fn each_failure_has_a_code_and_no_code_has_two_failures() {
        let mut seen = Vec::new();
        for (_, codes) in FAILURES {
            for code in *codes {
                assert!(!seen.contains(code), "{code:?} is listed twice");
                seen.push(*code);
            }
        }

        for failure in ProbeFailure::ALL.iter().filter(|it| **it != ProbeFailure::Other) {
            assert!(FAILURES.iter().any(|it| it.0 == *failure), "{failure}");
        }

        assert_eq!(
            from_error(&KafkaError::MessageProduction(Code::NotEnoughReplicas)).label(),
            "not_enough_replicas"
        );
        assert_eq!(from_error(&KafkaError::Canceled), ProbeFailure::Other);
        assert_eq!(from_code(Code::ThrottlingQuotaExceeded), ProbeFailure::Other);
    }

    #[test]
    fn a_connection_error_names_its_broker() {
        let transport = KafkaError::Global(Code::BrokerTransportFailure);
        for (text, want) in [
            (
                "127.0.0.1:19093/2: Connect to ipv4#127.0.0.1:19093 failed: Connection refused",
                Some((2, ProbeFailure::Connection)),
            ),
            (
                "sasl_ssl://[::1]:9093/7: 1 request(s) timed out: disconnect",
                Some((7, ProbeFailure::Timeout)),
            ),
            ("kafka-1:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed", None),
            ("GroupCoordinator: kafka-1:9092: Disconnected", None),
            ("3/3 brokers are down", None),
        ] {
            let want = want.map(|(id, failure)| (broker(id), failure));
            assert_eq!(from_connection_error(&transport, text), want, "{text}");
        }
    }
}
