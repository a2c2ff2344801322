//! From an alert to a run (I2–I8, I35).

use std::time::Duration;

use futures_util::future::join_all;
use kafka_optimizer::{
    alert::Notification,
    clock::{Clock, SystemClock},
    model::{AlertOutcome, BrokerId, ClusterName, HoldReason, RunState, Target, WallTime},
    playbook::Template,
    store::{EpisodeSubject, RoutedAlert, Store},
};

use super::{helps, slow, slow_until};
use crate::world::{
    CPU, CallKind, Crash, Effect, Setup, World, firing, notification, resolved, simulate, with,
};

#[test]
fn i2_a_notification_that_cannot_be_stored_is_refused_as_a_whole() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.fire("Slow", Some("1"));
        world.checks.forbid_writes();
        world.break_store("alerts");
        world.start(Crash::Never);
        let sent = || notification(vec![firing("Other", None), firing("Slow", Some("1"))]);

        assert!(world.remediation.take(sent()).await.is_err());

        world.pass(Duration::from_mins(1)).await;
        let stored: u32 = world
            .checks
            .query(|at| at.query_row("SELECT count(*) FROM episodes", [], |it| it.get(0)));

        assert_eq!((stored, world.all_runs()), (0, 0));

        world.mend_store();
        let taken = world.remediation.take(sent()).await.unwrap();

        assert_eq!(taken.counts[&AlertOutcome::New], 1);
    });
}

#[test]
fn i22_no_change_is_sent_when_the_journal_cannot_be_written() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.alert("Slow", Some("1")).await;
        world.break_store("journal");
        world.start(Crash::Never);
        world.pass(Duration::from_mins(1)).await;

        assert!(world.kafka.calls(CallKind::Write).is_empty());

        world.mend_store();

        // It fails again between the steps.
        let writes = |it: &World| 2 <= it.kafka.calls(CallKind::Write).len();
        world.live(Duration::from_mins(1), writes).await;
        world.break_store("journal");
        let sent = world.kafka.calls(CallKind::Write).len();
        world.pass(Duration::from_mins(2)).await;

        assert_eq!(world.kafka.calls(CallKind::Write).len(), sent);

        world.mend_store();
        world.until_over().await;
        world.verify(&before).await;
    });
}

#[test]
fn i3_ten_thousand_alerts_are_stored_in_one_transaction_in_under_a_second() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // The fastest of three, because other work on the machine must not count.
    let took = (0..3).map(|_| runtime.block_on(store_ten_thousand())).min().unwrap();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

async fn store_ten_thousand() -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    let routed = |it: u32| RoutedAlert {
        cluster: ClusterName::new("main"),
        alert: firing("Slow", Some(&it.to_string())),
        subjects: vec![EpisodeSubject {
            playbook: "broker-threads".to_owned(),
            target: BrokerId::parse(&it.to_string()).map(Target::Broker),
        }],
    };
    let alerts: Vec<RoutedAlert> = (0..10_000).map(routed).collect();
    let clock = SystemClock::new();
    let taken = store.take_alerts(alerts, WallTime(1)).await.unwrap();
    let took = clock.monotonic().0;

    assert_eq!(taken.counts[&AlertOutcome::New], 10_000);

    took
}

#[test]
fn i3_a_storm_of_alerts_does_not_delay_a_real_one() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.alert("Slow", Some("1")).await;
        let all = (0..2000).map(|it| firing("Slow", Some(&(1000 + it).to_string()))).collect();
        world.remediation.take(notification(all)).await.unwrap();
        world.start(Crash::Never);
        world.live(Duration::from_secs(10), |it| it.is_in_state(RunState::Settling)).await;

        assert!(world.is_in_state(RunState::Settling), "{}", world.run(1).await.run.state);
    });
}

#[test]
fn i4_the_same_post_fifty_times_at_once_is_one_run() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.fire("Slow", Some("1"));
        world.start(Crash::Never);
        let remediation = world.remediation.clone();
        let posts =
            (0..50).map(|_| remediation.take(notification(vec![firing("Slow", Some("1"))])));
        let taken = join_all(posts).await;
        let new =
            taken.iter().filter(|it| it.as_ref().unwrap().counts.contains_key(&AlertOutcome::New));

        assert_eq!(new.count(), 1);

        world.until_over().await;
        world.verify(&before).await;

        assert_eq!(world.all_runs(), 1);
    });
}

#[test]
fn i4_a_changed_startsat_within_an_episode_starts_no_run() {
    helps(async |setup| {
        let mut world = slow_until(setup, RunState::Kept).await;
        let mut moved = firing("Slow", Some("1"));
        moved.starts_at = WallTime(moved.starts_at.0 + 60_000);
        world.remediation.take(notification(vec![moved])).await.unwrap();
        world.pass(Duration::from_mins(20)).await;

        assert_eq!(world.all_runs(), 1);
    });
}

#[test]
fn i4_the_second_attempt_starts_from_our_own_timer_after_the_cooldown() {
    simulate(async {
        let mut setup = Setup::new(0, Effect::Nothing);
        setup.playbook().attempts_max = 2;
        let mut world = slow_until(setup, RunState::RolledBack).await;
        let ended = world.run(1).await.run.times.ended.unwrap();
        world.live(Duration::from_mins(30), |it| it.all_runs() == 2).await;
        world.until_over().await;

        let second = world.run(2).await.run;
        assert_eq!((second.attempt, second.state), (2, RunState::RolledBack));

        // Doubled after a rollback (I25).
        let rest = second.times.written.unwrap().since(ended);
        assert!((Duration::from_mins(10)..Duration::from_mins(11)).contains(&rest), "{rest:?}");

        world.pass(Duration::from_hours(2)).await;
        assert_eq!(world.all_runs(), 2, "two attempts and no more");
    });
}

#[test]
fn i5_alerts_that_differ_in_severity_only_are_one_episode() {
    helps(async |setup| {
        let mut world = slow(setup).await;
        let mut critical = firing("Slow", Some("1"));
        critical.labels.insert("severity".to_owned(), "critical".to_owned());
        critical.fingerprint = "c".to_owned();
        let taken = world.remediation.take(notification(vec![critical])).await.unwrap();

        assert_eq!(taken.counts[&AlertOutcome::Repeated], 1);

        world.until_over().await;

        // The end of one of the two is not the end of the episode.
        let sent = notification(vec![resolved("Slow", Some("1"))]);
        world.remediation.take(sent).await.unwrap();
        world.pass(Duration::from_mins(1)).await;
        let open: u32 = world.checks.query(|at| {
            at.query_row("SELECT count(*) FROM episodes WHERE closed_at IS NULL", [], |it| {
                it.get(0)
            })
        });

        assert_eq!((open, world.all_runs()), (1, 1));
    });
}

#[test]
fn i5_a_plan_with_the_effect_of_a_waiting_run_is_merged() {
    helps(async |mut setup| {
        let mut twin = setup.playbook().clone();
        twin.name = "twin".to_owned();
        twin.matcher.labels.insert("alertname".to_owned(), "SlowToo".to_owned());
        setup.remediation.playbooks.push(twin);
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.alert("Slow", Some("1")).await;
        world.alert("SlowToo", Some("1")).await;
        world.start(Crash::Never);
        world.until_over().await;
        world.verify(&before).await;

        assert_eq!(world.all_runs(), 1);
        assert!(world.run(1).await.journal.iter().any(|it| it.entry == "merged"));
    });
}

#[test]
fn i6_an_alert_resolved_before_its_run_starts_cancels_it() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.checks.forbid_writes();
        world.kafka.state().metadata.quorum.leader = None;
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(30)).await;

        let sent = notification(vec![resolved("Slow", Some("1"))]);
        world.remediation.take(sent).await.unwrap();
        world.pass(Duration::from_secs(30)).await;
        let run = world.run(1).await.run;

        assert_eq!(run.state, RunState::Cancelled);
        assert_eq!(run.note.as_deref(), Some("the alert is resolved"));

        let sent = notification(vec![resolved("Slow", Some("2"))]);
        let taken = world.remediation.take(sent).await.unwrap();

        assert_eq!(taken.counts[&AlertOutcome::ResolvedUnknown], 1);

        world.pass(Duration::from_secs(30)).await;
        assert_eq!(world.all_runs(), 1);
    });
}

#[test]
fn i6_an_alert_resolved_between_steps_interrupts_nothing() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let before = world.key_states();
        world.alert("Slow", Some("1")).await;

        // Slow enough for a check between two steps.
        let slow = crate::world::CallFault::Slow(Duration::from_secs(2));
        world.kafka.fail(move |it| (it.kind == CallKind::Write).then_some(slow));
        world.start(Crash::Never);
        world.live(Duration::from_mins(1), |it| it.is_in_state(RunState::Acting)).await;
        let sent = notification(vec![resolved("Slow", Some("1"))]);
        world.remediation.take(sent).await.unwrap();
        world.until_over().await;
        world.verify(&before).await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
    });
}

#[test]
fn i7_an_alert_missing_from_a_truncated_notification_is_not_resolved() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.kafka.state().metadata.quorum.leader = None;
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        let rest = Notification { truncated: 3, ..notification(vec![firing("Other", None)]) };
        world.remediation.take(rest).await.unwrap();
        world.pass(Duration::from_mins(1)).await;

        assert_eq!(world.run(1).await.run.state, RunState::Held);

        let page = world.telemetry.encode().unwrap();
        assert!(page.contains("kafka_optimizer_truncated_alerts_total 3"), "{page}");
    });
}

#[test]
fn i8_i35_any_label_value_stays_data() {
    for nasty in ["1\"} or vector(1) #", " 1", "01", "-1", "+1", "1\n", "$broker_id", "99999999999"]
    {
        helps(async |setup| {
            let mut world = World::starved(setup).await;
            world.checks.forbid_writes();
            world.alert("Slow", Some(nasty)).await;
            world.start(Crash::Never);
            world.pass(Duration::from_secs(40)).await;

            assert_eq!(world.all_runs(), 0, "{nasty:?} is no broker, and not every broker");

            let asked = world.prometheus.script().queries.clone();
            assert!(asked.iter().all(|it| !it.contains(nasty)), "{asked:?}");

            let counted = r#"playbook="broker-threads",reason="unknown_target"} 1"#;
            assert!(world.telemetry.encode().unwrap().contains(counted));
        });
    }
}

#[test]
fn i8_an_alert_of_another_cluster_starts_nothing() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.start(Crash::Never);
        let mut other = firing("Slow", Some("1"));
        other.labels.insert("kafka_cluster".to_owned(), "other".to_owned());

        let taken = world.remediation.take(notification(vec![other])).await.unwrap();
        assert_eq!(taken.counts[&AlertOutcome::Invalid], 1);

        let said = taken.faults.first[0].to_string();
        assert!(said.contains("`kafka_cluster` is `other`; configured are main"), "{said}");

        world.pass(Duration::from_mins(1)).await;
        assert_eq!(world.all_runs(), 0);
    });
}

#[test]
fn an_alert_without_a_cluster_is_about_the_only_one_that_is_configured() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        let mut alert = firing("Slow", Some("1"));
        alert.labels.remove("kafka_cluster");
        world.deliver(alert).await;
        world.start(Crash::Never);
        world.until_over().await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);
    });
}

#[test]
fn a_playbook_whose_label_prometheus_does_not_know_is_held_with_the_name_of_the_label() {
    helps(async |mut setup| {
        setup.playbook().matcher.labels.insert("team".to_owned(), "kafka".to_owned());
        let mut world = World::starved(setup).await;
        world.checks.forbid_writes();
        world.fire("Slow", Some("1"));
        let alert = with(firing("Slow", Some("1")), "team", "kafka");
        world.remediation.take(notification(vec![alert])).await.unwrap();
        world.start(Crash::Never);
        world.pass(Duration::from_mins(1)).await;

        let run = world.run(1).await.run;
        assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::NotConfirmed)));
        assert!(run.note.as_ref().unwrap().contains("without the label `team`"), "{:?}", run.note);
    });
}

#[test]
fn an_alert_of_a_ruler_without_alerts_series_is_confirmed_by_the_expression_of_its_rule() {
    helps(async |mut setup| {
        let confirm = format!(r#"{CPU}{{kafka_cluster="$kafka_cluster"}} < 0.5 # idle enough"#);
        setup.playbook().confirm = Some(Template::new(&confirm).unwrap());
        let mut world = World::starved(setup).await;
        let sent = vec![firing("Slow", Some("1")), firing("Slow", Some("98"))];
        world.remediation.take(notification(sent)).await.unwrap();
        world.start(Crash::Never);
        world.live(Duration::from_mins(30), |it| it.is_in_state(RunState::Kept)).await;

        assert!(world.is_in_state(RunState::Kept), "{}", world.story().await);

        // No broker 98 has a series.
        world.pass(Duration::from_mins(1)).await;
        let other = world.run(2).await.run;

        assert_eq!((other.state, other.hold), (RunState::Held, Some(HoldReason::NotConfirmed)));
    });
}

#[test]
fn i4_i25_a_flapping_alert_acts_only_as_often_as_the_cooldown_allows() {
    for effect in [Effect::Help, Effect::Nothing] {
        simulate(async {
            let mut world = World::starved(Setup::new(1, effect)).await;
            let before = world.key_states();
            world.start(Crash::Never);
            world.fire("Slow", Some("1"));

            for _ in 0..30 {
                // Two Alertmanagers, each with its own order.
                for alert in [firing("Slow", Some("1")), firing("Slow", Some("1"))] {
                    world.notify(alert).await;
                }

                world.pass(Duration::from_secs(12)).await;
                world
                    .remediation
                    .take(notification(vec![resolved("Slow", Some("1"))]))
                    .await
                    .unwrap();
                world.pass(Duration::from_secs(8)).await;
            }

            world.until_over().await;
            let mut wrote = 0;

            for number in 1..=world.all_runs() {
                let run = world.run(i64::from(number)).await.run;
                wrote += u32::from(run.times.written.is_some());
            }

            assert!((1..=2).contains(&wrote), "{wrote}: {}", world.story().await);

            world.verify(&before).await;
        });
    }
}
