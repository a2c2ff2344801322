//! Reads a few record batches at the end of the busiest topics, for advice to their producers.
//!
//! Only on request, never in a round of collection. It is the least load that tells something: one
//! partition in one request, a bounded number of partitions, bytes and requests per second. It
//! reads as a client without a group: nothing is committed, and open transactions do not hold it
//! up.
//!
//! Invariant: no record is decoded; what leaves this process are numbers about batches.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    advice::{ScannedPartition, TopicSample},
    analysis::NotSeen,
    clock::SharedClock,
    kafka::{KafkaError, SharedKafka},
    model::{BrokerId, LogPosition, Topic, TopicName, count},
    snapshot::{Offsets, Snapshot},
};

/// Topics that are sampled: the busiest.
const TOPICS_MAX: usize = 20;

/// Partitions of one topic: two tell whether producers fill them at the same time.
const PARTITIONS_OF_TOPIC_MAX: usize = 2;

/// Bytes of one response. A broker sends a whole batch even if that is larger.
const BYTES_MAX: u32 = 64 << 10;

/// Between two requests: at most ten a second, one at a time.
const PAUSE: Duration = Duration::from_millis(100);

/// Records to go back from the end where their size is not known.
const RECORDS_BACK: f64 = 500.0;

/// What one request asks for, and whose topic it is.
struct PlannedFetch {
    leader: BrokerId,
    from: LogPosition,
}

#[derive(Debug, Default)]
pub struct ClusterSample {
    pub topics: Vec<TopicSample>,
    pub not_seen: Vec<NotSeen>,
}

/// Reads samples of one cluster. Cheap to clone.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the seam to Kafka has none")]
pub struct Sampler {
    kafka: SharedKafka,
    clock: SharedClock,
}

impl Sampler {
    pub fn new(kafka: SharedKafka, clock: SharedClock) -> Self {
        Self { kafka, clock }
    }

    /// Samples the busiest topics of the snapshot, by `rates` in records per second; those without
    /// a rate come after them, by the records in their logs. Internal topics and empty ones are
    /// left out.
    pub async fn sample(
        &self,
        snapshot: &Snapshot,
        rates: &BTreeMap<TopicName, f64>,
    ) -> ClusterSample {
        let (Some(topology), Some(offsets)) = (&snapshot.topology, &snapshot.offsets) else {
            let what = "record batches of the topics".to_owned();
            let why = "partitions or their offsets are not known".to_owned();
            return ClusterSample { not_seen: vec![NotSeen { what, why }], ..Default::default() };
        };

        let mut topics: Vec<&Topic> =
            topology.value.topics.iter().filter(|it| !it.internal).collect();
        let in_log = |it: &Topic| records_in_log(&offsets.value, it).unwrap_or(0.0);
        topics.retain(|it| in_log(it) > 0.0);
        topics.sort_by(|one, other| {
            let rate = |it: &Topic| rates.get(&it.name).copied().unwrap_or(-1.0);
            let by_rate = rate(other).total_cmp(&rate(one));

            by_rate.then_with(|| in_log(other).total_cmp(&in_log(one)))
        });
        let left_out = topics.len().saturating_sub(TOPICS_MAX);
        topics.truncate(TOPICS_MAX);

        let mut sample = ClusterSample::default();
        for topic in topics {
            let back = records_back(snapshot, &offsets.value, topic);
            let fetches = planned(&offsets.value, topic, back);
            let scans = self.fetch(fetches, &mut sample.not_seen).await;
            sample.topics.push(TopicSample {
                topic: topic.name.clone(),
                partitions: topic.partitions.len(),
                replicas: topic.partitions.iter().map(|it| it.replicas.len()).max().unwrap_or(0),
                records_per_second: rates.get(&topic.name).copied(),
                scans,
            });
        }

        if left_out > 0 {
            let what = format!("record batches of {left_out} topics");
            let why = format!("only the {TOPICS_MAX} busiest topics are sampled");
            sample.not_seen.push(NotSeen { what, why });
        }

        sample
    }

    /// One request after the other, with pauses. One that fails is noted, and the next one sent.
    async fn fetch(
        &self,
        fetches: Vec<PlannedFetch>,
        not_seen: &mut Vec<NotSeen>,
    ) -> Vec<ScannedPartition> {
        let mut scans = Vec::with_capacity(fetches.len());

        for PlannedFetch { leader, from } in fetches {
            match self.kafka.batches(leader, &from, BYTES_MAX).await {
                Ok(scan) => {
                    if scan.is_malformed {
                        not_seen.push(unreadable(&from, "the broker sent bytes that are no batch"));
                    }
                    scans.push(ScannedPartition { partition: from.partition, scan });
                }
                Err(error) => not_seen.push(unreadable(&from, &said(&error))),
            }
            self.clock.sleep(PAUSE).await;
        }

        scans
    }
}

fn unreadable(from: &LogPosition, why: &str) -> NotSeen {
    let what = format!("record batches of partition {} of topic {}", from.partition, from.topic);

    NotSeen { what, why: why.to_owned() }
}

/// The error with its causes.
fn said(error: &KafkaError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);

    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }

    text
}

/// Records between the log start and the log end of all partitions that are known.
fn records_in_log(offsets: &Offsets, topic: &Topic) -> Option<f64> {
    let ranges = offsets.get(&topic.name)?;
    let records = ranges.iter().filter_map(|(_, it)| it.end?.checked_sub(it.start?));

    Some(records.map(number).sum())
}

#[expect(clippy::cast_precision_loss, reason = "an estimate of how far to go back")]
const fn number(records: i64) -> f64 {
    if records > 0 { records as f64 } else { 0.0 }
}

/// Records that fill one response, by the size of the topic's logs.
fn records_back(snapshot: &Snapshot, offsets: &Offsets, topic: &Topic) -> f64 {
    let dirs = snapshot.log_dirs.values().flat_map(|it| it.value.iter());
    let sizes = dirs.flat_map(|it| &it.topics).filter(|it| it.topic == topic.name);
    let bytes: f64 = sizes.map(|it| number(i64::try_from(it.bytes).unwrap_or(i64::MAX))).sum();
    let replicas = topic.partitions.iter().map(|it| it.replicas.len()).max().unwrap_or(1);
    let records = records_in_log(offsets, topic).unwrap_or(0.0) * count(replicas);
    let of_record = bytes / records.max(1.0);

    if of_record > 0.0 { f64::from(BYTES_MAX) / of_record } else { RECORDS_BACK }
}

/// A fetch near the end of each of the fullest partitions that have a leader.
fn planned(offsets: &Offsets, topic: &Topic, back: f64) -> Vec<PlannedFetch> {
    let Some(ranges) = offsets.get(&topic.name) else { return Vec::new() };
    let mut found: Vec<(f64, PlannedFetch)> = Vec::new();

    for partition in &topic.partitions {
        let known = ranges.iter().find(|it| it.0 == partition.index).map(|it| it.1);
        let Some((leader, range)) = partition.leader.zip(known) else { continue };
        let Some((start, end)) = range.start.zip(range.end).filter(|it| it.0 < it.1) else {
            continue;
        };

        let topic_of = topic.name.clone();
        let offset = end.saturating_sub(rounded(back)).max(start);
        let from =
            LogPosition { topic: topic_of, topic_id: topic.id, partition: partition.index, offset };
        found.push((number(end.saturating_sub(start)), PlannedFetch { leader, from }));
    }

    found.sort_by(|one, other| other.0.total_cmp(&one.0));

    found.into_iter().take(PARTITIONS_OF_TOPIC_MAX).map(|it| it.1).collect()
}

/// A number of records, at least one.
#[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the limit")]
fn rounded(records: f64) -> i64 {
    records.clamp(1.0, 1e9) as i64
}
