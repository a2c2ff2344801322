//! Maps Kafka's error codes (`org.apache.kafka.common.protocol.Errors`) to the failures of the
//! model.

pub(super) use kafka_protocol::error::{ParseResponseErrorCode, ResponseError as ErrorCode};

use crate::model::{ElectionFailure, ReadFailure};

/// The failure of one partition, group or topic; `None` for code 0.
pub(super) fn read_failure(code: i16) -> Option<ReadFailure> {
    use ErrorCode as E;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
    let failure = match code.err()? {
        E::NotLeaderOrFollower | E::FencedLeaderEpoch | E::UnknownLeaderEpoch => {
            ReadFailure::NotLeader
        }
        E::LeaderNotAvailable
        | E::RequestTimedOut
        | E::ReplicaNotAvailable
        | E::KafkaStorageError
        | E::OffsetNotAvailable
        | E::UnstableOffsetCommit => ReadFailure::Unavailable,
        E::UnknownTopicOrPartition
        | E::GroupIdNotFound
        | E::UnknownTopicId
        | E::InconsistentTopicId => ReadFailure::Unknown,
        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed => ReadFailure::Unauthorized,
        E::CoordinatorLoadInProgress | E::CoordinatorNotAvailable | E::NotCoordinator => {
            ReadFailure::NotCoordinator
        }
        _ => ReadFailure::Other,
    };

    Some(failure)
}

/// Why a preferred replica was not elected; `None` for code 0.
pub(super) fn election_failure(code: i16) -> Option<ElectionFailure> {
    use ErrorCode as E;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
    let failure = match code.err()? {
        E::ElectionNotNeeded => ElectionFailure::NotNeeded,
        E::PreferredLeaderNotAvailable | E::EligibleLeadersNotAvailable => {
            ElectionFailure::NotAvailable
        }
        E::UnknownTopicOrPartition => ElectionFailure::Unknown,
        E::TopicAuthorizationFailed | E::ClusterAuthorizationFailed => {
            ElectionFailure::Unauthorized
        }
        _ => ElectionFailure::Other,
    };

    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are from `Errors.java`.
    #[test]
    fn codes_map_to_read_failures() {
        for (codes, want) in [
            (vec![6, 74, 75], ReadFailure::NotLeader),
            (vec![5, 7, 9, 56, 78, 88], ReadFailure::Unavailable),
            (vec![3, 69, 100, 103], ReadFailure::Unknown),
            (vec![29, 30, 31], ReadFailure::Unauthorized),
            (vec![14, 15, 16], ReadFailure::NotCoordinator),
            (vec![-1, 42, 10_000], ReadFailure::Other),
        ] {
            for code in codes {
                assert_eq!(read_failure(code), Some(want), "{code}");
            }
        }

        assert_eq!(read_failure(0), None);
    }

    #[test]
    fn codes_map_to_election_failures() {
        for (codes, want) in [
            (vec![84], ElectionFailure::NotNeeded),
            (vec![80, 83], ElectionFailure::NotAvailable),
            (vec![3], ElectionFailure::Unknown),
            (vec![29, 31], ElectionFailure::Unauthorized),
            (vec![-1, 41, 10_000], ElectionFailure::Other),
        ] {
            for code in codes {
                assert_eq!(election_failure(code), Some(want), "{code}");
            }
        }

        assert_eq!(election_failure(0), None);
    }
}
