//! One cluster at one moment: immutable, shared, replaced as a whole.
//!
//! `collect` makes it; `expose` and `remediation` read it. Values that were not read are absent,
//! and sections that are too old are left out when the snapshot is made.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::sync::watch;

use crate::model::{
    BrokerConfig, BrokerId, ClusterName, ContainerUsage, Export, GroupName, GroupState, GroupType,
    LagTime, LogDir, MonotonicTime, OffsetRange, Quorum, TopicName, TopicPartition, Topology,
    WallTime,
};

/// The latest snapshot of one cluster; `None` until the first round has ended.
pub type Latest = watch::Receiver<Option<Arc<Snapshot>>>;

/// A part of the snapshot, with the time it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Section<T> {
    pub value: Arc<T>,
    /// When it was read.
    pub at: WallTime,
}

impl<T> Section<T> {
    pub fn new(value: T, at: WallTime) -> Self {
        Self { value: Arc::new(value), at }
    }
}

// Not derived: that would ask `T` to be `Clone`, and only the `Arc` is cloned.
impl<T> Clone for Section<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), at: self.at }
    }
}

/// One cluster at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub cluster: ClusterName,
    /// When the topology was last read; 0 when it never was.
    pub at: WallTime,
    /// The same, for its age: no step of the clock changes that. `None` when it never was.
    pub read: Option<MonotonicTime>,
    /// Whether the topology was read in the latest round.
    pub up: bool,
    pub topology: Option<Section<Topology>>,
    /// Effective `min.insync.replicas` by topic. Absent for a topic that was not read.
    pub min_insync_replicas: Option<Section<BTreeMap<TopicName, u32>>>,
    pub quorum: Option<Section<Quorum>>,
    /// Partitions with a reassignment in flight.
    pub reassignments: Option<Section<Vec<TopicPartition>>>,
    pub offsets: Option<Section<Offsets>>,
    /// By name; each group once.
    pub groups: Option<Section<Vec<Group>>>,
    pub log_dirs: BTreeMap<BrokerId, Section<Vec<LogDir>>>,
    /// The keys that are tuned, by broker.
    pub configs: BTreeMap<BrokerId, Section<BrokerConfig>>,
    /// What the brokers' containers use.
    pub containers: Option<Section<Vec<ContainerUsage>>>,
    pub membership: Membership,
    /// When each broker last answered its configuration request.
    pub reporting: BTreeMap<BrokerId, MonotonicTime>,
    /// Leader changes of each partition since this process started.
    pub leader_changes: LeaderChanges,
    /// Which parts of the snapshot are exported.
    pub export: Export,
    /// What could not be read in the latest round, as text for people, and why.
    pub failures: BTreeMap<&'static str, String>,
}

impl Snapshot {
    /// A snapshot without any section.
    pub fn unknown(cluster: ClusterName) -> Self {
        Self {
            cluster,
            at: WallTime::default(),
            read: None,
            up: false,
            topology: None,
            min_insync_replicas: None,
            quorum: None,
            reassignments: None,
            offsets: None,
            groups: None,
            log_dirs: BTreeMap::new(),
            configs: BTreeMap::new(),
            containers: None,
            membership: Membership::default(),
            reporting: BTreeMap::new(),
            leader_changes: LeaderChanges::new(),
            export: Export::DEFAULT,
            failures: BTreeMap::new(),
        }
    }
}

/// Brokers that this process has seen leave and return. Empty after its own start. No time depends
/// on the clock, which may be set back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// When this process first read which brokers there are; `None` before that.
    pub watched_since: Option<MonotonicTime>,
    /// Brokers that left and returned, with the time of their return. Forgotten after an hour.
    pub returned: BTreeMap<BrokerId, MonotonicTime>,
    /// Brokers that left, and since when they are missing. Forgotten after an hour.
    pub missing: BTreeMap<BrokerId, MonotonicTime>,
    /// When the quorum's epoch was last seen to change: the controller changed.
    pub controller_changed: Option<MonotonicTime>,
}

/// Start and end offsets by topic, in the order of the topology's partitions.
pub type Offsets = HashMap<TopicName, Vec<(i32, OffsetRange)>>;

/// Leader changes by topic, in the order of the topology's partitions.
pub type LeaderChanges = HashMap<TopicName, Arc<Vec<u64>>>;

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: GroupName,
    /// The broker that lists it.
    pub coordinator: BrokerId,
    /// `consumer`, `connect`, …; empty for a group that only commits.
    pub protocol_type: String,
    pub group_type: GroupType,
    pub state: GroupState,
    /// How many members it has.
    pub members: Option<u32>,
    /// Unassigned partitions of each topic that members subscribe to. Empty during a rebalance, and
    /// where the protocol assigns something else.
    pub unassigned: Vec<(TopicName, u64)>,
    /// Rebalances seen since this process started.
    pub rebalances: u64,
    /// When a commit was last seen to advance; `None` if none has since this process started.
    pub progressed: Option<WallTime>,
    /// What it has committed, by topic. Topics and partitions that are gone are left out.
    pub topics: Vec<GroupTopic>,
}

/// What a group has committed in one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTopic {
    pub topic: TopicName,
    /// Partitions with a commit, by index. A partition never committed is not in it.
    pub partitions: Vec<GroupPartition>,
    /// Sum of the committed offsets; unknown when a part is.
    pub committed_sum: Option<i64>,
    /// Sum of the lags; unknown when a part is.
    pub lag_sum: Option<u64>,
    /// The longest of the lags in time; unknown when one is.
    pub time_max: Option<LagTime>,
    /// Partitions of the topic that the group never committed.
    pub uncommitted: Option<u64>,
    /// What retention took or is about to take; unknown when a part is.
    pub retention: Option<Retention>,
}

/// What a group has committed in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPartition {
    pub partition: i32,
    pub committed: Option<i64>,
    /// Records between the commit and the log end; 0 when the commit lies ahead of the end.
    pub lag: Option<u64>,
    /// The age of the oldest record that the group has yet to read.
    pub time: Option<LagTime>,
}

/// How close retention is to what a group has yet to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retention {
    /// Records between the commit and the log start: they are gone, unread.
    pub lost: u64,
    /// Where the commit stands between the log start (0) and the log end (1). 1 for a group that
    /// has nothing left to read.
    pub headroom: f64,
}

impl Retention {
    pub fn of(committed: i64, first: i64, last: i64) -> Self {
        let length = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or(0);
        let left = length(committed.max(first), last);
        let headroom = if left == 0 { 1.0 } else { 1.0 - share(left, length(first, last)) };

        Self { lost: length(committed, first.min(last)), headroom }
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost.saturating_add(other.lost),
            headroom: self.headroom.min(other.headroom),
        }
    }
}

/// `part` of `whole`, to a millionth: exact for logs of any length.
fn share(part: u64, whole: u64) -> f64 {
    let millionths = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    f64::from(u32::try_from(millionths).unwrap_or(1_000_000)) / 1e6
}
