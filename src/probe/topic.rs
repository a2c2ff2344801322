//! The probe's topic: what it is like, and what it lacks. Pure.
//!
//! Each broker shall be the first replica of a partition, because the first replica leads while the
//! broker is well. Who leads now is taken as it is: electing leaders is not the probe's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{model::BrokerId, telemetry::ProbeFault};

/// Copies of a record that survive the loss of two brokers.
const REPLICATION_FACTOR_DEFAULT: u32 = 3;

/// What the topic is made with. Records are of no use once they have been read back.
pub(super) fn settings(replicas: usize) -> Vec<(&'static str, &'static str)> {
    // What an acknowledged record is worth does not depend on the cluster's default.
    let in_sync = if 3 <= replicas { "2" } else { "1" };
    vec![
        ("cleanup.policy", "delete"),
        ("retention.ms", "600000"),
        ("segment.ms", "600000"),
        ("segment.bytes", "1048576"),
        ("min.insync.replicas", in_sync),
    ]
}

/// The cluster as the probe sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProbeMetadata {
    /// The brokers that are there.
    pub(super) brokers: BTreeSet<BrokerId>,
    /// The topic's partitions, by index; none when it does not exist.
    pub(super) partitions: BTreeMap<i32, ProbePartition>,
    /// Why the topic cannot be used, if the cluster says so.
    pub(super) fault: Option<ProbeFault>,
}

/// One partition of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProbePartition {
    pub(super) leader: Option<BrokerId>,
    /// Its replicas, the preferred leader first.
    pub(super) replicas: Vec<BrokerId>,
}

/// What is to be done so that each broker can lead a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TopicPlan {
    Nothing,
    /// Create the topic, with the replicas of each partition.
    Create(Vec<Vec<i32>>),
    /// Add partitions to the `from` that there are.
    Extend {
        from: usize,
        added: Vec<Vec<i32>>,
    },
    /// There are fewer brokers than replicas are wanted.
    TooFewBrokers,
}

impl TopicPlan {
    /// Whether a topic would be made with fewer copies than survive the loss of two brokers.
    pub(super) fn makes_few_copies(&self) -> bool {
        let Self::Create(partitions) = self else { return false };
        let copies = partitions.first().map_or(0, Vec::len);
        u32::try_from(copies).is_ok_and(|it| it < REPLICATION_FACTOR_DEFAULT)
    }
}

impl ProbeMetadata {
    /// The partition to send a broker's record to: one that it leads, best one that is its own.
    /// Another's may have just moved here, and not every client knows.
    pub(super) fn led_by(&self, broker: BrokerId) -> Option<i32> {
        let led = self.partitions.iter().filter(|(_, it)| it.leader == Some(broker));
        led.min_by_key(|(_, it)| it.replicas.first() != Some(&broker)).map(|(index, _)| *index)
    }

    pub(super) fn need(&self, replication_factor: Option<u32>) -> TopicPlan {
        if self.fault.is_some() || self.brokers.is_empty() {
            return TopicPlan::Nothing;
        }
        let all: Vec<BrokerId> = self.brokers.iter().copied().collect();
        let wanted = match (self.partitions.values().next(), replication_factor) {
            (Some(there), _) => there.replicas.len(),
            (None, Some(factor)) => usize::try_from(factor).unwrap_or(usize::MAX),
            (None, None) => {
                all.len().min(usize::try_from(REPLICATION_FACTOR_DEFAULT).unwrap_or(usize::MAX))
            }
        };
        let first =
            |it: &BrokerId| self.partitions.values().any(|of| of.replicas.first() == Some(it));
        let homeless: Vec<usize> = (0..all.len()).filter(|at| !first(&all[*at])).collect();
        if homeless.is_empty() {
            return TopicPlan::Nothing;
        }
        if all.len() < wanted {
            return TopicPlan::TooFewBrokers;
        }
        // The followers are the next brokers by id, round the end: each follows as often as it
        // leads.
        let ring = |at: usize| all.iter().cycle().skip(at).take(wanted).map(|it| it.to_wire());
        let added = homeless.into_iter().map(|at| ring(at).collect()).collect();
        match self.partitions.len() {
            0 => TopicPlan::Create(added),
            from => TopicPlan::Extend { from, added },
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
    fn a_cluster_that_is_coming_up_would_get_few_copies() {
        let few =
            |brokers: &[i32], there: &[&[i32]]| seen(brokers, there).need(None).makes_few_copies();
        assert!(few(&[1], &[]) && few(&[1, 2], &[]));
        assert!(!few(&[1, 2, 3], &[]));
        // What is there already stays as it was made.
        assert!(!few(&[1, 2], &[&[1]]));
    }

    /// Partitions as their replicas, led by the first of them.
    fn seen(brokers: &[i32], partitions: &[&[i32]]) -> ProbeMetadata {
        let partition = |replicas: &&[i32]| {
            let replicas: Vec<BrokerId> = replicas.iter().map(|it| broker(*it)).collect();
            ProbePartition { leader: replicas.first().copied(), replicas }
        };
        ProbeMetadata {
            brokers: brokers.iter().map(|it| broker(*it)).collect(),
            partitions: (0..).zip(partitions.iter().map(partition)).collect(),
            fault: None,
        }
    }

    #[track_caller]
    fn check(brokers: &[i32], partitions: &[&[i32]], factor: Option<u32>, want: &TopicPlan) {
        assert_eq!(seen(brokers, partitions).need(factor), *want, "{brokers:?} {partitions:?}");
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
    fn a_broker_that_joins_gets_one_as_the_others_have_it() {
        let there: &[&[i32]] = &[&[1, 2], &[2, 1]];
        let added = vec![vec![3, 1]];
        check(&[1, 2, 3], there, Some(3), &TopicPlan::Extend { from: 2, added });
    }

    #[test]
    fn who_leads_for_the_moment_is_no_reason_to_change_anything() {
        let mut moved = seen(&[1, 2], &[&[1, 2], &[2, 1]]);
        moved.partitions.get_mut(&0).unwrap().leader = Some(broker(2));
        assert_eq!(moved.need(None), TopicPlan::Nothing);
        assert_eq!(moved.led_by(broker(1)), None, "so it is not probed");
        assert_eq!(moved.led_by(broker(2)), Some(1), "its own, not the one it has for the moment");
        // A broker that is away keeps its partition.
        check(&[1], &[&[1, 2], &[2, 1]], None, &TopicPlan::Nothing);
    }

    #[test]
    fn what_cannot_be_done_is_not_tried() {
        check(&[1, 2], &[], Some(3), &TopicPlan::TooFewBrokers);
        check(&[], &[], None, &TopicPlan::Nothing);
        check(&[1, 4], &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], None, &TopicPlan::TooFewBrokers);
        let refused = ProbeMetadata { fault: Some(ProbeFault::Authorization), ..seen(&[1], &[]) };
        assert_eq!(refused.need(None), TopicPlan::Nothing);
    }

    #[test]
    fn a_topic_of_one_or_two_copies_takes_records_while_one_is_there() {
        let in_sync = |it| settings(it).into_iter().find(|it| it.0 == "min.insync.replicas");
        assert_eq!([1, 2, 3, 5].map(|it| in_sync(it).unwrap().1), ["1", "1", "2", "2"]);
    }
}
