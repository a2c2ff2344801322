//! Several runs of ours on one resource: whichever is undone first, after the last one the resource
//! is exactly what it was before the first (I42).

use std::time::Duration;

use kafka_optimizer::{
    model::{QuotaKey, RollbackReason, RunId, RunState, Target},
    optimizers::tune_brokers::{IO_THREADS, NETWORK_THREADS},
    playbook::{Level, OptimizerKind},
    remediation::Order,
    store::StepState,
};

use super::others::standing;
use crate::world::{
    CallKind, Crash, Effect, ProcessEnd, Setup, WorkerEnd, World, firing, greedy, id, notification,
    resolved, shed_to, simulate,
};

const MIB: f64 = 1_048_576.0;

/// Two playbooks throttle one client: `warn` to 8 MiB/s, and then `crit` to 2 MiB/s. Both are in
/// effect; `warn` expires this long after, `crit` that long after.
async fn two_shedders(warn: Duration, crit: Duration) -> World {
    let mut setup = Setup::new(1, Effect::Help);
    setup.remediation.playbooks.extend([
        shed_to("warn", "FloodWarning", 8, warn),
        shed_to("crit", "FloodCritical", 2, crit),
    ]);
    let mut world = World::healthy(setup).await;
    world.start(Crash::Never);

    for (number, alert) in [(1, "FloodWarning"), (2, "FloodCritical")] {
        world.deliver(firing(alert, None)).await;
        world.live(Duration::from_mins(1), |it| it.all_runs() == number).await;
        world.until_over().await;
        world.pass(Duration::from_secs(20)).await;
        let run = world.run(i64::from(number)).await.run;

        assert_eq!(run.state, RunState::Kept, "{}", world.story().await);
    }

    assert_eq!(rate(&world), Some(2.0 * MIB), "{}", world.story().await);

    // An alert that still fires would start another run.
    world.prometheus.script().firing.clear();

    world
}

/// The quota of the client.
fn rate(world: &World) -> Option<f64> {
    let key = (greedy(), QuotaKey::ProducerByteRate);
    world.kafka.state().metadata.quotas.get(&key).copied()
}

/// Lets time pass until the run is in `state`.
async fn until(world: &mut World, number: i64, state: RunState) {
    world.live(Duration::from_mins(30), |it| it.is_run_in_state(number, state)).await;

    assert!(world.is_run_in_state(number, state), "{}", world.story().await);
}

/// Nothing is left, and nobody else is said to have changed anything.
async fn nothing_is_left(world: &mut World) {
    world.pass(Duration::from_mins(1)).await;

    assert!(standing(world).0.is_empty(), "{}", world.story().await);
    assert_eq!(world.store.ownership(&world.setup.cluster.name).await.unwrap(), []);

    for number in 1..=2 {
        let run = world.run(number).await.run;
        assert_eq!(run.state, RunState::Expired, "{}", world.story().await);
        assert_eq!(run.rollback_reason, None, "{}", world.story().await);
    }
}

#[test]
fn i27_i42_the_earlier_of_two_quotas_of_one_client_stayed_for_good() {
    simulate(async {
        let mut world = two_shedders(Duration::from_mins(12), Duration::from_mins(20)).await;
        let sent = world.kafka.calls(CallKind::WriteQuota).len();
        until(&mut world, 1, RunState::Expired).await;
        let steps = world.run(1).await.steps;

        assert!(steps.iter().all(|it| it.state == StepState::Superseded));
        assert_eq!(rate(&world), Some(2.0 * MIB), "the later one stays in effect");
        assert_eq!(world.kafka.calls(CallKind::WriteQuota).len(), sent, "nothing is written");

        until(&mut world, 2, RunState::Expired).await;
        nothing_is_left(&mut world).await;

        let steps = world.run(1).await.steps;
        assert!(steps.iter().all(|it| it.state == StepState::Undone));

        let journal = world.run(2).await.journal;
        assert!(journal.iter().any(|it| it.text.contains("step 0 of run 1 is undone")));
    });
}

#[test]
fn i42_the_later_of_two_quotas_expires_to_the_earlier_one() {
    simulate(async {
        let mut world = two_shedders(Duration::from_mins(30), Duration::from_mins(10)).await;
        until(&mut world, 2, RunState::Expired).await;

        assert_eq!(rate(&world), Some(8.0 * MIB), "{}", world.story().await);
        assert!(world.is_run_in_state(1, RunState::Kept));

        until(&mut world, 1, RunState::Expired).await;
        nothing_is_left(&mut world).await;
    });
}

#[test]
fn i42_a_playbook_edited_while_its_change_was_in_effect_left_the_first_quota_behind() {
    simulate(async {
        let mut setup = Setup::new(1, Effect::Help);
        let first = shed_to("flood", "FloodWarning", 8, Duration::from_mins(15));
        setup.remediation.playbooks.push(first);
        let mut world = World::healthy(setup).await;
        world.start(Crash::Never);
        world.deliver(firing("FloodWarning", None)).await;
        until(&mut world, 1, RunState::Kept).await;
        world.pass(Duration::from_mins(6)).await;
        world.stop().await;

        let edited = shed_to("flood", "FloodWarning", 2, Duration::from_mins(15));
        *world.setup.playbook_of("flood") = edited;
        world.start(Crash::Never);

        for alert in [resolved("FloodWarning", None), firing("FloodWarning", None)] {
            world.remediation.take(notification(vec![alert])).await.unwrap();
        }

        world.live(Duration::from_mins(1), |it| it.all_runs() == 2).await;
        until(&mut world, 2, RunState::Kept).await;
        until(&mut world, 1, RunState::Expired).await;
        until(&mut world, 2, RunState::Expired).await;
        nothing_is_left(&mut world).await;
    });
}

#[test]
fn i22_i42_a_crash_at_any_journal_line_of_that_undo_leaves_nothing() {
    for line in 1.. {
        let end = simulate(async {
            let mut world = two_shedders(Duration::from_mins(12), Duration::from_mins(14)).await;
            until(&mut world, 1, RunState::Expired).await;
            world.start(Crash::AfterLine(world.checks.lines() + line));
            let twenty = Duration::from_mins(20);
            let end = world.live(twenty, |it| it.is_run_in_state(2, RunState::Expired)).await;
            world.start(Crash::Never);
            until(&mut world, 2, RunState::Expired).await;
            nothing_is_left(&mut world).await;

            end
        });
        if end != WorkerEnd::Over(ProcessEnd::Crashed) {
            assert!(line > 5, "{line}");
            return;
        }
    }
}

#[test]
fn i12_i42_a_quota_set_by_someone_else_above_two_of_ours_is_theirs() {
    simulate(async {
        let mut world = two_shedders(Duration::from_mins(12), Duration::from_mins(20)).await;
        until(&mut world, 1, RunState::Expired).await;
        let key = (greedy(), QuotaKey::ProducerByteRate);
        world.kafka.state().metadata.quotas.insert(key, 5.0 * MIB);
        until(&mut world, 2, RunState::Expired).await;
        world.pass(Duration::from_mins(1)).await;

        assert_eq!(rate(&world), Some(5.0 * MIB), "{}", world.story().await);
        assert_eq!(world.run(2).await.run.rollback_reason, Some(RollbackReason::ExternallyChanged));

        let steps = world.run(1).await.steps;
        assert!(steps.iter().all(|it| it.state == StepState::Drifted), "{}", world.story().await);

        let owned = world.store.ownership(&world.setup.cluster.name).await.unwrap();
        assert!(owned.iter().all(|it| it.hands_off));

        world.remediation.release(None).await.unwrap();
        assert_eq!(world.store.ownership(&world.setup.cluster.name).await.unwrap(), []);
    });
}

/// Orders this level for broker 1, and lets time pass until it is kept.
async fn tuned(world: &mut World, level: Level, number: i64) {
    let order = Order {
        cluster: None,
        playbook: None,
        optimizer: OptimizerKind::TuneBrokers,
        target: Target::Broker(id(1)),
        level: Some(level),
        dry_run: false,
    };
    let run = world.remediation.order(order).await.unwrap();

    assert_eq!(run, RunId(number));

    until(world, number, RunState::Kept).await;
}

#[test]
fn i42_two_kept_tunings_are_rolled_back_in_either_order() {
    for (first, second) in [(1, 2), (2, 1)] {
        simulate(async {
            let mut setup = Setup::new(1, Effect::Help);
            // The few threads more make little difference, and both changes are kept all the same.
            setup.playbook().keep_neutral = true;
            setup.playbook().objective.at_least = 0.5;
            setup.playbook().windows.cooldown = Duration::from_secs(1);
            let mut world = World::healthy(setup).await;
            let before = world.key_states();
            world.start(Crash::Never);
            tuned(&mut world, Level::Conservative, 1).await;
            world.pass(Duration::from_secs(5)).await;

            let between = world.key_states();
            tuned(&mut world, Level::Moderate, 2).await;
            let both = world.key_states();
            let io = |states: &crate::world::KeyStates| {
                states[&(id(1), IO_THREADS.to_owned())].1.clone()
            };

            assert_eq!([&before, &between, &both].map(io), ["8", "12", "16"]);

            world.remediation.roll_back(RunId(first)).await.unwrap();
            until(&mut world, first, RunState::RolledBack).await;
            let left = if first == 1 { &both } else { &between };

            assert_eq!(world.key_states(), *left, "{}", world.story().await);

            world.remediation.roll_back(RunId(second)).await.unwrap();
            until(&mut world, second, RunState::RolledBack).await;
            world.pass(Duration::from_mins(1)).await;

            assert_eq!(world.key_states(), before, "{}", world.story().await);

            for number in 1..=2 {
                let reason = world.run(number).await.run.rollback_reason;
                assert_eq!(reason, Some(RollbackReason::Person), "{}", world.story().await);
            }

            // Each halving of network threads closes connections.
            let writes = world.kafka.calls(CallKind::Write);
            let network = |it: &&crate::world::KafkaCall| {
                it.change.as_ref().is_some_and(|it| it.key == NETWORK_THREADS)
            };
            let down: Vec<_> = writes.iter().filter(network).rev().take(2).collect();
            let apart = down[0].at.saturating_sub(down[1].at);

            assert!(apart >= Duration::from_secs(30) || first == 2, "{}", world.story().await);
        });
    }
}
