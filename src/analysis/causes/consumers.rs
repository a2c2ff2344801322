//! Consumer groups that fall behind, and why.

use std::collections::BTreeMap;

use super::{Cause, CauseSpec};
use crate::{
    analysis::{
        finding::{Finding, FindingEvidence},
        signal::Signal,
        signals::{ClusterSignals, Subject},
        thresholds::TrafficLight,
    },
    model::GroupName,
};

pub(super) const REBALANCE_STORM: CauseSpec = CauseSpec {
    title: "A group rebalances again and again",
    symptom: "the group rebalances again and again",
    advice: "Members leave and return: they crash, or take longer than max.poll.interval.ms for \
             one poll, or miss heartbeats for session.timeout.ms. Look at the log of the members; \
             lower max.poll.records, use the cooperative or the KIP-848 protocol, or static \
             members (group.instance.id).",
    alert: None,
    optimizer: None,
    signals: &[Signal::Rebalances, Signal::Members, Signal::Unassigned],
    find: rebalance_storms,
};

pub(super) const STUCK_CONSUMER: CauseSpec = CauseSpec {
    title: "A group is stuck",
    symptom: "the group is stuck",
    advice: "There are records to read, and no commit advances. If the group has no members, \
             start its consumers, or delete it if nobody needs it. Else look at their log: often \
             one record fails again and again. More consumers would fail at the same record.",
    alert: Some("KafkaConsumerLagCritical"),
    optimizer: None,
    signals: &[Signal::Lag, Signal::Consumed, Signal::SinceProgress, Signal::Members],
    find: stuck_consumers,
};

pub(super) const TOO_FEW_CONSUMERS: CauseSpec = CauseSpec {
    title: "A group has too few consumers",
    symptom: "the group falls behind",
    advice: "The group reads, and falls behind, and more partitions have lag than it has members: \
             start more consumers. The optimizer starts clones of containers that carry its \
             labels; elsewhere raise the number of replicas.",
    alert: Some("KafkaConsumerGroupNotCatchingUp"),
    optimizer: Some("scale-consumers"),
    signals: &[
        Signal::Lag,
        Signal::LagGrowth,
        Signal::Consumed,
        Signal::Members,
        Signal::PartitionsWithLag,
        Signal::GroupPartitions,
    ],
    find: too_few_consumers,
};

pub(super) const SLOW_CONSUMER: CauseSpec = CauseSpec {
    title: "The consumers of a group are too slow",
    symptom: "the group falls behind",
    advice: "Every partition with lag has a member already, or it is not known how many there \
             are, so more consumers do not help. Make each of them faster: less work for each \
             record, in parallel or in batches, larger fetches. More partitions allow more \
             consumers, and change which key goes where.",
    alert: Some("KafkaConsumerLagCritical"),
    optimizer: None,
    signals: &[
        Signal::Lag,
        Signal::LagGrowth,
        Signal::Consumed,
        Signal::Members,
        Signal::PartitionsWithLag,
    ],
    find: slow_consumers,
};

pub(super) const RETENTION_RISK: CauseSpec = CauseSpec {
    title: "Retention deletes records before a group reads them",
    symptom: "retention overtakes the group",
    advice: "Records that are deleted are lost to the group. Raise retention.ms or \
             retention.bytes of the topic until the group has caught up, if the disks have room. \
             The optimizer never changes retention.",
    alert: None,
    optimizer: None,
    signals: &[Signal::LostRecords, Signal::RetentionHeadroom, Signal::Lag],
    find: retention_risks,
};

/// Seconds in which the lag of a group that catches up falls by [`CATCHES_UP_BY`], as in the rule
/// `KafkaConsumerGroupNotCatchingUp`.
const CATCHES_UP_IN: f64 = 300.0;
const CATCHES_UP_BY: f64 = 0.1;

/// A group that is behind in a topic.
struct GroupBehind<'a> {
    group: &'a GroupName,
    /// The group and the topic in which its lag is the largest.
    worst: &'a Subject,
    lag: f64,
    light: TrafficLight,
}

/// Why one group is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BehindBy {
    Stuck,
    TooFew,
    Slow,
}

/// The groups that are behind, each with its worst topic, without those that catch up.
fn behind(signals: &ClusterSignals) -> Vec<GroupBehind<'_>> {
    let mut worst: BTreeMap<&GroupName, GroupBehind<'_>> = BTreeMap::new();
    for (subject, passed) in signals.beyond(Signal::Lag) {
        let lag = signals.get(Signal::Lag, subject).unwrap_or(0.0);
        let Some(group) = subject.group() else { continue };
        if worst.get(group).is_none_or(|it| it.lag < lag) {
            worst.insert(group, GroupBehind { group, worst: subject, lag, light: passed.light });
        }
    }

    worst.into_values().filter(|it| !catches_up(signals, it)).collect()
}

fn catches_up(signals: &ClusterSignals, behind: &GroupBehind<'_>) -> bool {
    let growth = signals.of_group(Signal::LagGrowth, behind.group);
    growth.is_some_and(|it| -it * CATCHES_UP_IN >= CATCHES_UP_BY * behind.lag)
}

fn reason(signals: &ClusterSignals, group: &GroupName) -> BehindBy {
    let subject = Subject::Group(group.clone());
    let members = signals.of_group(Signal::Members, group);
    let is_still = match signals.of_group(Signal::Consumed, group) {
        Some(rate) => rate <= 0.0,
        None => signals.passed(Signal::SinceProgress, &subject).is_some(),
    };

    if is_still || members.is_some_and(|it| it < 1.0) {
        return BehindBy::Stuck;
    }

    let partitions = signals.of_group(Signal::PartitionsWithLag, group);
    let has_room = members.zip(partitions).is_some_and(|(members, with_lag)| members < with_lag);

    if has_room { BehindBy::TooFew } else { BehindBy::Slow }
}

/// The findings of `cause` among the groups that are behind for `wanted`.
fn behind_for(signals: &ClusterSignals, wanted: BehindBy, cause: Cause) -> Vec<Finding> {
    let of_wanted = behind(signals).into_iter().filter(|it| reason(signals, it.group) == wanted);
    let found = of_wanted.map(|it| {
        let group = Subject::Group(it.group.clone());
        let evidence = cause.spec().signals.iter().map(|signal| {
            let subject = if *signal == Signal::Lag { it.worst } else { &group };
            FindingEvidence::of(signals, *signal, subject)
        });

        described(Finding::new(cause, it.light, group.clone(), evidence), it.group)
    });

    found.collect()
}

/// With the command that shows a group's members and its lag.
fn described(finding: Finding, group: &GroupName) -> Finding {
    let command = format!(
        "kafka-consumer-groups.sh --bootstrap-server BROKER --describe --group {}",
        shell_words::quote(group.as_str())
    );

    finding.with_command(command, "nothing: it shows the lag and the member of each partition")
}

fn stuck_consumers(signals: &ClusterSignals) -> Vec<Finding> {
    behind_for(signals, BehindBy::Stuck, Cause::StuckConsumer)
}

fn slow_consumers(signals: &ClusterSignals) -> Vec<Finding> {
    behind_for(signals, BehindBy::Slow, Cause::SlowConsumer)
}

fn too_few_consumers(signals: &ClusterSignals) -> Vec<Finding> {
    let with_command = |it: Finding| {
        let name = it.subject.group().map_or("", GroupName::as_str).to_owned();
        let command =
            format!("kafka-optimizer scale-consumers --group {}", shell_words::quote(&name));
        let effect = "half as many consumer containers again, above 100,000 records twice as \
                      many, and no more than partitions with lag; removed after their time, or \
                      when the group does not read faster";

        it.with_command(command, effect)
    };
    let found = behind_for(signals, BehindBy::TooFew, Cause::TooFewConsumers);

    found.into_iter().map(with_command).collect()
}

fn rebalance_storms(signals: &ClusterSignals) -> Vec<Finding> {
    let found = signals.beyond(Signal::Rebalances).filter_map(|(subject, passed)| {
        let group = subject.group()?;
        let evidence =
            REBALANCE_STORM.signals.iter().map(|it| FindingEvidence::of(signals, *it, subject));
        let finding = Finding::new(Cause::RebalanceStorm, passed.light, subject.clone(), evidence);

        Some(described(finding, group))
    });

    found.collect()
}

fn retention_risks(signals: &ClusterSignals) -> Vec<Finding> {
    let lost = signals.beyond(Signal::LostRecords).map(|it| it.0);
    let close = signals.beyond(Signal::RetentionHeadroom).map(|it| it.0);
    let only_close = close.filter(|it| signals.passed(Signal::LostRecords, it).is_none());

    let found = lost.chain(only_close).filter_map(|subject| {
        let group = subject.group()?;
        let has_lost = signals.passed(Signal::LostRecords, subject).is_some();
        let is_read = signals.of_group(Signal::Members, group).is_none_or(|it| it > 0.0);

        // Nobody waits for the records of a group that nobody runs any more.
        let light = if has_lost && is_read { TrafficLight::Red } else { TrafficLight::Yellow };
        let evidence =
            RETENTION_RISK.signals.iter().map(|it| FindingEvidence::of(signals, *it, subject));
        let finding = Finding::new(Cause::RetentionRisk, light, subject.clone(), evidence);

        Some(described(finding, group))
    });

    found.collect()
}
