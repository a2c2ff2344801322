//! A reload of the configuration, in the running process.

use std::time::Duration;

use kafka_optimizer::model::{HoldReason, Mode, RunState};

use super::slow_until;
use crate::world::{CallKind, Crash, Effect, Setup, World, simulate};

#[test]
fn a_reload_changes_the_mode_of_what_has_not_started() {
    simulate(async {
        let mut setup = Setup::new(0, Effect::Help);
        setup.remediation.mode = Mode::Observe;
        let mut world = World::starved(setup).await;
        world.start(Crash::Never);
        world.alert("Slow", Some("1")).await;
        world.pass(Duration::from_mins(1)).await;

        assert!(world.kafka.calls(CallKind::Write).is_empty());

        world.reload(|it| it.mode = Mode::Act);
        world.until_over().await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
    });
}

#[test]
fn i1_a_reload_to_rehearse_lets_no_later_run_write() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Help)).await;
        world.start(Crash::Never);
        world.reload(|it| it.mode = Mode::Rehearse);
        world.checks.forbid_writes();
        world.alert("Slow", Some("1")).await;
        world.until_over().await;

        assert!(world.is_in_state(RunState::Rehearsed), "{}", world.story().await);
    });
}

#[test]
fn an_active_run_survives_a_reload() {
    simulate(async {
        let mut world = slow_until(Setup::new(0, Effect::Help), RunState::Observing).await;
        world.reload(|it| it.runs_per_hour_max = 1);
        world.until_over().await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        assert_eq!(world.all_runs(), 1, "{}", world.story().await);

        // The limit of the new configuration is in force.
        world.alert("Slow", Some("2")).await;
        world.pass(Duration::from_mins(1)).await;
        let second = world.run(2).await.run;

        assert_eq!(second.hold, Some(HoldReason::CapHour), "{}", world.story().await);
    });
}
