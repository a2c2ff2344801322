//! During and after the steps: drift, evidence, guards, verdicts, exact undo, cooldown (I10,
//! I12–I26).

use std::time::Duration;

use kafka_optimizer::{
    model::{HoldReason, RollbackReason, RunState, Verdict},
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS, WRITES},
    playbook::{Guard, Level, Optimizer, Template, WithoutHistory},
};

use super::{helps, slow, slow_until};
use crate::world::{
    CallFault, CallKind, Crash, Effect, QueryFault, SCRAPE, Setup, World, firing, id, notification,
    resolved, simulate,
};

/// Delivers the alert as a new episode.
async fn again(world: &mut World) {
    world.remediation.take(notification(vec![resolved("Slow", Some("1"))])).await.unwrap();
    world.notify(firing("Slow", Some("1"))).await;
}

#[test]
fn i10_runs_of_a_cluster_are_executed_one_at_a_time() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.alert("Slow", Some("1")).await;
        world.alert("Slow", Some("2")).await;
        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;

        let (first, second) = (world.run(1).await.run, world.run(2).await.run);
        assert!(first.times.ended <= second.times.written, "{}", world.story().await);
        assert!(second.times.written.is_some());
    });
}

#[test]
fn i12_a_value_changed_by_someone_else_is_left_alone_until_released() {
    for state in [RunState::Settling, RunState::Observing] {
        helps(async |setup| {
            let mut world = slow_until(setup, state).await;
            world.kafka.set(1, IO_THREADS, Some(12));
            let sent = world.kafka.calls(CallKind::Write).len();
            world.until_over().await;
            let run = world.run(1).await.run;

            assert_eq!(run.state, RunState::RolledBack);
            assert_eq!(run.rollback_reason, Some(RollbackReason::ExternallyChanged));

            let standing = world.key_states();
            assert_eq!(standing[&(id(1), IO_THREADS.to_owned())].1, "12", "theirs");
            assert_eq!(standing[&(id(1), NETWORK_THREADS.to_owned())], (None, "8".to_owned()));

            let written = world.kafka.calls(CallKind::Write).split_off(sent);
            assert!(written.iter().all(|it| it.change.as_ref().unwrap().key == NETWORK_THREADS));

            world.pass(Duration::from_mins(11)).await;
            again(&mut world).await;
            world.pass(Duration::from_secs(40)).await;

            assert_eq!(world.run(2).await.run.hold, Some(HoldReason::ExternallyChanged));

            world.remediation.release(None).await.unwrap();
            world.pass(Duration::from_secs(40)).await;

            assert_ne!(world.run(2).await.run.hold, Some(HoldReason::ExternallyChanged));
        });
    }
}

#[test]
fn i12_a_value_changed_between_steps_stops_the_run() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;

        // Slow enough for a change between two steps.
        let slow = CallFault::Slow(Duration::from_secs(2));
        world.kafka.fail(move |it| (it.kind == CallKind::Write).then_some(slow));
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.live(Duration::from_mins(1), |it| 2 <= it.kafka.calls(CallKind::Write).len()).await;
        world.pass(Duration::from_secs(1)).await;
        world.kafka.set(1, IO_THREADS, Some(3));
        world.until_over().await;

        let run = world.run(1).await.run;
        assert_eq!(run.rollback_reason, Some(RollbackReason::ExternallyChanged));
        assert_eq!(world.key_states()[&(id(1), IO_THREADS.to_owned())].1, "3");
    });
}

#[test]
fn i12_a_kept_value_changed_later_by_someone_else_holds_until_released() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Kept).await;
        world.kafka.set(1, IO_THREADS, Some(4));
        world.pass(Duration::from_mins(6)).await;
        again(&mut world).await;
        world.pass(Duration::from_secs(40)).await;
        let run = world.run(2).await.run;

        assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::ExternallyChanged)));
        assert!(run.note.unwrap().contains("num.io.threads of broker 1 is 4"));

        world.remediation.release(None).await.unwrap();
        world.until_over().await;
        let second = world.run(2).await;

        assert_eq!(second.run.state, RunState::Kept);

        let text = second.steps[0].change.text();
        assert_eq!((text.from.as_str(), text.to.as_deref()), ("4", Some("8")));
    });
}

#[test]
fn i13_evidence_that_stays_missing_rolls_the_run_back() {
    for fault in [QueryFault::Unavailable, QueryFault::Empty, QueryFault::Late(SCRAPE * 9)] {
        helps(async |setup| {
            let mut world = slow_until(setup, RunState::Settling).await;
            world.prometheus.fail(move |_, _| Some(fault));
            world.until_over().await;
            let run = world.run(1).await.run;

            assert_eq!(run.state, RunState::RolledBack);
            assert_eq!(run.verdict, Some(Verdict::Inconclusive));
            assert_eq!(run.rollback_reason, Some(RollbackReason::EvidenceLost), "{fault:?}");
        });
    }
}

#[test]
fn i15_an_undo_of_network_threads_waits_a_limited_time_for_availability() {
    simulate(async {
        let world = World::starved(Setup::new(0, Effect::Nothing)).await;
        let before = world.key_states();
        let mut world = world;
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;
        world.kafka.state().metadata.topics[0].partitions[0].isr = vec![id(1)];
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::RollingBack)).await;

        let from = world.clock.elapsed();
        world.until_over().await;
        let waited = world.clock.elapsed().saturating_sub(from);

        assert!((290..330).contains(&waited.as_secs()), "{waited:?}");

        let journal = world.run(1).await.journal;
        assert!(journal.iter().any(|it| it.entry == "gate" && it.text.contains("1 of 3 replicas")));

        world.verify(&before).await;
    });
}

#[test]
fn i17_i18_the_most_aggressive_level_stops_at_twice_the_static_value() {
    helps(async |mut setup| {
        let Optimizer::TuneBrokers(it) = &mut setup.playbook().optimizer else { panic!() };
        it.level = Level::Aggressive;
        let mut world = slow_until(setup, RunState::Kept).await;
        let run = world.run(1).await;

        assert!(run.run.note.unwrap().contains("stops at 16, not 32"));

        for call in world.kafka.calls(CallKind::Write) {
            let change = call.change.unwrap();
            assert!(WRITES.contains(&change.key.as_str()));
            assert!(change.value.unwrap().parse::<u32>().unwrap() <= 16);
        }

        // So it survives a restart of the broker.
        let kept = world.key_states();
        world.kafka.restart(1, Duration::from_secs(10));
        world.pass(Duration::from_mins(1)).await;

        assert_eq!(world.key_states(), kept);
    });
}

#[test]
fn i18_a_value_above_twice_the_static_one_is_lost_at_a_simulated_restart() {
    simulate(async {
        let mut world = World::new(Setup::new(0, Effect::Help));
        world.kafka.set(1, NETWORK_THREADS, Some(32));
        world.kafka.set(1, IO_THREADS, Some(16));
        world.kafka.restart(1, Duration::from_secs(10));
        world.pass(Duration::from_mins(1)).await;
        let standing = world.key_states();
        let lost = |stored: &str| (Some(stored.to_owned()), "8".to_owned());

        assert_eq!(standing[&(id(1), NETWORK_THREADS.to_owned())], lost("32"));
        assert_eq!(standing[&(id(1), IO_THREADS.to_owned())], lost("16"), "the legal one too");
    });
}

#[test]
fn i20_every_write_names_its_broker() {
    helps(async |setup| {
        let mut world = World::healthy(setup).await;
        world.alert("AllSlow", None).await;
        world.start(Crash::Never);
        world.until_over().await;
        let mut brokers: Vec<_> =
            world.kafka.calls(CallKind::Write).iter().map(|it| it.broker).collect();
        brokers.sort_unstable();

        let both = |it: i32| [Some(id(it)), Some(id(it))];
        assert_eq!(brokers, [both(1), both(2), both(3)].concat());
    });
    helps(async |setup| {
        let world = slow_until(setup, RunState::Kept).await;
        assert!(world.kafka.calls(CallKind::Write).iter().all(|it| it.broker == Some(id(1))));
    });
}

#[test]
fn i21_a_value_that_is_accepted_but_never_effective_is_rolled_back() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.kafka.fail(|it| {
            (it.kind == CallKind::Write && it.nth == 2).then_some(CallFault::NeverApplied)
        });
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;

        let run = world.run(1).await.run;
        assert_eq!(run.rollback_reason, Some(RollbackReason::FailedToApply));
    });
}

#[test]
fn i23_a_failed_undo_is_stuck_until_it_is_acknowledged() {
    simulate(async {
        let mut world = slow_until(Setup::new(0, Effect::Nothing), RunState::Observing).await;
        world.kafka.fail(|it| (it.kind == CallKind::Write).then_some(CallFault::Refuse));
        world.live(Duration::from_mins(10), |it| it.is_in_state(RunState::Stuck)).await;
        let run = world.run(1).await.run;

        assert_eq!(run.state, RunState::Stuck);
        assert!(run.note.unwrap().contains("authorization failed"));

        world.kafka.fail(|_| None);
        world.alert("Slow", Some("2")).await;
        world.pass(Duration::from_secs(40)).await;

        assert_eq!(world.run(2).await.run.hold, Some(HoldReason::Stuck));
        assert!(world.remediation.acknowledge(kafka_optimizer::model::RunId(2)).await.is_err());

        world.remediation.acknowledge(kafka_optimizer::model::RunId(1)).await.unwrap();
        world.pass(Duration::from_mins(1)).await;

        assert_ne!(world.run(2).await.run.hold, Some(HoldReason::Stuck));
    });
}

#[track_caller]
fn judged(
    setup: Setup,
    arrange: impl AsyncFnOnce(&mut World),
    state: RunState,
    verdict: Verdict,
    reason: Option<RollbackReason>,
) {
    simulate(async {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        arrange(&mut world).await;
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;

        let run = world.run(1).await.run;
        let got = (run.state, run.verdict.unwrap(), run.rollback_reason);

        assert_eq!(got, (state, verdict, reason), "{}", world.story().await);

        if !matches!(reason, None | Some(RollbackReason::Verdict)) {
            return; // nothing was compared
        }
        // What is stored gives the same verdict, number for number.
        let again = world
            .store
            .case(kafka_optimizer::model::RunId(1))
            .await
            .unwrap()
            .expect("a case")
            .conclusion();
        let evidence = world.run(1).await.measured.evidence;

        assert_eq!((again.verdict, Some(again.evidence)), (verdict, evidence));
    });
}

#[test]
fn i24_only_a_change_that_helps_is_kept() {
    let back = Some(RollbackReason::Verdict);
    let nothing = |_: &mut World| ();
    judged(
        Setup::new(0, Effect::Help),
        async |it| nothing(it),
        RunState::Kept,
        Verdict::Improved,
        None,
    );
    judged(
        Setup::new(0, Effect::Nothing),
        async |it| nothing(it),
        RunState::RolledBack,
        Verdict::Neutral,
        back,
    );
    judged(
        Setup::new(0, Effect::Harm),
        async |it| nothing(it),
        RunState::RolledBack,
        Verdict::Regressed,
        back,
    );
    let mut neutral = Setup::new(0, Effect::Nothing);
    neutral.playbook().keep_neutral = true;
    judged(neutral, async |it| nothing(it), RunState::Kept, Verdict::Neutral, None);
}

#[test]
fn i24_what_reached_nothing_did_not_help() {
    let asked = |condition: &str| {
        let mut setup = Setup::new(0, Effect::Help);
        setup.playbook().reached_when = Some(Template::new(condition).unwrap());
        setup
    };
    let nothing = async |_: &mut World| ();

    judged(
        asked("max(kafka:broker_cpu:ratio) < 0"),
        nothing,
        RunState::RolledBack,
        Verdict::Inconclusive,
        Some(RollbackReason::Verdict),
    );

    let reached = asked("max(kafka:broker_cpu:ratio) < 100");
    judged(reached, nothing, RunState::Kept, Verdict::Improved, None);
}

#[test]
fn i24_an_improvement_under_falling_load_is_inconclusive() {
    let falls = async |it: &mut World| {
        it.prometheus.script().load = |at| if at.as_secs() < 310 { 1000.0 } else { 100.0 };
    };
    judged(
        Setup::new(0, Effect::Help),
        falls,
        RunState::RolledBack,
        Verdict::Inconclusive,
        Some(RollbackReason::Verdict),
    );
}

#[test]
fn i24_a_tripped_guard_rolls_back_at_once() {
    let trips = async |it: &mut World| {
        it.prometheus.script().guard = Box::new(|at| if at.as_secs() < 320 { 0.0 } else { 2.0 });
    };
    judged(
        Setup::new(0, Effect::Help),
        trips,
        RunState::RolledBack,
        Verdict::Regressed,
        Some(RollbackReason::GuardTripped),
    );
    helps(async |setup| {
        let mut world = slow(setup).await;
        world.prometheus.script().guard = Box::new(|at| if at.as_secs() < 320 { 0.0 } else { 2.0 });
        let states = [RunState::RollingBack, RunState::RolledBack];
        let goes_back = |it: &World| states.into_iter().any(|state| it.is_in_state(state));
        world.live(Duration::from_mins(5), goes_back).await;
        let at = world.clock.elapsed().as_secs();

        assert!((320..332).contains(&at), "a sample after it rose, not at the end: {at}");
    });
}

#[test]
fn i24_a_count_that_rises_in_one_sample_rolls_back() {
    let spikes = async |it: &mut World| {
        it.prometheus.script().guard =
            Box::new(|at| if (321..324).contains(&at.as_secs()) { 2.0 } else { 0.0 });
    };
    let tripped = Some(RollbackReason::GuardTripped);
    let setup = Setup::new(0, Effect::Help);
    judged(setup, spikes, RunState::RolledBack, Verdict::Regressed, tripped);
}

#[test]
fn i24_a_count_that_was_there_before_the_write_trips_nothing() {
    let there = async |it: &mut World| it.prometheus.script().guard = Box::new(|_| 3.0);
    judged(Setup::new(0, Effect::Help), there, RunState::Kept, Verdict::Improved, None);
}

/// A world in which the guard is a value that swings by itself.
fn swinging(at_most: Option<f64>) -> Setup {
    let mut setup = Setup::new(0, Effect::Help);
    let query = setup.playbook().guards.remove(0).query().clone();
    let (rises_by, without_history) = (0.5, WithoutHistory::Warn);
    setup.playbook().guards = vec![Guard::Level { query, rises_by, at_most, without_history }];
    setup
}

/// Between 8 and 12 by itself.
fn swing(at: Duration) -> f64 {
    10.0 + 2.0 * (at.as_secs_f64() / 20.0).sin()
}

#[test]
fn i24_a_level_that_swings_by_itself_trips_no_guard() {
    let swings = async |it: &mut World| it.prometheus.script().guard = Box::new(swing);
    judged(swinging(None), swings, RunState::Kept, Verdict::Improved, None);
}

#[test]
fn i24_a_level_that_rises_by_more_than_by_itself_rolls_back() {
    let rises = |factor: f64| {
        async move |it: &mut World| {
            let risen = move |at: Duration| if at.as_secs() < 305 { 1.0 } else { factor };
            it.prometheus.script().guard = Box::new(move |at| swing(at) * risen(at));
        }
    };
    let (back, tripped) = (RunState::RolledBack, Some(RollbackReason::GuardTripped));
    judged(swinging(None), rises(4.0), back, Verdict::Regressed, tripped);
    judged(swinging(Some(15.0)), rises(2.0), back, Verdict::Regressed, tripped);
    judged(swinging(Some(100.0)), rises(1.2), RunState::Kept, Verdict::Improved, None);
}

#[test]
fn i13_a_guard_that_could_not_be_read_was_skipped_for_ever() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Settling).await;
        world.prometheus.fail(|query, _| {
            let is_guard = query.starts_with("sum(kafka_topic_partition_under_min_isr");
            is_guard.then_some(QueryFault::Unavailable)
        });
        world.until_over().await;

        let run = world.run(1).await.run;
        let got = (run.state, run.verdict, run.rollback_reason);
        let lost = Some(RollbackReason::EvidenceLost);

        assert_eq!(got, (RunState::RolledBack, Some(Verdict::Inconclusive), lost));
    });
}

#[test]
fn i13_a_change_was_kept_although_its_guard_could_not_be_read_at_the_end() {
    let blind = async |it: &mut World| {
        it.prometheus.fail(|query, now| {
            let is_guard = query.starts_with("sum(kafka_topic_partition_under_min_isr");
            (is_guard && now > Duration::from_secs(350)).then_some(QueryFault::Unavailable)
        });
    };
    let lost = Some(RollbackReason::EvidenceLost);
    let setup = Setup::new(0, Effect::Help);
    judged(setup, blind, RunState::RolledBack, Verdict::Inconclusive, lost);
}

#[test]
fn i25_the_cooldown_doubles_after_a_rollback() {
    for (effect, rest) in [(Effect::Help, 5_u64), (Effect::Nothing, 10)] {
        simulate(async {
            let mut world = slow(Setup::new(0, effect)).await;
            world.until_over().await;
            let ended = world.run(1).await.run.times.ended.unwrap();

            // The broker has one thread again, as if restarted with another file.
            again(&mut world).await;
            world.pass(Duration::from_mins(1)).await;

            // A restart does not shorten it.
            world.start(Crash::Never);
            world.pass(Duration::from_secs(rest * 60 - 70)).await;
            let run = world.run(2).await.run;

            assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::Cooldown)));
            assert!(run.note.unwrap().contains("s of the cooldown after the last run are left"));

            world.pass(Duration::from_mins(1)).await;
            assert_ne!(world.run(2).await.run.hold, Some(HoldReason::Cooldown));
            assert!(ended < run.times.created);
        });
    }
}

#[test]
fn i25_runs_of_a_cluster_are_limited_per_hour_and_per_day() {
    for (hour, day, want) in [(1, 100, HoldReason::CapHour), (100, 1, HoldReason::CapDay)] {
        simulate(async {
            let mut setup = Setup::new(0, Effect::Help);
            setup.remediation.runs_per_hour_max = hour;
            setup.remediation.runs_per_day_max = day;
            let mut world = slow(setup).await;
            world.until_over().await;
            world.checks.forbid_writes();
            world.alert("Slow", Some("2")).await;
            world.pass(Duration::from_secs(40)).await;
            world.start(Crash::Never);
            world.pass(Duration::from_secs(40)).await;

            assert_eq!(world.run(2).await.run.hold, Some(want));
        });
    }
}

#[test]
fn i26_three_rollbacks_in_a_row_quarantine_a_target_until_released() {
    simulate(async {
        let mut world = slow(Setup::new(0, Effect::Nothing)).await;
        for number in 1..=3_u32 {
            world
                .live(Duration::from_hours(1), |it| it.all_runs() == number && it.open_runs() == 0)
                .await;
            assert_eq!(world.run(i64::from(number)).await.run.state, RunState::RolledBack);
            again(&mut world).await;
        }

        world.pass(Duration::from_hours(2)).await;
        let run = world.run(4).await.run;

        assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::Quarantined)));

        let page = world.telemetry.encode().unwrap();
        assert!(page.contains("kafka_optimizer_quarantined{"), "{page}");

        world.remediation.release(None).await.unwrap();
        world.until_over().await;

        assert_eq!(world.run(4).await.run.state, RunState::RolledBack);
    });
}
