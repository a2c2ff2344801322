//! From brokers to the page: what is known is there, and what is not known is not.

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    collect::Collector,
    config::ClusterConfig,
    docker::SharedDocker,
    expose::{Encoding, Exposer, catalogue, make},
    model::{ClusterName, GroupName, Reading},
    shutdown::Tasks,
    snapshot::{Latest, Snapshot},
    telemetry::{Build, Telemetry},
};
use tokio::time::Instant;

use crate::fake_kafka::{
    BEGIN, DEADLINE, FakeDocker, FakeKafka, Mood, PausedClock, Script, commit, id, listing,
    partition, topic, usage, world,
};

const INTERVAL: Duration = Duration::from_secs(15);

/// A collector that reads a scripted cluster, round by round.
struct Bench {
    kafka: Arc<FakeKafka>,
    telemetry: Arc<Telemetry>,
    latest: Latest,
    tasks: Tasks,
}

impl Bench {
    fn new(script: Script, docker: Option<SharedDocker>) -> Self {
        let config = config("main");
        let kafka = FakeKafka::new(script);
        let build = Build { version: "0", revision: "0", rustc: "0" };
        let telemetry = Arc::new(Telemetry::new(build, &[], std::slice::from_ref(&config.name)));
        let shared = Arc::clone(&kafka) as _;
        let clock = PausedClock::shared();
        let collector = Collector::new(&config, shared, docker, clock, Arc::clone(&telemetry));
        let latest = collector.latest();
        let tasks = Tasks::default();
        tasks.start("collect", |stop| collector.run(stop));
        Self { kafka, telemetry, latest, tasks }
    }

    /// The snapshot of the next round.
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
        name: ClusterName::new(name),
        bootstrap_servers: vec!["kafka-1:9092".into()],
        collect_interval: INTERVAL,
        request_timeout: DEADLINE,
        docker: None,
        prometheus: None,
        managed_by: None,
    }
}

fn page(snapshots: &[Arc<Snapshot>]) -> String {
    let (page, _) = make(snapshots, 0);
    String::from_utf8(page.identity.to_vec()).unwrap()
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
async fn the_page_is_the_golden_one() {
    let containers = [1, 2, 3].map(usage).to_vec();
    let mut bench = Bench::new(world(), Some(Arc::new(FakeDocker(containers))));
    // The engine takes a second, which delays no round: the second one has what it said.
    assert!(bench.next().await.containers.is_none());
    let mut other = Snapshot::unknown(ClusterName::new("other"));
    other.at = BEGIN;
    let page = page(&[bench.next().await, Arc::new(other)]);
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
    let mut bench = Bench::new(Script { down: true, ..world() }, None);
    let first = bench.next().await;
    assert!(!first.up && first.topology.is_none());
    assert_eq!(page(&[first]).lines().count(), 3, "HELP, TYPE and kafka_up");
    bench.check_own("collector_success{kafka_cluster=\"main\",collector=\"topology\"}", "0.0");
    bench.kafka.change(|it| it.down = false);
    let page = bench.page().await;
    check_has(&page, "kafka_up{kafka_cluster=\"main\"}", "1");
    check_has(&page, "kafka_brokers{kafka_cluster=\"main\"}", "3");
    bench.check_own("collector_success{kafka_cluster=\"main\",collector=\"topology\"}", "1.0");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_went_down_is_shown_for_three_cadences_at_most() {
    let mut bench = Bench::new(world(), None);
    let good = bench.next().await;
    bench.kafka.change(|it| it.down = true);
    for _ in 0..3 {
        let snapshot = bench.next().await;
        assert!(!snapshot.up);
        assert_eq!(snapshot.at, good.at, "the time of the last good topology");
        assert!(snapshot.topology.is_some());
    }
    let gone = bench.next().await;
    assert!(gone.topology.is_none() && gone.groups.is_none() && gone.configs.is_empty());
    assert!(!gone.log_dirs.is_empty(), "a slow section lives longer");
    check_absent(&page(&[gone]), "kafka_consumergroup");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_broker_leaves_its_own_values_absent_and_delays_nothing_past_its_deadline() {
    let mut bench = Bench::new(world(), None);
    bench.next().await;
    bench.kafka.change(|it| {
        it.moods.insert(id(1), Mood::Frozen);
    });
    let before = Instant::now();
    let snapshot = bench.next().await;
    let waited = before.elapsed();
    assert!(waited <= INTERVAL + DEADLINE + DEADLINE / 10, "{waited:?}");
    let page = page(&[Arc::clone(&snapshot)]);
    let offset = "kafka_topic_partition_current_offset{kafka_cluster=\"main\",topic=\"orders\"";
    check_absent(&page, &format!("{offset},partition=\"0\"}}"));
    check_has(&page, &format!("{offset},partition=\"1\"}}"), "50");
    // Its group is not known, so it is not there; the other coordinator's is, without an unknown
    // sum.
    check_absent(
        &page,
        "kafka_consumergroup_members{kafka_cluster=\"main\",consumergroup=\"billing\"",
    );
    assert_eq!(snapshot.groups.as_ref().unwrap().value.len(), 1);
    assert!(snapshot.reporting[&id(1)] < snapshot.reporting[&id(2)]);
    bench.check_own("collector_success{kafka_cluster=\"main\",collector=\"offsets\"}", "0.0");
    let unknown = |collector: &str, reason: &str| {
        format!(
            "readings_unknown{{kafka_cluster=\"main\",collector=\"{collector}\",reason=\"{reason}\"}}"
        )
    };
    bench.check_own(&unknown("offsets", "timeout"), "2.0");
    bench.check_own(&unknown("offsets", "leaderless"), "1.0");
    bench.check_own(&unknown("offsets", "not_leader"), "1.0");
    bench.check_own(&unknown("groups", "timeout"), "1.0");
    bench.check_own(&unknown("configs", "timeout"), "1.0");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_answers_is_asked_each_question_once() {
    let mut bench = Bench::new(world(), None);
    bench.kafka.change(|it| {
        it.moods.insert(id(2), Mood::Hung);
    });
    for _ in 0..5 {
        let snapshot = bench.next().await;
        assert!(snapshot.up);
    }
    let asked = bench.kafka.asked();
    for question in ["lasts", "groups", "config", "log_dirs"] {
        let times = asked.iter().filter(|it| **it == (question, Some(id(2)))).count();
        assert_eq!(times, 1, "{question}");
        let times = asked.iter().filter(|it| **it == (question, Some(id(1)))).count();
        assert!(1 < times, "{question} at a broker that is well");
    }
    bench.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"configs\",reason=\"busy\"}",
        "1.0",
    );
}

#[tokio::test(start_paused = true)]
async fn rounds_start_an_interval_apart_though_a_broker_is_frozen() {
    let mut bench = Bench::new(world(), None);
    bench.kafka.change(|it| {
        it.moods.insert(id(3), Mood::Frozen);
    });
    let first = bench.next().await.at;
    bench.next().await;
    let third = bench.next().await.at;
    assert_eq!(third.since(first), INTERVAL * 2);
}

#[tokio::test(start_paused = true)]
async fn unknown_ends_leave_lag_and_its_sum_absent() {
    let mut bench = Bench::new(world(), None);
    bench.kafka.change(|it| {
        let end = it.lasts.get_mut(&("orders".to_owned(), 1)).unwrap();
        *end = Err(kafka_optimizer::kafka::PartitionFault::Unavailable);
    });
    let page = bench.page().await;
    let lag =
        "kafka_consumergroup_lag{kafka_cluster=\"main\",consumergroup=\"billing\",topic=\"orders\"";
    check_has(&page, &format!("{lag},partition=\"0\"}}"), "10");
    check_absent(&page, &format!("{lag},partition=\"1\"}}"));
    let sum = "kafka_consumergroup_lag_sum{kafka_cluster=\"main\",consumergroup=\"billing\"";
    check_absent(&page, sum);
    // Both commits are known, so their sum is.
    let sum = "kafka_consumergroup_current_offset_sum{kafka_cluster=\"main\",consumergroup=\"billing\",topic=\"orders\"}";
    check_has(&page, sum, "140");
    bench.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"lag\",reason=\"incomplete\"}",
        "2.0",
    );
    bench.check_own("commits_ahead{kafka_cluster=\"main\"}", "1.0");
}

#[tokio::test(start_paused = true)]
async fn a_partition_never_committed_is_absent() {
    let mut bench = Bench::new(world(), None);
    bench.kafka.change(|it| {
        it.commits.insert("billing".into(), vec![commit("orders", 0, 90), commit("orders", 1, -1)]);
    });
    let page = bench.page().await;
    let of = "{kafka_cluster=\"main\",consumergroup=\"billing\",topic=\"orders\"";
    check_absent(&page, &format!("kafka_consumergroup_current_offset{of},partition=\"1\"}}"));
    check_absent(&page, &format!("kafka_consumergroup_lag{of},partition=\"1\"}}"));
    check_has(&page, &format!("kafka_consumergroup_lag_sum{of}}}"), "10");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_two_brokers_list_is_one_series() {
    let mut bench = Bench::new(world(), None);
    bench.kafka.change(|it| {
        let stable = kafka_optimizer::kafka::GroupState::Stable;
        it.listings.insert(id(3), vec![listing("billing", stable)]);
    });
    let snapshot = bench.next().await;
    let groups = &snapshot.groups.as_ref().unwrap().value;
    let named = |it: &&kafka_optimizer::snapshot::Group| it.name == GroupName::new("billing");
    assert_eq!(groups.iter().filter(named).count(), 1);
    let asked = bench.kafka.asked();
    let described = asked.iter().filter(|it| it.0 == "members").count();
    assert_eq!(described, 2, "one for each broker that has a group to itself");
}

#[tokio::test(start_paused = true)]
async fn members_that_could_not_be_read_are_absent_and_the_group_is_not() {
    let mut bench = Bench::new(world(), None);
    bench.kafka.change(|it| {
        let fault = kafka_optimizer::kafka::PartitionFault::NotCoordinator;
        it.members.insert("billing".into(), Err(fault));
    });
    let page = bench.page().await;
    let billing = "{kafka_cluster=\"main\",consumergroup=\"billing\"";
    check_absent(&page, &format!("kafka_consumergroup_members{billing}"));
    check_has(&page, &format!("kafka_consumergroup_state{billing},state=\"stable\"}}"), "1");
    bench.check_own(
        "readings_unknown{kafka_cluster=\"main\",collector=\"groups\",reason=\"not_coordinator\"}",
        "1.0",
    );
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_multiply_with_groups_or_topics() {
    let mut bench = Bench::new(world(), None);
    bench.next().await;
    let few = bench.kafka.asked().len();
    let mut script = world();
    for n in 0..200 {
        let name = format!("topic-{n}");
        script.topology.topics.push(topic(&name, n, vec![partition(0, Some(1), &[1], &[1])]));
        script.lasts.insert((name, 0), Ok(1));
        let group = format!("group-{n}");
        let stable = kafka_optimizer::kafka::GroupState::Stable;
        script.listings.get_mut(&id(1)).unwrap().push(listing(&group, stable));
        script.members.insert(group, Ok((stable, 1)));
    }
    let mut bench = Bench::new(script, None);
    assert_eq!(bench.next().await.groups.as_ref().unwrap().value.len(), 202);
    assert_eq!(bench.kafka.asked().len(), few);
}

#[tokio::test(start_paused = true)]
async fn slow_sections_are_read_every_fourth_round_and_new_topics_at_once() {
    let mut bench = Bench::new(world(), None);
    let count = |asked: &[(&str, _)], what: &str| asked.iter().filter(|it| it.0 == what).count();
    bench.next().await;
    let asked = bench.kafka.asked();
    assert_eq!((count(&asked, "firsts"), count(&asked, "log_dirs")), (3, 3));
    for _ in 0..3 {
        let snapshot = bench.next().await;
        let ends = &snapshot.offsets.as_ref().unwrap().value[&"orders".into_name()];
        assert_eq!(ends[0].1.first, Reading::Known(10));
    }
    let asked = bench.kafka.asked();
    assert_eq!((count(&asked, "firsts"), count(&asked, "log_dirs")), (0, 0));
    // `lone` has no configuration in the script, so it is asked for again and again.
    bench.kafka.change(|it| {
        it.topology.topics.push(topic("young", 9, vec![partition(0, Some(2), &[2], &[2])]));
        it.min_insync.insert("young".into(), 1);
    });
    bench.next().await;
    let snapshot = bench.next().await;
    let min = &snapshot.min_insync_replicas.as_ref().unwrap().value;
    assert_eq!(min.get(&"young".into_name()), Some(&1));
    let asked = bench.kafka.asked();
    assert!(0 < count(&asked, "firsts"));
    assert_eq!(count(&asked, "log_dirs"), 3);
}

trait IntoName {
    fn into_name(self) -> kafka_optimizer::model::TopicName;
}

impl IntoName for &str {
    fn into_name(self) -> kafka_optimizer::model::TopicName {
        kafka_optimizer::model::TopicName::new(self)
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_created_again_does_not_inherit_anything() {
    let mut bench = Bench::new(world(), None);
    bench.next().await;
    bench.kafka.change(|it| {
        it.topology.topics[2] = topic("orders", 99, vec![partition(0, Some(1), &[1], &[1])]);
        it.lasts.insert(("orders".into(), 0), Ok(0));
        it.firsts.clear();
        it.min_insync.insert("orders".into(), 1);
    });
    let page = bench.page().await;
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
async fn a_broker_that_went_vanishes_and_is_missed() {
    let mut bench = Bench::new(world(), None);
    bench.next().await;
    bench.kafka.change(|it| it.topology.brokers.retain(|it| it.id != id(3)));
    let snapshot = bench.next().await;
    assert_eq!(snapshot.membership.missing.keys().copied().collect::<Vec<_>>(), [id(3)]);
    assert!(!snapshot.reporting.contains_key(&id(3)));
    check_absent(
        &page(&[snapshot]),
        "kafka_broker_config_value{kafka_cluster=\"main\",broker_id=\"3\"",
    );
}

#[tokio::test(start_paused = true)]
async fn a_scrape_gets_both_parts_in_both_encodings() {
    let mut bench = Bench::new(world(), None);
    let exposer = Exposer::new(vec![bench.latest.clone()], Arc::clone(&bench.telemetry));
    let mut pages = exposer.pages();
    bench.tasks.start("expose", |stop| exposer.run(stop));
    bench.next().await;
    let made = pages.wait_for(|it| !it.identity.is_empty()).await.unwrap().clone();
    let own = bench.telemetry.encode().unwrap();
    let body = made.body(&own, Encoding::Identity);
    let text = std::str::from_utf8(&body).unwrap();
    check_has(text, "kafka_up{kafka_cluster=\"main\"}", "1");
    assert!(text.contains("\nkafka_optimizer_series{kafka_cluster=\"main\"} "), "{text}");
    assert_eq!(&made.body(&own, Encoding::Gzip)[..2], [0x1f, 0x8b]);
}
