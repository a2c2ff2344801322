//! Rates from two snapshots, for what Prometheus does not know.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::from_snapshot::float;
use crate::{
    analysis::{ClusterSignals, NotSeen, Signal, Subject},
    model::{BrokerId, ContainerUsage, OffsetRange, TopicName, TopicPartition, WallTime, count},
    snapshot::{Group, Snapshot},
};

/// Two readings that are closer together say little of a rate.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// A group that commits every 5 s, as clients do by default, has committed within this time. In a
/// shorter one a commit that does not advance says nothing.
const COMMIT_WINDOW: Duration = Duration::from_secs(10);

/// As many partitions as the query of the same signal returns.
const PARTITIONS_MAX: usize = 50;

/// Names in one sentence about what is not known.
const NAMES_MAX: usize = 5;

/// The time between two snapshots of one cluster; `None` if it is too short.
pub(super) fn window(earlier: &Snapshot, later: &Snapshot) -> Option<Duration> {
    let window = later.read?.since(earlier.read?);

    (window >= WINDOW_MIN).then_some(window)
}

/// Adds the rates that are not known already. Nothing if the two are too close together.
pub(super) fn add(earlier: &Snapshot, later: &Snapshot, signals: &mut ClusterSignals) {
    let Some(window) = window(earlier, later) else { return };

    records(earlier, later, window, signals);
    groups(earlier, later, window, signals);
    cpu(earlier, later, signals);
}

/// Records that one partition received.
struct PartitionGrowth {
    partition: TopicPartition,
    leader: BrokerId,
    per_second: f64,
}

fn records(earlier: &Snapshot, later: &Snapshot, window: Duration, signals: &mut ClusterSignals) {
    let (Some(topology), Some(now)) = (&later.topology, &later.offsets) else { return };
    let Some(then) = &earlier.offsets else { return };
    let mut busiest: Vec<PartitionGrowth> = Vec::new();
    let mut of_brokers: BTreeMap<BrokerId, Option<f64>> =
        topology.value.brokers.iter().map(|it| (it.id, Some(0.0))).collect();

    for topic in &topology.value.topics {
        let grown = growth(then.value.get(&topic.name), now.value.get(&topic.name), window);
        let mut of_topic = Some(0.0);

        for partition in &topic.partitions {
            let per_second = grown.get(&partition.index).copied();
            of_topic = of_topic.zip(per_second).map(|(sum, it)| sum + it);

            let Some(leader) = partition.leader else { continue };
            if let Some(sum) = of_brokers.get_mut(&leader) {
                *sum = sum.zip(per_second).map(|(sum, it)| sum + it);
            }

            if let Some(per_second) = per_second.filter(|it| *it > 0.0) {
                let (topic, partition) = (topic.name.clone(), partition.index);
                let partition = TopicPartition { topic, partition };
                busiest.push(PartitionGrowth { partition, leader, per_second });
            }
        }

        let subject = Subject::Topic(topic.name.clone());
        signals.set(Signal::TopicPartitions, subject.clone(), count(topic.partitions.len()));
        if let Some(sum) = of_topic {
            signals.set(Signal::TopicRecords, subject, sum);
        }
    }

    for (broker, sum) in of_brokers {
        if let Some(sum) = sum {
            signals.set(Signal::MessagesIn, Subject::Broker(broker), sum);
        }
    }

    busiest.sort_by(|one, other| other.per_second.total_cmp(&one.per_second));
    for it in busiest.into_iter().take(PARTITIONS_MAX) {
        let subject = Subject::Partition(it.partition);
        signals.set(Signal::PartitionRecords, subject.clone(), it.per_second);
        signals.set(Signal::PartitionLeader, subject, f64::from(it.leader.to_wire()));
    }
}

/// Records per second of each partition whose end offset is known twice and has not gone back: a
/// topic that was deleted and created again starts at 0.
fn growth(
    then: Option<&Vec<(i32, OffsetRange)>>,
    now: Option<&Vec<(i32, OffsetRange)>>,
    window: Duration,
) -> HashMap<i32, f64> {
    let (Some(then), Some(now)) = (then, now) else { return HashMap::new() };
    let before: HashMap<i32, i64> =
        then.iter().filter_map(|(index, it)| Some((*index, it.end?))).collect();
    let grown = now.iter().filter_map(|(index, it)| {
        let records = it.end?.checked_sub(*before.get(index)?)?;

        Some((*index, float(u64::try_from(records).ok()?) / window.as_secs_f64()))
    });

    grown.collect()
}

fn groups(earlier: &Snapshot, later: &Snapshot, window: Duration, signals: &mut ClusterSignals) {
    let (Some(then), Some(now)) = (&earlier.groups, &later.groups) else { return };
    let before: HashMap<_, _> = then.value.iter().map(|it| (&it.name, it)).collect();
    let mut not_committed = Vec::new();

    for group in now.value.iter() {
        let Some(known) = before.get(&group.name) else { continue };
        let subject = Subject::Group(group.name.clone());
        let (lag, lag_then) = (lag(group), lag(known));

        if let (Some(lag), Some(then)) = (lag, lag_then) {
            let grown = (float(lag) - float(then)) / window.as_secs_f64();
            signals.set(Signal::LagGrowth, subject.clone(), grown);
        }

        match consumed(known, group) {
            Some(0) if lag.is_some_and(|it| it > 0) => {
                not_committed.push(group.name.to_string());
                if window >= COMMIT_WINDOW {
                    signals.set(Signal::Consumed, subject, 0.0);
                }
            }
            Some(records) => {
                signals.set(Signal::Consumed, subject, float(records) / window.as_secs_f64());
            }
            None => (),
        }
    }

    note_not_committed(not_committed, window, signals);
}

fn note_not_committed(mut names: Vec<String>, window: Duration, signals: &mut ClusterSignals) {
    if names.is_empty() {
        return;
    }

    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let others = if more > 0 { format!(" and {more} more") } else { String::new() };

    signals.not_seen.insert(NotSeen {
        what: format!("whether these groups are stuck: {}{others}", names.join(", ")),
        why: format!(
            "none of their commits advanced in the {:.0} s between two readings, and some clients \
             commit less often: pass --rates-over 60",
            window.as_secs_f64()
        ),
    });
}

fn lag(group: &Group) -> Option<u64> {
    group.topics.iter().try_fold(0_u64, |sum, it| Some(sum.saturating_add(it.lag_sum?)))
}

/// Records by which the commits advanced. `None` where offsets are unknown, went back, or belong to
/// other partitions than before: a first commit is not consumption.
fn consumed(then: &Group, now: &Group) -> Option<u64> {
    let commits = |group: &Group| -> Option<BTreeMap<(TopicName, i32), i64>> {
        let of_topics = group.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|it| ((topic.topic.clone(), it.partition), it.committed))
        });

        of_topics.map(|(at, committed)| Some((at, committed?))).collect()
    };

    let (then, now) = (commits(then)?, commits(now)?);
    if !then.keys().eq(now.keys()) {
        return None;
    }

    let advanced = then.values().zip(now.values());

    advanced.map(|(then, now)| u64::try_from(now.saturating_sub(*then)).ok()).sum()
}

/// CPU of the brokers' containers as a share of their limits.
fn cpu(earlier: &Snapshot, later: &Snapshot, signals: &mut ClusterSignals) {
    let (Some(then), Some(now)) = (&earlier.containers, &later.containers) else { return };
    let Some(window) = seconds_between(then.at, now.at) else { return };

    for container in now.value.iter() {
        let known = then.value.iter().find(|it| it.broker == container.broker);
        if let Some(share) = known.and_then(|it| cpu_share(it, container, window)) {
            signals.set(Signal::Cpu, Subject::Broker(container.broker), share);
        }
    }
}

/// By the wall clock, which the section has; `None` if that was set back or has hardly advanced.
fn seconds_between(earlier: WallTime, later: WallTime) -> Option<f64> {
    let window = later.since(earlier);

    (window >= WINDOW_MIN).then_some(window.as_secs_f64())
}

/// `None` if the container was started again.
fn cpu_share(then: &ContainerUsage, now: &ContainerUsage, seconds: f64) -> Option<f64> {
    let used = now.cpu_seconds? - then.cpu_seconds?;
    let cores = now.cpu_limit_cores.filter(|it| *it > 0.0)?;

    (used >= 0.0).then(|| used / seconds / cores)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        model::{
            Broker, ClusterName, GroupName, GroupState, GroupType, MonotonicTime, Partition, Topic,
            Topology,
        },
        snapshot::{GroupPartition, GroupTopic, Section},
    };

    fn broker(id: i32) -> BrokerId {
        BrokerId::from_wire(id).unwrap()
    }

    fn group(committed: i64, end: i64) -> Group {
        let lag = u64::try_from(end - committed).unwrap();
        let partition =
            GroupPartition { partition: 0, committed: Some(committed), lag: Some(lag), time: None };

        Group {
            name: GroupName::new("g"),
            coordinator: broker(1),
            protocol_type: "consumer".to_owned(),
            group_type: GroupType::Classic,
            state: GroupState::Stable,
            members: Some(1),
            unassigned: Vec::new(),
            rebalances: 0,
            progressed: None,
            topics: vec![GroupTopic {
                topic: TopicName::new("t"),
                partitions: vec![partition],
                committed_sum: Some(committed),
                lag_sum: Some(lag),
                time_max: None,
                uncommitted: Some(0),
                retention: None,
            }],
        }
    }

    /// A topic of two partitions that broker 1 leads, and a group that reads the first.
    fn snapshot(second: u64, ends: [Option<i64>; 2], committed: i64) -> Snapshot {
        let at = WallTime(0).after(Duration::from_secs(second));
        let partition = |index| Partition {
            index,
            leader: Some(broker(1)),
            replicas: vec![broker(1)],
            isr: vec![broker(1)],
        };

        let topic = Topic {
            name: TopicName::new("t"),
            id: 1,
            internal: false,
            partitions: vec![partition(0), partition(1)],
        };

        let of = Broker { id: broker(1), host: String::new(), port: 1, rack: None };
        let topology = Topology { brokers: vec![of], topics: vec![topic], ..Topology::default() };
        let range = |end| OffsetRange { start: Some(0), end };
        let offsets =
            HashMap::from([(TopicName::new("t"), vec![(0, range(ends[0])), (1, range(ends[1]))])]);
        let usage = ContainerUsage {
            broker: broker(1),
            cpu_seconds: Some(2.0 * float(second)),
            cpu_limit_cores: Some(4.0),
            throttled_periods: None,
            memory_anonymous_bytes: None,
            memory_working_set_bytes: None,
            block_read_bytes: None,
            block_write_bytes: None,
            memory_limit_bytes: None,
            network_receive_bytes: None,
            network_transmit_bytes: None,
        };

        let groups = vec![group(committed, ends[0].unwrap_or(committed))];

        Snapshot {
            read: Some(MonotonicTime(Duration::from_secs(second))),
            topology: Some(Section::new(topology, at)),
            offsets: Some(Section::new(offsets, at)),
            groups: Some(Section::new(groups, at)),
            containers: Some(Section::new(vec![usage], at)),
            ..Snapshot::unknown(ClusterName::new("main"))
        }
    }

    fn rates(earlier: &Snapshot, later: &Snapshot) -> ClusterSignals {
        let mut signals = ClusterSignals::default();
        add(earlier, later, &mut signals);

        signals
    }

    #[test]
    fn two_readings_give_rates() {
        let signals = rates(
            &snapshot(10, [Some(100), Some(0)], 50),
            &snapshot(20, [Some(400), Some(100)], 250),
        );
        let topic = Subject::Topic(TopicName::new("t"));
        let first = TopicPartition { topic: TopicName::new("t"), partition: 0 };

        assert_eq!(signals.get(Signal::TopicRecords, &topic), Some(40.0));
        assert_eq!(signals.get(Signal::TopicPartitions, &topic), Some(2.0));
        assert_eq!(signals.of_broker(Signal::MessagesIn, broker(1)), Some(40.0));
        assert_eq!(
            signals.get(Signal::PartitionRecords, &Subject::Partition(first.clone())),
            Some(30.0)
        );
        assert_eq!(signals.leader(&first), Some(broker(1)));
        assert_eq!(signals.of_group(Signal::Consumed, &GroupName::new("g")), Some(20.0));
        assert_eq!(signals.of_group(Signal::LagGrowth, &GroupName::new("g")), Some(10.0));
        assert_eq!(signals.of_broker(Signal::Cpu, broker(1)), Some(0.5));
        assert!(signals.not_seen.is_empty());
    }

    #[test]
    fn an_unknown_offset_makes_the_sums_unknown() {
        let signals =
            rates(&snapshot(10, [Some(100), None], 50), &snapshot(20, [Some(400), Some(9)], 250));

        assert_eq!(signals.get(Signal::TopicRecords, &Subject::Topic(TopicName::new("t"))), None);
        assert_eq!(signals.of_broker(Signal::MessagesIn, broker(1)), None);
        assert_eq!(signals.all(Signal::PartitionRecords).count(), 1);

        // Deleted and created again.
        let again =
            rates(&snapshot(10, [Some(100), Some(9)], 50), &snapshot(20, [Some(70), Some(9)], 60));
        assert_eq!(again.all(Signal::TopicRecords).count(), 0);
    }

    #[test]
    fn a_group_without_a_commit_is_stuck_only_after_a_while() {
        let name = GroupName::new("g");
        let ends = [Some(400), Some(0)];
        let soon = rates(&snapshot(10, ends, 50), &snapshot(15, ends, 50));
        assert_eq!(soon.of_group(Signal::Consumed, &name), None);
        assert_eq!(soon.not_seen.len(), 1);

        let later = rates(&snapshot(10, ends, 50), &snapshot(20, ends, 50));
        assert_eq!(later.of_group(Signal::Consumed, &name), Some(0.0));
        let note = later.not_seen.first().unwrap();
        assert!(note.what.ends_with(": g") && note.why.contains("10 s"), "{note:?}");

        let reset = rates(&snapshot(10, ends, 50), &snapshot(20, ends, 40));
        assert_eq!(reset.of_group(Signal::Consumed, &name), None);
    }

    #[test]
    fn two_readings_at_the_same_time_say_nothing() {
        let one = snapshot(10, [Some(1), Some(1)], 1);
        assert!(rates(&one, &one).is_empty());
    }
}
