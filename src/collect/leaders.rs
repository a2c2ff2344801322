//! How often the leader of each partition was seen to change. `KRaft` brokers do not count it.

use std::sync::Arc;

use super::cached::ByTopic;
use crate::{
    model::{BrokerId, Topic, Topology},
    snapshot::LeaderChanges,
};

/// Counts changes from round to round.
#[derive(Debug, Default)]
pub(super) struct LeaderChangeCounter {
    topics: ByTopic<TopicLeaders>,
}

/// Both lists follow the order of the topology's partitions.
#[derive(Debug, Default)]
struct TopicLeaders {
    /// The last leader that each partition had.
    leaders: Vec<Option<BrokerId>>,
    /// Shared with the snapshot until a leader changes.
    changes: Arc<Vec<u64>>,
}

impl LeaderChangeCounter {
    /// A partition without a leader keeps its last one: getting the same leader back is no change.
    pub(super) fn update(&mut self, topology: &Topology) {
        self.topics.retain(topology, |_| true);
        for topic in &topology.topics {
            self.topics.entry(&topic.name, topic.id).update(topic);
        }
    }

    pub(super) fn changes(&self) -> LeaderChanges {
        self.topics.iter().map(|(topic, it)| (topic.clone(), Arc::clone(&it.changes))).collect()
    }
}

impl TopicLeaders {
    fn update(&mut self, topic: &Topic) {
        // Partitions are only ever added.
        self.leaders.resize(topic.partitions.len(), None);

        if self.changes.len() != topic.partitions.len() {
            Arc::make_mut(&mut self.changes).resize(topic.partitions.len(), 0);
        }

        for (index, partition) in topic.partitions.iter().enumerate() {
            let Some(leader) = partition.leader else { continue };
            let previous = self.leaders[index].replace(leader);
            if previous.is_some_and(|it| it != leader) {
                let changes = &mut Arc::make_mut(&mut self.changes)[index];
                *changes = changes.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Partition, TopicName};

    fn led_by(id: u128, leaders: &[Option<i32>]) -> Topology {
        let partition = |(index, leader): (i32, &Option<i32>)| Partition {
            index,
            leader: leader.and_then(BrokerId::from_wire),
            replicas: Vec::new(),
            isr: Vec::new(),
        };

        let partitions = (0..).zip(leaders).map(partition).collect();
        let topic = Topic { name: TopicName::new("t"), id, internal: false, partitions };
        Topology { topics: vec![topic], ..Topology::default() }
    }

    #[track_caller]
    fn check(rounds: &[Topology], want: &[u64]) {
        let mut leaders = LeaderChangeCounter::default();
        for topology in rounds {
            leaders.update(topology);
        }
        assert_eq!(**leaders.changes().get(&TopicName::new("t")).unwrap(), want);
    }

    #[test]
    fn only_another_leader_is_a_change() {
        check(&[led_by(1, &[Some(1), Some(2)])], &[0, 0]);
        check(&[led_by(1, &[Some(1), Some(2)]), led_by(1, &[Some(3), Some(2)])], &[1, 0]);
        check(&[led_by(1, &[Some(1)]), led_by(1, &[None]), led_by(1, &[Some(1)])], &[0]);
        check(&[led_by(1, &[Some(1)]), led_by(1, &[None]), led_by(1, &[Some(2)])], &[1]);
    }

    #[test]
    fn a_new_partition_and_a_topic_created_again_begin_at_0() {
        check(&[led_by(1, &[Some(1)]), led_by(1, &[Some(2), Some(3)])], &[1, 0]);
        check(&[led_by(1, &[Some(1)]), led_by(1, &[Some(2)]), led_by(2, &[Some(3)])], &[0]);
    }
}
