//! Operator commands: pause, stop, orders, and their journal (I31, I32).

use std::time::Duration;

use kafka_optimizer::{
    model::{HoldReason, RollbackReason, RunId, RunState, Target},
    playbook::{Level, OptimizerKind},
    remediation::Order,
};

use super::{helps, slow, slow_until};
use crate::world::{
    CallFault, CallKind, Crash, Effect, ProcessEnd, Setup, WorkerEnd, World, id, simulate,
};

fn order(dry_run: bool) -> Order {
    Order {
        cluster: None,
        optimizer: OptimizerKind::TuneBrokers,
        playbook: None,
        target: Target::Broker(id(1)),
        level: Some(Level::Moderate),
        dry_run,
    }
}

/// A world between two steps of run 1, whose writes take two seconds.
async fn among_the_steps(setup: Setup) -> World {
    let mut world = World::starved(setup).await;
    let slow = CallFault::Slow(Duration::from_secs(2));
    world.kafka.fail(move |it| (it.kind == CallKind::Write).then_some(slow));
    world.alert("Slow", Some("1")).await;
    world.start(Crash::Never);
    world.live(Duration::from_mins(1), |it| 2 <= it.kafka.calls(CallKind::Write).len()).await;

    world
}

#[test]
fn i31_a_pause_survives_a_restart_and_nothing_starts() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.remediation.pause().await.unwrap();
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;

        let run = world.run(1).await.run;
        assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::Paused)));
        assert_eq!(run.note.as_deref(), Some("remediation is paused"));
        assert!(world.kafka.state().calls.is_empty());

        let page = world.telemetry.encode().unwrap();
        assert!(page.contains(r#"kafka_optimizer_paused{kafka_cluster="main"} 1"#), "{page}");

        world.remediation.resume().await.unwrap();
        world.until_over().await;
        world.verify(&before).await;

        assert!(world.is_in_state(RunState::Kept));
    });
}

#[test]
fn i31_a_pause_finishes_the_current_step_and_rolls_back() {
    helps(async |setup| {
        let mut world = among_the_steps(setup).await;
        world.remediation.pause().await.unwrap();
        let sent = world.kafka.calls(CallKind::Write).len();
        world.until_over().await;
        let run = world.run(1).await.run;

        assert_eq!(run.state, RunState::RolledBack);
        assert_eq!(run.rollback_reason, Some(RollbackReason::Interrupted));

        // The run was rolled back: an undo is allowed while paused (I23).
        let changes = world.kafka.calls(CallKind::Write).into_iter().skip(sent);
        let changes: Vec<_> = changes.map(|it| it.change.unwrap()).collect();
        let io = changes.iter().rfind(|it| it.key == "num.io.threads").unwrap();
        let network = changes.iter().rfind(|it| it.key == "num.network.threads").unwrap();

        assert_eq!((io.value.as_deref(), network.value.as_deref()), (Some("1"), None));
    });
}

#[test]
fn i31_a_run_stopped_between_steps_is_rolled_back_at_the_next_start() {
    helps(async |setup| {
        let mut world = among_the_steps(setup).await;
        assert_eq!(world.stop().await, WorkerEnd::Over(ProcessEnd::ByItself));

        world.start(Crash::Never);
        world.until_over().await;

        assert_eq!(world.run(1).await.run.rollback_reason, Some(RollbackReason::Interrupted));
        assert_eq!(world.key_states()[&(id(1), "num.io.threads".to_owned())].1, "1");
    });
}

#[test]
fn a_run_stopped_while_observing_continues_at_the_next_start() {
    for state in [RunState::Settling, RunState::Observing] {
        helps(async |setup| {
            let mut world = slow_until(setup, state).await;
            assert_eq!(world.stop().await, WorkerEnd::Over(ProcessEnd::ByItself));
            assert!(world.is_in_state(state));

            world.start(Crash::Never);
            world.until_over().await;

            assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        });
    }
}

#[test]
fn a_manual_order_can_do_what_an_alert_can_and_is_refused_at_once() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.start(Crash::Never);
        world.remediation.order(order(true)).await.unwrap();
        world.until_over().await;

        assert_eq!(world.run(1).await.run.state, RunState::Rehearsed);

        world.remediation.order(order(false)).await.unwrap();
        world.until_over().await;
        world.verify(&before).await;

        assert_eq!(world.run(2).await.run.state, RunState::Kept, "a rehearsal earns no rest");

        let third = world.remediation.order(order(false)).await.unwrap();
        world.until_over().await;
        let run = world.run(third.0).await.run;

        assert_eq!((run.state, run.hold), (RunState::Cancelled, Some(HoldReason::Cooldown)));
    });
}

#[test]
fn a_rehearsal_that_a_pause_held_showed_no_plan() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.start(Crash::Never);
        world.remediation.pause().await.unwrap();

        let preview = world.remediation.order(order(true)).await.unwrap();
        world.until_over().await;
        let detail = world.run(preview.0).await;

        assert_eq!(detail.run.state, RunState::Rehearsed, "{}", world.story().await);
        assert!(!detail.steps.is_empty());
        let note = detail.run.note.unwrap();
        assert!(note.starts_with("would be held (paused): remediation is paused; "), "{note}");
    });
}

#[test]
fn a_run_can_be_rolled_back_by_request_at_any_point() {
    for state in [RunState::Settling, RunState::Observing, RunState::Kept] {
        helps(async |setup| {
            let mut world = World::starved(setup).await;
            let before = world.key_states();
            world.alert("Slow", Some("1")).await;
            world.start(Crash::Never);
            world.live(Duration::from_mins(10), |it| it.is_in_state(state)).await;
            world.remediation.roll_back(RunId(1)).await.unwrap();
            world.until_over().await;
            world.verify(&before).await;

            let run = world.run(1).await.run;
            assert_eq!(run.rollback_reason, Some(RollbackReason::Person), "{state}");
        });
    }

    helps(async |setup| {
        let mut world = among_the_steps(setup).await;
        world.remediation.roll_back(RunId(1)).await.unwrap();
        world.until_over().await;

        assert_eq!(world.run(1).await.run.rollback_reason, Some(RollbackReason::Person));
    });
}

#[test]
fn i32_the_journal_is_complete_and_append_only() {
    simulate(async {
        let mut world = slow(Setup::new(0, Effect::Nothing)).await;
        world.until_over().await;
        let lines: Vec<String> = world
            .run(1)
            .await
            .journal
            .iter()
            .map(|it| format!("{} {}", it.entry, it.text))
            .collect();

        for wanted in [
            "created Slow (alert)",
            "state rehearsed",
            "step step 0: began: broker 1 num.io.threads 1 → 2",
            "the broker's answer: accepted",
            "state settling",
            "verdict 0.",
            "state rolling_back: neutral: verdict",
            "step step 1: undone: 8 again, stored: no entry of its own",
            "state rolled_back",
        ] {
            assert!(lines.iter().any(|it| it.contains(wanted)), "{wanted} in {lines:#?}");
        }

        for text in ["UPDATE journal SET text = ''", "DELETE FROM journal"] {
            let refused = world.checks.query(|at| Ok(at.execute(text, []).is_err()));
            assert!(refused, "{text}");
        }
    });
}

#[test]
fn i25_a_clock_that_jumps_leaves_no_half_done_change() {
    for milliseconds in [-3_600_000, 3_600_000] {
        for state in [RunState::Settling, RunState::Observing] {
            simulate(async {
                let mut world = World::starved(Setup::new(0, Effect::Nothing)).await;
                let before = world.key_states();
                world.alert("Slow", Some("1")).await;
                world.start(Crash::Never);
                world.live(Duration::from_mins(10), |it| it.is_in_state(state)).await;
                world.clock.set_by(milliseconds);

                let over = |it: &World| it.open_runs() == 0;
                world.live(Duration::from_hours(3), over).await;
                world.verify(&before).await;
            });
        }
    }
}
