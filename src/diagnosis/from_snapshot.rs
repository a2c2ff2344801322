//! Signals from the latest snapshot: what Kafka and the Docker engine say at one moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    analysis::{ClusterSignals, NotSeen, Signal, Subject},
    model::{BrokerId, GroupState, LogDir, Partition, Topology, WallTime, count},
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS},
    snapshot::{Group, Section, Snapshot},
};

/// Adds what Prometheus does not know already.
pub(super) fn add(snapshot: &Snapshot, now: WallTime, signals: &mut ClusterSignals) {
    let up = if snapshot.up { 1.0 } else { 0.0 };
    signals.set(Signal::Up, Subject::Cluster, up);

    if let Some(topology) = &snapshot.topology {
        partitions(&topology.value, signals);
        under_min_isr(snapshot, &topology.value, signals);
        let missing = missing_brokers(snapshot, &topology.value);
        signals.set(Signal::MissingBrokers, Subject::Cluster, count(missing.len()));
    }

    for (what, why) in &snapshot.failures {
        signals.not_seen.insert(NotSeen { what: (*what).to_owned(), why: why.clone() });
    }

    if let Some(reassignments) = &snapshot.reassignments {
        let number = count(reassignments.value.len());
        signals.set(Signal::Reassignments, Subject::Cluster, number);
    }

    if let Some(quorum) = &snapshot.quorum {
        let active = if quorum.value.leader.is_some() { 1.0 } else { 0.0 };
        signals.set(Signal::ActiveControllers, Subject::Cluster, active);
    }

    configs(snapshot, signals);
    disks(&snapshot.log_dirs, signals);
    memory(snapshot, signals);

    let groups = snapshot.groups.as_ref();
    groups.iter().flat_map(|it| it.value.iter()).for_each(|it| group(it, now, signals));
}

/// Brokers that were seen to leave, and brokers with replicas that are not in the cluster: these
/// are known in the first round already.
fn missing_brokers(snapshot: &Snapshot, topology: &Topology) -> BTreeSet<BrokerId> {
    let alive: BTreeSet<BrokerId> = topology.brokers.iter().map(|it| it.id).collect();
    let partitions = topology.topics.iter().flat_map(|it| &it.partitions);
    let assigned = partitions.flat_map(|it| &it.replicas).copied();
    let gone = assigned.filter(|it| !alive.contains(it));

    gone.chain(snapshot.membership.missing.keys().copied()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and only compared with limits")]
pub(super) const fn float(number: u64) -> f64 {
    number as f64
}

fn is_in_sync(partition: &Partition) -> bool {
    partition.isr.len() >= partition.replicas.len()
}

fn partitions(topology: &Topology, signals: &mut ClusterSignals) {
    let mut leaders: BTreeMap<BrokerId, usize> =
        topology.brokers.iter().map(|it| (it.id, 0)).collect();
    let mut out_of_sync = leaders.clone();
    let (mut offline, mut under_replicated, mut not_preferred) = (0, 0, 0);

    for partition in topology.topics.iter().flat_map(|it| &it.partitions) {
        if let Some(leader) = partition.leader {
            *leaders.entry(leader).or_default() += 1;
        }

        for replica in partition.replicas.iter().filter(|it| !partition.isr.contains(it)) {
            *out_of_sync.entry(*replica).or_default() += 1;
        }

        let is_moved =
            partition.leader.is_some() && partition.leader.as_ref() != partition.replicas.first();
        offline += usize::from(partition.leader.is_none());
        under_replicated += usize::from(!is_in_sync(partition));
        not_preferred += usize::from(is_moved && is_in_sync(partition));
    }

    for (signal, number) in [
        (Signal::OfflinePartitions, offline),
        (Signal::UnderReplicated, under_replicated),
        (Signal::LeadersNotPreferred, not_preferred),
    ] {
        signals.set(signal, Subject::Cluster, count(number));
    }

    for (signal, brokers) in [(Signal::Leaders, leaders), (Signal::OutOfSyncReplicas, out_of_sync)]
    {
        for (id, number) in brokers {
            signals.set(signal, Subject::Broker(id), count(number));
        }
    }
}

/// Unknown unless `min.insync.replicas` of every topic is known.
fn under_min_isr(snapshot: &Snapshot, topology: &Topology, signals: &mut ClusterSignals) {
    let Some(minimum) = &snapshot.min_insync_replicas else { return };
    let mut under = 0;

    for topic in &topology.topics {
        let Some(needed) = minimum.value.get(&topic.name) else { return };
        let needed = usize::try_from(*needed).unwrap_or(usize::MAX);
        let is_under = |it: &&Partition| it.isr.len() < needed.min(it.replicas.len());
        under += topic.partitions.iter().filter(is_under).count();
    }

    signals.set(Signal::UnderMinIsr, Subject::Cluster, count(under));
}

fn configs(snapshot: &Snapshot, signals: &mut ClusterSignals) {
    for (id, config) in &snapshot.configs {
        for (signal, key) in
            [(Signal::IoThreads, IO_THREADS), (Signal::NetworkThreads, NETWORK_THREADS)]
        {
            let effective = config.value.get(key).and_then(|it| it.effective.as_deref());
            if let Some(threads) = effective.and_then(|it| it.parse().ok()) {
                signals.set(signal, Subject::Broker(*id), threads);
            }
        }
    }
}

fn disks(log_dirs: &BTreeMap<BrokerId, Section<Vec<LogDir>>>, signals: &mut ClusterSignals) {
    for (id, dirs) in log_dirs {
        let used = dirs.value.iter().filter_map(|it| {
            let (usable, total) = (it.usable_bytes?, it.total_bytes.filter(|it| *it > 0)?);
            Some(1.0 - float(usable) / float(total))
        });

        if let Some(fullest) = used.max_by(f64::total_cmp) {
            signals.set(Signal::DiskUsage, Subject::Broker(*id), fullest);
        }
    }
}

fn memory(snapshot: &Snapshot, signals: &mut ClusterSignals) {
    let containers = snapshot.containers.iter().flat_map(|it| it.value.iter());

    for container in containers {
        let limit = container.memory_limit_bytes.filter(|it| *it > 0);
        if let Some((used, limit)) = container.memory_anonymous_bytes.zip(limit) {
            let subject = Subject::Broker(container.broker);
            signals.set(Signal::Memory, subject, float(used) / float(limit));
        }
    }
}

fn group(group: &Group, now: WallTime, signals: &mut ClusterSignals) {
    let subject = Subject::Group(group.name.clone());
    if let Some(members) = group.members {
        signals.set(Signal::Members, subject.clone(), f64::from(members));
    }

    if let Some(progressed) = group.progressed {
        let age = now.since(progressed).as_secs_f64();
        signals.set(Signal::SinceProgress, subject.clone(), age);
    }

    // A rebalance has partitions of nobody.
    if group.state == GroupState::Stable {
        let unassigned = group.unassigned.iter().map(|it| it.1).fold(0, u64::saturating_add);
        signals.set(Signal::Unassigned, subject.clone(), float(unassigned));
    }

    let all = group.topics.iter().flat_map(|it| &it.partitions);
    let with_lag: Option<Vec<u64>> = all.map(|it| it.lag).collect();
    if let Some(lags) = with_lag {
        let lagging = lags.iter().filter(|it| **it > 0).count();
        signals.set(Signal::GroupPartitions, subject.clone(), count(lags.len()));
        signals.set(Signal::PartitionsWithLag, subject, count(lagging));
    }

    for it in &group.topics {
        let (group, topic) = (group.name.clone(), it.topic.clone());
        let subject = Subject::GroupTopic { group, topic };
        if let Some(lag) = it.lag_sum {
            signals.set(Signal::Lag, subject.clone(), float(lag));
        }

        if let Some(retention) = it.retention {
            signals.set(Signal::LostRecords, subject, float(retention.lost));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Broker, ClusterName, Topic, TopicName};

    fn broker(id: i32) -> BrokerId {
        BrokerId::from_wire(id).unwrap()
    }

    fn partition(leader: Option<i32>, replicas: [i32; 2], isr: &[i32]) -> Partition {
        Partition {
            index: 0,
            leader: leader.map(broker),
            replicas: replicas.map(broker).to_vec(),
            isr: isr.iter().copied().map(broker).collect(),
        }
    }

    fn snapshot() -> Snapshot {
        let at = WallTime(0);
        let of = |id| Broker { id: broker(id), host: String::new(), port: 1, rack: None };
        let name = TopicName::new("t");
        let topology = Topology {
            brokers: vec![of(1), of(2)],
            topics: vec![Topic {
                name: name.clone(),
                id: 1,
                internal: false,
                partitions: vec![
                    partition(Some(1), [1, 2], &[1, 2]),
                    partition(Some(1), [2, 1], &[1, 2]),
                    partition(Some(1), [2, 1], &[1]),
                    partition(None, [2, 1], &[]),
                ],
            }],
            ..Topology::default()
        };

        Snapshot {
            up: true,
            topology: Some(Section::new(topology, at)),
            min_insync_replicas: Some(Section::new(BTreeMap::from([(name, 1)]), at)),
            ..Snapshot::unknown(ClusterName::new("main"))
        }
    }

    #[test]
    fn partitions_are_counted_as_the_rules_count_them() {
        let mut signals = ClusterSignals::default();
        add(&snapshot(), WallTime(0), &mut signals);

        let of_cluster = |signal| signals.of_cluster(signal);
        assert_eq!(of_cluster(Signal::Up), Some(1.0));
        assert_eq!(of_cluster(Signal::OfflinePartitions), Some(1.0));
        assert_eq!(of_cluster(Signal::UnderReplicated), Some(2.0));
        assert_eq!(of_cluster(Signal::UnderMinIsr), Some(1.0));
        assert_eq!(of_cluster(Signal::LeadersNotPreferred), Some(1.0));
        assert_eq!(signals.of_broker(Signal::Leaders, broker(1)), Some(3.0));
        assert_eq!(signals.of_broker(Signal::Leaders, broker(2)), Some(0.0));
        assert_eq!(signals.of_broker(Signal::OutOfSyncReplicas, broker(2)), Some(2.0));
    }

    #[test]
    fn what_was_not_read_stays_unknown() {
        let mut signals = ClusterSignals::default();
        let unknown = Snapshot { min_insync_replicas: None, ..snapshot() };
        add(&unknown, WallTime(0), &mut signals);

        assert_eq!(signals.of_cluster(Signal::UnderMinIsr), None);
        assert_eq!(signals.of_cluster(Signal::ActiveControllers), None);
        assert_eq!(signals.of_cluster(Signal::Reassignments), None);

        let mut signals = ClusterSignals::default();
        add(&Snapshot::unknown(ClusterName::new("main")), WallTime(0), &mut signals);
        assert_eq!(signals.of_cluster(Signal::Up), Some(0.0));
        assert_eq!(signals.of_cluster(Signal::OfflinePartitions), None);
    }

    #[test]
    fn prometheus_comes_first() {
        let mut signals = ClusterSignals::default();
        signals.set(Signal::UnderReplicated, Subject::Cluster, 7.0);
        add(&snapshot(), WallTime(0), &mut signals);

        assert_eq!(signals.of_cluster(Signal::UnderReplicated), Some(7.0));
    }
}
