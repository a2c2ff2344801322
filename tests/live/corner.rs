//! Situations in which exporters of lag are wrong, on a real cluster: each result must be that of
//! `docs/corner-cases.md`.
//!
//! They run after the other live tests, because the optimizer holds for a minute after a broker has
//! come back.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use super::{
    admin_client::{AclResource, AdminClient, GroupNames},
    exporter::{ExporterProcess, ScrapedPage, now},
    member::{GroupMember, MemberProtocol},
    stack::variable,
};
use crate::corner_table::{Corner, seen};

const END: &str = "kafka_topic_partition_current_offset";
const LAG: &str = "kafka_consumergroup_lag";
const LAG_SUM: &str = "kafka_consumergroup_lag_sum";
const COMMIT: &str = "kafka_consumergroup_current_offset";
const LEADER: &str = "kafka_topic_partition_leader";
const MEMBERS: &str = "kafka_consumergroup_members";
const LOST: &str = "kafka_consumergroup_lost_records";
const UNCOMMITTED: &str = "kafka_consumergroup_uncommitted_partitions";

/// The broker that is frozen and stopped, and its service.
const BROKER: i32 = 3;
const SERVICE: &str = "kafka-3";

/// Limit for changes within a round or two.
const SOON: Duration = Duration::from_secs(20);
/// Limit for a broker to start, and for replicas to catch up.
const RETURN: Duration = Duration::from_mins(1);

/// A page that takes longer is slow. If pages waited for a broker that does not answer, most would
/// be slow, because each round of one second waits for it for two thirds of a second. A single slow
/// page is due to the machine.
const SLOW: Duration = Duration::from_millis(100);

/// Long enough to be fenced (9 s) and to disappear from the metadata.
const FREEZE: Duration = Duration::from_secs(13);

fn hand() -> AdminClient {
    AdminClient::new(&variable("BOOTSTRAP"))
}

async fn exporter() -> ExporterProcess {
    ExporterProcess::start(&variable("BOOTSTRAP")).await
}

fn at<'a>(topic: &'a str, partition: &'a str) -> [(&'a str, &'a str); 2] {
    [("topic", topic), ("partition", partition)]
}

fn of<'a>(group: &'a str, topic: &'a str, partition: &'a str) -> [(&'a str, &'a str); 3] {
    [("consumergroup", group), ("topic", topic), ("partition", partition)]
}

async fn clear(admin: &AdminClient, topic: &str, groups: impl IntoIterator<Item = &String>) {
    admin.delete(topic).await;
    for group in groups {
        admin.forget(group).await;
    }
}

/// Checks page after page until `during` ends.
async fn watched<T>(
    exporter: &ExporterProcess,
    mut look: impl FnMut(&ScrapedPage),
    during: impl Future<Output = T>,
) -> T {
    tokio::pin!(during);
    loop {
        look(&exporter.page().await);
        tokio::select! {
            done = &mut during => return done,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// Runs the stack's compose command; it must succeed.
fn compose(args: &[&str]) {
    let done = Command::new(variable("COMPOSE")).args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A fault of [`SERVICE`], which is undone when it is dropped.
struct ServiceFault {
    undo: Option<&'static str>,
}

impl ServiceFault {
    async fn begin(what: &'static str, undo: &'static str) -> Self {
        let fault = Self { undo: Some(undo) };
        spawn_blocking(move || compose(&[what, SERVICE])).await.unwrap();
        fault
    }

    async fn end(mut self) {
        let undo = self.undo.take().unwrap();
        spawn_blocking(move || compose(&[undo, SERVICE])).await.unwrap();
    }
}

impl Drop for ServiceFault {
    fn drop(&mut self) {
        if let Some(undo) = self.undo {
            // The test has failed already; a second panic would hide why.
            let _undone_if_possible =
                Command::new(variable("COMPOSE")).args([undo, SERVICE]).output();
        }
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_commit_ahead_of_the_end_is_lag_0_and_counted() {
    let (admin, topic, group) = (hand(), "corner-ahead", "corner-ahead".to_owned());
    admin.create(topic, &[&[1, 2, 3]]).await;
    admin.write(topic, 0, 10).await;
    admin.commit(&group, topic, &[(0, 25)]).await;
    let exporter = exporter().await;
    let lag = exporter.until("its lag", SOON, |it| it.value(LAG, &of(&group, topic, "0"))).await;
    let page = exporter.next_round().await;

    assert_eq!(page.value(END, &at(topic, "0")), Some(10.0));
    assert_eq!(page.value(COMMIT, &of(&group, topic, "0")), Some(25.0));

    let ahead = page.value("kafka_optimizer_commits_ahead", &[]);
    let counted = if ahead == Some(1.0) { ", and counted" } else { "" };
    seen(Corner::CommitAhead, &format!("{lag}{counted}"), "");
    clear(&admin, topic, [&group]).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_commit_below_the_log_start_offset_counts_lost_records() {
    let (admin, topic, group) = (hand(), "corner-lost", "corner-lost".to_owned());
    admin.create(topic, &[&[1, 2, 3]]).await;
    admin.write(topic, 0, 20).await;
    admin.commit(&group, topic, &[(0, 3)]).await;
    admin.truncate(topic, 0, 10).await;
    let exporter = exporter().await;
    let lag = exporter.until("its lag", SOON, |it| it.value(LAG, &of(&group, topic, "0"))).await;
    let page = exporter.next_round().await;

    assert_eq!(page.value("kafka_topic_partition_oldest_offset", &at(topic, "0")), Some(10.0));

    let lost = page.value(LOST, &[("consumergroup", &group), ("topic", topic)]).unwrap();
    seen(Corner::CommitLost, &format!("{lag}, lost {lost}"), "");
    clear(&admin, topic, [&group]).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_partition_never_committed_is_absent_and_a_committed_one_is_not() {
    let (admin, topic, group) = (hand(), "corner-never", "corner-never".to_owned());
    admin.create(topic, &[&[1, 2, 3], &[2, 3, 1]]).await;
    admin.write(topic, 0, 10).await;
    admin.write(topic, 1, 10).await;
    admin.commit(&group, topic, &[(0, 4)]).await;
    let exporter = exporter().await;
    let lag = exporter.until("its lag", SOON, |it| it.value(LAG, &of(&group, topic, "0"))).await;

    assert_eq!(lag.to_string(), "6");

    let page = exporter.next_round().await;
    let of_topic = [("consumergroup", group.as_str()), ("topic", topic)];

    assert_eq!(page.value(LAG_SUM, &of_topic), Some(6.0));

    let of_never = of(&group, topic, "1");
    let never = page.values(LAG, &of_never).chain(page.values(COMMIT, &of_never)).count();

    assert_eq!(never, 0);

    let counted = page.value(UNCOMMITTED, &of_topic);
    let ours = if counted == Some(1.0) { "absent, counted per topic" } else { "absent" };
    seen(Corner::NeverCommitted, ours, "");
    clear(&admin, topic, [&group]).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_deleted_topic_is_gone_at_the_next_snapshot() {
    let (admin, topic, group) = (hand(), "corner-deleted", "corner-deleted".to_owned());
    admin.create(topic, &[&[1, 2, 3]]).await;
    admin.write(topic, 0, 10).await;
    admin.commit(&group, topic, &[(0, 4)]).await;
    let exporter = exporter().await;
    exporter.until("its lag", SOON, |it| it.value(LAG, &of(&group, topic, "0"))).await;
    admin.delete(topic).await;

    let deleted = now();
    let mut stale = BTreeSet::new();
    exporter
        .until("the topic is gone", SOON, |it| {
            let shown = it.text.contains(&format!("topic=\"{topic}\""));
            stale.extend(shown.then(|| it.round()));
            (!shown).then_some(())
        })
        .await;

    // The round before the deletion, and one in progress.
    let ours = if stale.len() <= 2 { "dropped at the next snapshot" } else { "stale" };
    seen(Corner::TopicDeleted, ours, &format!("{:.1} s", deleted.elapsed().as_secs_f64()));
    admin.forget(&group).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_topic_deleted_and_created_again_has_no_lag_until_a_new_commit() {
    let (admin, topic, group) = (hand(), "corner-again", "corner-again".to_owned());
    admin.create(topic, &[&[1, 2, 3]]).await;
    let exporter = exporter().await;
    let mut pages = 0;

    for written in [4, 9] {
        admin.write(topic, 0, 10).await;
        admin.commit(&group, topic, &[(0, 5)]).await;
        let lag = |it: &ScrapedPage| it.value(LAG, &of(&group, topic, "0"));
        exporter.until("its lag", SOON, |it| lag(it).filter(|it| eq(*it, 5.0))).await;
        let again = async {
            admin.delete(topic).await;
            admin.create(topic, &[&[1, 2, 3]]).await;
            admin.write(topic, 0, written).await;
            exporter.next_round().await;
        };

        // The lag of the deleted topic may be exported until the next snapshot, that of the new one
        // must not.
        let look = |page: &ScrapedPage| {
            pages += 1;
            assert!(lag(page).is_none_or(|it| eq(it, 5.0)), "{:?}", lag(page));
        };
        watched(&exporter, look, again).await;
        let page = exporter.next_round().await;

        assert_eq!(lag(&page), None, "{written} records, no commit");
        assert_eq!(page.value(END, &at(topic, "0")), Some(f64::from(written)));

        admin.commit(&group, topic, &[(0, 1)]).await;
        let want = f64::from(written - 1);
        exporter.until("the lag of it", SOON, |it| lag(it).filter(|it| eq(*it, want))).await;
        admin.delete(topic).await;
        admin.create(topic, &[&[1, 2, 3]]).await;
    }

    seen(Corner::TopicRecreated, "absent", &format!("{pages} pages"));
    clear(&admin, topic, [&group]).await;
}

fn eq(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

/// Three partitions with one replica each. Each has 16 records, and a lag of 6 for each group.
const ENDS: f64 = 16.0;
const LAGS: f64 = 6.0;
const PARTITIONS: [(&str, i32); 3] = [("0", 1), ("1", 2), ("2", BROKER)];

async fn thirds(admin: &AdminClient, topic: &str, groups: &GroupNames) {
    admin.create(topic, &[&[1], &[2], &[BROKER]]).await;
    for partition in 0..3 {
        admin.write(topic, partition, 16).await;
    }

    for group in groups.all() {
        admin.commit(group, topic, &[(0, 10), (1, 10), (2, 10)]).await;
    }
}

/// Whether a value is available while the broker is down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    HealthyBroker,
    StoppedBroker,
}

/// What a page should show, if it shows anything.
#[derive(Clone, Copy)]
struct WantedValue {
    value: f64,
    owner: Owner,
}

/// What pages showed while a broker was down.
struct PageWatch<'a> {
    topic: &'a str,
    groups: &'a GroupNames,
    pages: u32,
    slow: u32,
    slowest: Duration,
    /// Missing values of healthy brokers, with the rounds that lack them and what those count.
    missing: BTreeMap<String, BTreeSet<(Option<u64>, String)>>,
    wrong: BTreeSet<String>,
    /// The reasons counted while the broker's own partition had no value.
    reasons: BTreeSet<&'static str>,
    /// Since when a group of the broker is missing, and for how long at most.
    away: Option<Instant>,
    away_max: Duration,
}

impl<'a> PageWatch<'a> {
    fn new(topic: &'a str, groups: &'a GroupNames) -> Self {
        Self {
            topic,
            groups,
            pages: 0,
            slow: 0,
            slowest: Duration::ZERO,
            missing: BTreeMap::new(),
            wrong: BTreeSet::new(),
            reasons: BTreeSet::new(),
            away: None,
            away_max: Duration::ZERO,
        }
    }

    fn check_page(&mut self, page: &ScrapedPage) {
        self.pages += 1;
        self.slow += u32::from(SLOW < page.took);
        self.slowest = self.slowest.max(page.took);

        for (partition, broker) in PARTITIONS {
            let end = page.value(END, &at(self.topic, partition));
            let owner = if broker == BROKER { Owner::StoppedBroker } else { Owner::HealthyBroker };

            self.check(page, &format!("end {partition}"), end, WantedValue { value: ENDS, owner });

            if broker == BROKER && end.is_none() {
                let counted = ["timeout", "busy", "leaderless", "connection", "not_leader"];
                self.reasons.extend(counted.iter().filter(|it| 0.0 < page.unknown("offsets", it)));
            }

            let groups = self.groups;
            for group in groups.all() {
                let lag = page.value(LAG, &of(group, self.topic, partition));
                let owner = if groups.there.contains(group) { Owner::StoppedBroker } else { owner };
                let expected = WantedValue { value: LAGS, owner };
                self.check(page, &format!("lag {group} {partition}"), lag, expected);
            }
        }

        let all = |it: &String| page.value(MEMBERS, &[("consumergroup", it)]).is_some();

        if self.groups.there.iter().all(all) {
            self.away = None;
        } else {
            let since = *self.away.get_or_insert_with(now);
            self.away_max = self.away_max.max(since.elapsed());
        }
    }

    fn check(&mut self, page: &ScrapedPage, what: &str, value: Option<f64>, expected: WantedValue) {
        match value {
            Some(value) if !eq(value, expected.value) => {
                self.wrong.insert(format!("{what}: {value}"));
            }
            None if expected.owner == Owner::HealthyBroker => {
                let rounds = self.missing.entry(what.to_owned()).or_default();
                rounds.insert((page.round(), page.failures()));
            }
            Some(_) | None => {}
        }
    }

    /// The values of healthy brokers that more than one round lacks. If a round waited for the
    /// stopped broker, all rounds would lack them until it is fenced; a single round may be due to
    /// the machine: a request has two thirds of a second.
    fn missing(&self) -> Vec<String> {
        let lacking = self.missing.iter().filter(|(_, rounds)| 1 < rounds.len());
        lacking.map(|(what, rounds)| format!("{what}: {rounds:?}")).collect()
    }

    /// Whether every value is present and right.
    fn is_whole(&self, page: &ScrapedPage) -> bool {
        let lags = PARTITIONS.iter().all(|(partition, _)| {
            let lag = |it: &String| page.value(LAG, &of(it, self.topic, partition)).is_some();
            self.groups.all().all(lag) && page.value(END, &at(self.topic, partition)).is_some()
        });
        lags && page.succeeded("offsets") && page.succeeded("groups")
    }
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_frozen_broker_makes_only_its_own_values_absent() {
    let (admin, topic) = (hand(), "corner-frozen");
    let groups = admin.names(topic, BROKER, 3).await;
    thirds(&admin, topic, &groups).await;
    let exporter = exporter().await;
    let mut watch = PageWatch::new(topic, &groups);
    exporter.until("all there", SOON, |it| watch.is_whole(it).then_some(())).await;

    let frozen = async {
        let fault = ServiceFault::begin("pause", "unpause").await;
        tokio::time::sleep(FREEZE).await;
        fault.end().await;
    };
    watched(&exporter, |it| watch.check_page(it), frozen).await;
    let resumed = now();

    // Every value must be there from the first page with the leader of its partition.
    let whole = exporter
        .until("it leads again", RETURN, |it| {
            watch.check_page(it);
            it.value(LEADER, &at(topic, "2")).map(|_| watch.is_whole(it))
        })
        .await;
    let led = resumed.elapsed();

    assert!(whole, "{}", exporter.page().await.text);
    assert_eq!(watch.wrong, BTreeSet::new());
    assert_eq!(watch.missing(), Vec::<String>::new());
    assert!(!watch.reasons.is_empty());
    assert!(watch.slow * 10 < watch.pages, "{} of {} pages", watch.slow, watch.pages);
    assert!(watch.away_max < FREEZE, "{:?}", watch.away_max);

    let reasons: Vec<&str> = watch.reasons.iter().copied().collect();
    let measured = format!(
        "{} pages, the slowest {:.0} ms; its partition counted as {}; its groups absent for \
         {:.1} of {:.0} s; all there {:.1} s after it",
        watch.pages,
        watch.slowest.as_secs_f64() * 1e3,
        reasons.join(", "),
        watch.away_max.as_secs_f64(),
        FREEZE.as_secs_f64(),
        led.as_secs_f64(),
    );
    let ours = "no wrong value; only its own are absent, and counted; all there again with its \
                leaders";
    seen(Corner::BrokerFrozen, ours, &measured);
    recovered(&admin, &exporter).await;
    clear(&admin, topic, groups.all()).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn a_stopped_broker_makes_its_single_replica_absent_and_its_groups_change_coordinator() {
    let (admin, topic) = (hand(), "corner-stopped");
    let groups = admin.names(topic, BROKER, 3).await;
    thirds(&admin, topic, &groups).await;
    let exporter = exporter().await;
    let mut watch = PageWatch::new(topic, &groups);
    exporter.until("all there", SOON, |it| watch.is_whole(it).then_some(())).await;

    let begun = now();
    let mut lone = None;
    let stopped = async {
        let fault = ServiceFault::begin("stop", "start").await;
        let page = exporter.next_round().await;
        let offline = page.value("kafka_topic_partition_offline", &at(topic, "2"));
        let sums = groups.all().filter_map(|it| {
            page.value(LAG_SUM, &[("consumergroup", it.as_str()), ("topic", topic)])
        });
        let absent = page.value(END, &at(topic, "2")).is_none() && sums.count() == 0;
        lone = Some((absent, page.unknown("offsets", "leaderless"), offline));
        fault.end().await;
        recovered(&admin, &exporter).await;
    };
    watched(&exporter, |it| watch.check_page(it), stopped).await;
    let fault = begun.elapsed();
    exporter.until("all there again", SOON, |it| watch.is_whole(it).then_some(())).await;

    assert_eq!(watch.wrong, BTreeSet::new());
    assert_eq!(watch.missing(), Vec::<String>::new());

    let lone = lone.unwrap();
    assert!(lone.0 && 1.0 <= lone.1 && lone.2 == Some(1.0), "{lone:?}");

    seen(Corner::Leaderless, "absent, and counted as leaderless", "");
    assert!(watch.away_max < fault, "{:?} of {fault:?}", watch.away_max);

    let measured = format!(
        "{} pages; absent for {:.1} s at most, the broker for {:.1} s",
        watch.pages,
        watch.away_max.as_secs_f64(),
        fault.as_secs_f64(),
    );
    let ours = "each group once; absent for less than the broker was";
    seen(Corner::CoordinatorMoved, ours, &measured);
    clear(&admin, topic, groups.all()).await;
}

/// Waits until every replica is in sync again, and elects the preferred leaders.
async fn recovered(admin: &AdminClient, exporter: &ExporterProcess) {
    exporter
        .until("every replica is in sync", RETURN, |it| {
            let behind = "kafka_topic_partition_under_replicated_partition";
            let all = it.values(behind, &[]).all(|it| eq(it, 0.0));
            (it.value("kafka_brokers", &[]) == Some(3.0) && all).then_some(())
        })
        .await;
    admin.elect().await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn unauthorized_topics_and_groups_are_absent_and_counted() {
    let bootstrap = variable("39_BOOTSTRAP");
    let (admin, topic) = (AdminClient::new(&bootstrap), "corner-forbidden");
    let [reader, hidden] = ["corner-reader", "corner-hidden"].map(str::to_owned);

    // Left by a failed run.
    admin.allow(AclResource::Topic, topic).await;
    admin.allow(AclResource::Group, &hidden).await;
    admin.create(topic, &[&[1]]).await;
    admin.create("corner-allowed", &[&[1]]).await;

    for group in [&reader, &hidden] {
        admin.commit(group, topic, &[(0, 0)]).await;
        admin.commit(group, "corner-allowed", &[(0, 0)]).await;
    }

    let member =
        GroupMember::join(&bootstrap, MemberProtocol::Classic, &hidden, "corner-allowed").await;
    let exporter = ExporterProcess::start(&bootstrap).await;
    let lag = |it: &ScrapedPage, group: &str, topic: &str| it.value(LAG, &of(group, topic, "0"));
    exporter.until("its lag", SOON, |it| lag(it, &hidden, topic)).await;
    admin.forbid(AclResource::Topic, topic).await;
    admin.forbid(AclResource::Group, &hidden).await;

    let page = exporter.next_round().await;

    assert!(!page.text.contains(&format!("topic=\"{topic}\"")), "{}", page.text);
    assert_eq!(lag(&page, &reader, "corner-allowed"), Some(0.0), "{}", page.text);

    let of_topic = page.unknown("topology", "unauthorized");
    let ours = if eq(of_topic, 0.0) {
        "absent; brokers hide it, so nothing can be counted"
    } else {
        "absent, and counted as unauthorized"
    };
    seen(Corner::TopicForbidden, ours, "");

    assert_eq!(lag(&page, &hidden, "corner-allowed"), None);
    assert_eq!(page.value(MEMBERS, &[("consumergroup", &hidden)]), None);

    let counted = ["groups", "committed"].map(|it| page.unknown(it, "unauthorized").to_string());
    assert_eq!(counted, ["1", "1"]);

    let ours = "its members and lag are absent, and counted as unauthorized";
    seen(Corner::GroupForbidden, ours, "");

    admin.allow(AclResource::Topic, topic).await;
    admin.allow(AclResource::Group, &hidden).await;
    exporter.until("its lag again", SOON, |it| lag(it, &hidden, topic)).await;
    member.leave().await;
    clear(&admin, topic, [&reader, &hidden]).await;
    admin.delete("corner-allowed").await;
}
