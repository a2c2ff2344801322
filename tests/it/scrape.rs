//! From brokers to the exposition: known values are exported, and unknown ones are absent.

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    collect::Collector,
    config::{ClusterConfig, NameFilter},
    docker::SharedDocker,
    expose::{Exposer, Exposition, Format, SnapshotSource, catalogue, make},
    model::{ClusterName, Export, Granularity, GroupName, GroupState, LagSeconds, ReadFailure},
    shutdown::Tasks,
    snapshot::{Latest, Snapshot},
    telemetry::{BuildInfo, Telemetry},
};
use tokio::{sync::watch, time::Instant};

use crate::scripted_kafka::{
    BEGIN, BrokerBehavior, ClusterScript, DEADLINE, PausedClock, ScriptedDocker, ScriptedKafka,
    commits, id, listing, members, partition, topic, usage, world,
};

const INTERVAL: Duration = Duration::from_secs(15);

/// A collector that reads a scripted cluster, round by round.
struct CollectorHarness {
    kafka: Arc<ScriptedKafka>,
    telemetry: Arc<Telemetry>,
    latest: Latest,
    tasks: Tasks,
}

impl CollectorHarness {
    fn new(script: ClusterScript, docker: Option<SharedDocker>) -> Self {
        Self::of(&config("main"), script, docker)
    }

    fn of(config: &ClusterConfig, script: ClusterScript, docker: Option<SharedDocker>) -> Self {
        let kafka = ScriptedKafka::new(script);
        let build = BuildInfo { version: "0", revision: "0", rustc: "0" };
        let telemetry = Arc::new(Telemetry::new(build, &[], std::slice::from_ref(&config.name)));
        let shared = Arc::clone(&kafka) as _;
        let clock = PausedClock::shared();
        let collector = Collector::new(config, shared, docker, clock, Arc::clone(&telemetry));
        let latest = collector.latest();
        let tasks = Tasks::default();
        tasks.start("collect", |stop| collector.run(stop));

        Self { kafka, telemetry, latest, tasks }
    }

    /// Waits for the snapshot of the next round.
    async fn next(&mut self) -> Arc<Snapshot> {
        self.latest.changed().await.unwrap();
        self.latest.borrow_and_update().clone().unwrap()
    }

    async fn page(&mut self) -> String {
        page(&[self.next().await])
    }

    #[track_caller]
    fn check_own(&self, series: &str, want: &str) {
        let own = self.telemetry.encode().unwrap();
        let line = format!("kafka_optimizer_{series} {want}");
        assert!(own.lines().any(|it| it == line), "{line} is not in\n{own}");
    }
}

fn config(name: &str) -> ClusterConfig {
    ClusterConfig {
        collect_interval: INTERVAL,
        request_timeout: DEADLINE,
        ..ClusterConfig::new(ClusterName::new(name), vec!["kafka-1:9092".into()])
    }
}

fn page(snapshots: &[Arc<Snapshot>]) -> String {
    text(&make(snapshots).0, Format::Text, "")
}

fn sources(latest: &Latest) -> watch::Receiver<Vec<SnapshotSource>> {
    let source = SnapshotSource { cluster: ClusterName::new("main"), latest: latest.clone() };
    watch::channel(vec![source]).1
}

fn text(page: &Exposition, format: Format, own: &str) -> String {
    let pieces: Vec<_> = page.identity(format, own).map(Result::unwrap).collect();
    String::from_utf8(pieces.concat()).unwrap()
}

#[track_caller]
fn check_has(page: &str, series: &str, want: &str) {
    let found = page.lines().find_map(|it| it.strip_prefix(series)?.strip_prefix(' '));
    assert_eq!(found, Some(want), "{series} in\n{page}");
}

#[track_caller]
fn check_absent(page: &str, series: &str) {
    assert!(!page.lines().any(|it| it.starts_with(series)), "{series} is in\n{page}");
}

#[tokio::test(start_paused = true)]
async fn the_exposition_equals_the_golden_file() {
    let containers = [1, 2, 3].map(usage).to_vec();
    let mut harness = CollectorHarness::new(world(), Some(Arc::new(ScriptedDocker(containers))));
    harness.kafka.change(|it| {
        it.commits.insert("billing".into(), vec![commits("orders", &[(0, 89), (1, 50)])]);
    });

    // The engine takes a second, which delays no round: its response is in the second one.
    assert!(harness.next().await.containers.is_none());

    harness.kafka.change(|it| *it = world());
    let mut other = Snapshot::unknown(ClusterName::new("other"));
    other.at = BEGIN;
    let page = page(&[harness.next().await, Arc::new(other)]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/metrics.txt");

    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &page).unwrap();
    }

    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(page, golden, "run it again with UPDATE_GOLDEN=1 if this is meant");

    for spec in catalogue::CLUSTER {
        let head = format!(
            "# HELP {} {}\n# TYPE {} {}\n{}{{",
            spec.name, spec.help, spec.name, spec.kind, spec.name
        );
        assert_eq!(page.matches(&head).count(), 1, "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_starts_with_kafka_down_and_recovers() {
    let mut harness = CollectorHarness::new(ClusterScript { down: true, ..world() }, None);
    let first = harness.next().await;

    assert!(!first.up && first.topology.is_none());
    assert_eq!(page(&[first]).lines().count(), 3, "HELP, TYPE and kafka_up");
    harness.check_own("collector_success{kafka_cluster=\"main\",collector=\"topology\"}", "0.0");

    harness.kafka.change(|it| it.down = false);
    let page = harness.page().await;

    check_has(&page, "kafka_up{kafka_cluster=\"main\"}", "1");
    check_has(&page, "kafka_brokers{kafka_cluster=\"main\"}", "3");
    harness.check_own("collector_success{kafka_cluster=\"main\",collector=\"topology\"}", "1.0");
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_cluster_is_exported_for_at_most_three_cadences() {
    let mut harness = CollectorHarness::new(world(), None);
    let good = harness.next().await;
    harness.kafka.change(|it| it.down = true);

    for _ in 0..3 {
        let snapshot = harness.next().await;
        assert!(!snapshot.up);
        assert_eq!(snapshot.at, good.at, "the time of the last good topology");
        assert!(snapshot.topology.is_some());
    }

    let gone = harness.next().await;

    assert!(gone.topology.is_none() && gone.groups.is_none() && gone.configs.is_empty());
    assert!(!gone.log_dirs.is_empty(), "a slow section lives longer");
    check_absent(&page(&[gone]), "kafka_consumergroup");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_broker_makes_only_its_own_values_absent_and_delays_nothing() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.next().await;
    harness.kafka.change(|it| {
        it.behaviors.insert(id(1), BrokerBehavior::Frozen);
    });
    let before = Instant::now();
    let snapshot = harness.next().await;
    let waited = before.elapsed();

    assert!(waited <= INTERVAL + DEADLINE + DEADLINE / 10, "{waited:?}");

    let page = page(&[Arc::clone(&snapshot)]);
    let offset = "kafka_topic_partition_current_offset{kafka_cluster=\"main\",topic=\"orders\"";

    check_absent(&page, &format!("{offset},partition=\"0\"}}"));
    check_has(&page, &format!("{offset},partition=\"1\"}}"), "50");

    // Its group is unknown, so it is absent; the group of the other coordinator is exported,
    // without an unknown sum.
    check_absent(
        &page,
        "kafka_consumergroup_members{kafka_cluster=\"main\",consumergroup=\"billing\"",
    );
    assert_eq!(snapshot.groups.as_ref().unwrap().value.len(), 1);
    assert!(snapshot.reporting[&id(1)] < snapshot.reporting[&id(2)]);
    harness.check_own("collector_success{kafka_cluster=\"main\",collector=\"offsets\"}", "0.0");

    let unknown = |collector: &str, reason: &str| {
        format!(
            "readings_unknown{{kafka_cluster=\"main\",collector=\"{collector}\",reason=\"{reason}\"}}"
        )
    };
    harness.check_own(&unknown("offsets", "timeout"), "2.0");
    harness.check_own(&unknown("offsets", "leaderless"), "1.0");
    harness.check_own(&unknown("offsets", "not_leader"), "1.0");
    harness.check_own(&unknown("groups", "timeout"), "1.0");
    harness.check_own(&unknown("configs", "timeout"), "1.0");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_answers_gets_each_request_once() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.behaviors.insert(id(2), BrokerBehavior::Hung);
    });

    for _ in 0..5 {
        let snapshot = harness.next().await;
        assert!(snapshot.up);
    }

    let asked = harness.kafka.asked();
    for question in ["end_offsets", "groups", "config", "log_dirs"] {
        let times = asked.iter().filter(|it| **it == (question, Some(id(2)))).count();
        assert_eq!(times, 1, "{question}");

        let times = asked.iter().filter(|it| **it == (question, Some(id(1)))).count();
        assert!(1 < times, "{question} at a broker that is well");
    }

    harness.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"configs\",reason=\"busy\"}",
        "1.0",
    );
}

#[tokio::test(start_paused = true)]
async fn rounds_start_on_time_while_a_broker_is_frozen() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.behaviors.insert(id(3), BrokerBehavior::Frozen);
    });
    let first = harness.next().await.at;
    harness.next().await;
    let third = harness.next().await.at;

    assert_eq!(third.since(first), INTERVAL * 2);
}

#[tokio::test(start_paused = true)]
async fn unknown_end_offsets_make_lag_and_its_sum_absent() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        let end = it.end_offsets.get_mut(&("orders".to_owned(), 1)).unwrap();
        *end = Err(ReadFailure::Unavailable);
    });
    let page = harness.page().await;
    let lag =
        "kafka_consumergroup_lag{kafka_cluster=\"main\",consumergroup=\"billing\",topic=\"orders\"";

    check_has(&page, &format!("{lag},partition=\"0\"}}"), "10");
    check_absent(&page, &format!("{lag},partition=\"1\"}}"));

    let sum = "kafka_consumergroup_lag_sum{kafka_cluster=\"main\",consumergroup=\"billing\"";
    check_absent(&page, sum);

    // Both commits are known, so their sum is.
    let sum = "kafka_consumergroup_current_offset_sum{kafka_cluster=\"main\",consumergroup=\"billing\",topic=\"orders\"}";
    check_has(&page, sum, "140");
    harness.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"lag\",reason=\"incomplete\"}",
        "2.0",
    );
    harness.check_own("commits_ahead{kafka_cluster=\"main\"}", "1.0");
}

#[tokio::test(start_paused = true)]
async fn a_partition_never_committed_is_absent() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.commits.insert("billing".into(), vec![commits("orders", &[(0, 90), (1, -1)])]);
    });
    let page = harness.page().await;
    let of = "{kafka_cluster=\"main\",consumergroup=\"billing\",topic=\"orders\"";

    check_absent(&page, &format!("kafka_consumergroup_current_offset{of},partition=\"1\"}}"));
    check_absent(&page, &format!("kafka_consumergroup_lag{of},partition=\"1\"}}"));
    check_has(&page, &format!("kafka_consumergroup_lag_sum{of}}}"), "10");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_two_brokers_list_is_one_series() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        let stable = GroupState::Stable;
        it.listings.insert(id(3), vec![listing("billing", stable)]);
    });
    let snapshot = harness.next().await;
    let groups = &snapshot.groups.as_ref().unwrap().value;
    let named = |it: &&kafka_optimizer::snapshot::Group| it.name == GroupName::new("billing");

    assert_eq!(groups.iter().filter(named).count(), 1);

    let asked = harness.kafka.asked();
    let described = asked.iter().filter(|it| it.0 == "members").count();

    assert_eq!(described, 1, "one for the broker that has a group with members");
}

#[tokio::test(start_paused = true)]
async fn unread_members_are_absent_and_their_group_is_exported() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        let fault = ReadFailure::NotCoordinator;
        it.members.insert("billing".into(), Err(fault));
    });
    let page = harness.page().await;
    let billing = "{kafka_cluster=\"main\",consumergroup=\"billing\"";

    check_absent(&page, &format!("kafka_consumergroup_members{billing}"));
    check_has(&page, &format!("kafka_consumergroup_state{billing},state=\"stable\"}}"), "1");
    harness.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"groups\",reason=\"not_coordinator\"}",
        "1.0",
    );
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_multiply_with_groups_or_topics() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.next().await;
    let few = harness.kafka.asked().len();
    let mut script = world();

    for n in 0..200 {
        let name = format!("topic-{n}");
        script.topology.topics.push(topic(&name, n, vec![partition(0, Some(1), &[1], &[1])]));
        script.end_offsets.insert((name, 0), Ok(1));
        let group = format!("group-{n}");
        let stable = GroupState::Stable;
        script.listings.get_mut(&id(1)).unwrap().push(listing(&group, stable));
        script.members.insert(group, Ok(members(stable, 1, &[])));
    }

    let mut harness = CollectorHarness::new(script, None);

    assert_eq!(harness.next().await.groups.as_ref().unwrap().value.len(), 202);
    assert_eq!(harness.kafka.asked().len(), few);
}

#[tokio::test(start_paused = true)]
async fn slow_sections_are_read_every_fourth_round_and_new_topics_at_once() {
    let mut harness = CollectorHarness::new(world(), None);
    let count = |asked: &[(&str, _)], what: &str| asked.iter().filter(|it| it.0 == what).count();
    harness.next().await;
    let asked = harness.kafka.asked();

    assert_eq!((count(&asked, "start_offsets"), count(&asked, "log_dirs")), (3, 3));

    for _ in 0..3 {
        let snapshot = harness.next().await;
        let ends = &snapshot.offsets.as_ref().unwrap().value[&"orders".into_name()];
        assert_eq!(ends[0].1.start, Some(10));
    }

    let asked = harness.kafka.asked();
    assert_eq!((count(&asked, "start_offsets"), count(&asked, "log_dirs")), (0, 0));

    // `lone` has no configuration in the script, so every round requests it again.
    harness.kafka.change(|it| {
        it.topology.topics.push(topic("young", 9, vec![partition(0, Some(2), &[2], &[2])]));
        it.min_insync.insert("young".into(), Ok(1));
    });
    harness.next().await;
    let snapshot = harness.next().await;
    let min = &snapshot.min_insync_replicas.as_ref().unwrap().value;

    assert_eq!(min.get(&"young".into_name()), Some(&1));

    let asked = harness.kafka.asked();
    assert!(0 < count(&asked, "start_offsets"));
    assert_eq!(count(&asked, "log_dirs"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_topic_with_a_refused_configuration_is_counted_and_retried_on_its_cadence() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.min_insync.insert("lone".into(), Ok(1));
        it.min_insync.insert("orders".into(), Err(ReadFailure::Unauthorized));
    });
    let unknown =
        "readings_unknown{kafka_cluster=\"main\",collector=\"min_insync\",reason=\"unauthorized\"}";
    let of =
        |family: &str, topic: &str| format!("{family}{{kafka_cluster=\"main\",topic=\"{topic}\"}}");
    let (minimum, under) =
        ("kafka_topic_min_insync_replicas", "kafka_topic_under_min_isr_partitions");
    let asked = |harness: &CollectorHarness| {
        harness.kafka.asked().iter().filter(|it| it.0 == "min_insync").count()
    };

    let page = harness.page().await;
    harness.check_own(unknown, "1.0");

    check_has(&page, &of(minimum, "payments"), "2");
    check_has(&page, &of(under, "payments"), "0");
    check_absent(&page, &of(minimum, "orders"));
    check_absent(&page, &of(under, "orders"));
    assert_eq!(asked(&harness), 1);

    harness.kafka.change(|it| {
        it.min_insync.insert("orders".into(), Ok(2));
    });
    for _ in 0..3 {
        harness.next().await;
    }

    assert_eq!(asked(&harness), 0);

    let page = harness.page().await;
    assert_eq!(asked(&harness), 1);
    harness.check_own(unknown, "0.0");
    check_has(&page, &of(minimum, "orders"), "2");
}

trait IntoName {
    fn into_name(self) -> kafka_optimizer::model::TopicName;
}

impl IntoName for &str {
    fn into_name(self) -> kafka_optimizer::model::TopicName {
        kafka_optimizer::model::TopicName::new(self)
    }
}

/// With one partition, and empty.
fn create_orders_again(script: &mut ClusterScript) {
    script.topology.topics[2] = topic("orders", 99, vec![partition(0, Some(1), &[1], &[1])]);
    script.end_offsets.insert(("orders".into(), 0), Ok(0));
    script.start_offsets.clear();
}

#[tokio::test(start_paused = true)]
async fn a_topic_with_fewer_replicas_than_its_minimum_needs_no_more_than_it_has() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        let partitions = vec![
            partition(0, Some(3), &[3], &[3]),
            partition(1, Some(1), &[1, 2], &[1, 2]),
            partition(2, Some(1), &[1, 2], &[1]),
        ];
        it.topology.topics.push(topic("small", 77, partitions));
        it.min_insync.insert("small".into(), Ok(3));
    });
    let page = harness.page().await;
    let partition = |index: i32| {
        let labels = format!("kafka_cluster=\"main\",topic=\"small\",partition=\"{index}\"");
        format!("kafka_topic_partition_under_min_isr{{{labels}}}")
    };

    check_has(&page, &partition(0), "0");
    check_has(&page, &partition(1), "0");
    check_has(&page, &partition(2), "1");
    check_has(
        &page,
        "kafka_topic_under_min_isr_partitions{kafka_cluster=\"main\",topic=\"small\"}",
        "1",
    );
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_starts_without_history() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.next().await;
    harness.kafka.change(|it| {
        create_orders_again(it);
        it.min_insync.insert("orders".into(), Ok(1));
    });
    let page = harness.page().await;
    let orders = "{kafka_cluster=\"main\",topic=\"orders\"";

    check_has(
        &page,
        &format!("kafka_topic_partition_oldest_offset{orders},partition=\"0\"}}"),
        "0",
    );
    check_has(&page, &format!("kafka_topic_min_insync_replicas{orders}}}"), "1");
    check_absent(&page, &format!("kafka_topic_partition_leader{orders},partition=\"1\"}}"));
}

#[tokio::test(start_paused = true)]
async fn a_removed_broker_disappears_and_counts_as_missing() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.next().await;
    harness.kafka.change(|it| it.topology.brokers.retain(|it| it.id != id(3)));
    let snapshot = harness.next().await;

    assert_eq!(snapshot.membership.missing.keys().copied().collect::<Vec<_>>(), [id(3)]);
    assert!(!snapshot.reporting.contains_key(&id(3)));
    check_absent(
        &page(&[snapshot]),
        "kafka_broker_config_value{kafka_cluster=\"main\",broker_id=\"3\"",
    );
}

#[tokio::test(start_paused = true)]
async fn a_scrape_returns_both_parts_in_both_encodings() {
    let mut harness = CollectorHarness::new(world(), None);
    let exposer = Exposer::new(sources(&harness.latest), Arc::clone(&harness.telemetry));
    let mut pages = exposer.pages();
    harness.tasks.start("expose", |stop| exposer.run(stop));
    harness.next().await;
    let made = pages.wait_for(|it| 0 < it.text_bytes()).await.unwrap().clone();
    let own = harness.telemetry.encode().unwrap();
    let page = text(&made, Format::Text, &own);

    check_has(&page, "kafka_up{kafka_cluster=\"main\"}", "1");
    assert!(page.contains("\nkafka_optimizer_series{kafka_cluster=\"main\"} "), "{page}");
    assert_eq!(&made.gzip(Format::Text, &own)[..2], [0x1f, 0x8b]);
}

const BILLING: &str = "{kafka_cluster=\"main\",consumergroup=\"billing\"";

fn of_billing(name: &str, more: &str) -> String {
    format!("kafka_consumergroup_{name}{BILLING}{more}}}")
}

fn of_partition(topic: &str, partition: i32) -> String {
    format!("{{kafka_cluster=\"main\",topic=\"{topic}\",partition=\"{partition}\"}}")
}

#[tokio::test(start_paused = true)]
async fn filters_apply_before_anything_is_fetched() {
    let only = |it: &str| NameFilter::new(&[it.to_owned()], &[]).unwrap();
    let config = ClusterConfig {
        topics: only("orders"),
        groups: NameFilter::new(&[], &["bill.*".to_owned()]).unwrap(),
        group_states: vec![GroupState::Empty],
        ..config("main")
    };
    let mut harness = CollectorHarness::of(&config, world(), None);
    let page = harness.page().await;

    check_has(&page, "kafka_topic_partitions{kafka_cluster=\"main\",topic=\"orders\"}", "2");
    check_absent(&page, "kafka_topic_partitions{kafka_cluster=\"main\",topic=\"payments\"}");
    check_absent(&page, &format!("kafka_consumergroup_members{BILLING}"));

    let asked = harness.kafka.asked();
    let commits: Vec<_> = asked.iter().filter(|it| it.0 == "commits").collect();

    assert_eq!(commits, [&("commits", Some(id(2)))], "nothing is asked of billing's coordinator");

    // `lone` and `payments` are led by nobody and by broker 2, which leads nothing of `orders`.
    assert!(!asked.contains(&("end_offsets", Some(id(2)))), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn coarse_granularity_keeps_only_the_sums() {
    let export = Export {
        topics: Granularity::Topic,
        groups: Granularity::Topic,
        lag_seconds: LagSeconds::Left,
        ..Export::DEFAULT
    };
    let mut harness =
        CollectorHarness::of(&ClusterConfig { export, ..config("main") }, world(), None);
    let page = harness.page().await;

    assert!(!page.contains(",partition=\""), "{page}");
    check_has(&page, &of_billing("lag_sum", ",topic=\"orders\""), "10");

    let of = |name: &str| format!("kafka_topic_{name}{{kafka_cluster=\"main\",topic=\"orders\"}}");
    check_has(&page, &of("under_replicated_partitions"), "1");
    check_has(&page, &of("under_min_isr_partitions"), "1");
    check_has(&page, &of("offline_partitions"), "0");
    check_absent(&page, "kafka_consumergroup_lag_max_seconds");
}

#[tokio::test(start_paused = true)]
async fn the_series_budget_omits_whole_families_and_counts_the_series() {
    let mut harness = CollectorHarness::new(world(), None);
    let whole = harness.next().await;
    let (_, facts) = make(&[Arc::clone(&whole)]);
    let shown = facts.series[0].1.shown;

    assert_eq!(facts.series[0].1.dropped, 0);

    let with_budget = |series_max| {
        let export = Export { series_max, ..Export::DEFAULT };
        make(&[Arc::new(Snapshot { export, ..(*whole).clone() })])
    };
    for budget in [1, 60, shown - 1, shown] {
        let (page, facts) = with_budget(budget);
        let page = text(&page, Format::Text, "");
        let count = facts.series[0].1;

        check_has(&page, "kafka_up{kafka_cluster=\"main\"}", "1");
        assert_eq!(count.dropped == 0, budget == shown, "{budget}: {count:?}");

        // Series of a whole cluster or broker are always exported; other families are complete or
        // absent.
        let leaders = page.matches("\nkafka_topic_partition_replicas{").count();
        assert!([0, 5].contains(&leaders), "{budget}: {leaders}");
    }
}

#[tokio::test(start_paused = true)]
async fn clusters_are_isolated_from_each_other() {
    let mut well = CollectorHarness::of(&config("well"), world(), None);
    let mut down =
        CollectorHarness::of(&config("down"), ClusterScript { down: true, ..world() }, None);
    let (page, facts) = make(&[down.next().await, well.next().await]);
    let page = text(&page, Format::Text, "");

    check_has(&page, "kafka_up{kafka_cluster=\"down\"}", "0");
    check_has(&page, "kafka_brokers{kafka_cluster=\"well\"}", "3");
    check_absent(&page, "kafka_brokers{kafka_cluster=\"down\"}");
    assert_eq!(facts.series[0].1.shown, 1);
}

#[tokio::test(start_paused = true)]
async fn time_lag_grows_while_a_group_is_idle_and_ends_when_it_catches_up() {
    let mut harness = CollectorHarness::new(world(), None);
    let page = harness.page().await;

    // Its commit is older than this process, so the record is at least that old.
    let bound =
        of_billing("lag_seconds", ",topic=\"orders\",partition=\"0\",method=\"lower_bound\"");

    check_has(&page, &bound, "0");

    let seconds = |it: &str| {
        of_billing(
            "lag_seconds",
            &format!(",topic=\"orders\",partition=\"{it}\",method=\"interpolated\""),
        )
    };
    check_has(&page, &seconds("1"), "0");

    harness.kafka.change(|it| {
        it.end_offsets.insert(("orders".into(), 1), Ok(51));
    });

    // Appended between two rounds, so in the middle of them.
    check_has(&harness.page().await, &seconds("1"), "7.5");

    harness.next().await;
    let page = harness.page().await;

    check_has(&page, &seconds("1"), "37.5");
    check_has(&page, &bound, "45");

    let worst = of_billing("lag_max_seconds", ",topic=\"orders\",method=\"lower_bound\"");
    check_has(&page, &worst, "45");

    harness.kafka.change(|it| {
        it.commits.insert("billing".into(), vec![commits("orders", &[(0, 100), (1, 51)])]);
    });
    let page = harness.page().await;

    check_has(&page, &seconds("0"), "0");
    check_has(&page, &seconds("1"), "0");

    let progress = of_billing("last_progress_timestamp_seconds", "");
    check_has(&page, &progress, &format!("{}", BEGIN.after(INTERVAL * 4).seconds()));
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_has_no_lag_before_a_new_commit() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.next().await;
    harness.kafka.change(|it| {
        create_orders_again(it);
        // Kafka drops the commits of a deleted topic.
        it.commits.insert("billing".into(), Vec::new());
    });
    let page = harness.page().await;

    check_absent(&page, &format!("kafka_consumergroup_lag{BILLING}"));
    check_absent(&page, &format!("kafka_consumergroup_lag_seconds{BILLING}"));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_alone_is_absent_with_a_reason() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.commit_faults.insert("billing".into(), ReadFailure::NotCoordinator);
    });
    let page = harness.page().await;

    check_absent(&page, &format!("kafka_consumergroup_lag{BILLING}"));
    check_absent(&page, &format!("kafka_consumergroup_lag_sum{BILLING}"));
    check_has(&page, &of_billing("members", ""), "2");
    assert!(
        page.contains("kafka_consumergroup_lag{kafka_cluster=\"main\",consumergroup=\"\\\"odd")
    );
    harness.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"committed\",reason=\"not_coordinator\"}",
        "1.0",
    );

    harness.kafka.change(|it| it.commit_faults.clear());
    let page = harness.page().await;

    check_has(&page, &of_billing("lag_sum", ",topic=\"orders\""), "10");
}

#[tokio::test(start_paused = true)]
async fn lag_of_a_fenced_leader_is_absent_for_one_round() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.end_offsets.insert(("orders".into(), 0), Err(ReadFailure::NotLeader));
    });
    let page = harness.page().await;
    let end = "kafka_topic_partition_current_offset{kafka_cluster=\"main\",topic=\"orders\"";

    check_absent(&page, &format!("{end},partition=\"0\"}}"));

    let lag = of_billing("lag", ",topic=\"orders\",partition=\"0\"");
    check_absent(&page, &lag);
    check_absent(&page, &of_billing("lag_sum", ",topic=\"orders\""));

    // The other series is that of `payments`.
    harness.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"offsets\",reason=\"not_leader\"}",
        "2.0",
    );

    harness.kafka.change(|it| {
        it.end_offsets.insert(("orders".into(), 0), Ok(100));
    });
    let page = harness.page().await;

    check_has(&page, &lag, "10");
    check_has(&page, &of_billing("lag_sum", ",topic=\"orders\""), "10");
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_coordinator_changes_is_read_once_in_the_next_round() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.commit_faults.insert("billing".into(), ReadFailure::NotCoordinator);
        it.members.insert("billing".into(), Err(ReadFailure::NotCoordinator));
    });
    let lag = of_billing("lag", ",topic=\"orders\",partition=\"0\"");
    let page = harness.page().await;

    check_absent(&page, &lag);
    check_absent(&page, &of_billing("members", ""));

    harness.kafka.change(|it| {
        let moved = it.listings.remove(&id(1)).unwrap();
        it.listings.insert(id(3), moved);
        it.commit_faults.clear();
        it.members.extend(world().members);
    });
    let page = harness.page().await;

    check_has(&page, &lag, "10");
    assert_eq!(page.matches(&lag).count(), 1);
    assert_eq!(page.matches("kafka_consumergroup_info{kafka_cluster=\"main\"").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn records_lost_to_retention_and_uncommitted_partitions_are_counted() {
    let mut harness = CollectorHarness::new(world(), None);
    harness.kafka.change(|it| {
        it.start_offsets.insert(("orders".into(), 0), 95);
        it.commits.insert("billing".into(), vec![commits("orders", &[(0, 90)])]);
    });
    let page = harness.page().await;

    check_has(&page, &of_billing("lost_records", ",topic=\"orders\""), "5");
    check_has(&page, &of_billing("retention_headroom_ratio", ",topic=\"orders\""), "0");
    check_has(&page, &of_billing("uncommitted_partitions", ",topic=\"orders\""), "1");
    check_has(&page, &of_billing("unassigned_partitions", ",topic=\"orders\""), "1");
    check_has(
        &page,
        &of_billing(
            "info",
            ",group_type=\"classic\",protocol_type=\"consumer\",coordinator_id=\"1\"",
        ),
        "1",
    );
}

#[tokio::test(start_paused = true)]
async fn leader_changes_and_rebalances_are_counted_from_the_first_round_on() {
    let mut harness = CollectorHarness::new(world(), None);
    let changes =
        format!("kafka_topic_partition_leader_changes_total{}", of_partition("orders", 0));
    let page = harness.page().await;

    check_has(&page, &changes, "0");
    check_has(&page, &of_billing("rebalances_total", ""), "0");

    harness.kafka.change(|it| {
        it.topology.topics[2].partitions[0].leader = Some(id(2));
        let preparing = members(GroupState::PreparingRebalance, 3, &[]);
        it.members.insert("billing".into(), Ok(preparing));
    });
    let page = harness.page().await;

    check_has(&page, &changes, "1");
    check_has(&page, &of_billing("rebalances_total", ""), "1");
    check_absent(&page, &format!("kafka_consumergroup_unassigned_partitions{BILLING}"));
}
