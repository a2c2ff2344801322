//! Maps librdkafka's errors to the faults that the probe counts.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

use crate::{model::BrokerId, telemetry::ProbeFault};

/// Codes that are not listed are [`ProbeFault::Other`].
const FAULTS: &[(ProbeFault, &[Code])] = &[
    (
        ProbeFault::Timeout,
        &[
            Code::MessageTimedOut,
            Code::OperationTimedOut,
            Code::TimedOutQueue,
            Code::RequestTimedOut,
            Code::PurgeInflight,
        ],
    ),
    (
        ProbeFault::Connection,
        &[
            Code::BrokerTransportFailure,
            Code::Resolve,
            Code::AllBrokersDown,
            Code::NetworkException,
            Code::BrokerNotAvailable,
        ],
    ),
    (
        ProbeFault::NotLeader,
        &[
            Code::NotLeaderForPartition,
            Code::LeaderNotAvailable,
            Code::FencedLeaderEpoch,
            Code::UnknownLeaderEpoch,
        ],
    ),
    (
        ProbeFault::NotEnoughReplicas,
        &[Code::NotEnoughReplicas, Code::NotEnoughReplicasAfterAppend, Code::ISRInsufficient],
    ),
    (
        ProbeFault::Authentication,
        &[
            Code::Authentication,
            Code::SaslAuthenticationFailed,
            Code::SSL,
            Code::UnsupportedSASLMechanism,
            Code::IllegalSASLState,
        ],
    ),
    (
        ProbeFault::Authorization,
        &[Code::TopicAuthorizationFailed, Code::ClusterAuthorizationFailed],
    ),
    (
        ProbeFault::Topic,
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

pub(super) fn from_error(error: &KafkaError) -> ProbeFault {
    let code = if let KafkaError::AdminOp(code) = error {
        // `rdkafka_error_code` leaves these out.
        Some(*code)
    } else {
        error.rdkafka_error_code()
    };
    code.map_or(ProbeFault::Other, from_code)
}

pub(super) fn from_code(code: Code) -> ProbeFault {
    let found = FAULTS.iter().find(|(_, codes)| codes.contains(&code));
    found.map_or(ProbeFault::Other, |(fault, _)| *fault)
}

/// The broker and fault of a client-level error, if it is about one broker's connection. librdkafka
/// starts its text with the connection's name: `sasl_ssl://kafka-2:9092/2: Connect to … failed: …`.
pub(super) fn from_connection_error(
    error: &KafkaError,
    text: &str,
) -> Option<(BrokerId, ProbeFault)> {
    let (connection, message) = text.split_once(": ")?;
    let broker = BrokerId::parse(connection.rsplit_once('/')?.1)?;

    // librdkafka reports a frozen broker with the same code as a broker that is down.
    let timed_out = message.contains("timed out");
    let fault = if timed_out { ProbeFault::Timeout } else { from_error(error) };
    Some((broker, fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32) -> BrokerId {
        BrokerId::from_wire(id).unwrap()
    }

    #[test]
    fn each_fault_has_a_code_and_no_code_has_two_faults() {
        let mut seen = Vec::new();
        for (_, codes) in FAULTS {
            for code in *codes {
                assert!(!seen.contains(code), "{code:?} is listed twice");
                seen.push(*code);
            }
        }

        for fault in ProbeFault::ALL.iter().filter(|it| **it != ProbeFault::Other) {
            assert!(FAULTS.iter().any(|it| it.0 == *fault), "{fault}");
        }

        assert_eq!(
            from_error(&KafkaError::MessageProduction(Code::NotEnoughReplicas)).label(),
            "not_enough_replicas"
        );
        assert_eq!(from_error(&KafkaError::Canceled), ProbeFault::Other);
        assert_eq!(from_code(Code::ThrottlingQuotaExceeded), ProbeFault::Other);
    }

    #[test]
    fn a_connection_error_names_its_broker() {
        let transport = KafkaError::Global(Code::BrokerTransportFailure);
        for (text, want) in [
            (
                "127.0.0.1:19093/2: Connect to ipv4#127.0.0.1:19093 failed: Connection refused",
                Some((2, ProbeFault::Connection)),
            ),
            (
                "sasl_ssl://[::1]:9093/7: 1 request(s) timed out: disconnect",
                Some((7, ProbeFault::Timeout)),
            ),
            ("kafka-1:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed", None),
            ("GroupCoordinator: kafka-1:9092: Disconnected", None),
            ("3/3 brokers are down", None),
        ] {
            let want = want.map(|(id, fault)| (broker(id), fault));
            assert_eq!(from_connection_error(&transport, text), want, "{text}");
        }
    }
}
