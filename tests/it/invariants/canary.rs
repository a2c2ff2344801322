//! `rollout: canary`: one broker first, and the others only if it improved (I16).

use std::time::Duration;

use kafka_optimizer::{
    model::{BrokerId, HoldReason, RunState},
    optimizers::tune_brokers::WRITES,
    playbook::{Optimizer, Playbook, Rollout},
};

use crate::world::{CallKind, Crash, Effect, Setup, WorkerEnd, World, id, simulate};

fn canary(playbook: &mut Playbook) {
    let Optimizer::TuneBrokers(it) = &mut playbook.optimizer else { panic!() };
    it.rollout = Rollout::Canary;
}

/// A world with a slow cluster, in which broker 1 is the canary.
pub(super) async fn before(effect: Effect) -> World {
    let mut setup = Setup::new(1, effect);
    let (objective, load) = {
        let of_broker = setup.playbook();
        (of_broker.objective.clone(), of_broker.load.clone())
    };
    let playbook = setup.playbook_of("cluster-threads");
    canary(playbook);
    playbook.objective = objective;
    playbook.load = load;

    let world = World::healthy(setup).await;
    world.alert("AllSlow", None).await;

    world
}

pub(super) fn written(world: &World) -> Vec<BrokerId> {
    let mut brokers: Vec<BrokerId> =
        world.kafka.calls(CallKind::Write).iter().filter_map(|it| it.broker).collect();
    brokers.sort_unstable();
    brokers.dedup();

    brokers
}

#[test]
fn i16_a_canary_that_helps_is_followed_by_the_other_brokers() {
    simulate(async {
        let mut world = before(Effect::Help).await;
        let key_states = world.key_states();
        world.start(Crash::Never);
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;

        assert_eq!(written(&world), [id(1)]);
        assert_eq!(world.until_over().await, WorkerEnd::Reached);
        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        assert_eq!(written(&world), [id(1), id(2), id(3)]);

        world.verify(&key_states).await;
    });
}

#[test]
fn i16_a_canary_that_does_not_help_stays_the_only_changed_broker() {
    simulate(async {
        let mut world = before(Effect::Nothing).await;
        let key_states = world.key_states();
        world.start(Crash::Never);
        world.until_over().await;

        assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
        assert_eq!(written(&world), [id(1)]);

        world.verify(&key_states).await;
    });
}

#[test]
fn i16_a_canary_that_has_nothing_to_change_and_is_judged_holds_the_run() {
    simulate(async {
        let mut world = before(Effect::Help).await;
        for key in WRITES {
            world.kafka.set(1, key, Some(16));
        }

        world.checks.forbid_writes();
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;
        let run = world.run(1).await.run;

        assert_eq!(run.hold, Some(HoldReason::Unplannable), "{}", world.story().await);

        let note = run.note.unwrap();
        assert!(note.contains("the playbook's expressions are about broker 1"), "{note}");
    });
}

#[test]
fn i16_where_the_canary_has_nothing_to_change_the_others_go_together() {
    simulate(async {
        let mut setup = Setup::new(1, Effect::Help);
        canary(setup.playbook_of("cluster-threads"));
        let mut world = World::new(setup);

        for key in WRITES {
            world.kafka.set(1, key, Some(16));
        }

        world.pass(Duration::from_mins(5)).await;
        world.alert("AllSlow", None).await;
        let key_states = world.key_states();
        world.start(Crash::Never);

        assert_eq!(world.until_over().await, WorkerEnd::Reached);
        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        assert_eq!(written(&world), [id(2), id(3)]);

        world.verify(&key_states).await;
    });
}

#[test]
fn i16_i22_a_crash_after_any_journal_line_leaves_no_half_done_change() {
    for line in 1.. {
        let crashed = simulate(async {
            let mut world = before(Effect::Help).await;
            let key_states = world.key_states();
            let crashed = super::others::live_through(&mut world, &[Crash::AfterLine(line)]).await;
            world.verify(&key_states).await;

            crashed
        });
        if crashed == 0 {
            return;
        }
    }
}
