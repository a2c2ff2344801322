//! Causes of the cluster as a whole: controllers and replication.

use super::{Cause, CauseSpec};
use crate::analysis::{
    finding::{Finding, FindingEvidence},
    signal::Signal,
    signals::{ClusterSignals, Subject},
    thresholds::TrafficLight,
};

pub(super) const CLUSTER_DOWN: CauseSpec = CauseSpec {
    title: "No broker answers",
    symptom: "no broker answers",
    advice: "Check that the brokers run, and that this program reaches them: what was not seen, or \
             the log of `kafka-optimizer serve`, says why it does not. What is shown beside this \
             may be old.",
    alert: Some("KafkaClusterDown"),
    optimizer: None,
    signals: &[Signal::Up],
    find: cluster_down,
};

pub(super) const CONTROLLER_TROUBLE: CauseSpec = CauseSpec {
    title: "The controllers are in trouble",
    symptom: "the controllers are in trouble",
    advice: "Without an active controller no leader is elected, and nothing can be created or \
             changed. Check that a majority of the controllers runs and that they reach each \
             other; if the active one changes often, look at its CPU, its disk and its network.",
    alert: Some("KafkaNoActiveController"),
    optimizer: None,
    signals: &[Signal::ActiveControllers, Signal::ControllerChanges],
    find: controller_trouble,
};

pub(super) const REPLICATION_LAGGING: CauseSpec = CauseSpec {
    title: "Replicas are not in sync",
    symptom: "replicas are not in sync",
    advice: "If a broker is missing, start it again. If all are there, a follower is too slow: \
             look at its CPU, its disk and its network, and whether a replication throttle was \
             left behind. The optimizer never elects an unclean leader.",
    alert: Some("KafkaUnderReplicatedPartitions"),
    optimizer: None,
    signals: &[
        Signal::OfflinePartitions,
        Signal::UnderMinIsr,
        Signal::UnderReplicated,
        Signal::MissingBrokers,
        Signal::OutOfSyncReplicas,
        Signal::ProduceRemoteTime,
        Signal::Reassignments,
    ],
    find: replication_lagging,
};

pub(super) const ISR_FLAPPING: CauseSpec = CauseSpec {
    title: "Replicas leave the ISR and return again and again",
    symptom: "replicas leave the ISR and return",
    advice: "A follower stops for longer than replica.lag.time.max.ms (30 s) and catches up \
             again: garbage collection, a disk that stalls, a network that drops packets, or a \
             container that is frozen. Look at the broker that the others lose.",
    alert: Some("KafkaUnderReplicatedPartitions"),
    optimizer: None,
    signals: &[Signal::IsrShrinks, Signal::UnderReplicated, Signal::OutOfSyncReplicas],
    find: isr_flapping,
};

const DESCRIBE_UNDER_REPLICATED: &str =
    "kafka-topics.sh --bootstrap-server BROKER --describe --under-replicated-partitions";

fn of_cluster(signals: &ClusterSignals, signal: Signal) -> Option<FindingEvidence> {
    FindingEvidence::of(signals, signal, &Subject::Cluster)
}

/// The values of a signal that are above 0, by broker.
fn above_zero(signals: &ClusterSignals, signal: Signal) -> Vec<Option<FindingEvidence>> {
    let brokers = signals.all(signal).filter(|it| it.1 > 0.0).map(|it| it.0);
    brokers.map(|it| FindingEvidence::of(signals, signal, it)).collect()
}

/// The worst limit that one of the signals of the cluster has passed.
fn worst(signals: &ClusterSignals, of: &[Signal]) -> Option<TrafficLight> {
    of.iter().filter_map(|it| signals.passed(*it, &Subject::Cluster)).map(|it| it.light).max()
}

fn cluster_down(signals: &ClusterSignals) -> Vec<Finding> {
    let Some(light) = worst(signals, &[Signal::Up]) else { return Vec::new() };
    let evidence = [of_cluster(signals, Signal::Up)];
    let finding = Finding::new(Cause::ClusterDown, light, Subject::Cluster, evidence);
    let command = "kafka-broker-api-versions.sh --bootstrap-server BROKER";
    let effect = "nothing: it shows whether the brokers answer others";

    vec![finding.with_command(command.to_owned(), effect)]
}

fn controller_trouble(signals: &ClusterSignals) -> Vec<Finding> {
    let watched = [Signal::ActiveControllers, Signal::ControllerChanges];
    let Some(light) = worst(signals, &watched) else { return Vec::new() };

    let evidence = watched.map(|it| of_cluster(signals, it));
    let finding = Finding::new(Cause::ControllerTrouble, light, Subject::Cluster, evidence);
    let command = "kafka-metadata-quorum.sh --bootstrap-server BROKER describe --replication";
    let effect = "nothing: it shows the voters, and how far each one is behind";

    vec![finding.with_command(command.to_owned(), effect)]
}

fn replication_lagging(signals: &ClusterSignals) -> Vec<Finding> {
    let moving = signals.of_cluster(Signal::Reassignments).is_some_and(|it| it > 0.0);
    let urgent = worst(signals, &[Signal::OfflinePartitions, Signal::UnderMinIsr]);
    let lagging = worst(signals, &[Signal::UnderReplicated]).filter(|_| !moving);
    let Some(light) = urgent.max(lagging) else { return Vec::new() };

    let counts = [Signal::OfflinePartitions, Signal::UnderMinIsr, Signal::UnderReplicated];
    let known = counts.map(|it| of_cluster(signals, it).filter(FindingEvidence::is_beyond));
    let missing = of_cluster(signals, Signal::MissingBrokers).filter(|it| it.value > 0.0);
    let slowest = signals.highest(Signal::ProduceRemoteTime);
    let slowest = slowest.map(|it| FindingEvidence::of(signals, Signal::ProduceRemoteTime, it.0));
    let evidence = known
        .into_iter()
        .chain([missing])
        .chain(above_zero(signals, Signal::OutOfSyncReplicas))
        .chain(slowest);

    let subject = lagging_broker(signals).unwrap_or(Subject::Cluster);
    let finding = Finding::new(Cause::ReplicationLagging, light, subject, evidence);
    let effect = "nothing: it shows the partitions, with their replicas and the ISR";

    vec![finding.with_command(DESCRIBE_UNDER_REPLICATED.to_owned(), effect)]
}

/// The broker with replicas out of sync, if it is only one.
fn lagging_broker(signals: &ClusterSignals) -> Option<Subject> {
    let mut lagging = signals.all(Signal::OutOfSyncReplicas).filter(|it| it.1 > 0.0);
    let (broker, _) = lagging.next()?;
    lagging.next().is_none().then(|| broker.clone())
}

fn isr_flapping(signals: &ClusterSignals) -> Vec<Finding> {
    let flapping: Vec<_> = signals.beyond(Signal::IsrShrinks).collect();
    let Some(light) = flapping.iter().map(|it| it.1.light).max() else { return Vec::new() };

    let leaders = flapping.iter().map(|it| FindingEvidence::of(signals, Signal::IsrShrinks, it.0));
    let evidence = leaders
        .chain([of_cluster(signals, Signal::UnderReplicated)])
        .chain(above_zero(signals, Signal::OutOfSyncReplicas));
    let subject = lagging_broker(signals).unwrap_or(Subject::Cluster);
    let finding = Finding::new(Cause::IsrFlapping, light, subject, evidence);
    let effect = "nothing: run several times, it shows which broker leaves the ISR";

    vec![finding.with_command(DESCRIBE_UNDER_REPLICATED.to_owned(), effect)]
}
