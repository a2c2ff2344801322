//! First and last offsets: one request per leader, first ones on a slow cadence.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    kept::Moment,
    pool::Question,
    tally::{self, Tallies},
};
use crate::{
    kafka::{PartitionEdge, Topology},
    model::{BrokerId, Reading, TopicName, TopicPartition, Uptime},
    snapshot::{Ends, Offsets, Partition},
    telemetry::{CollectorName, UnknownReason},
};

/// The partitions that each live broker leads.
pub(super) fn by_leader(topology: &Topology) -> BTreeMap<BrokerId, Vec<TopicPartition>> {
    let mut led: BTreeMap<BrokerId, Vec<TopicPartition>> =
        topology.brokers.iter().map(|it| (it.id, Vec::new())).collect();
    for topic in &topology.topics {
        for partition in &topic.partitions {
            // A leader that is not among the live brokers cannot be asked.
            if let Some(of) = partition.leader.and_then(|it| led.get_mut(&it)) {
                of.push(TopicPartition { topic: topic.name.clone(), partition: partition.index });
            }
        }
    }
    led
}

/// The last offsets that this round has read.
#[derive(Debug, Default)]
pub(super) struct Lasts {
    read: HashMap<TopicName, HashMap<i32, Result<i64, UnknownReason>>>,
}

impl Lasts {
    pub(super) fn take(&mut self, edges: Vec<PartitionEdge>) {
        for PartitionEdge { at, offset } in edges {
            // Kafka answers -1 where it has no offset to give.
            let offset = match offset.map_err(tally::of_part) {
                Ok(offset) if offset < 0 => Err(UnknownReason::Other),
                known => known,
            };
            self.read.entry(at.topic).or_default().insert(at.partition, offset);
        }
    }
}

/// First offsets, kept between the rounds that read them.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    known: HashMap<TopicName, OfTopic>,
}

#[derive(Debug)]
struct OfTopic {
    /// A topic deleted and created again is another topic.
    id: u128,
    partitions: HashMap<i32, (i64, Uptime)>,
}

impl Firsts {
    pub(super) fn take(&mut self, topology: &Topology, edges: Vec<PartitionEdge>, at: Moment) {
        let ids: HashMap<&TopicName, u128> =
            topology.topics.iter().map(|it| (&it.name, it.id)).collect();
        for edge in edges {
            let (Ok(offset @ 0..), Some(id)) = (edge.offset, ids.get(&edge.at.topic)) else {
                continue;
            };
            let fresh = || OfTopic { id: *id, partitions: HashMap::new() };
            let of = self.known.entry(edge.at.topic).or_insert_with(fresh);
            if of.id != *id {
                *of = fresh();
            }
            of.partitions.insert(edge.at.partition, (offset, at.uptime));
        }
    }

    /// Drops what is past its life, and what belongs to a topic that is gone.
    pub(super) fn forget(&mut self, topology: &Topology, now: Moment, cadence: Duration) {
        let ids: HashMap<&TopicName, u128> =
            topology.topics.iter().map(|it| (&it.name, it.id)).collect();
        self.known.retain(|topic, of| {
            of.partitions.retain(|_, (_, read)| now.shows(*read, cadence));
            ids.get(topic) == Some(&of.id)
        });
    }

    fn get(&self, topic: &TopicName, partition: i32) -> Option<i64> {
        self.known.get(topic)?.partitions.get(&partition).map(|(offset, _)| *offset)
    }

    /// Those of `partitions` whose first offset is not known.
    pub(super) fn missing(&self, partitions: &[TopicPartition]) -> Vec<TopicPartition> {
        let unknown = |it: &&TopicPartition| self.get(&it.topic, it.partition).is_none();
        partitions.iter().filter(unknown).cloned().collect()
    }
}

/// Puts the ends of all logs together, and counts the partitions whose end is not known.
pub(super) fn assemble(
    topology: &Topology,
    lasts: &Lasts,
    firsts: &Firsts,
    tallies: &mut Tallies,
) -> Offsets {
    let mut offsets = Offsets::new();
    for topic in &topology.topics {
        let read = lasts.read.get(&topic.name);
        let ends = topic.partitions.iter().map(|partition| {
            let last = read.and_then(|it| it.get(&partition.index)).copied();
            let last = last.unwrap_or_else(|| Err(why_unread(partition, tallies)));
            if let Err(reason) = last {
                tallies.unknown(CollectorName::Offsets, reason, 1);
            }
            let first = firsts.get(&topic.name, partition.index).into();
            (
                partition.index,
                Ends { first, last: last.ok().map_or(Reading::Unknown, Reading::Known) },
            )
        });
        offsets.insert(topic.name.clone(), ends.collect());
    }
    offsets
}

fn why_unread(partition: &Partition, tallies: &Tallies) -> UnknownReason {
    let Some(leader) = partition.leader else { return UnknownReason::Leaderless };
    tallies.fault(Question::Lasts(leader)).unwrap_or(UnknownReason::Incomplete)
}
