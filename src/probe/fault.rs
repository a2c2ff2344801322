//! librdkafka's errors as the reasons that are counted.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

use crate::{model::BrokerId, telemetry::ProbeFault};

/// What is not listed is another error.
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

/// The reason of `error`.
pub(super) fn of(error: &KafkaError) -> ProbeFault {
    let code = if let KafkaError::AdminOp(code) = error {
        // The library has a code for all but these.
        Some(*code)
    } else {
        error.rdkafka_error_code()
    };
    code.map_or(ProbeFault::Other, of_code)
}

pub(super) fn of_code(code: Code) -> ProbeFault {
    let found = FAULTS.iter().find(|(_, codes)| codes.contains(&code));
    found.map_or(ProbeFault::Other, |(fault, _)| *fault)
}

/// What `text`, an error about the client as a whole, says of one broker. librdkafka puts the
/// connection's name in front: `sasl_ssl://kafka-2:9092/2: Connect to … failed: …`.
pub(super) fn of_connection(error: &KafkaError, text: &str) -> Option<(BrokerId, ProbeFault)> {
    let (name, said) = text.split_once(": ")?;
    let broker = BrokerId::parse(name.rsplit_once('/')?.1)?;
    // A frozen broker and one that is gone both end as a broken transport.
    let fault = if said.contains("timed out") { ProbeFault::Timeout } else { of(error) };
    Some((broker, fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32) -> BrokerId {
        BrokerId::from_wire(id).unwrap()
    }

    #[test]
    fn each_reason_has_an_error_and_no_error_two_reasons() {
        let mut seen = Vec::new();
        for (_, codes) in FAULTS {
            for code in *codes {
                assert!(!seen.contains(code), "{code:?} is there twice");
                seen.push(*code);
            }
        }
        for fault in ProbeFault::ALL.iter().filter(|it| **it != ProbeFault::Other) {
            assert!(FAULTS.iter().any(|it| it.0 == *fault), "{fault}");
        }
        assert_eq!(
            of(&KafkaError::MessageProduction(Code::NotEnoughReplicas)).label(),
            "not_enough_replicas"
        );
        assert_eq!(of(&KafkaError::Canceled), ProbeFault::Other);
        assert_eq!(of_code(Code::ThrottlingQuotaExceeded), ProbeFault::Other);
    }

    #[test]
    fn a_connections_error_names_its_broker() {
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
            assert_eq!(of_connection(&transport, text), want, "{text}");
        }
    }
}
