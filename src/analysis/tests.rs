//! Each cause by the signals that it leaves, alone, in pairs, and none on a healthy cluster.

use super::{
    Analysis, Cause, ClusterSignals, FINDINGS_MAX, Finding, Signal, Subject, SubjectKind,
    TrafficLight, analyze,
};
use crate::model::{BrokerId, GroupName, TopicName, TopicPartition, WallTime};

fn id(broker: i32) -> BrokerId {
    BrokerId::from_wire(broker).unwrap()
}

fn broker(id_of: i32) -> Subject {
    Subject::Broker(id(id_of))
}

fn partition(topic: &str, partition: i32) -> Subject {
    Subject::Partition(TopicPartition { topic: TopicName::new(topic), partition })
}

fn topic(name: &str) -> Subject {
    Subject::Topic(TopicName::new(name))
}

fn group(name: &str) -> Subject {
    Subject::Group(GroupName::new(name))
}

fn in_topic(group: &str, topic: &str) -> Subject {
    Subject::GroupTopic { group: GroupName::new(group), topic: TopicName::new(topic) }
}

fn disk() -> Subject {
    Subject::Disk { instance: "host:9100".to_owned(), device: "sda".to_owned() }
}

/// One value of a fault.
type FaultValue = (Signal, Subject, f64);

/// A cluster of three brokers under load, in which nothing is wrong.
fn healthy() -> Vec<FaultValue> {
    let mut values = Vec::new();
    for signal in Signal::ALL {
        let value = healthy_value(*signal);
        let subjects = match signal.spec().kind {
            SubjectKind::Cluster => vec![Subject::Cluster],
            SubjectKind::Broker => (1..=3).map(broker).collect(),
            SubjectKind::Disk => vec![disk()],
            SubjectKind::Topic => vec![topic("orders")],
            SubjectKind::Partition => (0..3).map(|it| partition("orders", it)).collect(),
            SubjectKind::Group => vec![group("billing"), group("audit")],
            SubjectKind::GroupTopic => {
                vec![in_topic("billing", "orders"), in_topic("audit", "orders")]
            }
        };
        values.extend(subjects.into_iter().zip(value).map(|(it, value)| (*signal, it, value)));
    }

    // Computed from the others.
    values.retain(|it| !matches!(it.0, Signal::TopicShare | Signal::BrokerShare));

    values
}

/// The values of the first, second and third subject.
fn healthy_value(signal: Signal) -> [f64; 3] {
    let value = match signal {
        Signal::PartitionLeader => return [1.0, 2.0, 3.0],
        Signal::HandlerIdle | Signal::NetworkIdle | Signal::RetentionHeadroom => 0.8,
        Signal::Cpu | Signal::Memory | Signal::DiskIo | Signal::DiskUsage => 0.4,
        Signal::GcTime => 0.01,
        Signal::ProduceTime => 0.008,
        Signal::ProduceRemoteTime | Signal::FetchTime => 0.005,
        Signal::ProduceQueueTime
        | Signal::ProduceLocalTime
        | Signal::ProduceResponseQueueTime
        | Signal::ProduceResponseSendTime
        | Signal::FetchQueueTime
        | Signal::FetchLocalTime => 0.000_4,
        Signal::MessagesIn | Signal::Consumed => 1_000.0,
        Signal::ProduceRequests | Signal::Batches => 50.0,
        Signal::RecordsPerRequest => 20.0,
        Signal::BatchBytes => 20_000.0,
        Signal::CompressionSaves => 0.1,
        Signal::BytesIn | Signal::TopicBytes => 1e6,
        Signal::TopicRecords => 3_000.0,
        Signal::PartitionRecords => 500.0,
        Signal::Leaders => 4.0,
        Signal::DiskHoursLeft => 300.0,
        Signal::IoThreads => 8.0,
        Signal::NetworkThreads | Signal::TopicPartitions | Signal::GroupPartitions => 3.0,
        Signal::Up | Signal::ActiveControllers | Signal::IsrShrinks | Signal::Rebalances => 1.0,
        Signal::Lag => 200.0,
        Signal::Members | Signal::PartitionsWithLag => 2.0,
        Signal::SinceProgress => 5.0,
        Signal::ProduceThrottleTime
        | Signal::FetchThrottleTime
        | Signal::OutOfSyncReplicas
        | Signal::UnderReplicated
        | Signal::UnderMinIsr
        | Signal::OfflinePartitions
        | Signal::LeadersNotPreferred
        | Signal::Reassignments
        | Signal::MissingBrokers
        | Signal::ControllerChanges
        | Signal::TopicShare
        | Signal::BrokerShare
        | Signal::LostRecords
        | Signal::LagGrowth
        | Signal::Unassigned => 0.0,
    };

    [value; 3]
}

/// The healthy cluster with the values of faults in place of its own.
fn with(faults: &[Vec<FaultValue>]) -> ClusterSignals {
    let mut signals = ClusterSignals::default();

    // The first value of a signal and subject counts.
    for (signal, subject, value) in faults.concat().into_iter().chain(healthy()) {
        signals.set(signal, subject, value);
    }

    signals
}

fn causes(analysis: &Analysis) -> Vec<Cause> {
    analysis.findings.iter().map(|it| it.cause).collect()
}

/// The signals that each cause leaves, with the subject at which it is to be found.
#[expect(clippy::too_many_lines, reason = "it is a table: one entry for each cause")]
fn fault(cause: Cause) -> (Subject, Vec<FaultValue>) {
    use Signal as S;

    let slow_handlers = |id: i32, local: f64| {
        vec![
            (S::HandlerIdle, broker(id), 0.02),
            (S::ProduceQueueTime, broker(id), 0.18),
            (S::ProduceLocalTime, broker(id), local),
        ]
    };
    let behind = |name: &str, lag: f64| {
        vec![(S::Lag, in_topic(name, "orders"), lag), (S::LagGrowth, group(name), 650.0)]
    };

    match cause {
        Cause::ClusterDown => (Subject::Cluster, vec![(S::Up, Subject::Cluster, 0.0)]),
        Cause::CpuBound => {
            let mut values = slow_handlers(1, 0.015);
            values.push((S::Cpu, broker(1), 0.99));
            (broker(1), values)
        }
        Cause::GcPressure => {
            (broker(2), vec![(S::GcTime, broker(2), 0.14), (S::Cpu, broker(2), 0.85)])
        }
        Cause::SlowDisk => {
            let mut values = slow_handlers(1, 0.045);
            values.push((S::DiskIo, disk(), 0.97));
            (broker(1), values)
        }
        Cause::PartitionLock => {
            let mut values = slow_handlers(2, 0.035);
            values.push((S::MessagesIn, broker(2), 420.0));
            values.push((S::TopicRecords, topic("one"), 400.0));
            values.push((S::PartitionRecords, partition("one", 0), 400.0));
            values.push((S::PartitionLeader, partition("one", 0), 2.0));
            values.push((S::PartitionRecords, partition("orders", 1), 20.0));
            (partition("one", 0), values)
        }
        Cause::TooFewHandlers => (broker(1), slow_handlers(1, 0.002_5)),
        Cause::TooFewNetworkThreads => (
            broker(3),
            vec![(S::NetworkIdle, broker(3), 0.05), (S::ProduceResponseQueueTime, broker(3), 0.2)],
        ),
        Cause::SkewedLeaders => (
            Subject::Cluster,
            vec![
                (S::LeadersNotPreferred, Subject::Cluster, 4.0),
                (S::Leaders, broker(1), 6.0),
                (S::Leaders, broker(2), 6.0),
                (S::Leaders, broker(3), 0.0),
            ],
        ),
        Cause::HotPartition => (
            partition("orders", 1),
            vec![
                (S::PartitionRecords, partition("orders", 0), 50.0),
                (S::PartitionRecords, partition("orders", 1), 2_900.0),
                (S::PartitionRecords, partition("orders", 2), 50.0),
                (S::MessagesIn, broker(2), 3_000.0),
            ],
        ),
        Cause::DiskFilling => {
            (broker(2), vec![(S::DiskUsage, broker(2), 0.78), (S::DiskHoursLeft, broker(2), 9.0)])
        }
        Cause::MemoryShort => (broker(2), vec![(S::Memory, broker(2), 0.9)]),
        Cause::ControllerTrouble => (
            Subject::Cluster,
            vec![
                (S::ControllerChanges, Subject::Cluster, 12.0),
                (S::UnderReplicated, Subject::Cluster, 3.0),
            ],
        ),
        Cause::ReplicationLagging => (
            broker(3),
            vec![
                (S::UnderReplicated, Subject::Cluster, 12.0),
                (S::MissingBrokers, Subject::Cluster, 1.0),
                (S::OutOfSyncReplicas, broker(3), 12.0),
            ],
        ),
        Cause::IsrFlapping => (
            broker(3),
            vec![
                (S::IsrShrinks, broker(1), 11.0),
                (S::IsrShrinks, broker(2), 9.0),
                (S::UnderReplicated, Subject::Cluster, 6.0),
                (S::OutOfSyncReplicas, broker(3), 6.0),
            ],
        ),
        Cause::ThrottledClients => (broker(1), vec![(S::ProduceThrottleTime, broker(1), 0.4)]),
        Cause::SmallBatches => (
            topic("orders"),
            vec![(S::BatchBytes, topic("orders"), 170.0), (S::Batches, topic("orders"), 2_900.0)],
        ),
        Cause::NoCompression => {
            (topic("orders"), vec![(S::CompressionSaves, topic("orders"), 0.7)])
        }
        Cause::RebalanceStorm => {
            let mut values = behind("billing", 40_000.0);
            values.push((S::Rebalances, group("billing"), 5.0));
            values.push((S::Consumed, group("billing"), 0.0));
            (group("billing"), values)
        }
        Cause::StuckConsumer => {
            let mut values = behind("billing", 300_000.0);
            values.push((S::Consumed, group("billing"), 0.0));
            values.push((S::SinceProgress, group("billing"), 900.0));
            (group("billing"), values)
        }
        Cause::TooFewConsumers => {
            let mut values = behind("billing", 120_000.0);
            values.push((S::GroupPartitions, group("billing"), 6.0));
            values.push((S::PartitionsWithLag, group("billing"), 6.0));
            (group("billing"), values)
        }
        Cause::SlowConsumer => {
            let mut values = behind("billing", 60_000.0);
            values.push((S::Members, group("billing"), 3.0));
            values.push((S::PartitionsWithLag, group("billing"), 3.0));
            (group("billing"), values)
        }
        Cause::RetentionRisk => (
            in_topic("billing", "orders"),
            vec![(S::RetentionHeadroom, in_topic("billing", "orders"), 0.03)],
        ),
    }
}

#[test]
fn a_healthy_cluster_is_green() {
    let analysis = analyze(with(&[]));

    assert_eq!(causes(&analysis), []);
    assert_eq!(analysis.light, Some(TrafficLight::Green));
    assert_eq!(analysis.not_seen, []);
}

#[test]
fn each_cause_is_found_first_by_what_it_leaves_and_nothing_else_is_found() {
    for cause in Cause::ALL {
        let (subject, values) = fault(*cause);
        let analysis = analyze(with(&[values]));
        let first = analysis.findings.first();

        assert_eq!(causes(&analysis), [*cause], "{:#?}", analysis.findings);
        assert_eq!(first.map(|it| &it.subject), Some(&subject), "{cause}");
        assert!(first.is_some_and(|it| !it.evidence.is_empty()), "{cause}");
        assert!(first.is_some_and(|it| it.evidence[0].is_beyond()), "{cause}");
        assert!(analysis.light > Some(TrafficLight::Green), "{cause}");
    }
}

/// Whether both faults leave the same signal at the same subject, or one explains the other.
fn overlap(one: Cause, other: Cause) -> bool {
    let (first, second) = (fault(one).1, fault(other).1);
    let same = |it: &FaultValue| second.iter().any(|other| it.0 == other.0 && it.1 == other.1);
    let explained = super::EXPLANATIONS.iter().any(|it| {
        (it.cause == one && it.symptoms.contains(&other))
            || (it.cause == other && it.symptoms.contains(&one))
    });

    first.iter().any(same) || explained
}

#[test]
fn of_two_faults_at_once_both_are_named() {
    let mut pairs = 0;
    for (index, one) in Cause::ALL.iter().enumerate() {
        for other in Cause::ALL.iter().skip(index + 1).filter(|it| !overlap(*one, **it)) {
            let analysis = analyze(with(&[fault(*one).1, fault(*other).1]));
            let found = causes(&analysis);

            assert!(found.contains(one) && found.contains(other), "{one}, {other}: {found:?}");
            assert_eq!(found.len(), 2, "{one}, {other}: {found:?}");
            pairs += 1;
        }
    }

    assert!(pairs > 100, "only {pairs} pairs");
}

fn symptoms(finding: &Finding) -> Vec<Cause> {
    finding.symptoms.iter().map(|it| it.cause).collect()
}

#[test]
fn what_a_cause_explains_is_listed_under_it() {
    let of = |cause| analyze(with(&[fault(cause).1])).findings.remove(0);

    assert_eq!(symptoms(&of(Cause::CpuBound)), [Cause::SlowDisk]);
    assert_eq!(symptoms(&of(Cause::GcPressure)), [Cause::CpuBound]);
    assert_eq!(symptoms(&of(Cause::RebalanceStorm)), [Cause::StuckConsumer]);
    assert_eq!(symptoms(&of(Cause::IsrFlapping)), [Cause::ReplicationLagging]);
    assert_eq!(symptoms(&of(Cause::ControllerTrouble)), [Cause::ReplicationLagging]);
    assert_eq!(symptoms(&of(Cause::SlowDisk)), []);

    // The busy broker of skewed leaders, and what its saturation makes of the followers.
    let mut values = fault(Cause::SkewedLeaders).1;
    values.extend(fault(Cause::TooFewHandlers).1);
    values.push((Signal::UnderReplicated, Subject::Cluster, 2.0));
    values.push((Signal::OutOfSyncReplicas, broker(1), 2.0));
    let analysis = analyze(with(&[values]));

    assert_eq!(causes(&analysis), [Cause::SkewedLeaders]);
    assert_eq!(symptoms(&analysis.findings[0]), [Cause::TooFewHandlers, Cause::ReplicationLagging]);
    assert_eq!(analysis.light, Some(TrafficLight::Red), "as bad as what it explains");
}

#[test]
fn a_group_behind_a_hot_partition_needs_no_more_consumers() {
    let mut values = fault(Cause::HotPartition).1;
    values.extend(fault(Cause::SlowConsumer).1);
    values.retain(|it| it.0 != Signal::PartitionsWithLag);
    values.push((Signal::PartitionsWithLag, group("billing"), 1.0));
    let analysis = analyze(with(&[values]));

    assert_eq!(causes(&analysis), [Cause::HotPartition]);
    assert_eq!(symptoms(&analysis.findings[0]), [Cause::SlowConsumer]);
}

#[test]
fn a_missing_broker_is_no_symptom_of_another_ones_trouble() {
    let values = [fault(Cause::ReplicationLagging).1, fault(Cause::TooFewHandlers).1];
    let found = causes(&analyze(with(&values)));

    assert_eq!(found, [Cause::TooFewHandlers, Cause::ReplicationLagging]);
}

#[test]
fn the_command_names_the_target_and_the_level_that_is_left() {
    let command = |values: Vec<FaultValue>| {
        analyze(with(&[values])).findings.remove(0).command.map(|it| it.command)
    };
    let with_threads = |threads: f64| {
        let mut values = fault(Cause::TooFewHandlers).1;
        values.push((Signal::IoThreads, broker(1), threads));
        values
    };
    let tune =
        |level: &str| Some(format!("kafka-optimizer tune-brokers --level {level} --broker 1"));

    assert_eq!(command(with_threads(8.0)), tune("moderate"));
    assert_eq!(command(with_threads(16.0)), tune("aggressive"));
    assert_eq!(command(with_threads(32.0)), None);

    let mut values = vec![(Signal::Lag, in_topic("a b", "orders"), 90_000.0)];
    values.push((Signal::Consumed, group("a b"), 10.0));
    values.push((Signal::Members, group("a b"), 1.0));
    values.push((Signal::PartitionsWithLag, group("a b"), 4.0));
    let scale = "kafka-optimizer scale-consumers --group 'a b'";

    assert_eq!(command(values).as_deref(), Some(scale));
}

#[test]
fn a_group_that_catches_up_is_no_finding() {
    let of_growth = |growth: f64| {
        let mut values = fault(Cause::TooFewConsumers).1;
        values.retain(|it| it.0 != Signal::LagGrowth);
        values.push((Signal::LagGrowth, group("billing"), growth));
        causes(&analyze(with(&[values])))
    };

    // A tenth of 120,000 in 300 s is 40 a second.
    assert_eq!(of_growth(-41.0), []);
    assert_eq!(of_growth(-39.0), [Cause::TooFewConsumers]);
}

#[test]
fn records_that_are_lost_are_urgent_only_while_somebody_reads() {
    let of_members = |members: f64| {
        let mut values = vec![(Signal::LostRecords, in_topic("billing", "orders"), 50.0)];
        values.push((Signal::Members, group("billing"), members));
        analyze(with(&[values])).light
    };

    assert_eq!(of_members(2.0), Some(TrafficLight::Red));
    assert_eq!(of_members(0.0), Some(TrafficLight::Yellow));
}

#[test]
fn what_is_unknown_is_neither_green_nor_red() {
    let nothing = analyze(ClusterSignals::default());
    assert_eq!((nothing.light, causes(&nothing)), (None, Vec::new()));
    assert_eq!(nothing.not_seen.len(), 4);

    let mut only_lag = ClusterSignals::default();
    only_lag.set(Signal::Lag, in_topic("g", "t"), 20_000.0);
    only_lag.set(Signal::Cpu, broker(1), f64::NAN);
    let analysis = analyze(only_lag);

    assert_eq!(causes(&analysis), [Cause::SlowConsumer]);
    assert_eq!(analysis.findings[0].evidence.len(), 1);

    // Without a single signal no finding appears that was not there with it.
    for left_out in Signal::ALL {
        let mut values = healthy();
        values.retain(|it| it.0 != *left_out);
        let mut signals = ClusterSignals::default();
        for (signal, subject, value) in values {
            signals.set(signal, subject, value);
        }
        assert_eq!(causes(&analyze(signals)), [], "without {left_out}");
    }
}

#[test]
fn a_value_says_since_when_its_alert_is_pending() {
    let mut signals = with(&[fault(Cause::TooFewHandlers).1]);
    let alert = |name: &str, id: i32, since: i64| super::AlertSince {
        alert: name.to_owned(),
        subject: broker(id),
        since: WallTime(since),
    };
    signals.alerts = vec![
        alert("KafkaRequestHandlersSaturated", 1, 2_000),
        alert("KafkaRequestHandlersSaturated", 1, 1_000),
        alert("KafkaRequestHandlersSaturated", 2, 500),
        alert("KafkaBrokerCpuHigh", 1, 100),
    ];
    let evidence = analyze(signals).findings.remove(0).evidence;
    let idle = evidence.iter().find(|it| it.signal == Signal::HandlerIdle).unwrap();
    let queue = evidence.iter().find(|it| it.signal == Signal::ProduceQueueTime).unwrap();

    assert_eq!((idle.since, queue.since), (Some(WallTime(1_000)), None));
}

#[test]
fn the_worst_of_many_findings_are_kept() {
    let mut values: Vec<FaultValue> = (0..70)
        .map(|it| (Signal::Lag, in_topic(&format!("group-{it}"), "orders"), 20_000.0))
        .collect();
    values.extend(fault(Cause::CpuBound).1);
    let analysis = analyze(with(&[values]));

    assert_eq!((analysis.findings.len(), analysis.omitted), (FINDINGS_MAX, 21));
    assert_eq!(analysis.findings[0].cause, Cause::CpuBound);
}

#[test]
fn throttled_consumers_are_found_and_so_are_both() {
    let of = |values: &[FaultValue]| analyze(with(&[values.to_vec()]));
    let produce = (Signal::ProduceThrottleTime, broker(1), 0.4);
    let fetch = (Signal::FetchThrottleTime, broker(1), 0.3);
    let consumers = of(std::slice::from_ref(&fetch));

    assert_eq!(causes(&consumers), [Cause::ThrottledClients]);
    assert_eq!(consumers.findings[0].evidence[0].signal, Signal::FetchThrottleTime);
    assert_eq!(causes(&of(&[produce, fetch])), [Cause::ThrottledClients], "one for a broker");
}

#[test]
fn small_requests_explain_a_broker_that_is_short_of_cpu_only_if_they_are_many() {
    let of = |requests: f64| {
        let mut values = fault(Cause::CpuBound).1;
        values.push((Signal::RecordsPerRequest, broker(1), 1.2));
        values.push((Signal::ProduceRequests, broker(1), requests));
        analyze(with(&[values]))
    };
    let many = of(9_000.0);

    assert_eq!(causes(&many), [Cause::SmallBatches]);
    assert_eq!(many.findings[0].subject, broker(1));
    assert!(symptoms(&many.findings[0]).contains(&Cause::CpuBound));
    assert_eq!(causes(&of(300.0)), [Cause::CpuBound]);
}
