//! How often the leader of each partition was seen to change. Nobody else counts it under `KRaft`.

use std::{collections::HashMap, sync::Arc};

use crate::{
    model::{BrokerId, Topic, TopicName, Topology},
    snapshot::LeaderChanges,
};

/// Counts changes from round to round.
#[derive(Debug, Default)]
pub(super) struct Leaders {
    topics: HashMap<TopicName, OfTopic>,
}

#[derive(Debug, Default)]
struct OfTopic {
    /// A topic deleted and created again is another topic.
    id: u128,
    /// By place in the topology; the last leader there was.
    leaders: Vec<Option<BrokerId>>,
    /// As in the snapshot, which shares it until one changes.
    changes: Arc<Vec<u64>>,
}

impl Leaders {
    /// Takes note of who leads now. A partition without a leader keeps the one it had: getting the
    /// same one back is no change.
    pub(super) fn look(&mut self, topology: &Topology) {
        let mut before = std::mem::take(&mut self.topics);
        self.topics = HashMap::with_capacity(topology.topics.len());
        for topic in &topology.topics {
            let known = before.remove(&topic.name).filter(|it| it.id == topic.id);
            let mut of = known.unwrap_or_else(|| OfTopic { id: topic.id, ..OfTopic::default() });
            of.look(topic);
            self.topics.insert(topic.name.clone(), of);
        }
    }

    pub(super) fn changes(&self) -> LeaderChanges {
        let of = |(topic, of): (&TopicName, &OfTopic)| (topic.clone(), Arc::clone(&of.changes));
        self.topics.iter().map(of).collect()
    }
}

impl OfTopic {
    fn look(&mut self, topic: &Topic) {
        // Partitions are only ever added.
        self.leaders.resize(topic.partitions.len(), None);
        if self.changes.len() != topic.partitions.len() {
            Arc::make_mut(&mut self.changes).resize(topic.partitions.len(), 0);
        }
        for (at, partition) in topic.partitions.iter().enumerate() {
            let Some(leader) = partition.leader else { continue };
            let before = self.leaders[at].replace(leader);
            if before.is_some_and(|it| it != leader) {
                let changes = &mut Arc::make_mut(&mut self.changes)[at];
                *changes = changes.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Partition;

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
        let mut leaders = Leaders::default();
        for topology in rounds {
            leaders.look(topology);
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
