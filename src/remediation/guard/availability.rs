//! The availability gate: may a broker lose connections, or be away for a moment, without a
//! partition becoming unavailable for acks=all? Pure; the rules are those of Strimzi's roller.

use std::collections::BTreeMap;

use crate::model::{BrokerId, MinInsync, Partition, Topic, TopicName, Topology};

/// What stands against touching `broker`, if anything: the first partition found.
///
/// A topic with no more replicas than `min.insync.replicas` does not block here: no broker goes
/// down in a resize (I15). A topic whose `min.insync.replicas` is not known blocks.
pub(in crate::remediation) fn blocked(
    topology: &Topology,
    min_isr: &BTreeMap<TopicName, MinInsync>,
    broker: BrokerId,
) -> Option<String> {
    for topic in &topology.topics {
        for partition in topic.partitions.iter().filter(|it| it.replicas.contains(&broker)) {
            let min = match min_isr.get(&topic.name) {
                Some(Ok(min)) => *min,
                Some(Err(fault)) => return Some(unknown(topic, fault.label())),
                None => return Some(unknown(topic, "no answer")),
            };
            if let Some(problem) = blocks(partition, min, broker) {
                return Some(format!("{}/{}: {problem}", topic.name, partition.index));
            }
        }
    }
    None
}

fn unknown(topic: &Topic, why: &str) -> String {
    format!("min.insync.replicas of {} is not known ({why})", topic.name)
}

fn blocks(partition: &Partition, min: u32, broker: BrokerId) -> Option<String> {
    let count = |replicas: &[BrokerId]| u32::try_from(replicas.len()).unwrap_or(u32::MAX);
    let (replicas, in_sync) = (count(&partition.replicas), count(&partition.isr));
    if replicas <= min {
        return None;
    }
    let short = in_sync < min;
    let at_the_edge = in_sync == min && partition.isr.contains(&broker);
    (short || at_the_edge)
        .then(|| format!("{in_sync} of {replicas} replicas in sync, {min} needed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReadFailure;

    fn ids(raw: &[i32]) -> Vec<BrokerId> {
        raw.iter().filter_map(|&it| BrokerId::from_wire(it)).collect()
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Gate {
        Open,
        Shut,
    }

    #[track_caller]
    fn check(replicas: &[i32], isr: &[i32], min: Option<MinInsync>, want: Gate) {
        let name = TopicName::new("t");
        let partition =
            Partition { index: 0, leader: None, replicas: ids(replicas), isr: ids(isr) };
        let topic =
            Topic { name: name.clone(), id: 0, internal: false, partitions: vec![partition] };
        let topology = Topology { topics: vec![topic], ..Topology::default() };
        let min_isr = min.map(|it| (name, it)).into_iter().collect();
        let found = blocked(&topology, &min_isr, BrokerId::from_wire(1).unwrap());
        assert_eq!(found.is_some(), want == Gate::Shut, "{found:?}");
    }

    #[test]
    fn i15_the_gate_opens_only_with_a_replica_to_spare() {
        check(&[1, 2, 3], &[1, 2, 3], Some(Ok(2)), Gate::Open);
        check(&[1, 2, 3], &[1, 2], Some(Ok(2)), Gate::Shut);
        check(&[1, 2, 3], &[2, 3], Some(Ok(2)), Gate::Open);
        check(&[1, 2, 3], &[2], Some(Ok(2)), Gate::Shut);
        check(&[2, 3], &[2], Some(Ok(2)), Gate::Open);
    }

    #[test]
    fn i15_a_topic_without_a_spare_replica_does_not_block_a_resize() {
        check(&[1, 2], &[1, 2], Some(Ok(2)), Gate::Open);
        check(&[1], &[1], Some(Ok(1)), Gate::Open);
    }

    #[test]
    fn i15_an_unknown_minimum_blocks() {
        check(&[1, 2, 3], &[1, 2, 3], None, Gate::Shut);
        check(&[1, 2, 3], &[1, 2, 3], Some(Err(ReadFailure::Unauthorized)), Gate::Shut);
    }
}
