//! Start and end offsets of logs: two requests to each leader. End offsets are read each round,
//! start offsets every fourth round and at once for partitions that have none yet.
//!
//! Publishes `offsets`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    Collect, Round, RoundPlan,
    cached::{ByTopic, Cached, Timestamps},
    history::{EndOffset, History},
    in_flight::{Request, RequestKey},
    report::RoundReport,
};
use crate::{
    model::{
        BrokerId, MonotonicTime, OffsetRange, OffsetSpec, Partition, ReadFailure, Topic, TopicName,
        TopicOffsets, TopicPartitions, Topology,
    },
    snapshot::{Offsets, Section, Snapshot},
    telemetry::CollectorName,
};

const fn key(spec: OffsetSpec, leader: BrokerId) -> RequestKey {
    let part = match spec {
        OffsetSpec::Earliest => "earliest",
        OffsetSpec::Latest => "latest",
    };
    RequestKey::for_part(CollectorName::Offsets, part, leader)
}

#[derive(Debug)]
pub(super) struct OffsetsCollector {
    cadence: Duration,
    start_offsets: StartOffsets,
    offsets: Option<Cached<Section<Offsets>>>,
}

impl OffsetsCollector {
    pub(super) fn new(cadence: Duration, start_cadence: Duration) -> Self {
        let start_offsets = StartOffsets::new(start_cadence);
        Self { cadence, start_offsets, offsets: None }
    }

    /// Puts the answers of the round together, and counts the partitions without an end offset.
    pub(super) fn assemble(
        &mut self,
        topology: &Topology,
        round: &mut Round,
        began: Timestamps,
    ) -> Arc<Offsets> {
        round.end_offsets.sort();
        let (ends, report) = (&round.end_offsets, &mut round.report);
        let offsets = assemble(topology, ends, &self.start_offsets, report);
        let offsets = self.offsets.insert(Cached::section(offsets, began));
        Arc::clone(&offsets.value().value)
    }
}

impl Collect for OffsetsCollector {
    fn retain(&mut self, topology: &Topology, now: Timestamps) {
        self.start_offsets.retain(topology, now);
    }

    fn plan(&mut self, plan: &mut RoundPlan<'_>) {
        plan.report.ran(CollectorName::Offsets);
        for (leader, partitions) in by_leader(plan.topology) {
            let start_key = key(OffsetSpec::Earliest, leader);
            let without_start = if plan.is_due(start_key) {
                partitions.clone()
            } else {
                self.start_offsets.missing(&partitions)
            };

            if !partitions.is_empty() {
                plan.send(Request::new(
                    key(OffsetSpec::Latest, leader),
                    move |kafka| async move {
                        kafka.offsets(leader, OffsetSpec::Latest, &partitions).await
                    },
                    |_, round, offsets, at| {
                        if let Some(round) = round {
                            round.end_offsets.store(offsets, at);
                        }
                    },
                ));
            }
            if !without_start.is_empty() {
                plan.send(Request::new(
                    start_key,
                    move |kafka| async move {
                        kafka.offsets(leader, OffsetSpec::Earliest, &without_start).await
                    },
                    |state, _, offsets, at| {
                        if let Some(topology) = state.topology.latest() {
                            state.offsets.start_offsets.store(&topology, offsets, at);
                        }
                    },
                ));
            }
        }
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        snapshot.offsets = self.offsets.as_ref().and_then(|it| it.fresh(now, self.cadence));
    }
}

/// The partitions that each live broker leads.
fn by_leader(topology: &Topology) -> BTreeMap<BrokerId, Vec<TopicPartitions>> {
    let mut led: BTreeMap<BrokerId, Vec<TopicPartitions>> =
        topology.brokers.iter().map(|it| (it.id, Vec::new())).collect();

    for topic in &topology.topics {
        for partition in &topic.partitions {
            // A leader that is not among the live brokers cannot be asked.
            let Some(led) = partition.leader.and_then(|it| led.get_mut(&it)) else { continue };
            match led.last_mut() {
                Some(last) if last.topic == topic.name => last.partitions.push(partition.index),
                _ => led.push(TopicPartitions {
                    topic: topic.name.clone(),
                    partitions: vec![partition.index],
                }),
            }
        }
    }

    led
}

/// The end offset of a partition, or why there is none.
#[derive(Clone, Copy, Debug)]
struct EndOffsetRead {
    partition: i32,
    offset: Result<i64, ReadFailure>,
    at: MonotonicTime,
}

/// The end offsets that this round has read.
#[derive(Debug, Default)]
pub(super) struct EndOffsets {
    topics: HashMap<TopicName, Vec<EndOffsetRead>>,
}

impl EndOffsets {
    fn store(&mut self, answer: Vec<TopicOffsets>, at: Timestamps) {
        for TopicOffsets { topic, partitions } in answer {
            let read = partitions.into_iter().map(|(partition, offset)| {
                // Kafka answers -1 where it has no offset.
                let offset = match offset {
                    Ok(offset) if offset < 0 => Err(ReadFailure::Other),
                    offset => offset,
                };
                EndOffsetRead { partition, offset, at: at.monotonic }
            });
            self.topics.entry(topic).or_default().extend(read);
        }
    }

    /// Orders each topic's partitions, which several leaders have answered for, so that they can be
    /// looked up.
    fn sort(&mut self) {
        for read in self.topics.values_mut() {
            read.sort_unstable_by_key(|it| it.partition);
        }
    }

    pub(super) fn record(&self, history: &mut History) {
        for (topic, read) in &self.topics {
            let known = read.iter().filter_map(|it| {
                let EndOffsetRead { partition, offset, at } = *it;
                Some(EndOffset { partition, offset: offset.ok()?, at })
            });
            history.record(topic, &known.collect::<Vec<_>>());
        }
    }
}

/// Start offsets, kept between the rounds that read them.
#[derive(Debug)]
struct StartOffsets {
    cadence: Duration,
    /// By partition index.
    topics: ByTopic<Vec<Option<Cached<i64>>>>,
}

impl StartOffsets {
    fn new(cadence: Duration) -> Self {
        Self { cadence, topics: ByTopic::default() }
    }

    fn store(&mut self, topology: &Topology, answer: Vec<TopicOffsets>, at: Timestamps) {
        let topics: HashMap<&TopicName, &Topic> =
            topology.topics.iter().map(|it| (&it.name, it)).collect();

        for TopicOffsets { topic, partitions } in answer {
            let Some(known) = topics.get(&topic) else { continue };
            let offsets = self.topics.entry(&topic, known.id);
            for (partition, offset) in partitions {
                let (Ok(index), Ok(offset @ 0..)) = (usize::try_from(partition), offset) else {
                    continue;
                };
                // Partitions are numbered from 0: an index that the topology does not have takes no
                // memory.
                if index >= known.partitions.len() {
                    continue;
                }
                if index >= offsets.len() {
                    offsets.resize(index + 1, None);
                }
                offsets[index] = Some(Cached::new(offset, at.monotonic));
            }
        }
    }

    /// Drops what is too old, and what belongs to a topic that is gone.
    fn retain(&mut self, topology: &Topology, now: Timestamps) {
        let cadence = self.cadence;
        self.topics.retain(topology, |partitions| {
            for offset in partitions {
                offset.take_if(|it| !it.is_fresh(now, cadence));
            }
            true
        });
    }

    /// The partitions without a start offset.
    fn missing(&self, partitions: &[TopicPartitions]) -> Vec<TopicPartitions> {
        let missing = partitions.iter().filter_map(|TopicPartitions { topic, partitions }| {
            let known = self.topics.get(topic);
            let is_unknown =
                |it: &&i32| known.and_then(|known| start_offset(known, **it)).is_none();
            let partitions: Vec<i32> = partitions.iter().filter(is_unknown).copied().collect();
            (!partitions.is_empty()).then(|| TopicPartitions { topic: topic.clone(), partitions })
        });
        missing.collect()
    }
}

fn start_offset(offsets: &[Option<Cached<i64>>], partition: i32) -> Option<i64> {
    let offset = offsets.get(usize::try_from(partition).ok()?)?;
    offset.as_ref().map(|it| *it.value())
}

/// `end_offsets` are sorted.
fn assemble(
    topology: &Topology,
    end_offsets: &EndOffsets,
    start_offsets: &StartOffsets,
    report: &mut RoundReport,
) -> Offsets {
    let mut offsets = Offsets::with_capacity(topology.topics.len());
    for topic in &topology.topics {
        let ends = end_offsets.topics.get(&topic.name).map_or(&[][..], Vec::as_slice);
        let starts = start_offsets.topics.get(&topic.name);

        let ranges = topic.partitions.iter().map(|partition| {
            let found = ends.binary_search_by_key(&partition.index, |it| it.partition);
            let end = found.ok().and_then(|at| ends.get(at)).map(|it| it.offset);
            let end = end.unwrap_or_else(|| Err(why_missing(partition, report)));
            if let Err(failure) = end {
                report.count_unknown(CollectorName::Offsets, failure, 1);
            }

            let start = starts.and_then(|it| start_offset(it, partition.index));
            (partition.index, OffsetRange { start, end: end.ok() })
        });
        offsets.insert(topic.name.clone(), ranges.collect());
    }

    offsets
}

fn why_missing(partition: &Partition, report: &RoundReport) -> ReadFailure {
    let Some(leader) = partition.leader else { return ReadFailure::Leaderless };
    report.failure(key(OffsetSpec::Latest, leader)).unwrap_or(ReadFailure::Incomplete)
}
