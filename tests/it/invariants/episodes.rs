//! Episodes follow what Prometheus reports, and not every label is another incident (I4, I5).

use std::time::Duration;

use kafka_optimizer::{
    alert::Alert,
    clock::Clock,
    model::{HoldReason, RunState, WallTime},
};

use super::{helps, slow, slow_until};
use crate::world::{
    Crash, Effect, QueryFault, Setup, World, firing, labels, notification, resolved, simulate, with,
};

const MINUTE: Duration = Duration::from_mins(1);

/// The alert `Slow` of broker 1, firing since this time.
fn since(starts_at: WallTime) -> Alert {
    Alert { starts_at, ..firing("Slow", Some("1")) }
}

/// Run 1 is kept; the alert fires since the returned time.
async fn kept(setup: Setup) -> (World, WallTime) {
    let world = slow_until(setup, RunState::Kept).await;
    let started = world.checks.query(|at| {
        at.query_row("SELECT starts_at FROM episodes", [], |row| row.get(0).map(WallTime))
    });

    (world, started)
}

fn open_episodes(world: &World) -> u32 {
    world.checks.query(|at| {
        at.query_row("SELECT count(*) FROM episodes WHERE closed_at IS NULL", [], |row| row.get(0))
    })
}

#[test]
fn i4_a_lost_resolved_swallowed_the_next_incident() {
    helps(async |setup| {
        let (mut world, _) = kept(setup).await;
        world.prometheus.script().firing.clear();
        world.pass(Duration::from_hours(2)).await;

        assert_eq!(open_episodes(&world), 0, "Prometheus has not reported the alert for long");

        world.alert("Slow", Some("1")).await;
        world.pass(MINUTE).await;

        assert_eq!(world.all_runs(), 2, "{}", world.story().await);
    });
}

#[test]
fn i4_an_incident_two_minutes_after_one_without_a_resolved_is_a_new_one() {
    helps(async |setup| {
        let (mut world, _) = kept(setup).await;
        world.pass(10 * MINUTE).await;
        world.prometheus.script().firing.clear();
        world.pass(2 * MINUTE).await;

        // It fires in Prometheus before Alertmanager notifies.
        world.fire("Slow", Some("1"));
        let started = world.clock.wall();
        world.pass(MINUTE).await;

        assert_eq!(world.all_runs(), 1, "nothing was notified yet");

        let sent = notification(vec![since(started)]);
        world.remediation.take(sent).await.unwrap();
        world.pass(MINUTE).await;

        assert_eq!((world.all_runs(), open_episodes(&world)), (2, 1), "{}", world.story().await);
    });
}

#[test]
fn i4_a_later_start_without_a_gap_is_the_same_incident() {
    helps(async |setup| {
        let (mut world, started) = kept(setup).await;
        world.pass(10 * MINUTE).await;
        world.prometheus.script().firing.clear();
        world.pass(Duration::from_secs(40)).await;
        world.fire("Slow", Some("1"));
        world.pass(MINUTE).await;

        let sent = notification(vec![since(started.after(9 * MINUTE))]);
        world.remediation.take(sent).await.unwrap();
        world.pass(10 * MINUTE).await;

        assert_eq!(world.all_runs(), 1, "{}", world.story().await);
    });
}

#[test]
fn i4_a_late_notification_after_resolved_is_no_new_incident() {
    helps(async |setup| {
        let (mut world, started) = kept(setup).await;
        world.prometheus.script().firing.clear();
        let sent = notification(vec![resolved("Slow", Some("1"))]);
        world.remediation.take(sent).await.unwrap();
        world.pass(10 * MINUTE).await;

        // Another Alertmanager was slow, and had seen an older start.
        for starts_at in [started, started.before(MINUTE)] {
            world.remediation.take(notification(vec![since(starts_at)])).await.unwrap();
        }

        world.pass(20 * MINUTE).await;

        assert_eq!((world.all_runs(), open_episodes(&world)), (1, 0), "{}", world.story().await);
    });
}

#[test]
fn i4_a_prometheus_that_restarted_made_no_second_attempt() {
    helps(async |setup| {
        let (mut world, started) = kept(setup).await;

        // The alert is pending again, for longer than an absent one is waited for.
        let mut pending = labels("Slow", Some("1"));
        pending.insert("alertstate".to_owned(), "pending".to_owned());
        world.prometheus.script().firing = vec![pending];
        world.pass(15 * MINUTE).await;

        assert_eq!(open_episodes(&world), 1);

        // The state of Prometheus was lost: the alert is not even pending.
        world.prometheus.script().firing.clear();
        world.pass(15 * MINUTE).await;

        assert_eq!(open_episodes(&world), 0);

        world.fire("Slow", Some("1"));
        world.remediation.take(notification(vec![since(started)])).await.unwrap();
        world.pass(20 * MINUTE).await;

        assert_eq!((world.all_runs(), open_episodes(&world)), (1, 1), "{}", world.story().await);
    });
}

#[test]
fn i4_a_prometheus_that_does_not_answer_ends_no_episode() {
    helps(async |setup| {
        let (mut world, _) = kept(setup).await;
        world.prometheus.script().firing.clear();
        world.prometheus.fail(|_, _| Some(QueryFault::Unavailable));
        world.pass(30 * MINUTE).await;

        assert_eq!(open_episodes(&world), 1);
    });
}

#[test]
fn i4_an_episode_is_not_silent_while_prometheus_reports_it() {
    helps(async |setup| {
        // `repeat_interval` may be longer than a day.
        let (mut world, _) = kept(setup).await;
        world.pass(Duration::from_hours(26)).await;

        assert_eq!(open_episodes(&world), 1);
    });
}

#[test]
fn i4_i6_a_run_whose_alert_prometheus_no_longer_reports_is_cancelled() {
    helps(async |setup| {
        let mut world = World::starved(setup).await;
        world.remediation.take(notification(vec![firing("Slow", Some("1"))])).await.unwrap();
        world.start(Crash::Never);
        world.pass(9 * MINUTE).await;
        let run = world.run(1).await.run;

        assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::NotConfirmed)));

        world.pass(2 * MINUTE).await;
        let run = world.run(1).await.run;

        assert_eq!(run.state, RunState::Cancelled);
        assert_eq!(run.note.as_deref(), Some("Prometheus no longer reports the alert"));

        // It was only late: the notification is repeated, and the alert is confirmed.
        world.fire("Slow", Some("1"));
        world.remediation.take(notification(vec![firing("Slow", Some("1"))])).await.unwrap();
        world.live(MINUTE, |it| it.all_runs() == 2).await;
        world.until_over().await;

        assert_eq!(world.run(2).await.run.state, RunState::Kept, "{}", world.story().await);
    });
}

#[test]
fn i4_i5_a_label_that_changed_with_each_evaluation_made_a_run_each_time() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Nothing)).await;
        let before = world.key_states();
        world.start(Crash::Never);
        world.fire("Slow", Some("1"));

        let mut last = None;
        for number in 0..20_u32 {
            let value = format!("0.{}", 70 + number);
            let replica = if number % 2 == 0 { "a" } else { "b" };
            let alert = with(with(since(world.clock.wall()), "value", &value), "replica", replica);

            // The alert with the last value is resolved a little earlier.
            if let Some(Alert { labels, fingerprint, .. }) = last.replace(alert.clone()) {
                let over = Alert { labels, fingerprint, ..resolved("Slow", Some("1")) };
                world.remediation.take(notification(vec![over])).await.unwrap();
                world.pass(Duration::from_secs(2)).await;
            }

            world.remediation.take(notification(vec![alert])).await.unwrap();
            world.pass(Duration::from_secs(35)).await;
        }

        world.until_over().await;
        world.verify(&before).await;

        assert_eq!(world.all_runs(), 1, "{}", world.story().await);

        let counted =
            r#"varying_label_episodes_total{kafka_cluster="main",playbook="broker-threads"} 1"#;
        assert!(world.telemetry.encode().unwrap().contains(counted));
    });
}

#[test]
fn i4_a_playbook_that_is_added_answers_the_alert_that_fires_already() {
    helps(async |mut setup| {
        let playbooks = std::mem::take(&mut setup.remediation.playbooks);
        let mut world = slow(setup).await;
        world.pass(MINUTE).await;

        assert_eq!(world.all_runs(), 0);

        world.stop().await;
        world.setup.remediation.playbooks = playbooks;
        world.start(Crash::Never);
        world.until_over().await;

        assert_eq!(world.run(1).await.run.state, RunState::Kept, "{}", world.story().await);
    });
}
