//! Bugs found by the simulated world: each test is named after what the pipeline did.

use std::time::Duration;

use kafka_optimizer::{
    model::{HoldReason, RunId, RunState, Target},
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS},
    playbook::{Level, OptimizerKind},
    remediation::Order,
};

use super::{
    helps,
    others::{ChangeKind, before, standing},
    slow_until,
};
use crate::world::{
    CallFault, CallKind, Crash, Effect, ProcessEnd, Setup, WorkerEnd, World,
    docker::{DockerCall, DockerCallKind},
    id, simulate,
};

/// Starts a second process after the first one, which ends when `reached`.
async fn crash_when(world: &mut World, reached: impl Fn(&World) -> bool) {
    let life = world.live(Duration::from_mins(10), reached).await;
    assert_eq!(life, WorkerEnd::Reached, "{}", world.story().await);
    world.start(Crash::Never);
}

#[test]
fn i23_an_undo_interrupted_by_a_crash_was_taken_for_drift() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Nothing)).await;
        let before = world.key_states();
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);

        // The prior entry is stored again, but not effective when the process ends.
        world.kafka.fail(|it| {
            (it.kind == CallKind::Write && it.nth == 6).then_some(CallFault::NeverApplied)
        });
        crash_when(&mut world, |it| it.kafka.calls(CallKind::Write).len() == 7).await;
        world.until_over().await;
        world.verify(&before).await;

        assert_eq!(world.run(1).await.run.rollback_reason.unwrap().label(), "verdict");
    });
}

#[test]
fn i23_a_delayed_write_was_applied_after_its_undo() {
    for late in [5, 20, 45] {
        helps(async |setup| {
            let mut world = World::starved(setup).await;
            let before = world.key_states();
            world.alert("Slow", Some("1")).await;
            let late = CallFault::Late(Duration::from_secs(late));
            world.kafka.fail(move |it| (it.kind == CallKind::Write && it.nth == 1).then_some(late));
            world.start(Crash::Never);
            crash_when(&mut world, |it| it.kafka.calls(CallKind::Write).len() == 2).await;
            world.until_over().await;
            world.verify(&before).await;
        });
    }
}

#[test]
fn i23_a_clone_that_started_late_was_left_behind() {
    for late in [15, 30, 40] {
        simulate(async {
            let mut world = before(ChangeKind::Scale, 0, Effect::Help).await;
            let untouched = standing(&world);
            let late = CallFault::Late(Duration::from_secs(late));
            let hit = move |it: &DockerCall| it.kind == DockerCallKind::Start && it.nth == 1;
            world.docker.fail(move |it| hit(it).then_some(late));
            world.start(Crash::Never);
            crash_when(&mut world, |it| it.docker.calls(DockerCallKind::Start).len() == 2).await;
            world.until_over().await;
            world.pass(Duration::from_mins(2)).await;

            assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
            assert_eq!(standing(&world), untouched, "{}", world.story().await);
        });
    }
}

#[test]
fn i23_a_refused_undo_left_the_other_brokers_changed() {
    simulate(async {
        let mut world = World::healthy(Setup::new(0, Effect::Nothing)).await;
        let before = world.key_states();
        world.alert("AllSlow", None).await;
        world.start(Crash::Never);
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;
        world.kafka.fail(|it| {
            let hit = it.kind == CallKind::Write && it.broker == Some(id(2));
            hit.then_some(CallFault::Refuse)
        });
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Stuck)).await;

        let after = world.key_states();
        for ((broker, key), was) in &before {
            if *broker != id(2) {
                assert_eq!(&after[&(*broker, key.clone())], was, "{}", world.story().await);
            }
        }
    });
}

#[test]
fn i23_a_broker_that_was_down_for_minutes_left_its_run_stuck() {
    for (effect, state) in
        [(Effect::Nothing, RunState::Observing), (Effect::Help, RunState::Acting)]
    {
        simulate(async {
            let mut world = World::healthy(Setup::new(0, effect)).await;
            let before = world.key_states();
            world.alert("AllSlow", None).await;
            let slow = CallFault::Slow(Duration::from_secs(2));
            world.kafka.fail(move |it| (it.kind == CallKind::Write).then_some(slow));
            world.start(Crash::Never);
            world.live(Duration::from_mins(5), |it| it.is_in_state(state)).await;

            let back = world.clock.elapsed() + Duration::from_mins(5);
            world.kafka.fail(move |it| {
                (it.broker == Some(id(2)) && it.at < back).then_some(CallFault::Unreachable)
            });
            world.until_over().await;
            world.verify(&before).await;

            assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
        });
    }
}

#[test]
fn i23_a_step_that_never_began_was_undone_on_a_broker_that_was_gone() {
    simulate(async {
        let mut world = World::healthy(Setup::new(0, Effect::Help)).await;
        let before = world.key_states();
        world.alert("AllSlow", None).await;

        // Broker 3 answers the guard, then stops answering.
        world.kafka.fail(|it| {
            let gone =
                it.broker == Some(id(3)) && it.kind == CallKind::Describe && 0 < it.nth_of_broker;
            gone.then_some(CallFault::Unreachable)
        });
        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;

        assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
        assert!(world.kafka.calls(CallKind::Write).iter().all(|it| it.broker != Some(id(3))));
    });
}

#[test]
fn i10_a_requested_undo_came_before_an_active_run() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Kept).await;

        // Run 2 raises the network threads of broker 2, and its process ends in the middle.
        world.kafka.set(2, NETWORK_THREADS, Some(4));
        world.alert("Slow", Some("2")).await;
        world.live(Duration::from_mins(2), |it| 6 <= it.kafka.calls(CallKind::Write).len()).await;
        let sent = world.kafka.calls(CallKind::Write).len();
        world.remediation.roll_back(RunId(1)).await.unwrap();
        world.start(Crash::Never);
        world.until_over().await;

        let after = world.kafka.calls(CallKind::Write).split_off(sent);
        let first_of_run_1 = after.iter().position(|it| it.broker == Some(id(1))).unwrap();
        let last_of_run_2 = after.iter().rposition(|it| it.broker == Some(id(2)));

        assert!(last_of_run_2.is_none_or(|it| it < first_of_run_1), "{}", world.story().await);
    });
}

#[test]
fn i4_an_alert_merged_into_a_manual_run_was_lost_with_it() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.remediation.pause().await.unwrap();
        world.alert("Slow", Some("1")).await;
        let order = Order {
            cluster: None,
            optimizer: OptimizerKind::TuneBrokers,
            playbook: None,
            target: Target::Broker(id(1)),
            level: Some(Level::Moderate),
            dry_run: false,
        };
        world.remediation.order(order).await.unwrap();
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;

        assert_eq!(world.run(1).await.run.hold, Some(HoldReason::Paused));

        world.remediation.resume().await.unwrap();
        world.until_over().await;
        world.verify(&before).await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
    });
}

#[test]
fn i26_a_rehearsal_reset_the_rollback_count_and_started_a_cooldown() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Nothing)).await;
        world.fire("Slow", Some("1"));
        world.start(Crash::Never);
        let order = |dry_run| Order {
            cluster: None,
            optimizer: OptimizerKind::TuneBrokers,
            playbook: None,
            target: Target::Broker(id(1)),
            level: Some(Level::Moderate),
            dry_run,
        };

        for _ in 0..3 {
            for dry_run in [false, true] {
                world.remediation.order(order(dry_run)).await.unwrap();
                world.until_over().await;
                world.pass(Duration::from_mins(45)).await;
            }
        }

        let refused = world.remediation.order(order(false)).await.unwrap();
        world.until_over().await;

        assert_eq!(world.run(refused.0).await.run.hold, Some(HoldReason::Quarantined));
    });
}

#[test]
fn i15_a_crash_between_two_halvings_shortened_the_shrink_pause() {
    for crash in [Crash::Never, Crash::AfterLine(15)] {
        simulate(async {
            let mut world = World::new(Setup::new(0, Effect::Nothing));
            world.kafka.set(1, NETWORK_THREADS, Some(2));
            world.kafka.set(1, IO_THREADS, Some(16));
            world.pass(Duration::from_mins(5)).await;
            let before = world.key_states();
            world.alert("Slow", Some("1")).await;
            world.start(crash);
            world.until_over().await;
            world.start(Crash::Never);
            world.until_over().await;
            world.verify(&before).await;

            assert!(world.is_in_state(RunState::RolledBack));

            let writes = world.kafka.calls(CallKind::Write);
            let down: Vec<_> = writes.iter().skip(3).collect();

            for pair in down.windows(2).filter(|it| it[0].change != it[1].change) {
                let apart = pair[1].at.saturating_sub(pair[0].at);
                assert!(Duration::from_secs(30) <= apart, "{apart:?}: {}", world.story().await);
            }
        });
    }
}

#[test]
fn i19_an_unanswered_rehearsal_was_taken_for_a_refusal() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.kafka.fail(|it| (it.kind == CallKind::Validate).then_some(CallFault::LoseAnswer));
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;
        let run = world.run(1).await.run;

        assert_eq!(run.hold, Some(HoldReason::KafkaUnavailable));
        assert!(run.note.unwrap().contains("no answer within"));
    });
}

#[test]
fn every_new_process_resumes_what_the_last_one_left() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Help)).await;
        let before = world.key_states();
        world.alert("Slow", Some("1")).await;

        for moment in 1..40 {
            world.start(Crash::AtMoment(moment));
            if world.until_over().await != WorkerEnd::Over(ProcessEnd::Crashed) {
                break;
            }
        }

        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;

        assert_eq!(world.all_runs(), 1);
    });
}
