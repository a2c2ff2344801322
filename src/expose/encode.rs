//! Snapshots to text. All clusters together, family by family: a family's HELP and TYPE stand on a
//! page once.

use std::{cell::Cell, collections::BTreeMap, sync::Arc};

use super::{
    catalogue,
    text::{Family, Text, push_label, with_label},
};
use crate::{
    model::{BrokerId, ClusterName, Reading, TopicName},
    snapshot::{
        ConfigEntry, ContainerUse, Ends, Group, GroupPartition, GroupState, GroupTopic, LogDir,
        Partition, Section, Snapshot, Topic, Topology,
    },
    telemetry::Spec,
};

/// The page's text, and how many series of it belong to which cluster.
pub(super) fn encode(
    snapshots: &[Arc<Snapshot>],
    bytes_before: usize,
) -> (String, Vec<(ClusterName, u64)>) {
    let clusters: Vec<Cluster<'_>> = snapshots.iter().map(|it| Cluster::new(it)).collect();
    // A page is about as long as the one before.
    let mut text = Text::with_capacity(bytes_before + bytes_before / 8 + 4096);
    brokers(&mut text, &clusters);
    topics(&mut text, &clusters);
    groups(&mut text, &clusters);
    cluster(&mut text, &clusters);
    log_dirs(&mut text, &clusters);
    configs(&mut text, &clusters);
    group_states(&mut text, &clusters);
    containers(&mut text, &clusters);
    let series = clusters.iter().map(|it| (it.snapshot.cluster.clone(), it.series.get()));
    (text.finish(), series.collect())
}

/// A snapshot, with the labels that many of its series share.
struct Cluster<'a> {
    snapshot: &'a Snapshot,
    labels: String,
    topology: Option<&'a Topology>,
    topics: Vec<LabelledTopic<'a>>,
    groups: Vec<LabelledGroup<'a>>,
    series: Cell<u64>,
}

struct LabelledTopic<'a> {
    topic: &'a Topic,
    labels: String,
    /// Up to and with `partition="`.
    partition_labels: String,
    ends: Option<&'a Vec<(i32, Ends)>>,
    min_insync: Option<u32>,
}

struct LabelledGroup<'a> {
    group: &'a Group,
    labels: String,
    topics: Vec<LabelledGroupTopic<'a>>,
}

struct LabelledGroupTopic<'a> {
    topic: &'a GroupTopic,
    labels: String,
    /// Up to and with `partition="`.
    partition_labels: String,
}

fn partition_labels(labels: &str) -> String {
    let mut open = String::with_capacity(labels.len() + 12);
    open.push_str(labels);
    open.push_str(",partition=\"");
    open
}

impl<'a> Cluster<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let labels = with_label("", "kafka_cluster", snapshot.cluster.as_str());
        let topology = value(snapshot.topology.as_ref());
        let topics = topology.into_iter().flat_map(|it| &it.topics);
        let groups = value(snapshot.groups.as_ref()).into_iter().flatten();
        Self {
            topics: topics.map(|it| LabelledTopic::new(snapshot, it, &labels)).collect(),
            groups: groups.map(|it| LabelledGroup::new(it, &labels)).collect(),
            snapshot,
            labels,
            topology,
            series: Cell::new(0),
        }
    }
}

impl<'a> LabelledTopic<'a> {
    fn new(snapshot: &'a Snapshot, topic: &'a Topic, cluster: &str) -> Self {
        let labels = with_label(cluster, "topic", topic.name.as_str());
        Self {
            topic,
            partition_labels: partition_labels(&labels),
            labels,
            ends: value(snapshot.offsets.as_ref()).and_then(|it| it.get(&topic.name)),
            min_insync: value(snapshot.min_insync_replicas.as_ref())
                .and_then(|it| it.get(&topic.name))
                .copied(),
        }
    }

    /// The ends of the partition at `at` in the topology's order.
    fn ends(&self, at: usize, partition: &Partition) -> Ends {
        // Offsets may be of the round before, so the place must hold the same partition.
        let found = self.ends.and_then(|it| it.get(at));
        found.filter(|(index, _)| *index == partition.index).map_or(Ends::UNKNOWN, |it| it.1)
    }
}

impl<'a> LabelledGroup<'a> {
    fn new(group: &'a Group, cluster: &str) -> Self {
        let labels = with_label(cluster, "consumergroup", group.name.as_str());
        let topics = group.topics.iter().map(|topic| {
            let labels = with_label(&labels, "topic", topic.topic.as_str());
            let partition_labels = partition_labels(&labels);
            LabelledGroupTopic { topic, labels, partition_labels }
        });
        Self { group, topics: topics.collect(), labels }
    }
}

fn value<T>(section: Option<&Section<T>>) -> Option<&T> {
    section.map(|it| it.value.as_ref())
}

fn length<T>(of: &[T]) -> u64 {
    u64::try_from(of.len()).unwrap_or(u64::MAX)
}

/// The label, to stand behind others.
fn broker_label(id: BrokerId) -> String {
    format!(",broker_id=\"{id}\"")
}

/// Writes one family: `write` is called for each cluster.
fn family(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    write: impl Fn(&mut Family<'_>, &Cluster<'_>),
) {
    let mut family = text.family(spec);
    for cluster in clusters {
        let before = family.series();
        write(&mut family, cluster);
        let written = family.series().saturating_sub(before);
        cluster.series.set(cluster.series.get().saturating_add(written));
    }
}

fn brokers(text: &mut Text, clusters: &[Cluster<'_>]) {
    family(text, clusters, &catalogue::BROKERS, |out, it| {
        if let Some(topology) = it.topology {
            out.unsigned([&it.labels, ""], length(&topology.brokers));
        }
    });
    family(text, clusters, &catalogue::BROKER_INFO, |out, it| {
        for broker in it.topology.into_iter().flat_map(|it| &it.brokers) {
            let mut labels = with_label(&it.labels, "id", &broker.id.to_string());
            push_label(&mut labels, "address", &format!("{}:{}", broker.host, broker.port));
            out.unsigned([&labels, ""], 1);
        }
    });
}

fn topics(text: &mut Text, clusters: &[Cluster<'_>]) {
    family(text, clusters, &catalogue::TOPIC_PARTITIONS, |out, it| {
        for topic in &it.topics {
            out.unsigned([&topic.labels, ""], length(&topic.topic.partitions));
        }
    });
    partitions(text, clusters, &catalogue::CURRENT_OFFSET, |_, _, ends| ends.last.known());
    partitions(text, clusters, &catalogue::OLDEST_OFFSET, |_, _, ends| ends.first.known());
    partitions(text, clusters, &catalogue::LEADER, |_, it, _| {
        it.leader.map(|it| it.to_wire().into())
    });
    partitions(text, clusters, &catalogue::REPLICAS, |_, it, _| count(it.replicas.len()));
    partitions(text, clusters, &catalogue::IN_SYNC, |_, it, _| count(it.isr.len()));
    partitions(text, clusters, &catalogue::PREFERRED, |_, it, _| {
        flag(it.leader.is_some() && it.leader.as_ref() == it.replicas.first())
    });
    partitions(text, clusters, &catalogue::UNDER_REPLICATED, |_, it, _| {
        flag(it.isr.len() < it.replicas.len())
    });
}

/// Writes one sample per partition that has a value.
fn partitions(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value: impl Fn(&LabelledTopic<'_>, &Partition, Ends) -> Option<i64>,
) {
    family(text, clusters, spec, |out, cluster| {
        for topic in &cluster.topics {
            for (at, partition) in topic.topic.partitions.iter().enumerate() {
                if let Some(value) = value(topic, partition, topic.ends(at, partition)) {
                    out.partition(&topic.partition_labels, partition.index, value);
                }
            }
        }
    });
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that `partitions` asks for")]
fn count(of: usize) -> Option<i64> {
    Some(i64::try_from(of).unwrap_or(i64::MAX))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that `partitions` asks for")]
#[expect(clippy::fn_params_excessive_bools, reason = "it turns a bool into a sample")]
fn flag(set: bool) -> Option<i64> {
    Some(i64::from(set))
}

fn groups(text: &mut Text, clusters: &[Cluster<'_>]) {
    family(text, clusters, &catalogue::GROUP_OFFSET, |out, it| {
        each_commit(it, |labels, partition| {
            if let Reading::Known(offset) = partition.committed {
                out.partition(labels, partition.partition, offset);
            }
        });
    });
    family(text, clusters, &catalogue::GROUP_OFFSET_SUM, |out, it| {
        for topic in it.groups.iter().flat_map(|it| &it.topics) {
            if let Reading::Known(sum) = topic.topic.committed_sum {
                out.integer([&topic.labels, ""], sum);
            }
        }
    });
    family(text, clusters, &catalogue::GROUP_LAG, |out, it| {
        each_commit(it, |labels, partition| {
            if let Reading::Known(lag) = partition.lag {
                let lag = i64::try_from(lag).unwrap_or(i64::MAX);
                out.partition(labels, partition.partition, lag);
            }
        });
    });
    family(text, clusters, &catalogue::GROUP_LAG_SUM, |out, it| {
        for topic in it.groups.iter().flat_map(|it| &it.topics) {
            if let Reading::Known(sum) = topic.topic.lag_sum {
                out.unsigned([&topic.labels, ""], sum);
            }
        }
    });
    family(text, clusters, &catalogue::GROUP_MEMBERS, |out, it| {
        for group in &it.groups {
            if let Reading::Known(members) = group.group.members {
                out.unsigned([&group.labels, ""], members.into());
            }
        }
    });
}

fn each_commit(cluster: &Cluster<'_>, mut write: impl FnMut(&str, &GroupPartition)) {
    for topic in cluster.groups.iter().flat_map(|it| &it.topics) {
        for partition in &topic.topic.partitions {
            write(&topic.partition_labels, partition);
        }
    }
}

fn cluster(text: &mut Text, clusters: &[Cluster<'_>]) {
    family(text, clusters, &catalogue::UP, |out, it| {
        out.unsigned([&it.labels, ""], u64::from(it.snapshot.up));
    });
    family(text, clusters, &catalogue::CLUSTER_INFO, |out, it| {
        if let Some(id) = it.topology.and_then(|it| it.cluster_id.as_ref()) {
            out.unsigned([&with_label(&it.labels, "cluster_id", id), ""], 1);
        }
    });
    family(text, clusters, &catalogue::CONTROLLER_ID, |out, it| {
        let quorum = value(it.snapshot.quorum.as_ref());
        if let Some(leader) = quorum.and_then(|it| it.leader) {
            out.integer([&it.labels, ""], leader.to_wire().into());
        }
    });
    partitions(text, clusters, &catalogue::UNDER_MIN_ISR, |topic, it, _| {
        let min = usize::try_from(topic.min_insync?).ok()?;
        flag(it.isr.len() < min)
    });
    partitions(text, clusters, &catalogue::OFFLINE, |_, it, _| flag(it.leader.is_none()));
    family(text, clusters, &catalogue::MIN_INSYNC, |out, it| {
        for topic in &it.topics {
            if let Some(min) = topic.min_insync {
                out.unsigned([&topic.labels, ""], min.into());
            }
        }
    });
    family(text, clusters, &catalogue::REASSIGNMENTS, |out, it| {
        if let Some(moving) = value(it.snapshot.reassignments.as_ref()) {
            out.unsigned([&it.labels, ""], length(moving));
        }
    });
}

fn log_dirs(text: &mut Text, clusters: &[Cluster<'_>]) {
    by_log_dir(text, clusters, &catalogue::LOG_DIR_TOTAL, |it| it.total_bytes);
    by_log_dir(text, clusters, &catalogue::LOG_DIR_USABLE, |it| it.usable_bytes);
    by_log_dir(text, clusters, &catalogue::LOG_DIR_OFFLINE, |it| Some(u64::from(it.offline)));
    family(text, clusters, &catalogue::TOPIC_LOG_SIZE, |out, it| {
        for (broker, section) in &it.snapshot.log_dirs {
            let broker = broker_label(*broker);
            let sizes = topic_sizes(&section.value);
            // A topic that is gone is not shown for as long as this slow section lives.
            for topic in &it.topics {
                if let Some(bytes) = sizes.get(&topic.topic.name) {
                    out.unsigned([&topic.labels, &broker], *bytes);
                }
            }
        }
    });
}

fn by_log_dir(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value: impl Fn(&LogDir) -> Option<u64>,
) {
    family(text, clusters, spec, |out, it| {
        for (broker, section) in &it.snapshot.log_dirs {
            let broker = with_label(&it.labels, "broker_id", &broker.to_string());
            for dir in section.value.iter() {
                if let Some(value) = value(dir) {
                    out.unsigned([&with_label(&broker, "path", &dir.path), ""], value);
                }
            }
        }
    });
}

/// A sum with a hole is not a sum: with one directory offline, nothing is said of any topic.
fn topic_sizes(dirs: &[LogDir]) -> BTreeMap<&TopicName, u64> {
    let mut sizes = BTreeMap::new();
    if dirs.iter().any(|it| it.offline) {
        return sizes;
    }
    for of in dirs.iter().flat_map(|it| &it.topics) {
        let bytes: &mut u64 = sizes.entry(&of.topic).or_default();
        *bytes = bytes.saturating_add(of.bytes);
    }
    sizes
}

fn configs(text: &mut Text, clusters: &[Cluster<'_>]) {
    by_config(text, clusters, &catalogue::CONFIG_VALUE, |out, labels, it| {
        number(out, labels, it.effective.as_deref());
    });
    by_config(text, clusters, &catalogue::CONFIG_STORED, |out, labels, it| {
        number(out, labels, it.stored());
    });
    by_config(text, clusters, &catalogue::CONFIG_INFO, |out, labels, it| {
        out.unsigned([&with_label(labels, "source", it.source.label()), ""], 1);
    });
    by_config(text, clusters, &catalogue::CONFIG_APPLIED, |out, labels, it| {
        match (it.stored(), it.effective.as_deref()) {
            (None, _) => out.unsigned([labels, ""], 1),
            (Some(stored), Some(effective)) => {
                out.unsigned([labels, ""], u64::from(stored == effective));
            }
            // The broker does not say which value is in force.
            (Some(_), None) => {}
        }
    });
}

fn by_config(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    write: impl Fn(&mut Family<'_>, &str, &ConfigEntry),
) {
    family(text, clusters, spec, |out, it| {
        for (broker, section) in &it.snapshot.configs {
            let broker = with_label(&it.labels, "broker_id", &broker.to_string());
            for entry in &section.value.entries {
                write(out, &with_label(&broker, "key", &entry.key), entry);
            }
        }
    });
}

/// Writes a configuration value that is a number; every key we ask for is a whole one.
fn number(out: &mut Family<'_>, labels: &str, value: Option<&str>) {
    if let Some(value) = value.and_then(|it| it.parse().ok()) {
        out.integer([labels, ""], value);
    }
}

fn group_states(text: &mut Text, clusters: &[Cluster<'_>]) {
    family(text, clusters, &catalogue::GROUP_STATE, |out, it| {
        let states: Vec<(GroupState, String)> = GroupState::ALL
            .iter()
            .map(|state| (*state, format!(",state=\"{}\"", state.label())))
            .collect();
        for group in &it.groups {
            for (state, label) in &states {
                out.unsigned([&group.labels, label], u64::from(group.group.state == *state));
            }
        }
    });
}

fn containers(text: &mut Text, clusters: &[Cluster<'_>]) {
    container(text, clusters, &catalogue::CONTAINER_CPU, |it| it.cpu_seconds.map(Sample::Float));
    container(text, clusters, &catalogue::CONTAINER_CPU_LIMIT, |it| {
        it.cpu_limit_cores.map(Sample::Float)
    });
    container(text, clusters, &catalogue::CONTAINER_THROTTLED, |it| {
        it.throttled_periods.map(Sample::Whole)
    });
    container(text, clusters, &catalogue::CONTAINER_MEMORY, |it| {
        it.memory_anonymous_bytes.map(Sample::Whole)
    });
    container(text, clusters, &catalogue::CONTAINER_MEMORY_LIMIT, |it| {
        it.memory_limit_bytes.map(Sample::Whole)
    });
    container(text, clusters, &catalogue::CONTAINER_RECEIVED, |it| {
        it.network_receive_bytes.map(Sample::Whole)
    });
    container(text, clusters, &catalogue::CONTAINER_SENT, |it| {
        it.network_transmit_bytes.map(Sample::Whole)
    });
}

enum Sample {
    Whole(u64),
    Float(f64),
}

fn container(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value_of: impl Fn(&ContainerUse) -> Option<Sample>,
) {
    family(text, clusters, spec, |out, it| {
        for usage in value(it.snapshot.containers.as_ref()).into_iter().flatten() {
            let label = broker_label(usage.broker);
            match value_of(usage) {
                Some(Sample::Whole(value)) => out.unsigned([&it.labels, &label], value),
                Some(Sample::Float(value)) => out.float([&it.labels, &label], value),
                None => {}
            }
        }
    });
}
