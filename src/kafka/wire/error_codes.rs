//! Kafka's error codes in the seam's words.

use crate::kafka::{ElectionFault, PartitionFault};

pub(super) const NONE: i16 = 0;
pub(super) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
pub(super) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
pub(super) const ILLEGAL_SASL_STATE: i16 = 34;
pub(super) const UNSUPPORTED_VERSION: i16 = 35;
pub(super) const GROUP_ID_NOT_FOUND: i16 = 69;

/// What the error of one partition or one group means; `None` when there is none.
pub(super) const fn fault(code: i16) -> Option<PartitionFault> {
    let fault = match code {
        NONE => return None,
        // NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH
        6 | 74 | 75 => PartitionFault::NotLeader,
        // LEADER_NOT_AVAILABLE, REQUEST_TIMED_OUT, REPLICA_NOT_AVAILABLE, KAFKA_STORAGE_ERROR,
        // OFFSET_NOT_AVAILABLE, UNSTABLE_OFFSET_COMMIT
        5 | 7 | 9 | 56 | 78 | 88 => PartitionFault::Unavailable,
        // UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID
        UNKNOWN_TOPIC_OR_PARTITION | GROUP_ID_NOT_FOUND | 100 | 103 => PartitionFault::Unknown,
        // TOPIC_, GROUP_ and CLUSTER_AUTHORIZATION_FAILED
        29..=31 => PartitionFault::Unauthorized,
        // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
        14..=16 => PartitionFault::NotCoordinator,
        _ => PartitionFault::Other,
    };
    Some(fault)
}

/// Why a preferred replica was not elected; `None` when it was.
pub(super) const fn election_fault(code: i16) -> Option<ElectionFault> {
    let fault = match code {
        NONE => return None,
        // ELECTION_NOT_NEEDED
        84 => ElectionFault::NotNeeded,
        // PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE
        80 | 83 => ElectionFault::NotAvailable,
        UNKNOWN_TOPIC_OR_PARTITION => ElectionFault::Unknown,
        // TOPIC_ and CLUSTER_AUTHORIZATION_FAILED
        29 | 31 => ElectionFault::Unauthorized,
        _ => ElectionFault::Other,
    };
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::ResponseError;

    #[test]
    fn each_code_means_what_its_name_says() {
        for (error, want) in [
            (ResponseError::NotLeaderOrFollower, PartitionFault::NotLeader),
            (ResponseError::FencedLeaderEpoch, PartitionFault::NotLeader),
            (ResponseError::UnknownLeaderEpoch, PartitionFault::NotLeader),
            (ResponseError::LeaderNotAvailable, PartitionFault::Unavailable),
            (ResponseError::RequestTimedOut, PartitionFault::Unavailable),
            (ResponseError::ReplicaNotAvailable, PartitionFault::Unavailable),
            (ResponseError::KafkaStorageError, PartitionFault::Unavailable),
            (ResponseError::OffsetNotAvailable, PartitionFault::Unavailable),
            (ResponseError::UnstableOffsetCommit, PartitionFault::Unavailable),
            (ResponseError::UnknownTopicOrPartition, PartitionFault::Unknown),
            (ResponseError::UnknownTopicId, PartitionFault::Unknown),
            (ResponseError::InconsistentTopicId, PartitionFault::Unknown),
            (ResponseError::GroupIdNotFound, PartitionFault::Unknown),
            (ResponseError::TopicAuthorizationFailed, PartitionFault::Unauthorized),
            (ResponseError::GroupAuthorizationFailed, PartitionFault::Unauthorized),
            (ResponseError::ClusterAuthorizationFailed, PartitionFault::Unauthorized),
            (ResponseError::CoordinatorLoadInProgress, PartitionFault::NotCoordinator),
            (ResponseError::CoordinatorNotAvailable, PartitionFault::NotCoordinator),
            (ResponseError::NotCoordinator, PartitionFault::NotCoordinator),
            (ResponseError::InvalidRequest, PartitionFault::Other),
        ] {
            assert_eq!(fault(error.code()), Some(want), "{error:?}");
        }
        assert_eq!(fault(NONE), None);
        assert_eq!(UNSUPPORTED_VERSION, ResponseError::UnsupportedVersion.code());
        assert_eq!(UNSUPPORTED_SASL_MECHANISM, ResponseError::UnsupportedSaslMechanism.code());
        assert_eq!(ILLEGAL_SASL_STATE, ResponseError::IllegalSaslState.code());
    }

    #[test]
    fn each_code_of_an_election_means_what_its_name_says() {
        for (error, want) in [
            (ResponseError::ElectionNotNeeded, ElectionFault::NotNeeded),
            (ResponseError::PreferredLeaderNotAvailable, ElectionFault::NotAvailable),
            (ResponseError::EligibleLeadersNotAvailable, ElectionFault::NotAvailable),
            (ResponseError::UnknownTopicOrPartition, ElectionFault::Unknown),
            (ResponseError::TopicAuthorizationFailed, ElectionFault::Unauthorized),
            (ResponseError::ClusterAuthorizationFailed, ElectionFault::Unauthorized),
            (ResponseError::NotController, ElectionFault::Other),
        ] {
            assert_eq!(election_fault(error.code()), Some(want), "{error:?}");
        }
        assert_eq!(election_fault(NONE), None);
    }
}
