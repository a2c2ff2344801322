//! Metrics of groups, by topic and by partition.

use super::{
    super::{
        catalogue,
        text::{Family, SampleValue, Text, push_label, with_label},
    },
    Cluster, family, large_family, length,
};
use crate::{
    model::{Granularity, GroupState, LagMethod, LagTime},
    snapshot::{Group, GroupPartition, GroupTopic},
    telemetry::Spec,
};

pub(super) struct LabelledGroup<'a> {
    group: &'a Group,
    labels: String,
}

impl<'a> LabelledGroup<'a> {
    pub(super) fn new(group: &'a Group, cluster: &str) -> Self {
        Self { group, labels: with_label(cluster, "consumergroup", group.name.as_str()) }
    }
}

/// Writes families with a few series per group and topic.
pub(super) fn encode(text: &mut Text, clusters: &[Cluster<'_>]) {
    each_group(text, clusters, &catalogue::GROUP_MEMBERS, |it| {
        it.members.map(|it| SampleValue::Whole(it.into()))
    });

    of_topics(text, clusters, &catalogue::GROUP_LAG_SUM, |it| it.lag_sum.map(SampleValue::Whole));
    of_topics_by_method(text, clusters);
    of_topics(text, clusters, &catalogue::GROUP_OFFSET_SUM, |it| {
        it.committed_sum.map(SampleValue::Signed)
    });

    of_topics(text, clusters, &catalogue::GROUP_LOST, |it| {
        it.retention.map(|it| SampleValue::Whole(it.lost))
    });

    of_topics(text, clusters, &catalogue::GROUP_HEADROOM, |it| {
        it.retention.map(|it| SampleValue::Float(it.headroom))
    });

    of_topics(text, clusters, &catalogue::GROUP_UNCOMMITTED, |it| {
        it.uncommitted.map(SampleValue::Whole)
    });

    each_group(text, clusters, &catalogue::GROUP_REBALANCES, |it| {
        Some(SampleValue::Whole(it.rebalances))
    });

    each_group(text, clusters, &catalogue::GROUP_PROGRESS, |it| {
        it.progressed.map(|it| SampleValue::Float(it.seconds()))
    });

    unassigned(text, clusters);
    infos(text, clusters);
    states(text, clusters);
}

fn groups(cluster: &Cluster<'_>) -> u64 {
    length(&cluster.groups)
}

fn group_topics(cluster: &Cluster<'_>) -> u64 {
    cluster.groups.iter().map(|it| length(&it.group.topics)).sum()
}

fn each_group(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value: impl Fn(&Group) -> Option<SampleValue>,
) {
    large_family(text, clusters, spec, groups, |out, it| {
        for group in &it.groups {
            if let Some(sample) = value(group.group) {
                out.sample([&group.labels, ""], sample);
            }
        }
    });
}

/// Calls `write` for each topic of each group, with the labels of group and topic.
fn each_topic(cluster: &Cluster<'_>, mut write: impl FnMut(&str, &GroupTopic)) {
    let mut labels = String::new();
    for group in &cluster.groups {
        labels.clear();
        labels.push_str(&group.labels);
        for topic in &group.group.topics {
            labels.truncate(group.labels.len());
            push_label(&mut labels, "topic", topic.topic.as_str());
            write(&labels, topic);
        }
    }
}

fn of_topics(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    value: impl Fn(&GroupTopic) -> Option<SampleValue>,
) {
    large_family(text, clusters, spec, group_topics, |out, it| {
        each_topic(it, |labels, topic| {
            if let Some(sample) = value(topic) {
                out.sample([labels, ""], sample);
            }
        });
    });
}

fn of_topics_by_method(text: &mut Text, clusters: &[Cluster<'_>]) {
    let spec = &catalogue::GROUP_LAG_MAX_SECONDS;
    large_family(text, clusters, spec, group_topics, |out, it| {
        each_topic(it, |labels, topic| {
            if let Some(time) = topic.time_max {
                out.sample([labels, method_label(time)], SampleValue::Age(time));
            }
        });
    });
}

/// A label that follows others.
const fn method_label(time: LagTime) -> &'static str {
    match time.method {
        LagMethod::Interpolated => ",method=\"interpolated\"",
        LagMethod::LowerBound => ",method=\"lower_bound\"",
    }
}

fn unassigned(text: &mut Text, clusters: &[Cluster<'_>]) {
    let most = |it: &Cluster<'_>| it.groups.iter().map(|it| length(&it.group.unassigned)).sum();
    large_family(text, clusters, &catalogue::GROUP_UNASSIGNED, most, |out, it| {
        for group in &it.groups {
            for (topic, partitions) in &group.group.unassigned {
                let labels = with_label(&group.labels, "topic", topic.as_str());
                out.whole([&labels, ""], *partitions);
            }
        }
    });
}

fn infos(text: &mut Text, clusters: &[Cluster<'_>]) {
    large_family(text, clusters, &catalogue::GROUP_INFO, groups, |out, it| {
        for LabelledGroup { group, labels } in &it.groups {
            let mut labels = with_label(labels, "group_type", group.group_type.label());
            push_label(&mut labels, "protocol_type", &group.protocol_type);
            push_label(&mut labels, "coordinator_id", &group.coordinator.to_string());
            out.whole([&labels, ""], 1);
        }
    });
}

fn states(text: &mut Text, clusters: &[Cluster<'_>]) {
    let states: Vec<(GroupState, String)> = GroupState::ALL
        .iter()
        .map(|state| (*state, format!(",state=\"{}\"", state.label())))
        .collect();
    let most = |it: &Cluster<'_>| groups(it).saturating_mul(length(GroupState::ALL));
    large_family(text, clusters, &catalogue::GROUP_STATE, most, |out, it| {
        for group in &it.groups {
            for (state, label) in &states {
                out.whole([&group.labels, label], u64::from(group.group.state == *state));
            }
        }
    });
}

/// Writes one series per partition with a commit.
pub(super) fn encode_partitions(text: &mut Text, clusters: &[Cluster<'_>]) {
    partitions(text, clusters, &catalogue::GROUP_LAG, |out, labels, it| {
        if let Some(lag) = it.lag {
            out.partition(labels, it.partition, "", SampleValue::Whole(lag));
        }
    });

    partitions(text, clusters, &catalogue::GROUP_OFFSET, |out, labels, it| {
        if let Some(offset) = it.committed {
            out.partition(labels, it.partition, "", SampleValue::Signed(offset));
        }
    });

    partitions(text, clusters, &catalogue::GROUP_LAG_SECONDS, |out, labels, it| {
        if let Some(time) = it.time {
            out.partition(labels, it.partition, method_label(time), SampleValue::Age(time));
        }
    });
}

fn partitions(
    text: &mut Text,
    clusters: &[Cluster<'_>],
    spec: &'static Spec,
    write: impl Fn(&mut Family<'_>, &str, &GroupPartition),
) {
    family(text, clusters, spec, |out, cluster| {
        let topics = cluster.groups.iter().flat_map(|it| &it.group.topics);
        let most = topics.map(|it| length(&it.partitions)).sum();
        if cluster.snapshot.export.groups == Granularity::Topic || !cluster.admits(most) {
            return;
        }
        each_topic(cluster, |labels, topic| {
            for partition in &topic.partitions {
                write(out, labels, partition);
            }
        });
    });
}
