//! Holds: nothing is written, and the reason is stored with the deciding value, and counted.

use std::{collections::BTreeMap, time::Duration};

use kafka_optimizer::{
    clock::Clock,
    model::{
        ActingLease, ActorIdentity, HoldReason, Mode, MonotonicTime, ReadFailure, RunState,
        TopicName, TopicPartition,
    },
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS},
    prometheus::LabelSet,
    snapshot::Snapshot,
};

use super::slow;
use crate::world::{
    CallFault, CallKind, Crash, Effect, QueryFault, Setup, WorkerEnd, World, id, labels, simulate,
};

/// Changes the setup of a world, and the world itself.
type Arrange = (fn(&mut Setup), fn(&mut World));

/// Checks that nothing is written in 40 seconds, and that the run has this hold.
#[track_caller]
fn check(want: HoldReason, words: &str, (setup_with, arrange): Arrange) {
    simulate(async {
        let mut setup = Setup::new(0, Effect::Help);
        setup_with(&mut setup);
        let mut world = World::starved(setup).await;
        arrange(&mut world);
        world.checks.forbid_writes();
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;

        let run = world.run(1).await;
        assert_eq!((run.run.state, run.run.hold), (RunState::Held, Some(want)), "{run:#?}");

        let note = run.run.note.unwrap_or_default();
        assert!(note.contains(words), "{want}: {note}");

        // The journal keeps the first note of a hold, the run the latest: ages in them differ.
        let line = run.journal.iter().find(|it| it.text.contains(want.label()));
        assert!(line.is_some_and(|it| it.text.contains(words)), "{words}: {:#?}", run.journal);
        assert!(world.kafka.calls(CallKind::Write).is_empty());

        let counted = format!(r#"playbook="broker-threads",reason="{want}"}} 1"#);
        assert!(world.telemetry.encode().unwrap().contains(&counted), "{want} is not counted once");
    });
}

fn as_usual(_: &mut Setup) {}

fn snapshot(world: &mut World, tweak: fn(&mut Snapshot)) {
    world.tweak = Box::new(tweak);
}

#[test]
fn i11_a_reassignment_in_progress_holds() {
    check(
        HoldReason::ForeignReassignment,
        "1 partition(s) are being reassigned",
        (as_usual, |world| {
            let moving = TopicPartition { topic: TopicName::new("orders"), partition: 0 };
            world.kafka.state().metadata.reassignments.push(moving);
        }),
    );
}

#[test]
fn i11_a_broker_that_joined_or_left_just_now_holds() {
    check(
        HoldReason::RollingRestart,
        "broker 2 came or went",
        (as_usual, |world| {
            snapshot(world, |it| it.membership.returned.extend([(id(2), it.read.unwrap())]));
        }),
    );
    check(
        HoldReason::RollingRestart,
        "broker 3 came or went",
        (as_usual, |world| {
            snapshot(world, |it| it.membership.missing.extend([(id(3), it.read.unwrap())]));
        }),
    );
}

#[test]
fn i11_the_minute_after_our_own_start_holds_since_a_broker_may_have_restarted_with_us() {
    check(
        HoldReason::RollingRestart,
        "this process has watched the brokers for",
        (as_usual, |world| {
            let started = world.clock.monotonic();
            world.tweak = Box::new(move |it| it.membership.watched_since = Some(started));
        }),
    );
}

#[test]
fn i11_a_run_starts_once_the_brokers_were_watched_for_a_minute() {
    simulate(async {
        let mut world = World::starved(Setup::new(1, Effect::Help)).await;
        let started = world.clock.monotonic();
        world.tweak = Box::new(move |it| it.membership.watched_since = Some(started));
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        let acts = |it: &World| !it.kafka.calls(CallKind::Write).is_empty();

        assert_eq!(world.live(Duration::from_secs(90), acts).await, WorkerEnd::Reached);
        assert!(world.clock.monotonic().since(started) >= Duration::from_mins(1));
    });
}

#[test]
fn i11_a_recent_controller_change_holds() {
    check(
        HoldReason::ControllerChanged,
        "the controller changed",
        (as_usual, |world| {
            snapshot(world, |it| it.membership.controller_changed = it.read);
        }),
    );
}

#[test]
fn a_clock_that_was_set_back_does_not_prolong_a_hold() {
    simulate(async {
        let mut world = World::starved(Setup::new(1, Effect::Help)).await;
        let changed = world.clock.monotonic();
        world.tweak = Box::new(move |it| it.membership.controller_changed = Some(changed));
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(20)).await;
        world.clock.set_by(-7_200_000);

        let acts = |it: &World| !it.kafka.calls(CallKind::Write).is_empty();
        assert_eq!(world.live(Duration::from_mins(3), acts).await, WorkerEnd::Reached);
    });
}

#[test]
fn i12_a_cluster_managed_by_an_operator_is_only_advised_on() {
    let owned: fn(&mut Setup) = |it| it.cluster.managed_by = Some("strimzi".to_owned());
    check(HoldReason::AdviseOnly, "managed by strimzi", (owned, |_| ()));
}

#[test]
fn i13_a_snapshot_that_is_old_or_missing_holds() {
    check(
        HoldReason::EvidenceStale,
        "the latest snapshot is 6",
        (as_usual, |world| {
            snapshot(world, |it| {
                it.read =
                    it.read.map(|it| MonotonicTime(it.0.saturating_sub(Duration::from_mins(1))));
            });
        }),
    );
    check(
        HoldReason::EvidenceStale,
        "the latest snapshot",
        (as_usual, |world| {
            snapshot(world, |it| it.up = false);
        }),
    );
    check(
        HoldReason::EvidenceStale,
        "the brokers have not been read since this process started",
        (as_usual, |world| {
            snapshot(world, |it| *it = Snapshot::unknown(it.cluster.clone()));
        }),
    );
}

#[test]
fn i13_a_broker_that_does_not_report_holds() {
    check(
        HoldReason::BrokerNotReporting,
        "broker 2",
        (as_usual, |world| {
            snapshot(world, |it| it.reporting.retain(|broker, _| *broker != id(2)));
        }),
    );
}

#[test]
fn i13_a_prometheus_that_does_not_answer_or_is_not_there_holds() {
    check(
        HoldReason::PrometheusUnavailable,
        "connection refused",
        (as_usual, |world| {
            world.prometheus.fail(|_, _| Some(QueryFault::Unavailable));
        }),
    );

    let none: fn(&mut Setup) = |it| it.cluster.prometheus = None;
    check(HoldReason::PrometheusUnavailable, "no `prometheus` configured", (none, |_| ()));
}

#[test]
fn i13_missing_old_or_nan_evidence_holds() {
    check(
        HoldReason::EvidenceMissing,
        "has no sample",
        (as_usual, |world| {
            world.prometheus.fail(|it, _| it.contains("timestamp").then_some(QueryFault::Empty));
        }),
    );
    check(
        HoldReason::EvidenceStale,
        "s old, more than",
        (as_usual, |world| {
            let old = QueryFault::Late(Duration::from_secs(20));
            world.prometheus.fail(move |_, _| Some(old));
        }),
    );
    check(
        HoldReason::EvidenceStale,
        "the newest sample",
        (as_usual, |world| {
            let timestamp = |it: &str| it.contains("timestamp");
            world.prometheus.fail(move |it, _| timestamp(it).then_some(QueryFault::NotANumber));
        }),
    );
    check(
        HoldReason::EvidenceStale,
        "the clocks of Prometheus",
        (as_usual, |world| {
            let ahead = QueryFault::Ahead(Duration::from_mins(2));
            world.prometheus.fail(move |_, _| Some(ahead));
        }),
    );
}

#[test]
fn i13_a_baseline_of_fewer_than_six_samples_holds() {
    check(
        HoldReason::EvidenceMissing,
        "the objective is known in 0 of the 5 bins of the baseline",
        (as_usual, |world| {
            let window = |it: &str| it.starts_with("avg_over_time(kafka:produce_time");
            world.prometheus.fail(move |it, _| window(it).then_some(QueryFault::NotANumber));
        }),
    );

    let short: fn(&mut Setup) = |it| it.playbook().windows.baseline = Duration::from_secs(12);
    check(HoldReason::EvidenceMissing, "5 samples in the window, fewer than 6", (short, |_| ()));
}

#[test]
fn i13_repeated_points_of_a_slow_scrape_passed_for_samples() {
    check(
        HoldReason::EvidenceMissing,
        "samples in the window, fewer than 6",
        (as_usual, |world| world.prometheus.script().scrape = Duration::from_secs(7)),
    );
}

#[test]
fn i14_a_partition_without_a_leader_holds() {
    check(
        HoldReason::OfflinePartitions,
        "1 partition(s) have no leader",
        (as_usual, |world| {
            world.kafka.state().metadata.topics[0].partitions[0].leader = None;
        }),
    );
}

#[test]
fn i14_a_quorum_without_a_leader_holds() {
    check(
        HoldReason::NoController,
        "no leader",
        (as_usual, |world| {
            world.kafka.state().metadata.quorum.leader = None;
        }),
    );
}

#[test]
fn i14_more_than_one_missing_broker_holds() {
    check(
        HoldReason::BrokersMissing,
        "2 brokers with replicas are missing",
        (as_usual, |world| {
            world.kafka.state().metadata.gone = vec![id(2), id(3)];
        }),
    );
}

#[test]
fn i14_brokers_named_by_firing_alerts_hold() {
    check(
        HoldReason::TooBroken,
        "2 of 3 brokers",
        (as_usual, |world| {
            world.fire("DiskFull", Some("2"));
            world.fire("DiskFull", Some("3"));
        }),
    );
    check(
        HoldReason::TooBroken,
        "2 of 3 brokers",
        (as_usual, |world| {
            world.kafka.state().metadata.gone = vec![id(3)];
            world.fire("DiskFull", Some("2"));
        }),
    );
}

/// Checks that the run starts while `others` fire too.
fn starts_while(others: &[LabelSet]) {
    simulate(async {
        let mut world = World::starved(Setup::new(1, Effect::Help)).await;
        world.alert("Slow", Some("1")).await;
        world.prometheus.script().firing.extend_from_slice(others);
        world.start(Crash::Never);
        let acts = |it: &World| !it.kafka.calls(CallKind::Write).is_empty();

        assert_eq!(world.live(Duration::from_secs(40), acts).await, WorkerEnd::Reached);
    });
}

#[test]
fn i14_alerts_that_are_to_be_cured_are_no_reason_not_to_cure_them() {
    let firing = |name: &str, broker: &str, remediation: Option<&str>| {
        let mut labels = labels(name, Some(broker));
        labels.insert("alertstate".to_owned(), "firing".to_owned());
        labels.extend(remediation.map(|it| ("remediation".to_owned(), it.to_owned())));

        labels
    };

    // The playbook's own alert, on two of three brokers.
    starts_while(&[firing("Slow", "2", None)]);

    // One that another playbook answers, on all of them.
    starts_while(&["1", "2", "3"].map(|it| firing("Lost", it, None)));

    // One whose rule names a remediation, though no playbook answers it here.
    starts_while(&["1", "2", "3"].map(|it| firing("Busy", it, Some("tune-brokers"))));
}

#[test]
fn i15_a_partition_at_its_minimum_holds() {
    check(
        HoldReason::AvailabilityGate,
        "2 of 3 replicas in sync, 2 needed",
        (as_usual, |world| {
            world.kafka.state().metadata.topics[1].partitions[2].isr = vec![id(1), id(2)];
        }),
    );
    check(
        HoldReason::AvailabilityGate,
        "is unknown",
        (as_usual, |world| {
            world.kafka.state().metadata.min_isr = BTreeMap::new();
        }),
    );
    check(
        HoldReason::AvailabilityGate,
        "is unknown (unauthorized)",
        (as_usual, |world| {
            let refused = Err(ReadFailure::Unauthorized);
            world.kafka.state().metadata.min_isr.values_mut().for_each(|it| *it = refused);
        }),
    );
}

#[test]
fn i18_an_entry_that_is_not_effective_holds() {
    check(
        HoldReason::Unplannable,
        "stored but runs 8",
        (as_usual, |world| {
            let mut state = world.kafka.state();
            state.brokers.get_mut(&id(1)).unwrap().store_only(NETWORK_THREADS, 32);
        }),
    );
}

#[test]
fn i19_a_plan_that_the_broker_refuses_is_not_written() {
    check(
        HoldReason::RehearsalRefused,
        "Cluster authorization failed.",
        (as_usual, |world| {
            world.kafka.fail(|it| (it.kind == CallKind::Validate).then_some(CallFault::Refuse));
        }),
    );
}

#[test]
fn a_cluster_that_does_not_answer_holds() {
    for kind in [
        CallKind::Topology,
        CallKind::Describe,
        CallKind::Minimums,
        CallKind::Quorum,
        CallKind::Reassignments,
    ] {
        simulate(async {
            let world = World::starved(Setup::new(0, Effect::Help)).await;
            world.kafka.fail(move |it| (it.kind == kind).then_some(CallFault::LoseAnswer));
            world.checks.forbid_writes();
            world.alert("Slow", Some("1")).await;
            let mut world = world;
            world.start(Crash::Never);
            world.pass(Duration::from_secs(40)).await;

            assert_eq!(world.run(1).await.run.hold, Some(HoldReason::KafkaUnavailable), "{kind:?}");
        });
    }
}

#[test]
fn i34_an_alert_that_prometheus_does_not_confirm_holds() {
    check(
        HoldReason::NotConfirmed,
        "does not fire in Prometheus",
        (as_usual, |world| {
            world
                .prometheus
                .fail(|it, _| it.contains("(ALERTS{alertname=").then_some(QueryFault::Empty));
        }),
    );
}

#[test]
fn i34_a_condition_that_does_not_hold_holds() {
    check(
        HoldReason::NotConfirmed,
        "the playbook's condition",
        (as_usual, |world| {
            world.prometheus.script().cpu = 0.95;
        }),
    );
}

#[test]
fn i38_a_broker_at_or_above_the_level_is_left_alone() {
    check(
        HoldReason::Unplannable,
        "has reached the level moderate",
        (as_usual, |world| {
            world.kafka.set(1, IO_THREADS, Some(32));
            world.kafka.set(1, NETWORK_THREADS, Some(16));
        }),
    );
}

#[test]
fn i8_a_broker_that_is_not_in_the_cluster_holds() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Help)).await;
        world.kafka.state().metadata.gone = vec![id(1)];
        world.checks.forbid_writes();
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;

        assert_eq!(world.run(1).await.run.hold, Some(HoldReason::UnknownTarget));
    });
}

#[test]
fn i1_a_rehearsal_validates_and_changes_nothing() {
    simulate(async {
        let mut setup = Setup::new(0, Effect::Help);
        setup.remediation.mode = Mode::Rehearse;
        let mut world = World::starved(setup).await;
        world.checks.forbid_writes();
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.until_over().await;
        world.pass(Duration::from_mins(2)).await;

        let run = world.run(1).await;
        assert_eq!(run.run.state, RunState::Rehearsed);
        assert!(run.run.times.ended.is_some() && run.run.times.written.is_none());
        assert_eq!(run.steps.len(), 5, "the plan is stored");
        assert_eq!(world.kafka.calls(CallKind::Validate).len(), 2, "the first step of each pool");
    });
}

#[test]
fn i1_observe_mode_sends_no_request() {
    simulate(async {
        let mut setup = Setup::new(0, Effect::Help);
        setup.remediation.mode = Mode::Observe;
        let mut world = slow(setup).await;
        world.pass(Duration::from_mins(2)).await;

        assert_eq!(world.all_runs(), 0);
        assert!(
            world.kafka.state().calls.is_empty() && world.prometheus.script().queries.is_empty()
        );

        let counted = r#"playbook="broker-threads",reason="mode_observe"} 1"#;
        assert!(world.telemetry.encode().unwrap().contains(counted));
    });
}

#[test]
fn a_held_run_starts_once_the_hold_is_gone() {
    simulate(async {
        let world = World::starved(Setup::new(0, Effect::Help)).await;
        let before = world.key_states();
        let until = world.clock.elapsed() + Duration::from_mins(1);
        world.prometheus.fail(move |_, now| (now < until).then_some(QueryFault::Unavailable));
        let mut world = world;
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
    });
}

#[test]
fn i43_a_run_while_another_process_acts_is_held() {
    let other = ActorIdentity { installation: "3c4d".to_owned(), host: "ops-2".to_owned() };
    let held_by: fn(&mut World) = |world| {
        let other = ActorIdentity { installation: "3c4d".to_owned(), host: "ops-2".to_owned() };
        world.kafka.state().metadata.lease = ActingLease::HeldBy(other);
    };

    check(HoldReason::OtherActor, &other.to_string(), (as_usual, held_by));
    check(
        HoldReason::NoLease,
        "error 30",
        (as_usual, |world| {
            let problem = "FindCoordinator to kafka-1:9092: error 30".to_owned();
            world.kafka.state().metadata.lease = ActingLease::Unconfirmed(problem);
        }),
    );
}
