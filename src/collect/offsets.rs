//! First and last offsets: one request per leader, first ones on a slow cadence.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{history::History, kept::Moment, pool::Question, tally::Tallies};
use crate::{
    model::{
        BrokerId, MonotonicTime, OffsetRange, Partition, ReadFailure, Topic, TopicName,
        TopicOffsets, TopicPartitions, Topology,
    },
    snapshot::Offsets,
    telemetry::CollectorName,
};

/// The partitions that each live broker leads.
pub(super) fn by_leader(topology: &Topology) -> BTreeMap<BrokerId, Vec<TopicPartitions>> {
    let mut led: BTreeMap<BrokerId, Vec<TopicPartitions>> =
        topology.brokers.iter().map(|it| (it.id, Vec::new())).collect();
    for topic in &topology.topics {
        for partition in &topic.partitions {
            // A leader that is not among the live brokers cannot be asked.
            let Some(of) = partition.leader.and_then(|it| led.get_mut(&it)) else { continue };
            match of.last_mut() {
                Some(last) if last.topic == topic.name => last.partitions.push(partition.index),
                _ => of.push(TopicPartitions {
                    topic: topic.name.clone(),
                    partitions: vec![partition.index],
                }),
            }
        }
    }
    led
}

/// A partition's last offset, and when it was read.
type Last = (i32, Result<i64, ReadFailure>, MonotonicTime);

/// The last offsets that this round has read.
#[derive(Debug, Default)]
pub(super) struct Lasts {
    read: HashMap<TopicName, Vec<Last>>,
}

impl Lasts {
    pub(super) fn take(&mut self, answer: Vec<TopicOffsets>, at: Moment) {
        for TopicOffsets { topic, partitions } in answer {
            let read = partitions.into_iter().map(|(partition, offset)| {
                // Kafka answers -1 where it has no offset to give.
                let offset = match offset {
                    Ok(offset) if offset < 0 => Err(ReadFailure::Other),
                    known => known,
                };
                (partition, offset, at.uptime)
            });
            self.read.entry(topic).or_default().extend(read);
        }
    }

    /// Every topic's answers come from several leaders; looking up wants them in order.
    pub(super) fn sort(&mut self) {
        for read in self.read.values_mut() {
            read.sort_unstable_by_key(|it| it.0);
        }
    }

    /// Hands the log ends to the history.
    pub(super) fn observe(&self, history: &mut History) {
        for (topic, read) in &self.read {
            let known = read.iter().filter_map(|(at, end, when)| Some((*at, (*end).ok()?, *when)));
            history.observe(topic, &known.collect::<Vec<_>>());
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
    partitions: Vec<Option<(i64, MonotonicTime)>>,
}

impl Firsts {
    pub(super) fn take(&mut self, topology: &Topology, answer: Vec<TopicOffsets>, at: Moment) {
        let topics: HashMap<&TopicName, &Topic> =
            topology.topics.iter().map(|it| (&it.name, it)).collect();
        for TopicOffsets { topic, partitions } in answer {
            let Some(Topic { id, partitions: known, .. }) = topics.get(&topic) else { continue };
            let fresh = || OfTopic { id: *id, partitions: Vec::new() };
            let of = self.known.entry(topic).or_insert_with(fresh);
            if of.id != *id {
                *of = fresh();
            }
            for (partition, offset) in partitions {
                let (Ok(index), Ok(offset @ 0..)) = (usize::try_from(partition), offset) else {
                    continue;
                };
                // Partitions are numbered from 0; what a broker makes up takes no room.
                if known.len() <= index {
                    continue;
                }
                if of.partitions.len() <= index {
                    of.partitions.resize(index + 1, None);
                }
                of.partitions[index] = Some((offset, at.uptime));
            }
        }
    }

    /// Drops what is past its life, and what belongs to a topic that is gone.
    pub(super) fn forget(&mut self, topology: &Topology, now: Moment, cadence: Duration) {
        let ids = ids(topology);
        self.known.retain(|topic, of| {
            for known in &mut of.partitions {
                known.take_if(|(_, read)| !now.shows(*read, cadence));
            }
            ids.get(topic) == Some(&of.id)
        });
    }

    /// Those of `led` whose first offset is not known.
    pub(super) fn missing(&self, led: &[TopicPartitions]) -> Vec<TopicPartitions> {
        let missing = led.iter().filter_map(|TopicPartitions { topic, partitions }| {
            let known = self.known.get(topic);
            let unknown = |it: &&i32| known.and_then(|of| of.get(**it)).is_none();
            let partitions: Vec<i32> = partitions.iter().filter(unknown).copied().collect();
            (!partitions.is_empty()).then(|| TopicPartitions { topic: topic.clone(), partitions })
        });
        missing.collect()
    }
}

impl OfTopic {
    fn get(&self, partition: i32) -> Option<i64> {
        let known = self.partitions.get(usize::try_from(partition).ok()?)?;
        known.map(|(offset, _)| offset)
    }
}

fn ids(topology: &Topology) -> HashMap<&TopicName, u128> {
    topology.topics.iter().map(|it| (&it.name, it.id)).collect()
}

/// Puts the ends of all logs together, and counts the partitions whose end is not known. `lasts`
/// are in order.
pub(super) fn assemble(
    topology: &Topology,
    lasts: &Lasts,
    firsts: &Firsts,
    tallies: &mut Tallies,
) -> Offsets {
    let mut offsets = Offsets::with_capacity(topology.topics.len());
    for topic in &topology.topics {
        let read = lasts.read.get(&topic.name).map_or(&[][..], Vec::as_slice);
        let known = firsts.known.get(&topic.name);
        let ends = topic.partitions.iter().map(|partition| {
            let found = read.binary_search_by_key(&partition.index, |it| it.0);
            let last = found.ok().and_then(|at| read.get(at)).map(|it| it.1);
            let last = last.unwrap_or_else(|| Err(why_unread(partition, tallies)));
            if let Err(reason) = last {
                tallies.unknown(CollectorName::Offsets, reason, 1);
            }
            let first = known.and_then(|it| it.get(partition.index));
            (partition.index, OffsetRange { start: first, end: last.ok() })
        });
        offsets.insert(topic.name.clone(), ends.collect());
    }
    offsets
}

fn why_unread(partition: &Partition, tallies: &Tallies) -> ReadFailure {
    let Some(leader) = partition.leader else { return ReadFailure::Leaderless };
    tallies.fault(Question::Lasts(leader)).unwrap_or(ReadFailure::Incomplete)
}
