//! Seeded changes of a cluster: topics, groups and brokers come and go.

use std::{collections::BTreeSet, fmt};

use rand::{RngExt, rngs::StdRng};

use crate::{
    fake_broker::{ClusterContents, ClusterSize, FakeGroup, FakePartition, chance},
    rounds::RoundRunner,
};

pub(super) const SIZE: ClusterSize =
    ClusterSize { brokers: 3, topics: 150, partitions: 4, groups: 80 };

const TOPICS: (usize, usize) = (120, 180);
const GROUPS: (usize, usize) = (60, 100);
/// The broker that joins and leaves.
const GUEST: i32 = 4;

/// Counts of the changes so far, and the seed of the next ones.
pub(super) struct Churn {
    chance: StdRng,
    named: u32,
    topics_gone: u32,
    groups_gone: u32,
    restarts: u32,
    visits: u32,
}

impl fmt::Display for Churn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { named, topics_gone, groups_gone, restarts, visits, .. } = self;
        write!(
            f,
            "{named} topics and groups came, {topics_gone} topics and {groups_gone} groups went, \
             brokers restarted {restarts} times, a fourth one came {visits} times"
        )
    }
}

impl Churn {
    pub(super) fn new(seed: u64) -> Self {
        let chance = chance(seed, 0);
        Self { chance, named: 0, topics_gone: 0, groups_gone: 0, restarts: 0, visits: 0 }
    }

    /// Changes the cluster before a round.
    pub(super) async fn round(&mut self, rounds: &mut RoundRunner) {
        {
            let mut contents = rounds.cluster.contents();
            self.topics(&mut contents);
            self.groups(&mut contents);
            self.progress(&mut contents);
        }

        if self.chance.random_bool(0.02) {
            self.restart(rounds).await;
        }

        if self.chance.random_bool(0.01) {
            self.visit(rounds).await;
        }
    }

    /// Ends errors and moves, and removes the guest.
    pub(super) async fn calm_down(&mut self, rounds: &mut RoundRunner) {
        self.farewell(rounds).await;
        let mut contents = rounds.cluster.contents();
        contents.moving.clear();
        contents.broken_topics.clear();

        for partition in contents.topics.values_mut().flatten() {
            partition.error = 0;
        }

        for group in contents.groups.values_mut() {
            group.error = 0;
        }
    }

    fn name(&mut self, what: &str) -> String {
        self.named += 1;
        format!("{what}-of-round-{:06}", self.named)
    }

    fn broker(&mut self) -> i32 {
        self.chance.random_range(1..=SIZE.brokers)
    }

    fn topics(&mut self, contents: &mut ClusterContents) {
        let (least, most) = TOPICS;
        for _ in 0..self.chance.random_range(0..3) {
            if contents.topics.len() < most {
                let (name, count) = (self.name("topic"), self.chance.random_range(1..8));
                let partitions = (0..count).map(|_| self.partition()).collect();
                contents.topics.insert(name, partitions);
            }
        }

        for _ in 0..self.chance.random_range(0..3) {
            if least < contents.topics.len() {
                let at = self.chance.random_range(0..contents.topics.len());
                let gone = contents.topics.keys().nth(at).unwrap().clone();
                contents.topics.remove(&gone);
                self.topics_gone += 1;
            }
        }
    }

    fn partition(&mut self) -> FakePartition {
        let leader = self.broker();
        let replicas = vec![leader, 1 + leader % SIZE.brokers];
        FakePartition { leader, isr: replicas.clone(), replicas, first: 0, last: 10, error: 0 }
    }

    /// New groups read existing topics; removed groups keep their commits.
    fn groups(&mut self, contents: &mut ClusterContents) {
        let (least, most) = GROUPS;
        for _ in 0..self.chance.random_range(0..3) {
            if contents.groups.len() < most {
                let name = self.name("group");
                let group = self.group(contents);
                contents.groups.insert(name, group);
            }
        }

        for _ in 0..self.chance.random_range(0..3) {
            if least < contents.groups.len() {
                let at = self.chance.random_range(0..contents.groups.len());
                let gone = contents.groups.keys().nth(at).unwrap().clone();
                contents.groups.remove(&gone);
                self.groups_gone += 1;
            }
        }
    }

    fn group(&mut self, contents: &ClusterContents) -> FakeGroup {
        let mut commits = Vec::new();
        for _ in 0..self.chance.random_range(1..4) {
            let at = self.chance.random_range(0..contents.topics.len());
            let (topic, partitions) = contents.topics.iter().nth(at).unwrap();
            let indices = 0..i32::try_from(partitions.len()).unwrap();
            commits.extend(indices.map(|it| (topic.clone(), it, 5)));
        }

        FakeGroup {
            coordinator: self.broker(),
            kind: if self.chance.random_bool(0.3) { "consumer" } else { "classic" },
            members: self.chance.random_range(0..4),
            commits,
            error: 0,
        }
    }

    /// Appends records, moves leaders and coordinators, and makes some responses errors.
    fn progress(&mut self, contents: &mut ClusterContents) {
        let moved = self.broker();
        for partition in contents.topics.values_mut().flatten() {
            partition.last += self.chance.random_range(0..1_000);
            if self.chance.random_bool(0.002) {
                partition.leader = moved;
            }
            partition.error = if self.chance.random_bool(0.002) { 74 } else { 0 };
        }

        for group in contents.groups.values_mut() {
            if self.chance.random_bool(0.01) {
                group.coordinator = moved;
            }
            group.error = if self.chance.random_bool(0.005) { 16 } else { 0 };
        }

        contents.broken_topics.clear();
        if self.chance.random_bool(0.1) {
            contents.broken_topics.insert("half-made".to_owned(), 5);
        }

        let some = contents.topics.keys().next().cloned();
        contents.moving = some.map(|it| (it, 0)).into_iter().collect();
    }

    /// Restarts a broker at its old address or at a new one.
    async fn restart(&mut self, rounds: &mut RoundRunner) {
        let at = self.chance.random_range(0..rounds.brokers.len());
        let id = i32::try_from(at).unwrap() + 1;
        let address = rounds.brokers.remove(at).stop().await;
        let back = if self.chance.random_bool(0.5) {
            rounds.cluster.start_at(id, address).await
        } else {
            rounds.cluster.start(id).await
        };
        rounds.brokers.insert(at, back);
        self.restarts += 1;
    }

    /// Adds or removes the guest.
    async fn visit(&mut self, rounds: &mut RoundRunner) {
        if usize::try_from(GUEST).unwrap() <= rounds.brokers.len() {
            self.farewell(rounds).await;
        } else {
            rounds.brokers.push(rounds.cluster.start(GUEST).await);
            self.visits += 1;
        }
    }

    async fn farewell(&self, rounds: &mut RoundRunner) {
        if usize::try_from(GUEST).unwrap() <= rounds.brokers.len() {
            let guest = rounds.brokers.pop().unwrap();
            rounds.cluster.contents().leave(GUEST);
            guest.stop().await;
        }
    }
}

/// The series on `page` of topics, groups and brokers that no longer exist.
pub(super) fn strangers<'a>(rounds: &RoundRunner, page: &'a str) -> Vec<&'a str> {
    let contents = rounds.cluster.contents();
    let brokers: BTreeSet<String> = contents.brokers().keys().map(ToString::to_string).collect();
    let addresses: BTreeSet<String> =
        contents.brokers().values().map(ToString::to_string).collect();
    let is_strange = |line: &&str| {
        labels(line).any(|(name, value)| match name {
            "topic" => !contents.topics.contains_key(value),
            "consumergroup" => !contents.groups.contains_key(value),
            "id" | "broker_id" | "coordinator_id" => !brokers.contains(value),
            "address" => !addresses.contains(value),
            _ => value.contains("-of-round-"),
        })
    };

    page.lines().filter(|it| !it.starts_with('#')).filter(is_strange).collect()
}

/// The labels of a series. The names of this test need no escapes.
fn labels(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = line.split_once('{').and_then(|it| it.1.rsplit_once('}')).map_or("", |it| it.0);
    inside
        .split("\",")
        .filter_map(|it| it.split_once("=\""))
        .map(|it| (it.0, it.1.trim_matches('"')))
}

#[test]
fn labels_are_read_off_a_series() {
    let line = "kafka_x{kafka_cluster=\"main\",topic=\"a,b\",partition=\"0\"} 1";
    let all: Vec<_> = labels(line).collect();

    assert_eq!(all, [("kafka_cluster", "main"), ("topic", "a,b"), ("partition", "0")]);
    assert_eq!(labels("kafka_up 1").count(), 0);
}
