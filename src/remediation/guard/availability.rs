//! The availability check: whether a broker may lose connections without a partition becoming
//! unavailable to producers with acks=all. Pure; the rules are those of Strimzi's roller.

use std::collections::BTreeMap;

use crate::model::{BrokerId, MinInsync, Partition, Topic, TopicName, Topology};

/// The first partition that could become unavailable if `broker` lost connections, in words.
///
/// A topic with no more replicas than `min.insync.replicas` does not count, since no broker goes
/// down in a resize (I15). A topic whose `min.insync.replicas` is unknown does, except for its
/// partitions with one replica: the minimum is never below one.
pub(in crate::remediation) fn problem(
    topology: &Topology,
    min_isr: &BTreeMap<TopicName, MinInsync>,
    broker: BrokerId,
) -> Option<String> {
    for topic in &topology.topics {
        let can_be_short = |it: &&Partition| it.replicas.len() > 1 && it.replicas.contains(&broker);
        for partition in topic.partitions.iter().filter(can_be_short) {
            let min = match min_isr.get(&topic.name) {
                Some(Ok(min)) => *min,
                Some(Err(fault)) => return Some(unknown(topic, fault.label())),
                None => return Some(unknown(topic, "no answer")),
            };
            if let Some(problem) = partition_problem(partition, min, broker) {
                return Some(format!("{}/{}: {problem}", topic.name, partition.index));
            }
        }
    }

    None
}

fn unknown(topic: &Topic, why: &str) -> String {
    format!("min.insync.replicas of {} is unknown ({why})", topic.name)
}

fn partition_problem(partition: &Partition, min: u32, broker: BrokerId) -> Option<String> {
    let count = |replicas: &[BrokerId]| u32::try_from(replicas.len()).unwrap_or(u32::MAX);
    let (replicas, in_sync) = (count(&partition.replicas), count(&partition.isr));

    if replicas <= min {
        return None;
    }

    let is_short = in_sync < min;
    let would_be_short = in_sync == min && partition.isr.contains(&broker);

    (is_short || would_be_short)
        .then(|| format!("{in_sync} of {replicas} replicas in sync, {min} needed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReadFailure;

    fn ids(raw: &[i32]) -> Vec<BrokerId> {
        raw.iter().filter_map(|&it| BrokerId::from_wire(it)).collect()
    }

    #[track_caller]
    fn check(replicas: &[i32], isr: &[i32], min: Option<MinInsync>, passes: bool) {
        let name = TopicName::new("t");
        let partition =
            Partition { index: 0, leader: None, replicas: ids(replicas), isr: ids(isr) };
        let topic =
            Topic { name: name.clone(), id: 0, internal: false, partitions: vec![partition] };
        let topology = Topology { topics: vec![topic], ..Topology::default() };
        let min_isr = min.map(|it| (name, it)).into_iter().collect();
        let found = problem(&topology, &min_isr, BrokerId::from_wire(1).unwrap());

        assert_eq!(found.is_none(), passes, "{found:?}");
    }

    #[test]
    fn i15_the_check_passes_only_with_an_in_sync_replica_to_spare() {
        check(&[1, 2, 3], &[1, 2, 3], Some(Ok(2)), true);
        check(&[1, 2, 3], &[1, 2], Some(Ok(2)), false);
        check(&[1, 2, 3], &[2, 3], Some(Ok(2)), true);
        check(&[1, 2, 3], &[2], Some(Ok(2)), false);
        check(&[2, 3], &[2], Some(Ok(2)), true);
    }

    #[test]
    fn i15_a_topic_that_never_has_a_spare_replica_does_not_block_a_resize() {
        check(&[1, 2], &[1, 2], Some(Ok(2)), true);
        check(&[1], &[1], Some(Ok(1)), true);
    }

    #[test]
    fn i15_a_partition_with_one_replica_does_not_block_whatever_its_topics_minimum_is() {
        check(&[1], &[1], Some(Ok(2)), true);
        check(&[1], &[1], None, true);
        check(&[1], &[1], Some(Err(ReadFailure::Unauthorized)), true);
    }

    #[test]
    fn i15_an_unknown_minimum_blocks() {
        check(&[1, 2, 3], &[1, 2, 3], None, false);
        check(&[1, 2, 3], &[1, 2, 3], Some(Err(ReadFailure::Unauthorized)), false);
    }
}
