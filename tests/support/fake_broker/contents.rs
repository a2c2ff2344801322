//! The state of a fake cluster.

use std::{collections::BTreeMap, net::SocketAddr};

/// A partition as its leader knows it.
#[derive(Clone, Debug)]
pub(crate) struct FakePartition {
    pub(crate) leader: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Error code returned instead of an offset; 0 is none.
    pub(crate) error: i16,
}

#[derive(Clone, Debug)]
pub(crate) struct FakeGroup {
    pub(crate) coordinator: i32,
    /// The group type, `classic` or `consumer`.
    pub(crate) kind: &'static str,
    pub(crate) members: usize,
    pub(crate) commits: Vec<(String, i32, i64)>,
    /// Error code returned instead of its commits; 0 is none.
    pub(crate) error: i16,
}

/// The entity of a quota: type and name of each part. A part without a name is the default.
pub(crate) type FakeEntity = Vec<(&'static str, Option<&'static str>)>;

/// The synonyms of a config key: (source, value), in order of precedence; the first is effective.
pub(crate) type FakeEntry = Vec<(i8, &'static str)>;

/// The members of the group of processes that act, as its coordinator knows them.
#[derive(Debug, Default)]
pub(crate) struct FakeMembership {
    /// Id, and the generation in which it last joined. The first is the leader.
    pub(crate) members: Vec<(String, i32)>,
    pub(crate) generation: i32,
    /// What the leader of this generation assigned.
    pub(crate) assignment: Option<Vec<u8>>,
    pub(crate) ids_given: u32,
    /// Whether the group may not be read.
    pub(crate) is_forbidden: bool,
}

impl FakeMembership {
    /// A member leaves, or its session times out.
    pub(crate) fn remove(&mut self, id: &str) {
        self.members.retain(|it| it.0 != id);
        self.generation += 1;
        self.assignment = None;
    }
}

#[derive(Debug, Default)]
pub(crate) struct ClusterContents {
    pub(super) brokers: BTreeMap<i32, SocketAddr>,
    pub(crate) topics: BTreeMap<String, Vec<FakePartition>>,
    /// Error code of a topic's metadata.
    pub(crate) broken_topics: BTreeMap<String, i16>,
    /// Error code of a topic's configuration.
    pub(crate) sealed_topics: BTreeMap<String, i16>,
    pub(crate) groups: BTreeMap<String, FakeGroup>,
    pub(crate) configs: BTreeMap<&'static str, FakeEntry>,
    /// By entity: key and value.
    pub(crate) quotas: BTreeMap<FakeEntity, Vec<(&'static str, f64)>>,
    pub(crate) alter_refusal: Option<(i16, &'static str)>,
    /// What a fetch returns of a partition, whatever the offset.
    pub(crate) logs: BTreeMap<(String, i32), Vec<u8>>,
    pub(crate) moving: Vec<(String, i32)>,
    pub(crate) membership: FakeMembership,
    /// Limits the API versions that a broker announces.
    pub(crate) versions: BTreeMap<i16, (i16, i16)>,
}

/// The number of everything. A group reads all of one topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterSize {
    pub(crate) brokers: i32,
    pub(crate) topics: i32,
    pub(crate) partitions: i32,
    pub(crate) groups: i32,
}

impl ClusterContents {
    /// The brokers and their addresses in the metadata.
    pub(crate) fn brokers(&self) -> &BTreeMap<i32, SocketAddr> {
        &self.brokers
    }

    /// Removes a broker from the cluster.
    pub(crate) fn leave(&mut self, broker: i32) {
        self.brokers.remove(&broker);
    }

    /// Spreads topics and groups of one size evenly over brokers 1, 2, …
    pub(crate) fn fill(&mut self, size: ClusterSize) {
        let ClusterSize { brokers, topics, partitions, groups } = size;
        let broker = |at: i32| 1 + at.rem_euclid(brokers);
        let name = |topic: i32| format!("topic-{topic:05}");

        for topic in 0..topics {
            let partition = |index: i32| FakePartition {
                leader: broker(topic + index),
                replicas: (0..brokers.min(3)).map(|it| broker(topic + index + it)).collect(),
                isr: (0..brokers.min(3)).map(|it| broker(topic + index + it)).collect(),
                first: 100,
                last: 1_000_000 + i64::from(topic),
                error: 0,
            };
            self.topics.insert(name(topic), (0..partitions).map(partition).collect());
        }

        for group in 0..groups {
            let topic = group.rem_euclid(topics);
            let commit = |index| (name(topic), index, 999_000 + i64::from(index));
            let group_of = FakeGroup {
                coordinator: broker(group),
                kind: "classic",
                members: 1,
                commits: (0..partitions).map(commit).collect(),
                error: 0,
            };
            self.groups.insert(format!("group-{group:05}"), group_of);
        }

        self.configs.insert("num.io.threads", vec![(5, "8")]);
        self.configs.insert("num.network.threads", vec![(5, "3")]);
    }
}
