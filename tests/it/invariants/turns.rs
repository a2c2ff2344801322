//! Whose turn it is: what may write, what gives way to what, and what an attempt costs (I2, I5,
//! I10, I25, I26, I40, I41).

use std::time::Duration;

use kafka_optimizer::{
    alert::Alert,
    model::{HoldReason, Mode, RollbackReason, RunId, RunState, Target, TopicName, TopicPartition},
    playbook::{Level, Optimizer, OptimizerKind},
    remediation::Order,
};

use super::{
    canary::{self, written},
    helps, slow_until,
};
use crate::world::{
    CallFault, CallKind, Crash, Effect, KafkaCall, Setup, World, firing, id, notification,
    simulate, with,
};

fn critical(alert: Alert) -> Alert {
    with(alert, "severity", "critical")
}

fn order(broker: i32) -> Order {
    Order {
        cluster: None,
        optimizer: OptimizerKind::TuneBrokers,
        playbook: None,
        target: Target::Broker(id(broker)),
        level: Some(Level::Moderate),
        dry_run: false,
    }
}

/// A world whose canary is being observed.
async fn canary_observed() -> World {
    let mut world = canary::before(Effect::Help).await;
    world.start(Crash::Never);
    world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;

    assert_eq!(written(&world), [id(1)]);

    world
}

#[test]
fn i1_i41_a_canary_went_on_to_all_brokers_after_the_mode_was_set_back() {
    let changes: [fn(&mut Setup); 3] = [
        |it| it.remediation.mode = Mode::Rehearse,
        |it| it.remediation.mode = Mode::Observe,
        |it| it.cluster.managed_by = Some("strimzi".to_owned()),
    ];
    for change in changes {
        simulate(async {
            let mut world = canary_observed().await;
            let before = world.key_states();
            world.stop().await;
            change(&mut world.setup);
            world.checks.forbid_writes();
            world.start(Crash::Never);
            world.until_over().await;

            assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
            assert_eq!(written(&world), [id(1)]);

            world.verify(&before).await;
            let note = world.run(1).await.run.note.unwrap();

            assert!(note.contains("the other brokers were not changed"), "{note}");
        });
    }
}

#[test]
fn i11_i41_a_canary_went_on_during_a_reassignment() {
    simulate(async {
        let mut world = canary_observed().await;
        let moving = TopicPartition { topic: TopicName::new("orders"), partition: 0 };
        world.kafka.state().metadata.reassignments.push(moving);
        world.pass(Duration::from_mins(5)).await;

        assert_eq!(written(&world), [id(1)], "{}", world.story().await);

        world.kafka.state().metadata.reassignments.clear();
        world.until_over().await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        assert_eq!(written(&world), [id(1), id(2), id(3)]);
    });
}

#[test]
fn i41_a_canary_that_may_not_go_on_in_time_is_kept_alone() {
    simulate(async {
        let mut world = canary_observed().await;
        let moving = TopicPartition { topic: TopicName::new("orders"), partition: 0 };
        world.kafka.state().metadata.reassignments.push(moving);
        world.until_over().await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        assert_eq!(written(&world), [id(1)]);
    });
}

#[test]
fn i19_a_broker_after_the_canary_was_not_asked_before_the_canary_was_written() {
    simulate(async {
        let mut world = canary::before(Effect::Help).await;
        world.kafka.fail(|it| {
            let hit = it.kind == CallKind::Validate && it.broker == Some(id(2));
            hit.then_some(CallFault::Refuse)
        });
        world.checks.forbid_writes();
        world.start(Crash::Never);
        world.pass(Duration::from_mins(1)).await;
        let run = world.run(1).await.run;

        assert_eq!(run.hold, Some(HoldReason::RehearsalRefused), "{}", world.story().await);
    });
}

#[test]
fn i2_i34_a_hundred_runs_that_could_never_start_blocked_every_later_one() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let made_up = |it: u32| firing("Slow", Some(&(1000 + it).to_string()));
        let all = (0..2000).map(|it| critical(made_up(it))).collect();
        world.remediation.take(notification(all)).await.unwrap();
        world.start(Crash::Never);
        world.pass(Duration::from_mins(1)).await;

        assert!(written(&world).is_empty());
        assert_eq!(world.all_runs(), 100, "more would only wait");

        world.alert("Slow", Some("1")).await;
        world.pass(Duration::from_secs(10)).await;

        assert_eq!(written(&world), [id(1)]);
    });
}

#[test]
fn i2_an_order_behind_a_hundred_runs_that_cannot_be_planned_was_cancelled() {
    helps(async |setup| {
        let mut world = World::healthy(setup).await;
        world.start(Crash::Never);

        for number in 0..150 {
            let group = format!("group-{number}");
            world.deliver(with(firing("Behind", None), "consumergroup", &group)).await;
        }

        world.pass(Duration::from_mins(1)).await;
        world.remediation.order(order(2)).await.unwrap();
        world.pass(Duration::from_secs(10)).await;

        assert_eq!(written(&world), [id(2)]);
    });
}

#[test]
fn i40_the_run_that_ended_an_observation_was_not_next() {
    simulate(async {
        let mut world = World::healthy(Setup::new(1, Effect::Help)).await;
        world.alert("AllSlow", None).await;
        world.start(Crash::Never);
        world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;
        world.deliver(firing("LeadersAway", None)).await;
        world.deliver(critical(firing("Flood", None))).await;
        world.pass(Duration::from_mins(1)).await;

        let (usual, urgent) = (world.run(2).await.run, world.run(3).await.run);
        assert_eq!(world.run(1).await.run.rollback_reason, Some(RollbackReason::Preempted));
        assert!(urgent.times.written.is_some(), "{}", world.story().await);
        assert_eq!(usual.times.written, None, "{}", world.story().await);
    });
}

/// Run 1 is kept although a critical alert arrives while it is observed.
async fn is_not_ended_by_flood(setup: Setup, first: Alert, arrange: impl AsyncFnOnce(&World)) {
    let mut world = World::healthy(setup).await;
    world.deliver(first).await;
    world.start(Crash::Never);
    world.live(Duration::from_mins(5), |it| it.is_in_state(RunState::Observing)).await;
    arrange(&world).await;
    world.deliver(critical(firing("Flood", None))).await;
    world.live(Duration::from_mins(5), |it| !it.is_in_state(RunState::Observing)).await;

    assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
}

#[test]
fn i40_a_critical_alert_ended_the_run_of_another_one() {
    let first = critical(firing("AllSlow", None));
    simulate(is_not_ended_by_flood(Setup::new(1, Effect::Help), first, async |_| ()));
}

#[test]
fn i33_i40_a_run_that_waits_for_approval_ended_another_one() {
    let mut setup = Setup::new(1, Effect::Help);
    setup.playbook_of("shed").approve = true;
    simulate(is_not_ended_by_flood(setup, firing("AllSlow", None), async |_| ()));
}

#[test]
fn i40_a_run_without_a_plan_ended_another_one() {
    let setup = Setup::new(1, Effect::Help);
    simulate(is_not_ended_by_flood(setup, firing("AllSlow", None), async |world| {
        let Optimizer::ShedLoad(shed) = &world.setup.remediation.playbooks[2].optimizer else {
            panic!()
        };
        let (entity, key) = (shed.clients[0].entity.clone(), shed.clients[0].key);
        world.kafka.state().metadata.quotas.insert((entity, key), 1_048_576.0);
    }));
}

#[test]
fn i10_a_persons_rollback_waited_for_the_observation_of_another_run() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Kept).await;
        let before = world.key_states();
        world.deliver(firing("Flood", None)).await;
        let observed = |it: &World| it.is_run_in_state(2, RunState::Observing);
        world.live(Duration::from_mins(5), observed).await;

        assert!(observed(&world), "{}", world.story().await);

        world.remediation.roll_back(RunId(1)).await.unwrap();
        world.pass(Duration::from_secs(10)).await;

        assert!(world.is_in_state(RunState::RolledBack), "{}", world.story().await);
        assert_ne!(world.key_states(), before);

        world.pass(Duration::from_mins(1)).await;
        let other = world.run(2).await.run;

        assert_eq!(other.rollback_reason, Some(RollbackReason::Overlap));
        assert!(world.kafka.state().metadata.quotas.is_empty());
    });
}

#[test]
fn i4_i26_three_restarts_in_the_middle_quarantined_a_playbook() {
    helps(async |mut setup| {
        setup.playbook().windows.cooldown = Duration::from_secs(1);
        let mut world = World::starved(setup).await;
        let slow = CallFault::Slow(Duration::from_secs(2));
        world.kafka.fail(move |it| (it.kind == CallKind::Write).then_some(slow));
        world.alert("Slow", Some("1")).await;

        for number in 1..=3 {
            world.start(Crash::Never);
            let acting = |it: &World| it.is_run_in_state(number, RunState::Acting);
            world.live(Duration::from_mins(2), acting).await;

            assert!(acting(&world), "{}", world.story().await);

            world.live(Duration::from_secs(3), |_| false).await;
            world.stop().await;
        }

        world.start(Crash::Never);
        world.pass(Duration::from_mins(10)).await;

        assert_eq!(world.run(4).await.run.state, RunState::Kept, "{}", world.story().await);
    });
}

#[test]
fn i4_a_rehearsal_used_up_the_attempt_of_an_alert_that_still_fires() {
    helps(async |mut setup| {
        setup.remediation.mode = Mode::Rehearse;
        let mut world = World::starved(setup).await;
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.until_over().await;

        assert!(world.is_in_state(RunState::Rehearsed), "{}", world.story().await);

        world.pass(Duration::from_mins(10)).await;
        assert_eq!(world.all_runs(), 1);

        world.stop().await;
        world.setup.remediation.mode = Mode::Act;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(20)).await;

        assert_eq!(written(&world), [id(1)], "{}", world.story().await);
    });
}

#[test]
fn i31_a_pause_during_an_observation_was_not_shown() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Observing).await;
        world.remediation.pause().await.unwrap();
        world.pass(Duration::from_secs(2)).await;

        let page = world.telemetry.encode().unwrap();
        assert!(page.contains(r#"kafka_optimizer_paused{kafka_cluster="main"} 1"#), "{page}");
    });
}

#[test]
fn an_active_run_was_hidden_by_fifty_newer_ones() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Observing).await;
        let others = (0..60).map(|it| firing("Slow", Some(&(1000 + it).to_string()))).collect();
        world.remediation.take(notification(others)).await.unwrap();
        world.pass(Duration::from_secs(2)).await;

        let page = world.telemetry.encode().unwrap();
        let active = r#"kafka_optimizer_run_active{kafka_cluster="main"} 1"#;

        assert!(page.contains(active), "{page}");
    });
}

#[test]
fn leaders_elected_by_kafka_itself_were_taken_for_a_fault() {
    simulate(async {
        let mut world = World::healthy(Setup::new(1, Effect::Help)).await;
        world.deliver(firing("LeadersAway", None)).await;

        // Kafka's own election comes between the plan and the step.
        let slow = CallFault::Slow(Duration::from_secs(2));
        let before_step = |it: &KafkaCall| it.kind == CallKind::Topics && it.nth == 0;
        world.kafka.fail(move |it| before_step(it).then_some(slow));
        world.start(Crash::Never);
        world.live(Duration::from_mins(1), |it| it.kafka.calls(CallKind::Topics).len() == 1).await;

        for topic in &mut world.kafka.state().metadata.topics {
            for partition in &mut topic.partitions {
                partition.leader = partition.replicas.first().copied();
            }
        }

        world.until_over().await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
        assert!(world.kafka.calls(CallKind::Elect).is_empty());
    });
}
