//! Metrics of topics and of their partitions.

use super::{
    super::{
        catalogue,
        text::{SampleValue, Text, with_label},
    },
    Cluster, family, large_family, length, value,
};
use crate::{
    model::{Granularity, OffsetRange, Partition, Topic},
    snapshot::Snapshot,
    telemetry::Spec,
};

pub(super) struct LabelledTopic<'a> {
    pub(super) topic: &'a Topic,
    pub(super) labels: String,
    ends: Option<&'a Vec<(i32, OffsetRange)>>,
    leader_changes: Option<&'a [u64]>,
    min_insync: Option<u32>,
}

impl<'a> LabelledTopic<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, topic: &'a Topic, cluster: &str) -> Self {
        Self {
            topic,
            labels: with_label(cluster, "topic", topic.name.as_str()),
            ends: value(snapshot.offsets.as_ref()).and_then(|it| it.get(&topic.name)),
            leader_changes: snapshot.leader_changes.get(&topic.name).map(|it| it.as_slice()),
            min_insync: value(snapshot.min_insync_replicas.as_ref())
                .and_then(|it| it.get(&topic.name))
                .copied(),
        }
    }

    /// The offsets of the partition at position `at` in the topology.
    fn ends(&self, at: usize, partition: &Partition) -> OffsetRange {
        // Offsets may come from an earlier round, so check that this is the same partition.
        let found = self.ends.and_then(|it| it.get(at));
        found.filter(|(index, _)| *index == partition.index).map_or(OffsetRange::UNKNOWN, |it| it.1)
    }

    /// Whether the leader refuses writes with `acks=all`. No more replicas are needed than the
    /// partition has (`Partition.effectiveMinIsr`, since Kafka 3.7). `None` while
    /// `min.insync.replicas` is unknown.
    fn is_under_min_isr(&self, partition: &Partition) -> Option<bool> {
        let needed = usize::try_from(self.min_insync?).ok()?.min(partition.replicas.len());
        Some(partition.isr.len() < needed)
    }

    /// Number of partitions for which `is_so` holds; `None` if that is unknown for one.
    fn count(&self, is_so: impl Fn(&Partition) -> Option<bool>) -> Option<u64> {
        let each = self.topic.partitions.iter().map(|it| is_so(it).map(u64::from));
        each.sum()
    }
}

fn is_under_replicated(partition: &Partition) -> bool {
    partition.isr.len() < partition.replicas.len()
}

/// Writes one series per topic.
pub(super) fn encode(text: &mut Text, clusters: &[Cluster<'_>]) {
    of_topic(text, clusters, &catalogue::TOPIC_PARTITIONS, |it| Some(length(&it.topic.partitions)));
    of_topic(text, clusters, &catalogue::TOPIC_UNDER_REPLICATED, |it| {
        it.count(|partition| Some(is_under_replicated(partition)))
    });

    of_topic(text, clusters, &catalogue::TOPIC_UNDER_MIN_ISR, |it| {
        it.count(|partition| it.is_under_min_isr(partition))
    });

    of_topic(text, clusters, &catalogue::TOPIC_OFFLINE, |it| {
        it.count(|partition| Some(partition.leader.is_none()))
    });

    of_topic(text, clusters, &catalogue::MIN_INSYNC, |it| it.min_insync.map(u64::from));
}

fn of_topic(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value: impl Fn(&LabelledTopic<'_>) -> Option<u64>,
) {
    large_family(
        text,
        clusters,
        spec,
        |it| length(&it.topics),
        |out, it| {
            for topic in &it.topics {
                if let Some(value) = value(topic) {
                    out.whole([&topic.labels, ""], value);
                }
            }
        },
    );
}

/// Writes one series per partition. Families that show problems come first, in case `series_max` is
/// reached.
pub(super) fn encode_partitions(text: &mut Text, clusters: &[Cluster<'_>]) {
    partitions(text, clusters, &catalogue::UNDER_MIN_ISR, |topic, it, _| {
        flag(topic.is_under_min_isr(it)?)
    });

    partitions(text, clusters, &catalogue::OFFLINE, |_, it, _| flag(it.leader.is_none()));
    partitions(text, clusters, &catalogue::UNDER_REPLICATED, |_, it, _| {
        flag(is_under_replicated(it))
    });

    partitions(text, clusters, &catalogue::CURRENT_OFFSET, |topic, it, at| {
        topic.ends(at, it).end.map(SampleValue::Signed)
    });

    partitions(text, clusters, &catalogue::OLDEST_OFFSET, |topic, it, at| {
        topic.ends(at, it).start.map(SampleValue::Signed)
    });

    partitions(text, clusters, &catalogue::LEADER, |_, it, _| {
        it.leader.map(|it| SampleValue::Signed(it.to_wire().into()))
    });

    partitions(text, clusters, &catalogue::LEADER_CHANGES, |topic, _, at| {
        topic.leader_changes?.get(at).copied().map(SampleValue::Whole)
    });

    partitions(text, clusters, &catalogue::REPLICAS, |_, it, _| {
        Some(SampleValue::Whole(length(&it.replicas)))
    });

    partitions(text, clusters, &catalogue::IN_SYNC, |_, it, _| {
        Some(SampleValue::Whole(length(&it.isr)))
    });

    partitions(text, clusters, &catalogue::PREFERRED, |_, it, _| {
        flag(it.leader.is_some() && it.leader.as_ref() == it.replicas.first())
    });
}

/// Writes one sample per partition that has a value; `value` gets its position in the topology.
fn partitions(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value: impl Fn(&LabelledTopic<'_>, &Partition, usize) -> Option<SampleValue>,
) {
    family(text, clusters, spec, |out, cluster| {
        let most = cluster.topics.iter().map(|it| length(&it.topic.partitions)).sum();
        if cluster.snapshot.export.topics == Granularity::Topic || !cluster.admits(most) {
            return;
        }

        for topic in &cluster.topics {
            for (at, partition) in topic.topic.partitions.iter().enumerate() {
                if let Some(sample) = value(topic, partition, at) {
                    out.partition(&topic.labels, partition.index, "", sample);
                }
            }
        }
    });
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that `partitions` asks for")]
fn flag(set: bool) -> Option<SampleValue> {
    Some(SampleValue::Whole(u64::from(set)))
}
