//! The store's clusters: names, Kafka cluster ids, and the runs that belong to them.

use std::time::Duration;

use kafka_optimizer::{
    model::{
        BrokerConfigChange, BrokerId, Change, ClusterName, RunEvent, RunId, RunState, Target,
        Trigger, WallTime,
    },
    playbook::OptimizerKind,
    store::{
        Identification, NewRun, OrphanedRuns, Priority, RunUpdate, StepProgress, StepRow,
        StepState, StepUpdate, Store,
    },
};

const NOW: WallTime = WallTime(1_800_000_000_000);

fn name(text: &str) -> ClusterName {
    ClusterName::new(text)
}

async fn store_with(names: &[&str]) -> Store {
    let store = Store::in_memory().unwrap();
    store.configure_clusters(names.iter().map(|it| name(it)).collect()).await.unwrap();
    store
}

async fn add_run(store: &Store, cluster: &str, broker: i32) -> RunId {
    let new = NewRun {
        cluster: name(cluster),
        playbook: "shed".to_owned(),
        optimizer: OptimizerKind::ShedLoad,
        level: None,
        parameters: String::new(),
        target: Target::Broker(BrokerId::from_wire(broker).unwrap()),
        trigger: Trigger::Person,
        cause: "shed-load".to_owned(),
        dry_run: false,
        priority: Priority::Normal,
        created: NOW,
        by: None,
    };
    store.add_run(new, None).await.unwrap().unwrap().0
}

/// Adds a temporary change that is in effect and has one step.
async fn add_temporary(store: &Store, cluster: &str) -> RunId {
    let run = add_run(store, cluster, 1).await;
    let change = Change::BrokerConfig(BrokerConfigChange {
        broker: BrokerId::from_wire(1).unwrap(),
        key: "num.io.threads".to_owned(),
        from: "4".to_owned(),
        from_stored: None,
        to: "8".to_owned(),
    });
    let step = StepRow {
        run,
        index: 0,
        stage: 0,
        wave: 0,
        change,
        state: StepState::Planned,
        at: NOW,
        progress: StepProgress::default(),
    };
    let plan = RunUpdate { steps: vec![step], ..RunUpdate::default() };
    store.move_run(run, NOW, RunEvent::Rehearse, plan).await.unwrap();
    store.move_run(run, NOW, RunEvent::Act, RunUpdate::default()).await.unwrap();

    let applied = StepUpdate { run, index: 0, state: StepState::Applied, text: String::new() };
    store.move_step(applied, NOW).await.unwrap();

    for event in [RunEvent::Apply, RunEvent::Settle] {
        store.move_run(run, NOW, event, RunUpdate::default()).await.unwrap();
    }

    let expires = Some(NOW.after(Duration::from_mins(30)));
    let keep = RunUpdate { expires, ..RunUpdate::default() };
    store.move_run(run, NOW, RunEvent::Keep, keep).await.unwrap();

    run
}

async fn identify(store: &Store, cluster: &str, kafka_id: &str) -> Identification {
    store.identify_cluster(&name(cluster), kafka_id, NOW).await.unwrap()
}

async fn cluster_of(store: &Store, run: RunId) -> String {
    store.run(run).await.unwrap().unwrap().run.cluster.to_string()
}

#[tokio::test]
async fn i43_a_second_name_for_one_cluster_is_found_in_either_order() {
    let store = store_with(&["main", "again"]).await;

    // The later name answers first, and may act until the earlier one is there.
    assert_eq!(identify(&store, "again", "abc").await, Identification::default());
    assert_eq!(identify(&store, "main", "abc").await, Identification::default());

    let duplicate = Identification { same_as: Some(name("main")), ..Identification::default() };
    assert_eq!(identify(&store, "again", "abc").await, duplicate);

    // Only the earlier name is removed from the configuration: the later one has it all.
    let run = add_temporary(&store, "main").await;
    store.configure_clusters(vec![name("again")]).await.unwrap();
    let found = identify(&store, "again", "abc").await;

    assert_eq!(found.renamed_from, Some(name("main")));
    assert_eq!(found.same_as, None);
    assert_eq!(cluster_of(&store, run).await, "again");
}

#[tokio::test]
async fn a_cluster_made_anew_under_its_old_name_parks_its_old_state() {
    let store = store_with(&["main"]).await;
    identify(&store, "main", "old").await;
    let kept = add_temporary(&store, "main").await;
    let waiting = add_run(&store, "main", 2).await;
    let parked = "main (cluster id old)";

    let found = identify(&store, "main", "new").await;

    assert_eq!(found.parked_as, Some(name(parked)));
    assert_eq!(cluster_of(&store, kept).await, parked);
    assert_eq!(store.run(waiting).await.unwrap().unwrap().run.state, RunState::Cancelled);
    assert_eq!(store.open_runs(&name("main")).await.unwrap(), []);
    assert_eq!(store.ownership(&name("main")).await.unwrap(), []);
    assert_eq!(store.ownership(&name(parked)).await.unwrap().len(), 1);
    assert_eq!(
        store.orphaned_runs().await.unwrap(),
        [OrphanedRuns { cluster: name(parked), runs: 1 }]
    );

    // The old cluster comes back, for example after a wrong address: it gets its state back.
    let found = identify(&store, "main", "old").await;

    assert_eq!(found.parked_as, Some(name("main (cluster id new)")));
    assert_eq!(found.renamed_from, Some(name(parked)));
    assert_eq!(cluster_of(&store, kept).await, "main");
    assert_eq!(store.orphaned_runs().await.unwrap(), []);
    assert_eq!(identify(&store, "main", "old").await, Identification::default());
}

#[tokio::test]
async fn a_renamed_cluster_keeps_its_temporary_changes_and_the_journal_says_so() {
    let store = store_with(&["main"]).await;
    identify(&store, "main", "abc").await;
    let run = add_temporary(&store, "main").await;

    store.configure_clusters(vec![name("prod-eu")]).await.unwrap();

    assert_eq!(
        store.orphaned_runs().await.unwrap(),
        [OrphanedRuns { cluster: name("main"), runs: 1 }],
        "until the cluster has answered"
    );

    identify(&store, "prod-eu", "abc").await;

    let open = store.open_runs(&name("prod-eu")).await.unwrap();
    assert_eq!(open.iter().map(|it| it.id).collect::<Vec<_>>(), [run]);
    assert_eq!(store.ownership(&name("prod-eu")).await.unwrap().len(), 1);
    assert_eq!(store.orphaned_runs().await.unwrap(), []);

    let journal = store.run(run).await.unwrap().unwrap().journal;
    let line = journal.iter().find(|it| it.entry == "cluster").unwrap();

    assert_eq!(line.text, "the cluster `main` is configured as `prod-eu` now");
}
