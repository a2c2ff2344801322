//! Saturated request handlers: by a slow disk, by the lock of one partition, or because there are
//! too few of them.

use std::collections::BTreeMap;

use super::{Cause, CauseSpec};
use crate::{
    analysis::{
        finding::{Finding, FindingEvidence},
        signal::Signal,
        signals::{ClusterSignals, Subject},
        thresholds::TrafficLight,
    },
    model::{BrokerId, TopicPartition, counted},
    optimizers::tune_brokers::goal,
    playbook::Level,
};

pub(super) const SLOW_DISK: CauseSpec = CauseSpec {
    title: "A disk is slow",
    symptom: "request handlers are saturated, and each request takes long",
    advice: "Requests spend their time in the log, and no single partition takes most of the \
             records. Find out what else uses the disk, move partitions or the log directory to a \
             faster one, and remove flush.messages and flush.ms from topics: replication is what \
             protects records. More request handlers help only as long as the disk can work on \
             several requests at a time; the optimizer takes them back otherwise.",
    alert: Some("KafkaRequestHandlersSaturated"),
    optimizer: Some("tune-brokers"),
    signals: &[
        Signal::ProduceLocalTime,
        Signal::HandlerIdle,
        Signal::ProduceQueueTime,
        Signal::FetchLocalTime,
        Signal::DiskIo,
    ],
    find: slow_disks,
};

pub(super) const PARTITION_LOCK: CauseSpec = CauseSpec {
    title: "Request handlers wait for the lock of one partition",
    symptom: "request handlers wait for one partition",
    advice: "A partition takes one write at a time, and most records go to this one. More request \
             handlers would wait for the same lock. Spread the records: more partitions, a key \
             with more values, larger batches. A playbook that answers the alert adds threads, and \
             takes them back when they do not help.",
    alert: Some("KafkaRequestHandlersSaturated"),
    optimizer: Some("tune-brokers"),
    signals: &[
        Signal::BrokerShare,
        Signal::ProduceLocalTime,
        Signal::HandlerIdle,
        Signal::PartitionRecords,
        Signal::PartitionLeader,
    ],
    find: locked_partitions,
};

pub(super) const TOO_FEW_HANDLERS: CauseSpec = CauseSpec {
    title: "A broker has too few request handlers",
    symptom: "the request handlers are saturated",
    advice: "Requests wait for a request handler and are then processed quickly, and the broker \
             has CPU to spare: give it more threads.",
    alert: Some("KafkaRequestHandlersSaturated"),
    optimizer: Some("tune-brokers"),
    signals: &[
        Signal::HandlerIdle,
        Signal::ProduceQueueTime,
        Signal::ProduceLocalTime,
        Signal::ProduceTime,
        Signal::FetchQueueTime,
        Signal::FetchTime,
        Signal::IoThreads,
    ],
    find: too_few,
};

/// Why the handlers of one broker are saturated.
#[derive(Clone, Debug, PartialEq)]
enum SaturatedBy {
    Disk,
    Lock(TopicPartition),
    Threads,
}

/// The brokers whose requests wait for a handler, and how bad it is.
fn saturated(signals: &ClusterSignals) -> BTreeMap<BrokerId, TrafficLight> {
    let mut found = BTreeMap::new();
    for signal in [Signal::HandlerIdle, Signal::ProduceQueueTime] {
        for (subject, passed) in signals.beyond(signal) {
            if let Subject::Broker(id) = subject {
                let light = found.entry(*id).or_insert(passed.light);
                *light = passed.light.max(*light);
            }
        }
    }

    found
}

/// Saturated handlers that are busy for long with each request wait for something: for the lock of
/// a partition if one takes most of the records, else for the disk.
fn reason(signals: &ClusterSignals, broker: BrokerId) -> SaturatedBy {
    let subject = Subject::Broker(broker);
    let is_slow = |signal| signals.passed(signal, &subject).is_some();

    if !is_slow(Signal::ProduceLocalTime) && !is_slow(Signal::FetchLocalTime) {
        return SaturatedBy::Threads;
    }

    let of_broker = signals.beyond(Signal::BrokerShare).filter_map(|(subject, _)| {
        let Subject::Partition(partition) = subject else { return None };
        (signals.leader(partition) == Some(broker)).then(|| partition.clone())
    });

    of_broker.last().map_or(SaturatedBy::Disk, SaturatedBy::Lock)
}

fn slow_disks(signals: &ClusterSignals) -> Vec<Finding> {
    let is_busy = |subject: &Subject| FindingEvidence::of(signals, Signal::DiskIo, subject);
    let busy: Vec<_> = signals.beyond(Signal::DiskIo).collect();
    let mut found = Vec::new();

    for (id, light) in saturated(signals) {
        if reason(signals, id) != SaturatedBy::Disk {
            continue;
        }

        let subject = Subject::Broker(id);
        let of = |signal| FindingEvidence::of(signals, signal, &subject);
        let values = [
            of(Signal::ProduceLocalTime),
            of(Signal::FetchLocalTime),
            of(Signal::HandlerIdle),
            of(Signal::ProduceQueueTime),
        ];
        let disks = busy.iter().map(|(disk, _)| is_busy(disk));
        let evidence = values.into_iter().chain(disks);
        let command =
            format!("kafka-log-dirs.sh --bootstrap-server BROKER --describe --broker-list {id}");
        found.push(
            Finding::new(Cause::SlowDisk, light, subject.clone(), evidence)
                .with_command(command, "nothing: it shows what is on the disks of the broker"),
        );
    }

    // The disks are evidence already: node-exporter does not say whose they are.
    if !found.is_empty() {
        return found;
    }

    for (disk, passed) in busy {
        let finding = Finding::new(Cause::SlowDisk, passed.light, disk.clone(), [is_busy(disk)]);
        found.push(finding.with_command(
            "iostat -x 5".to_owned(),
            "nothing: on the host, it shows how long the disk takes for a request",
        ));
    }

    found
}

fn locked_partitions(signals: &ClusterSignals) -> Vec<Finding> {
    let mut found = Vec::new();
    for (id, light) in saturated(signals) {
        let SaturatedBy::Lock(partition) = reason(signals, id) else { continue };
        let topic = partition.topic.clone();
        let (broker, subject) = (Subject::Broker(id), Subject::Partition(partition));
        let evidence = [
            FindingEvidence::of(signals, Signal::BrokerShare, &subject),
            FindingEvidence::of(signals, Signal::PartitionRecords, &subject),
            FindingEvidence::of(signals, Signal::ProduceLocalTime, &broker),
            FindingEvidence::of(signals, Signal::HandlerIdle, &broker),
            FindingEvidence::of(signals, Signal::ProduceQueueTime, &broker),
        ];

        let command = format!(
            "kafka-topics.sh --bootstrap-server BROKER --describe --topic {}",
            shell_words::quote(topic.as_str())
        );
        let effect = "nothing: it shows the partitions and where they are. More of them \
                      (--alter --partitions N) change which key goes where, and cannot be undone";
        found.push(
            Finding::new(Cause::PartitionLock, light, subject, evidence)
                .with_command(command, effect),
        );
    }

    found
}

fn too_few(signals: &ClusterSignals) -> Vec<Finding> {
    let of_broker = |(id, light): (BrokerId, TrafficLight)| {
        if reason(signals, id) != SaturatedBy::Threads {
            return None;
        }

        let subject = Subject::Broker(id);
        let evidence =
            TOO_FEW_HANDLERS.signals.iter().map(|it| FindingEvidence::of(signals, *it, &subject));
        let finding = Finding::new(Cause::TooFewHandlers, light, subject.clone(), evidence);

        Some(with_more_threads(finding, signals, Signal::IoThreads, id))
    };

    saturated(signals).into_iter().filter_map(of_broker).collect()
}

/// Adds the command that gives a broker more threads, unless it has as many as the highest level.
pub(super) fn with_more_threads(
    finding: Finding,
    signals: &ClusterSignals,
    pool: Signal,
    broker: BrokerId,
) -> Finding {
    let now = signals.of_broker(pool, broker);
    let is_more = |level: Level| now.is_none_or(|it| f64::from(goal(level).threads) > it);
    let levels = [Level::Moderate, Level::Aggressive];
    let Some(level) = levels.into_iter().find(|it| is_more(*it)) else { return finding };

    let threads = goal(level).threads;
    let from = |signal| {
        let known = signals.of_broker(signal, broker);
        known.map(|it| format!(" (now {it:.0})")).unwrap_or_default()
    };
    let command = format!("kafka-optimizer tune-brokers --level {level} --broker {broker}");
    let effect = format!(
        "num.io.threads{} and num.network.threads{} of broker {broker}, up to {}, in steps of at \
         most double and not above twice the static value; taken back unless the mean produce \
         time falls",
        from(Signal::IoThreads),
        from(Signal::NetworkThreads),
        counted(threads, "thread"),
    );

    finding.with_command(command, effect)
}
