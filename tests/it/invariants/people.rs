//! Who ordered what: names in the journal, approval of the plan that was shown, and the ends of
//! runs that wait (I32, I33).

use std::time::Duration;

use kafka_optimizer::{
    model::{RunId, RunState, Target},
    playbook::{Level, OptimizerKind},
    remediation::{Order, ReleaseOrder},
    store::{JournalFilter, JournalLine},
};

use super::{helps, slow, slow_until};
use crate::world::{Crash, Effect, Setup, World, id, notification, resolved, simulate};

/// A world whose run waits for approval of a plan for all brokers.
async fn asked() -> World {
    let mut setup = Setup::new(1, Effect::Help);
    setup.playbook_of("cluster-threads").approve = true;
    let mut world = World::healthy(setup).await;
    world.alert("AllSlow", None).await;
    world.start(Crash::Never);
    world.pass(Duration::from_secs(20)).await;

    assert!(world.is_in_state(RunState::AwaitingApproval), "{}", world.story().await);

    world
}

/// What people ordered, oldest first.
async fn orders(world: &World) -> Vec<JournalLine> {
    let filter = JournalFilter { limit: 100, ..JournalFilter::default() };
    let mut lines = world.store.journal(filter).await.unwrap();
    lines.retain(|it| it.by.is_some());
    lines.reverse();

    lines
}

async fn texts(world: &World) -> Vec<String> {
    orders(world).await.into_iter().map(|it| it.text).collect()
}

#[test]
fn i32_every_order_is_in_the_journal_with_the_name_of_who_gave_it() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Kept).await;
        let person = world.remediation.clone();
        person.pause().await.unwrap();
        person.resume().await.unwrap();
        person.roll_back(RunId(1)).await.unwrap();
        world.until_over().await;
        person.release(None).await.unwrap();

        let order = Order {
            cluster: None,
            optimizer: OptimizerKind::TuneBrokers,
            playbook: None,
            target: Target::Broker(id(1)),
            level: Some(Level::Moderate),
            dry_run: true,
        };
        person.order(order).await.unwrap();

        assert_eq!(
            texts(&world).await,
            [
                "alice paused remediation",
                "alice resumed remediation",
                "alice asked to roll it back",
                "alice released all quarantines and changed values",
                "tune-brokers --level moderate (alice)",
            ]
        );

        let lines = orders(&world).await;
        assert!(lines.iter().all(|it| it.by.as_ref().is_some_and(|by| by.as_str() == "alice")));

        let runs: Vec<_> = lines.iter().map(|it| it.run).collect();
        assert_eq!(runs, [None, None, Some(RunId(1)), None, Some(RunId(2))]);
    });
}

#[test]
fn i33_a_plan_that_changes_after_its_approval_asks_again() {
    simulate(async {
        let mut world = asked().await;
        let shown = world.run(1).await;
        let digest = kafka_optimizer::store::plan_digest(&shown.steps).unwrap();
        world.checks.forbid_writes();

        assert!(world.remediation.approve_plan(RunId(1), "another plan").await.is_err());

        // Somebody else changes broker 1 while the approval is on its way.
        world.kafka.set(1, "num.io.threads", Some(12));
        world.remediation.approve_plan(RunId(1), &digest).await.unwrap();
        world.pass(Duration::from_secs(20)).await;

        let run = world.run(1).await.run;
        assert_eq!(run.state, RunState::AwaitingApproval, "{}", world.story().await);
        assert_eq!(run.times.approved, None, "the approval was for another plan");

        let note = run.note.unwrap();
        assert!(note.starts_with("the plan has changed since it was approved: "), "{note}");
    });
}

#[test]
fn i33_a_rejected_run_ends_and_says_who_and_why() {
    simulate(async {
        let mut world = asked().await;
        world.checks.forbid_writes();
        world.remediation.reject(RunId(1), "not during the sale").await.unwrap();
        world.pass(Duration::from_mins(40)).await;

        let run = world.run(1).await.run;
        assert_eq!(run.state, RunState::Cancelled);
        assert_eq!(run.note.as_deref(), Some("rejected by alice: not during the sale"));
        assert_eq!(texts(&world).await, ["cancelled: rejected by alice: not during the sale"]);
        assert!(world.remediation.reject(RunId(1), "twice").await.is_err());
    });
}

#[test]
fn a_waiting_run_can_be_cancelled_and_a_running_one_cannot() {
    helps(async |setup| {
        let mut world = slow(setup).await;
        world.remediation.pause().await.unwrap();
        world.pass(Duration::from_secs(20)).await;

        assert!(world.is_in_state(RunState::Held), "{}", world.story().await);

        world.remediation.cancel(RunId(1)).await.unwrap();
        world.remediation.resume().await.unwrap();
        world.pass(Duration::from_mins(2)).await;

        let run = world.run(1).await.run;
        assert_eq!(run.state, RunState::Cancelled, "the alert still fires");
        assert_eq!(run.note.as_deref(), Some("cancelled by alice"));
    });
    helps(async |setup| {
        let world = slow_until(setup, RunState::Observing).await;
        assert!(world.remediation.cancel(RunId(1)).await.is_err());
        assert!(world.remediation.retry(RunId(1)).await.is_err(), "it is not stuck");
    });
}

#[test]
fn an_order_may_name_the_second_playbook_of_its_kind() {
    helps(async |setup| {
        let world = World::starved(setup).await;
        let order = |playbook: &str| Order {
            cluster: None,
            optimizer: OptimizerKind::TuneBrokers,
            playbook: Some(playbook.to_owned()),
            target: Target::Broker(id(1)),
            level: Some(Level::Moderate),
            dry_run: true,
        };
        let first = world.remediation.order(order("cluster-threads")).await.unwrap();
        let run = world.store.run(first).await.unwrap().unwrap().run;

        assert_eq!(run.playbook, "cluster-threads");
        assert!(world.remediation.order(order("shed")).await.is_err(), "of another kind");
        assert!(world.remediation.order(order("nobody")).await.is_err());
    });
}

#[test]
fn a_release_of_a_quarantine_needs_a_playbook_and_a_target() {
    helps(async |setup| {
        let world = World::starved(setup).await;
        let order = |playbook: Option<&str>, target: Option<Target>| ReleaseOrder {
            playbook: playbook.map(str::to_owned),
            target,
            ..ReleaseOrder::default()
        };
        let broker = Target::Broker(id(1));
        let released =
            world.remediation.release_only(order(Some("threads"), Some(broker.clone()))).await;

        assert!(released.unwrap().is_empty(), "nothing is quarantined");
        assert!(world.remediation.release_only(order(None, Some(broker))).await.is_err());
        assert!(world.remediation.release_only(order(Some("threads"), None)).await.is_err());
    });
}

#[test]
fn i32_a_pause_file_that_someone_made_by_hand_is_in_the_journal() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(20)).await;
        let file = world.setup.remediation.state_dir.join("paused");
        std::fs::write(&file, "").unwrap();
        world.pass(Duration::from_secs(40)).await;
        std::fs::remove_file(&file).unwrap();
        world.pass(Duration::from_secs(40)).await;

        let lines = orders(&world).await;
        let by: Vec<_> = lines.iter().map(|it| it.by.as_ref().unwrap().as_str()).collect();

        assert_eq!(by, ["pause file", "pause file"]);
        assert!(lines[0].text.ends_with("is paused") && lines[1].text.ends_with("is resumed"));
    });
}

#[test]
fn i6_an_alert_that_joined_an_order_does_not_end_it_when_it_resolves() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.remediation.pause().await.unwrap();
        let order = Order {
            cluster: None,
            optimizer: OptimizerKind::TuneBrokers,
            playbook: None,
            target: Target::Broker(id(1)),
            level: Some(Level::Moderate),
            dry_run: false,
        };
        world.remediation.order(order).await.unwrap();
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(20)).await;

        assert!(world.is_in_state(RunState::Held), "{}", world.story().await);

        world.remediation.take(notification(vec![resolved("Slow", Some("1"))])).await.unwrap();
        world.pass(Duration::from_secs(40)).await;

        let run = world.run(1).await.run;
        assert_eq!(run.note.as_deref(), Some("remediation is paused"), "the pause ended it");
    });
}
