//! State belongs to a Kafka cluster, by its id, and not to the name that it has in the
//! configuration (I27, I43).

use std::time::Duration;

use kafka_optimizer::{
    clock::Clock,
    model::{ActingLease, ClusterName, HoldReason, RunState},
    store::OrphanedRuns,
};

use super::{others::ChangeKind, temporary::in_force};
use crate::world::{CallKind, Crash, Effect, Setup, World, simulate};

fn quotas(world: &World) -> usize {
    world.kafka.state().metadata.quotas.len()
}

/// The brokers are wiped. A person sets the very quota that the old cluster had.
fn make_anew(world: &World) {
    world.kafka.state().metadata.cluster_id = "anew".to_owned();
}

#[test]
fn i43_an_old_temporary_change_removed_a_quota_of_a_cluster_made_anew() {
    for is_running in [true, false] {
        simulate(async {
            let mut world = in_force(ChangeKind::Shed, Effect::Help).await;
            if !is_running {
                world.stop().await;
            }

            make_anew(&world);
            let sent = world.kafka.calls(CallKind::WriteQuota).len();

            if !is_running {
                world.start(Crash::Never);
            }

            world.pass(Duration::from_mins(15)).await;

            assert_eq!(quotas(&world), 1, "{}", world.story().await);
            assert_eq!(world.kafka.calls(CallKind::WriteQuota).len(), sent);

            let parked = ClusterName::new("main (cluster id world)");
            let run = world.run(1).await.run;

            assert_eq!((&run.cluster, run.state), (&parked, RunState::Kept));
            assert_eq!(
                world.store.orphaned_runs().await.unwrap(),
                [OrphanedRuns { cluster: parked, runs: 1 }]
            );

            let listed = world.remediation.temporary_changes().await.unwrap();
            assert_eq!(listed.len(), 1);

            let page = world.telemetry.encode().unwrap();
            let replaced = r#"kafka_optimizer_cluster_replacements_total{kafka_cluster="main"} 1"#;

            assert!(page.contains(replaced), "{page}");

            // The old cluster comes back, and its quota goes.
            world.kafka.state().metadata.cluster_id = "world".to_owned();
            world.pass(Duration::from_mins(2)).await;

            assert_eq!(quotas(&world), 0, "{}", world.story().await);
            assert_eq!(world.run(1).await.run.state, RunState::Expired);
        });
    }
}

#[test]
fn i27_a_cluster_renamed_in_the_configuration_kept_its_quota_for_ever() {
    simulate(async {
        let mut world = in_force(ChangeKind::Shed, Effect::Help).await;
        world.stop().await;
        let renamed = ClusterName::new("prod-eu");
        world.setup.cluster.name = renamed.clone();
        world.store.configure_clusters(vec![renamed.clone()]).await.unwrap();
        world.start(Crash::Never);
        world.pass(Duration::from_mins(12)).await;

        assert_eq!(quotas(&world), 0, "{}", world.story().await);

        let run = world.run(1).await;
        assert_eq!((run.run.cluster, run.run.state), (renamed, RunState::Expired));
        assert!(run.journal.iter().any(|it| it.entry == "cluster"), "{:#?}", run.journal);
    });
}

#[test]
fn i43_a_second_name_for_the_same_cluster_never_acts() {
    simulate(async {
        let mut world = World::starved(Setup::new(0, Effect::Help)).await;
        let names = ["first", "main"].map(ClusterName::new);
        world.store.configure_clusters(names.to_vec()).await.unwrap();
        world.store.identify_cluster(&names[0], "world", world.clock.wall()).await.unwrap();
        world.checks.forbid_writes();
        world.alert("Slow", Some("1")).await;
        world.start(Crash::Never);
        world.pass(Duration::from_secs(40)).await;

        let run = world.run(1).await.run;
        assert_eq!((run.state, run.hold), (RunState::Held, Some(HoldReason::SameCluster)));
        assert!(run.note.unwrap().contains("`first` is the same Kafka cluster"));

        let page = world.telemetry.encode().unwrap();
        let info =
            r#"kafka_optimizer_duplicate_cluster_info{kafka_cluster="main",same_as="first"} 1"#;

        assert!(page.contains(info), "{page}");
    });
}

#[test]
fn i43_an_undo_needs_no_lease() {
    simulate(async {
        let mut world = in_force(ChangeKind::Shed, Effect::Help).await;
        let lost = "the coordinator has not answered".to_owned();
        world.kafka.state().metadata.lease = ActingLease::Unconfirmed(lost);
        world.pass(Duration::from_mins(12)).await;

        assert_eq!(quotas(&world), 0, "{}", world.story().await);
    });
}
