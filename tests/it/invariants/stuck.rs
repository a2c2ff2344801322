//! An undo never gives up for a fault that passes (I23, I27): engines and brokers that are away for
//! minutes, stuck runs that are tried again, clones that do not stay up.

use std::time::Duration;

use kafka_optimizer::model::{CloneState, QuotaKey, RollbackReason, RunId, RunState};

use super::{
    others::{ChangeKind, before, live_through, standing},
    slow_until,
};
use crate::world::{
    CallFault, CallKind, Crash, Effect, KafkaCall, Setup, World, greedy, id, simulate,
};
use kafka_optimizer::optimizers::tune_brokers::IO_THREADS;

/// A world with a temporary change in effect, and the time at which it expires.
async fn in_force(work: ChangeKind) -> (World, Duration) {
    let mut world = before(work, 1, Effect::Help).await;
    live_through(&mut world, &[]).await;

    assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);

    let expires = world.run(1).await.run.times.expires.unwrap();
    let expires = world.clock.when(expires);
    (world, expires)
}

async fn until_state(world: &mut World, state: RunState, limit: Duration) {
    world.live(limit, |it| it.is_in_state(state)).await;

    assert!(world.is_in_state(state), "{}", world.story().await);
}

#[test]
fn i23_i27_an_engine_away_for_a_minute_left_its_clones_running_for_good() {
    simulate(async {
        let (mut world, expires) = in_force(ChangeKind::Scale).await;
        let back = expires + Duration::from_mins(1);
        world
            .docker
            .fail(move |it| (it.at >= expires && it.at < back).then_some(CallFault::Unreachable));
        until_state(&mut world, RunState::Expired, Duration::from_mins(15)).await;

        assert!(standing(&world).1.is_empty(), "{}", world.story().await);

        let journal = world.run(1).await.journal;
        assert!(!journal.iter().any(|it| it.text.starts_with("stuck")), "it only waits");
    });
}

#[test]
fn i23_i27_brokers_away_for_twelve_minutes_at_the_expiry_left_the_quota_for_good() {
    simulate(async {
        let (mut world, expires) = in_force(ChangeKind::Shed).await;
        let back = expires + Duration::from_mins(12);
        world
            .kafka
            .fail(move |it| (it.at >= expires && it.at < back).then_some(CallFault::Unreachable));
        until_state(&mut world, RunState::Stuck, Duration::from_mins(25)).await;

        let listed = world.remediation.temporary_changes().await.unwrap();
        assert_eq!(listed.len(), 1, "a stuck change is still a change");

        world.pass(Duration::from_secs(30)).await;
        let page = world.telemetry.encode().unwrap();
        let overdue = r#"temporary_change_overdue_seconds{kafka_cluster="main",run="1"} 6"#;

        assert!(page.contains(overdue), "some 600 s: {page}");

        until_state(&mut world, RunState::Expired, Duration::from_mins(10)).await;
        world.pass(Duration::from_secs(30)).await;

        assert!(standing(&world).0.is_empty(), "{}", world.story().await);
        assert_eq!(world.run(1).await.run.rollback_reason, None);

        let page = world.telemetry.encode().unwrap();
        assert!(!page.contains("temporary_change_overdue_seconds{"), "{page}");
        assert!(page.contains(r#"kafka_optimizer_stuck{kafka_cluster="main"} 0"#), "{page}");
    });
}

/// A run whose undo every broker refuses.
async fn refused() -> World {
    let mut world = slow_until(Setup::new(0, Effect::Nothing), RunState::Observing).await;
    let refuse = |it: &KafkaCall| matches!(it.kind, CallKind::Write | CallKind::Validate);
    world.kafka.fail(move |it| refuse(it).then_some(CallFault::Refuse));
    until_state(&mut world, RunState::Stuck, Duration::from_mins(10)).await;

    world
}

#[test]
fn i23_a_stuck_run_could_not_be_tried_again_by_a_person() {
    simulate(async {
        let mut world = refused().await;
        world.kafka.fail(|_| None);
        world.remediation.acknowledge(RunId(1)).await.unwrap();
        world.pass(Duration::from_mins(30)).await;

        assert!(world.is_in_state(RunState::Stuck), "a person has taken over");

        world.remediation.roll_back(RunId(1)).await.unwrap();
        until_state(&mut world, RunState::RolledBack, Duration::from_mins(3)).await;
        let io = &world.key_states()[&(id(1), IO_THREADS.to_owned())];

        assert_eq!(*io, (Some("1".to_owned()), "1".to_owned()), "{}", world.story().await);
    });
}

#[test]
fn i23_a_stuck_run_is_tried_again_when_the_brokers_would_take_it() {
    simulate(async {
        let mut world = refused().await;
        let sent = world.kafka.calls(CallKind::Write).len();
        let lines = world.checks.lines();
        world.pass(Duration::from_mins(30)).await;

        assert!(world.is_in_state(RunState::Stuck));
        assert_eq!(world.kafka.calls(CallKind::Write).len(), sent, "they are asked first");
        assert_eq!(world.checks.lines(), lines, "and the journal does not grow");

        world.kafka.fail(|_| None);
        until_state(&mut world, RunState::RolledBack, Duration::from_mins(8)).await;
        let io = &world.key_states()[&(id(1), IO_THREADS.to_owned())];

        assert_eq!(*io, (Some("1".to_owned()), "1".to_owned()), "{}", world.story().await);
    });
}

#[test]
fn i22_i23_a_crash_at_any_journal_line_of_a_retry_leaves_nothing() {
    for line in 1..14 {
        simulate(async {
            let mut world = refused().await;
            world.kafka.fail(|_| None);
            world.start(Crash::AfterLine(world.checks.lines() + line));
            world.pass(Duration::from_mins(8)).await;
            world.start(Crash::Never);
            until_state(&mut world, RunState::RolledBack, Duration::from_mins(12)).await;

            let io = &world.key_states()[&(id(1), IO_THREADS.to_owned())];

            assert_eq!(*io, (Some("1".to_owned()), "1".to_owned()), "{}", world.story().await);
        });
    }
}

#[test]
fn i12_i23_a_value_that_a_person_set_while_the_run_was_stuck_is_left_alone() {
    simulate(async {
        let mut world = refused().await;
        world.kafka.set(1, IO_THREADS, Some(6));
        world.kafka.fail(|_| None);
        until_state(&mut world, RunState::RolledBack, Duration::from_mins(12)).await;
        let io = &world.key_states()[&(id(1), IO_THREADS.to_owned())];

        assert_eq!(io.1, "6", "{}", world.story().await);

        let reason = world.run(1).await.run.rollback_reason;
        assert_eq!(reason, Some(RollbackReason::ExternallyChanged));
    });
}

#[test]
fn i23_a_prior_value_that_a_person_restored_ends_the_stuck_run() {
    simulate(async {
        let (mut world, expires) = in_force(ChangeKind::Shed).await;
        let refuse =
            |it: &KafkaCall| matches!(it.kind, CallKind::WriteQuota | CallKind::ValidateQuota);
        world.kafka.fail(move |it| (refuse(it) && it.at >= expires).then_some(CallFault::Refuse));
        until_state(&mut world, RunState::Stuck, Duration::from_mins(20)).await;

        // The last step: the rate before the quota was halved for the last time.
        let from = world.run(1).await.steps.last().unwrap().change.text().from_stored.unwrap();
        let key = (greedy(), QuotaKey::ProducerByteRate);
        world.kafka.state().metadata.quotas.insert(key, from.parse().unwrap());
        world.kafka.fail(|_| None);
        until_state(&mut world, RunState::Expired, Duration::from_mins(12)).await;

        assert!(standing(&world).0.is_empty(), "{}", world.story().await);
    });
}

#[test]
fn i37_a_kept_clone_that_crashed_again_and_again_was_left_running() {
    simulate(async {
        let (mut world, _) = in_force(ChangeKind::Scale).await;
        let crash_loops = |world: &World| {
            let mut state = world.docker.state();
            state.clones.values_mut().next().unwrap().state = CloneState::Restarting;
        };
        crash_loops(&world);
        world.pass(Duration::from_secs(20)).await;

        assert!(world.is_in_state(RunState::Kept), "one look proves nothing");

        until_state(&mut world, RunState::Expired, Duration::from_mins(3)).await;

        assert!(standing(&world).1.is_empty(), "{}", world.story().await);

        let journal = world.run(1).await.journal;
        assert!(journal.iter().any(|it| it.text.contains("did not run in 3 checks in a row")));
    });
}

#[test]
fn i27_a_temporary_change_has_its_end_in_the_store_while_it_is_watched() {
    simulate(async {
        let mut world = before(ChangeKind::Shed, 1, Effect::Help).await;
        world.start(Crash::Never);
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Settling)).await;
        let run = world.run(1).await.run;

        assert!(run.times.expires.is_some(), "{}", world.story().await);
    });
}
