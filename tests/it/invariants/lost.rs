//! `above_static: reapply`, and the optimizer `reapply`: a value lost at a restart is set again in
//! steps (I12, I18).

use std::time::Duration;

use kafka_optimizer::{
    model::{Change, HoldReason, RunId, RunState},
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS},
    playbook::{AboveStatic, Level, Optimizer},
};

use crate::world::{CallKind, Crash, Effect, Setup, World, firing, id, simulate};

/// A world with a kept change above twice the static value: 8 to 32.
async fn kept_above() -> World {
    let mut setup = Setup::new(1, Effect::Help);
    let Optimizer::TuneBrokers(it) = &mut setup.playbook().optimizer else { panic!() };
    (it.level, it.above_static) = (Level::Aggressive, AboveStatic::Reapply);
    let (objective, load) = (setup.playbook().objective.clone(), setup.playbook().load.clone());
    let reapply = setup.playbook_of("reapply");
    (reapply.objective, reapply.load) = (objective, load);

    let mut world = World::healthy(setup).await;
    world.checks.allow_above_static();
    world.alert("Slow", Some("1")).await;
    world.start(Crash::Never);
    world.until_over().await;

    assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
    assert_eq!(io_threads(&world), "32");

    // An alert that still fires would start another run.
    world.prometheus.script().firing.clear();

    world
}

/// Lets time pass until run 2 is stored and has ended.
async fn until_second(world: &mut World) {
    world.live(Duration::from_mins(1), |it| it.all_runs() == 2).await;
    world.until_over().await;
}

fn io_threads(world: &World) -> String {
    world.key_states()[&(id(1), IO_THREADS.to_owned())].1.clone()
}

#[test]
fn i18_a_value_lost_at_a_restart_is_reapplied_in_steps() {
    simulate(async {
        let mut world = kept_above().await;
        let before = world.key_states();
        world.kafka.restart(1, Duration::from_secs(20));
        world.pass(Duration::from_mins(3)).await;

        assert_eq!(io_threads(&world), "8", "the trap");

        world.deliver(firing("Lost", Some("1"))).await;
        until_second(&mut world).await;
        let run = world.run(2).await;

        assert_eq!(run.run.state, RunState::Kept, "{}", world.story().await);
        assert_eq!(world.key_states(), before);
        assert!(matches!(run.steps[0].change, Change::RemoveBrokerConfig(_)));
    });
}

#[test]
fn i22_i23_a_crash_while_reapplying_leaves_the_value_or_no_entry_of_ours() {
    for line in 1..40 {
        simulate(async {
            let mut world = kept_above().await;
            let before = world.key_states();
            world.kafka.restart(1, Duration::from_secs(20));
            world.pass(Duration::from_mins(3)).await;
            world.stop().await;
            world.deliver(firing("Lost", Some("1"))).await;
            world.start(Crash::AfterLine(world.checks.lines() + line));
            until_second(&mut world).await;
            world.start(Crash::Never);
            until_second(&mut world).await;
            world.pass(Duration::from_mins(2)).await;

            let run = world.run(2).await.run;
            if run.state == RunState::Kept {
                assert_eq!(world.key_states(), before);
                return;
            }

            // Removed, or lost as after the restart.
            assert_eq!(run.state, RunState::RolledBack, "{}", world.story().await);

            let found = &world.key_states()[&(id(1), IO_THREADS.to_owned())];
            let (none, still) = ((None, "8".to_owned()), (Some("32".to_owned()), "8".to_owned()));

            assert!([none, still].contains(found), "{}", world.story().await);
        });
    }
}

#[test]
fn i23_a_kept_run_lost_at_a_restart_is_rolled_back_and_never_stuck() {
    simulate(async {
        let mut world = kept_above().await;
        world.kafka.restart(1, Duration::from_secs(20));
        world.pass(Duration::from_mins(3)).await;
        world.remediation.roll_back(RunId(1)).await.unwrap();
        world.pass(Duration::from_mins(2)).await;

        assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
        assert_eq!(world.key_states()[&(id(1), IO_THREADS.to_owned())], (None, "8".to_owned()));
    });
}

#[test]
fn i22_i23_a_crash_during_that_rollback_leaves_no_entry_of_ours() {
    for line in 1..20 {
        simulate(async {
            let mut world = kept_above().await;
            world.kafka.restart(1, Duration::from_secs(20));
            world.pass(Duration::from_mins(3)).await;
            world.stop().await;
            world.remediation.roll_back(RunId(1)).await.unwrap();
            world.start(Crash::AfterLine(world.checks.lines() + line));
            world.pass(Duration::from_mins(2)).await;
            world.start(Crash::Never);
            world.pass(Duration::from_mins(5)).await;

            assert!(world.is_in_state(RunState::RolledBack), "{line}: {}", world.story().await);

            for key in [IO_THREADS, NETWORK_THREADS] {
                let found = world.key_states()[&(id(1), key.to_owned())].clone();
                assert_eq!(found, (None, "8".to_owned()), "{line}: {}", world.story().await);
            }
        });
    }
}

#[test]
fn i12_an_entry_stored_by_someone_else_is_left_alone() {
    simulate(async {
        let mut world = kept_above().await;
        world.kafka.set(1, IO_THREADS, Some(24));
        world.kafka.set(1, NETWORK_THREADS, Some(24));
        world.kafka.restart(1, Duration::from_secs(20));
        world.pass(Duration::from_mins(3)).await;
        let sent = world.kafka.calls(CallKind::Write).len();
        world.deliver(firing("Lost", Some("1"))).await;
        world.pass(Duration::from_mins(2)).await;

        let run = world.run(2).await.run;
        assert_eq!(run.hold, Some(HoldReason::Unplannable), "{}", world.story().await);
        assert!(run.note.unwrap().contains("is not what this program wrote"));
        assert_eq!(world.kafka.calls(CallKind::Write).len(), sent);
    });
}

#[test]
fn i18_a_value_never_goes_where_a_foreign_key_would_be_lost_with_it() {
    simulate(async {
        let mut setup = Setup::new(1, Effect::Help);
        let Optimizer::TuneBrokers(it) = &mut setup.playbook().optimizer else { panic!() };
        (it.level, it.above_static) = (Level::Aggressive, AboveStatic::Reapply);
        let mut world = World::healthy(setup).await;
        world.kafka.set(1, NETWORK_THREADS, Some(10));
        world.pass(Duration::from_mins(1)).await;
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.until_over().await;

        assert_eq!(io_threads(&world), "16", "{}", world.story().await);
    });
}
