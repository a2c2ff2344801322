//! Temporary changes expire, even after a crash, and never during the measurement of another run
//! (I27, I40); approvals expire (I33); a critical alert does not wait.

use std::time::Duration;

use kafka_optimizer::{
    alert::Alert,
    model::{HoldReason, RollbackReason, RunId, RunState, Verdict},
    playbook::Template,
};

use super::others::{ChangeKind, before, live_through, standing};
use crate::world::{Crash, Effect, Setup, World, firing, notification, resolved, simulate, with};

/// A world with a temporary change in effect.
pub(super) async fn in_force(work: ChangeKind, effect: Effect) -> World {
    let mut world = before(work, 1, effect).await;
    live_through(&mut world, &[]).await;

    assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);

    // An alert that still fires would start another run.
    world.prometheus.script().firing.clear();

    world
}

#[test]
fn i27_a_temporary_change_is_undone_exactly_when_it_expires() {
    for work in [ChangeKind::Shed, ChangeKind::Scale] {
        simulate(async {
            let mut world = before(work, 1, Effect::Help).await;
            let standing_before = standing(&world);
            live_through(&mut world, &[]).await;

            assert!(world.is_in_state(RunState::Kept));

            let run = world.run(1).await.run;
            let (effective, expires) = (run.times.effective.unwrap(), run.times.expires.unwrap());

            assert_eq!(expires.since(effective), Duration::from_mins(10));

            world.live(Duration::from_mins(9), |it| it.is_in_state(RunState::Expired)).await;
            world.pass(Duration::from_mins(3)).await;
            let run = world.run(1).await.run;

            assert_eq!(run.state, RunState::Expired, "{}", world.story().await);
            assert!(expires <= run.times.ended.unwrap());
            assert_eq!((run.verdict, run.rollback_reason), (Some(Verdict::Improved), None));
            assert_eq!(standing(&world), standing_before);
        });
    }
}

#[test]
fn i27_a_temporary_change_that_is_no_longer_needed_expires_early() {
    simulate(async {
        let mut setup = Setup::new(1, Effect::Help);
        let measure = setup.playbook_of("shed").temporary.as_mut().unwrap();
        measure.expire_when = Some(Template::new("max(kafka:broker_cpu:ratio) < 0.3").unwrap());
        let mut world = World::healthy(setup).await;
        world.deliver(firing("Flood", None)).await;
        live_through(&mut world, &[]).await;
        world.pass(Duration::from_mins(1)).await;

        assert!(world.is_in_state(RunState::Kept));

        world.prometheus.script().cpu = 0.2;
        world.pass(Duration::from_secs(40)).await;

        assert!(world.is_in_state(RunState::Expired), "{}", world.story().await);
    });
}

#[test]
fn i27_a_temporary_change_expires_after_a_crash_at_any_journal_line() {
    for work in [ChangeKind::Shed, ChangeKind::Scale] {
        simulate(async {
            let mut world = in_force(work, Effect::Help).await;
            let lines = world.checks.lines();

            for line in lines..lines + 8 {
                world.start(Crash::AfterLine(line + 1));
                world.pass(Duration::from_mins(3)).await;
            }

            world.start(Crash::Never);
            world.pass(Duration::from_mins(10)).await;

            assert!(world.is_in_state(RunState::Expired), "{}", world.story().await);

            let (quotas, clones) = standing(&world);
            assert!(quotas.is_empty() && clones.is_empty());
        });
    }
}

#[test]
fn i27_a_temporary_change_ended_on_request_is_expired_not_rolled_back() {
    simulate(async {
        let mut world = in_force(ChangeKind::Shed, Effect::Help).await;
        world.remediation.roll_back(RunId(1)).await.unwrap();
        world.pass(Duration::from_secs(10)).await;
        let run = world.run(1).await.run;

        assert_eq!((run.state, run.rollback_reason), (RunState::Expired, None));
        assert!(!run.undo_requested && standing(&world).0.is_empty());

        world.pass(Duration::from_mins(2)).await;
        assert!(world.is_in_state(RunState::Expired), "{}", world.story().await);
    });
}

#[test]
fn i40_a_run_waits_until_an_expiry_is_out_of_its_baseline() {
    simulate(async {
        let mut world = in_force(ChangeKind::Shed, Effect::Help).await;
        world.live(Duration::from_mins(12), |it| it.is_in_state(RunState::Expired)).await;
        world.alert("AllSlow", None).await;
        world.pass(Duration::from_secs(10)).await;
        let run = world.run(2).await.run;

        assert_eq!(run.hold, Some(HoldReason::Overlap), "{}", world.story().await);

        world.pass(Duration::from_mins(1)).await;
        assert!(world.run(2).await.run.times.written.is_some(), "{}", world.story().await);
    });
}

#[test]
fn i40_a_critical_alert_ends_an_observing_run() {
    simulate(async {
        let mut world = World::healthy(Setup::new(1, Effect::Help)).await;
        world.alert("AllSlow", None).await;
        world.start(Crash::Never);
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;
        let flood = firing("Flood", None);
        world.deliver(with(flood, "severity", "critical")).await;
        world.pass(Duration::from_mins(3)).await;

        let first = world.run(1).await.run;
        assert_eq!(first.state, RunState::RolledBack, "{}", world.story().await);
        assert_eq!(first.rollback_reason, Some(RollbackReason::Preempted));
        assert_eq!(first.verdict, Some(Verdict::Inconclusive));
        assert!(world.run(2).await.run.times.written.is_some(), "{}", world.story().await);
    });
}

/// Run 1 is observed to its end although a critical alert arrives.
async fn is_left_alone(setup: Setup, arrives: impl AsyncFnOnce(&World, Alert)) {
    let mut world = World::healthy(setup).await;
    world.alert("AllSlow", None).await;
    world.start(Crash::Never);
    world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;
    arrives(&world, with(firing("Flood", None), "severity", "critical")).await;
    world.live(Duration::from_mins(5), |it| !it.is_in_state(RunState::Observing)).await;

    assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
    assert_eq!(world.all_runs(), 2, "{}", world.story().await);
}

#[test]
fn i34_i40_an_unconfirmed_critical_alert_ends_no_run() {
    // Anyone may be able to write to Alertmanager.
    simulate(is_left_alone(Setup::new(1, Effect::Help), async |world, alert| {
        world.remediation.take(notification(vec![alert])).await.unwrap();
    }));
}

#[test]
fn i25_i40_a_critical_alert_whose_run_is_held_ends_no_run() {
    let mut setup = Setup::new(1, Effect::Help);
    setup.remediation.runs_per_hour_max = 1;
    simulate(is_left_alone(setup, async |world, alert| world.deliver(alert).await));
}

#[test]
fn i40_other_alerts_wait_for_the_observing_run() {
    simulate(async {
        let mut world = World::healthy(Setup::new(1, Effect::Help)).await;
        world.alert("AllSlow", None).await;
        world.start(Crash::Never);
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;
        world.deliver(firing("Flood", None)).await;
        world.until_over().await;

        let (first, second) = (world.run(1).await.run, world.run(2).await.run);
        assert_eq!(first.state, RunState::Kept, "{}", world.story().await);
        assert!(first.times.ended <= second.times.written);
    });
}

/// A world in which a run waits for approval.
async fn asked() -> World {
    let mut setup = Setup::new(1, Effect::Help);
    setup.playbook_of("cluster-threads").approve = true;
    let mut world = World::healthy(setup).await;
    world.alert("AllSlow", None).await;
    world.start(Crash::Never);
    world.pass(Duration::from_secs(20)).await;

    assert!(world.is_in_state(RunState::AwaitingApproval), "{}", world.story().await);
    assert!(!world.run(1).await.steps.is_empty(), "the plan is there to be looked at");

    world
}

#[test]
fn i33_an_approved_run_passes_the_guard_again_before_it_starts() {
    simulate(async {
        let mut world = asked().await;
        world.stop().await;
        world.start(Crash::Never);
        world.pass(Duration::from_mins(5)).await;

        assert!(world.is_in_state(RunState::AwaitingApproval), "survives a restart");

        world.prometheus.script().firing.clear();
        world.remediation.approve(RunId(1)).await.unwrap();
        world.pass(Duration::from_secs(20)).await;
        let run = world.run(1).await.run;

        assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::NotConfirmed)));

        world.fire("AllSlow", None);
        world.until_over().await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        assert!(world.remediation.approve(RunId(1)).await.is_err());
    });
}

#[test]
fn i33_a_run_without_approval_is_cancelled_and_writes_nothing() {
    simulate(async {
        let mut world = asked().await;
        world.checks.forbid_writes();
        world.pass(Duration::from_mins(29)).await;

        assert!(world.is_in_state(RunState::AwaitingApproval));

        world.pass(Duration::from_mins(2)).await;
        assert!(world.is_in_state(RunState::Cancelled), "{}", world.story().await);
    });
    simulate(async {
        let mut world = asked().await;
        world.checks.forbid_writes();
        world.remediation.take(notification(vec![resolved("AllSlow", None)])).await.unwrap();
        world.pass(Duration::from_secs(20)).await;

        assert!(world.is_in_state(RunState::Cancelled), "{}", world.story().await);
    });
}
