//! Causes inside one broker: CPU, garbage collection, network threads, memory, disk space, quotas.

use std::collections::BTreeMap;

use super::{Cause, CauseSpec, handlers::with_more_threads};
use crate::analysis::{
    finding::{Finding, FindingEvidence},
    signal::Signal,
    signals::{ClusterSignals, Subject},
    thresholds::TrafficLight,
};

pub(super) const CPU_BOUND: CauseSpec = CauseSpec {
    title: "A broker is short of CPU",
    symptom: "CPU is short",
    advice: "Give the broker more CPU, or move leaders to other brokers. Look for topics whose \
             compression.type is not `producer`: the broker compresses their records again. More \
             threads do not help a broker without CPU to spare, and the optimizer adds none.",
    alert: Some("KafkaBrokerCpuCritical"),
    optimizer: None,
    signals: &[Signal::Cpu, Signal::HandlerIdle, Signal::ProduceQueueTime, Signal::MessagesIn],
    find: cpu_bound,
};

pub(super) const GC_PRESSURE: CauseSpec = CauseSpec {
    title: "A broker spends its time in garbage collection",
    symptom: "garbage collection takes long",
    advice: "Give the broker more heap (KAFKA_HEAP_OPTS), at most half of its container's limit, \
             and restart it gracefully, one broker at a time. Keep Kafka's own JVM options.",
    alert: Some("KafkaGcTimeHigh"),
    optimizer: None,
    signals: &[Signal::GcTime, Signal::Cpu, Signal::Memory],
    find: gc_pressure,
};

pub(super) const TOO_FEW_NETWORK_THREADS: CauseSpec = CauseSpec {
    title: "A broker has too few network threads",
    symptom: "the network threads are saturated",
    advice: "Give the broker more network threads. They take new connections only: clients that \
             keep theirs stay where they are until they reconnect.",
    alert: Some("KafkaNetworkProcessorsSaturated"),
    optimizer: Some("tune-brokers"),
    signals: &[
        Signal::NetworkIdle,
        Signal::ProduceResponseQueueTime,
        Signal::ProduceResponseSendTime,
        Signal::NetworkThreads,
    ],
    find: too_few_network_threads,
};

pub(super) const DISK_FILLING: CauseSpec = CauseSpec {
    title: "A disk fills up",
    symptom: "a disk fills up",
    advice: "A broker stops when its log directory is full. Find the topics that grow, shorten \
             their retention, or add space or brokers. The optimizer never changes retention.",
    alert: Some("KafkaBrokerDiskUsageCritical"),
    optimizer: None,
    signals: &[Signal::DiskUsage, Signal::DiskHoursLeft],
    find: disk_filling,
};

pub(super) const MEMORY_SHORT: CauseSpec = CauseSpec {
    title: "A broker is short of memory",
    symptom: "memory is short",
    advice: "The container is killed when it reaches its limit. Raise the limit, or give the JVM \
             less heap; beside the heap there are threads, buffers and the JVM itself.",
    alert: Some("KafkaBrokerMemoryCritical"),
    optimizer: None,
    signals: &[Signal::Memory],
    find: memory_short,
};

pub(super) const THROTTLED_CLIENTS: CauseSpec = CauseSpec {
    title: "Clients are throttled by a quota",
    symptom: "clients are throttled",
    advice: "A quota delays producers or consumers on this broker. `kafka-optimizer \
             temporary-changes` shows quotas that the optimizer has set, with their end; others \
             were set by someone else. \
             Raise the quota, or let the client send or fetch less.",
    alert: None,
    optimizer: None,
    signals: &[
        Signal::ProduceThrottleTime,
        Signal::FetchThrottleTime,
        Signal::ProduceTime,
        Signal::BytesIn,
    ],
    find: throttled_clients,
};

/// Used share of a disk above which its growth counts: below, retention may still begin to delete.
const USAGE_WITH_GROWTH: f64 = 0.7;

/// One finding for each broker that is beyond the threshold of the cause's first signal, with all
/// of its signals as evidence.
fn beyond_first(signals: &ClusterSignals, cause: Cause) -> Vec<Finding> {
    let all = cause.spec().signals;
    let Some(first) = all.first() else { return Vec::new() };
    let found = signals.beyond(*first).map(|(subject, passed)| {
        let evidence = all.iter().map(|it| FindingEvidence::of(signals, *it, subject));
        Finding::new(cause, passed.light, subject.clone(), evidence)
    });

    found.collect()
}

fn cpu_bound(signals: &ClusterSignals) -> Vec<Finding> {
    let found = beyond_first(signals, Cause::CpuBound);
    let command = "kafka-configs.sh --bootstrap-server BROKER --describe --entity-type topics";
    let effect = "nothing: it shows the topics with a compression.type of their own";

    found.into_iter().map(|it| it.with_command(command.to_owned(), effect)).collect()
}

fn gc_pressure(signals: &ClusterSignals) -> Vec<Finding> {
    beyond_first(signals, Cause::GcPressure)
}

fn too_few_network_threads(signals: &ClusterSignals) -> Vec<Finding> {
    let found = beyond_first(signals, Cause::TooFewNetworkThreads);
    let with_command = |it: Finding| match it.subject {
        Subject::Broker(id) => with_more_threads(it, signals, Signal::NetworkThreads, id),
        Subject::Cluster
        | Subject::Disk { .. }
        | Subject::Topic(_)
        | Subject::Partition(_)
        | Subject::Group(_)
        | Subject::GroupTopic { .. } => it,
    };

    found.into_iter().map(with_command).collect()
}

fn disk_filling(signals: &ClusterSignals) -> Vec<Finding> {
    let mut found = Vec::new();
    for (subject, usage) in signals.all(Signal::DiskUsage) {
        let is_growing =
            usage > USAGE_WITH_GROWTH && signals.passed(Signal::DiskHoursLeft, subject).is_some();
        let full = signals.passed(Signal::DiskUsage, subject).map(|it| it.light);
        let Some(light) = full.or(is_growing.then_some(TrafficLight::Yellow)) else { continue };

        let of = |signal| FindingEvidence::of(signals, signal, subject);
        let evidence = [of(Signal::DiskUsage), of(Signal::DiskHoursLeft)];
        let finding = Finding::new(Cause::DiskFilling, light, subject.clone(), evidence);
        let brokers = signals.broker_of(subject).map(|it| format!(" --broker-list {it}"));
        let command = format!(
            "kafka-log-dirs.sh --bootstrap-server BROKER --describe{}",
            brokers.unwrap_or_default()
        );
        found.push(finding.with_command(command, "nothing: it shows the size of each partition"));
    }

    found
}

fn memory_short(signals: &ClusterSignals) -> Vec<Finding> {
    beyond_first(signals, Cause::MemoryShort)
}

fn throttled_clients(signals: &ClusterSignals) -> Vec<Finding> {
    let all = Cause::ThrottledClients.spec().signals;
    let producers = signals.beyond(Signal::ProduceThrottleTime);
    let throttled: BTreeMap<&Subject, TrafficLight> = producers
        .chain(signals.beyond(Signal::FetchThrottleTime))
        .map(|(subject, passed)| (subject, passed.light))
        .collect();
    let command = "kafka-configs.sh --bootstrap-server BROKER --describe --entity-type users \
                   --entity-type clients";
    let effect = "nothing: it shows the quotas";
    let found = throttled.into_iter().map(|(subject, light)| {
        let evidence = all.iter().map(|it| FindingEvidence::of(signals, *it, subject));
        Finding::new(Cause::ThrottledClients, light, subject.clone(), evidence)
            .with_command(command.to_owned(), effect)
    });

    found.collect()
}
