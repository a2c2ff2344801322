//! Maps Kafka's error codes (`org.apache.kafka.common.protocol.Errors`) to the faults of the seam.

pub(super) use kafka_protocol::error::{ParseResponseErrorCode, ResponseError as ErrorCode};

use crate::kafka::{ElectionFault, PartitionFault};

/// The fault of one partition, group or topic; `None` for code 0.
pub(super) fn partition_fault(code: i16) -> Option<PartitionFault> {
    use ErrorCode as E;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
    let fault = match code.err()? {
        E::NotLeaderOrFollower | E::FencedLeaderEpoch | E::UnknownLeaderEpoch => {
            PartitionFault::NotLeader
        }
        E::LeaderNotAvailable
        | E::RequestTimedOut
        | E::ReplicaNotAvailable
        | E::KafkaStorageError
        | E::OffsetNotAvailable
        | E::UnstableOffsetCommit => PartitionFault::Unavailable,
        E::UnknownTopicOrPartition
        | E::GroupIdNotFound
        | E::UnknownTopicId
        | E::InconsistentTopicId => PartitionFault::Unknown,
        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed => PartitionFault::Unauthorized,
        E::CoordinatorLoadInProgress | E::CoordinatorNotAvailable | E::NotCoordinator => {
            PartitionFault::NotCoordinator
        }
        _ => PartitionFault::Other,
    };
    Some(fault)
}

/// Why a preferred replica was not elected; `None` for code 0.
pub(super) fn election_fault(code: i16) -> Option<ElectionFault> {
    use ErrorCode as E;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
    let fault = match code.err()? {
        E::ElectionNotNeeded => ElectionFault::NotNeeded,
        E::PreferredLeaderNotAvailable | E::EligibleLeadersNotAvailable => {
            ElectionFault::NotAvailable
        }
        E::UnknownTopicOrPartition => ElectionFault::Unknown,
        E::TopicAuthorizationFailed | E::ClusterAuthorizationFailed => ElectionFault::Unauthorized,
        _ => ElectionFault::Other,
    };
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are from `Errors.java`.
    #[test]
    fn codes_map_to_partition_faults() {
        for (codes, want) in [
            (vec![6, 74, 75], PartitionFault::NotLeader),
            (vec![5, 7, 9, 56, 78, 88], PartitionFault::Unavailable),
            (vec![3, 69, 100, 103], PartitionFault::Unknown),
            (vec![29, 30, 31], PartitionFault::Unauthorized),
            (vec![14, 15, 16], PartitionFault::NotCoordinator),
            (vec![-1, 42, 10_000], PartitionFault::Other),
        ] {
            for code in codes {
                assert_eq!(partition_fault(code), Some(want), "{code}");
            }
        }
        assert_eq!(partition_fault(0), None);
    }

    #[test]
    fn codes_map_to_election_faults() {
        for (codes, want) in [
            (vec![84], ElectionFault::NotNeeded),
            (vec![80, 83], ElectionFault::NotAvailable),
            (vec![3], ElectionFault::Unknown),
            (vec![29, 31], ElectionFault::Unauthorized),
            (vec![-1, 41, 10_000], ElectionFault::Other),
        ] {
            for code in codes {
                assert_eq!(election_fault(code), Some(want), "{code}");
            }
        }
        assert_eq!(election_fault(0), None);
    }
}
