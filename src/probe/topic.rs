//! The state of the probe's topic, and what must be created. Pure.
//!
//! Each broker should be the preferred leader of one partition. The probe does not elect leaders:
//! it uses the current leaders.

use std::collections::{BTreeMap, BTreeSet};

use crate::{model::BrokerId, telemetry::ProbeFailure};

/// A record survives the loss of two brokers.
const REPLICATION_FACTOR_DEFAULT: u32 = 3;

/// Configuration of a new topic with this replication factor. Records are not needed once they have
/// been read back.
pub(super) fn configs(replicas: usize) -> Vec<(&'static str, &'static str)> {
    // Set explicitly, so that the durability of `acks=all` does not depend on the cluster's
    // default.
    let min_insync_replicas = if replicas >= 3 { "2" } else { "1" };

    vec![
        ("cleanup.policy", "delete"),
        ("retention.ms", "600000"),
        ("segment.ms", "600000"),
        ("segment.bytes", "1048576"),
        ("min.insync.replicas", min_insync_replicas),
    ]
}

/// The part of the cluster's metadata that the probe uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProbeMetadata {
    pub(super) brokers: BTreeSet<BrokerId>,
    /// The topic's partitions by index. Empty if the topic does not exist.
    pub(super) partitions: BTreeMap<i32, ProbePartition>,
    /// Why the topic cannot be used, if the cluster reports an error.
    pub(super) failure: Option<ProbeFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProbePartition {
    pub(super) leader: Option<BrokerId>,
    /// The preferred leader comes first.
    pub(super) replicas: Vec<BrokerId>,
}

/// What to create so that each broker is the preferred leader of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TopicPlan {
    Nothing,
    /// Create the topic, with these replicas for each partition.
    Create(Vec<Vec<i32>>),
    /// Add partitions with these replicas.
    Extend {
        /// The number of existing partitions.
        existing: usize,
        added: Vec<Vec<i32>>,
    },
    /// There are fewer brokers than the replication factor.
    TooFewBrokers,
}

impl TopicPlan {
    /// Whether the topic would be created with fewer replicas than the default.
    pub(super) fn is_below_default_replication(&self) -> bool {
        let Self::Create(partitions) = self else { return false };
        let replicas = partitions.first().map_or(0, Vec::len);
        u32::try_from(replicas).is_ok_and(|it| it < REPLICATION_FACTOR_DEFAULT)
    }
}

impl ProbeMetadata {
    /// The partition to probe a broker with: one that it leads, if possible one whose preferred
    /// leader it is. Another one may have just moved here, and not every client knows yet.
    pub(super) fn led_by(&self, broker: BrokerId) -> Option<i32> {
        let led = self.partitions.iter().filter(|(_, it)| it.leader == Some(broker));
        led.min_by_key(|(_, it)| it.replicas.first() != Some(&broker)).map(|(index, _)| *index)
    }

    pub(super) fn plan(&self, replication_factor: Option<u32>) -> TopicPlan {
        if self.failure.is_some() || self.brokers.is_empty() {
            return TopicPlan::Nothing;
        }

        let brokers: Vec<BrokerId> = self.brokers.iter().copied().collect();
        let default = usize::try_from(REPLICATION_FACTOR_DEFAULT).unwrap_or(usize::MAX);
        let replicas = match (self.partitions.values().next(), replication_factor) {
            (Some(existing), _) => existing.replicas.len(),
            (None, Some(factor)) => usize::try_from(factor).unwrap_or(usize::MAX),
            (None, None) => brokers.len().min(default),
        };

        let is_preferred_leader = |broker: &BrokerId| {
            self.partitions.values().any(|it| it.replicas.first() == Some(broker))
        };
        let without_partition: Vec<usize> =
            (0..brokers.len()).filter(|index| !is_preferred_leader(&brokers[*index])).collect();
        if without_partition.is_empty() {
            return TopicPlan::Nothing;
        }

        if brokers.len() < replicas {
            return TopicPlan::TooFewBrokers;
        }

        // The followers are the next brokers by id, wrapping around: each broker follows as many
        // partitions as the others.
        let replicas_from =
            |index: usize| brokers.iter().cycle().skip(index).take(replicas).map(|it| it.to_wire());
        let added =
            without_partition.into_iter().map(|index| replicas_from(index).collect()).collect();

        match self.partitions.len() {
            0 => TopicPlan::Create(added),
            existing => TopicPlan::Extend { existing, added },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32) -> BrokerId {
        BrokerId::from_wire(id).unwrap()
    }

    #[test]
    fn a_new_topic_of_fewer_than_three_brokers_is_below_the_default_replication() {
        let few = |brokers: &[i32], partitions: &[&[i32]]| {
            metadata(brokers, partitions).plan(None).is_below_default_replication()
        };

        assert!(few(&[1], &[]) && few(&[1, 2], &[]));
        assert!(!few(&[1, 2, 3], &[]));
        // An existing topic keeps its replication factor.
        assert!(!few(&[1, 2], &[&[1]]));
    }

    /// Each partition is given by its replicas; the first one leads it.
    fn metadata(brokers: &[i32], partitions: &[&[i32]]) -> ProbeMetadata {
        let partition = |replicas: &&[i32]| {
            let replicas: Vec<BrokerId> = replicas.iter().map(|it| broker(*it)).collect();
            ProbePartition { leader: replicas.first().copied(), replicas }
        };
        ProbeMetadata {
            brokers: brokers.iter().map(|it| broker(*it)).collect(),
            partitions: (0..).zip(partitions.iter().map(partition)).collect(),
            failure: None,
        }
    }

    #[track_caller]
    fn check(brokers: &[i32], partitions: &[&[i32]], factor: Option<u32>, want: &TopicPlan) {
        assert_eq!(metadata(brokers, partitions).plan(factor), *want, "{brokers:?} {partitions:?}");
    }

    fn create(replicas: &[&[i32]]) -> TopicPlan {
        TopicPlan::Create(replicas.iter().map(|it| it.to_vec()).collect())
    }

    #[test]
    fn a_missing_topic_gets_a_partition_for_each_broker() {
        check(&[1, 2, 3], &[], None, &create(&[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]));
        check(&[7], &[], None, &create(&[&[7]]));
        check(&[1, 2, 5, 9], &[], Some(2), &create(&[&[1, 2], &[2, 5], &[5, 9], &[9, 1]]));
    }

    #[test]
    fn a_new_broker_gets_a_partition_with_the_existing_replication_factor() {
        let existing: &[&[i32]] = &[&[1, 2], &[2, 1]];
        let added = vec![vec![3, 1]];
        check(&[1, 2, 3], existing, Some(3), &TopicPlan::Extend { existing: 2, added });
    }

    #[test]
    fn a_moved_leader_changes_no_plan() {
        let mut moved = metadata(&[1, 2], &[&[1, 2], &[2, 1]]);
        moved.partitions.get_mut(&0).unwrap().leader = Some(broker(2));

        assert_eq!(moved.plan(None), TopicPlan::Nothing);
        assert_eq!(moved.led_by(broker(1)), None, "not probed");
        assert_eq!(moved.led_by(broker(2)), Some(1), "the one whose preferred leader it is");
        // A broker that is down keeps its partition.
        check(&[1], &[&[1, 2], &[2, 1]], None, &TopicPlan::Nothing);
    }

    #[test]
    fn nothing_is_planned_that_cannot_be_done() {
        check(&[1, 2], &[], Some(3), &TopicPlan::TooFewBrokers);
        check(&[], &[], None, &TopicPlan::Nothing);
        check(&[1, 4], &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], None, &TopicPlan::TooFewBrokers);
        let refused =
            ProbeMetadata { failure: Some(ProbeFailure::Authorization), ..metadata(&[1], &[]) };
        assert_eq!(refused.plan(None), TopicPlan::Nothing);
    }

    #[test]
    fn a_topic_with_one_or_two_replicas_needs_only_one_in_sync() {
        let min_insync = |it| configs(it).into_iter().find(|it| it.0 == "min.insync.replicas");
        assert_eq!([1, 2, 3, 5].map(|it| min_insync(it).unwrap().1), ["1", "1", "2", "2"]);
    }
}
