//! Traffic that is spread unevenly: leaders on few brokers, records in few partitions.

use super::{Cause, CauseSpec};
use crate::{
    analysis::{
        finding::{Finding, FindingEvidence},
        signal::Signal,
        signals::{ClusterSignals, Subject},
        thresholds::TrafficLight,
    },
    model::counted,
};

pub(super) const SKEWED_LEADERS: CauseSpec = CauseSpec {
    title: "Leaders are not where they should be",
    symptom: "leaders are not where they should be",
    advice: "Partitions are led by another replica than the preferred one, although that is in \
             sync, so some brokers do the work of others: usual after a restart. Elect the \
             preferred leaders.",
    alert: Some("KafkaLeadersNotPreferred"),
    optimizer: Some("elect-leaders"),
    signals: &[
        Signal::LeadersNotPreferred,
        Signal::Leaders,
        Signal::BytesIn,
        Signal::Reassignments,
    ],
    find: skewed_leaders,
};

pub(super) const HOT_PARTITION: CauseSpec = CauseSpec {
    title: "One partition gets most of its topic's records",
    symptom: "one partition gets most records",
    advice: "One broker and one consumer do most of the work of this topic, and more of them do \
             not help. Most often a key has one frequent value, or a producer names the \
             partition. Add something to the key, or leave it out where order does not matter.",
    alert: None,
    optimizer: None,
    signals: &[
        Signal::TopicShare,
        Signal::PartitionRecords,
        Signal::TopicRecords,
        Signal::TopicPartitions,
        Signal::BrokerShare,
    ],
    find: hot_partitions,
};

/// Share of a partition in the records of all topics below which its skew is nobody's trouble.
const CLUSTER_SHARE_MIN: f64 = 0.2;
/// Records per second below which no partition is hot.
const HOT_RECORDS_MIN: f64 = 100.0;
/// With two partitions one has always at least half.
const HOT_PARTITIONS_MIN: f64 = 3.0;

fn skewed_leaders(signals: &ClusterSignals) -> Vec<Finding> {
    let passed = signals.passed(Signal::LeadersNotPreferred, &Subject::Cluster);
    let moving = signals.of_cluster(Signal::Reassignments).is_some_and(|it| it > 0.0);
    let Some(passed) = passed.filter(|_| !moving) else { return Vec::new() };

    let not_preferred =
        FindingEvidence::of(signals, Signal::LeadersNotPreferred, &Subject::Cluster);
    let number = not_preferred.as_ref().map_or(0.0, |it| it.value);
    let ends = [
        (Signal::Leaders, signals.highest(Signal::Leaders)),
        (Signal::Leaders, signals.lowest(Signal::Leaders)),
        (Signal::BytesIn, signals.highest(Signal::BytesIn)),
        (Signal::BytesIn, signals.lowest(Signal::BytesIn)),
    ];
    let of_ends =
        ends.map(|(signal, found)| FindingEvidence::of(signals, signal, found.map(|it| it.0)?));
    let evidence = std::iter::once(not_preferred).chain(of_ends);

    let effect = format!(
        "the leaders of {}, to replicas that are in sync; never an unclean election",
        counted(number.round(), "partition")
    );
    let finding = Finding::new(Cause::SkewedLeaders, passed.light, Subject::Cluster, evidence);

    vec![finding.with_command("kafka-optimizer elect-leaders".to_owned(), effect)]
}

fn hot_partitions(signals: &ClusterSignals) -> Vec<Finding> {
    let whole: f64 = signals.all(Signal::TopicRecords).map(|it| it.1).sum();
    let mut found = Vec::new();

    for (subject, _passed) in signals.beyond(Signal::TopicShare) {
        let Subject::Partition(partition) = subject else { continue };
        let topic = Subject::Topic(partition.topic.clone());
        let records = signals.get(Signal::PartitionRecords, subject).unwrap_or(0.0);
        let partitions = signals.get(Signal::TopicPartitions, &topic).unwrap_or(0.0);

        let is_much = records >= HOT_RECORDS_MIN && records >= CLUSTER_SHARE_MIN * whole;
        if !is_much || partitions < HOT_PARTITIONS_MIN {
            continue;
        }

        let evidence = [
            FindingEvidence::of(signals, Signal::TopicShare, subject),
            FindingEvidence::of(signals, Signal::PartitionRecords, subject),
            FindingEvidence::of(signals, Signal::TopicPartitions, &topic),
            FindingEvidence::of(signals, Signal::BrokerShare, subject),
        ];
        let command = format!(
            "kafka-get-offsets.sh --bootstrap-server BROKER --topic {}",
            shell_words::quote(partition.topic.as_str())
        );
        let effect = "nothing: run twice, it shows how fast each partition grows";
        found.push(
            Finding::new(Cause::HotPartition, TrafficLight::Yellow, subject.clone(), evidence)
                .with_command(command, effect),
        );
    }

    found
}
