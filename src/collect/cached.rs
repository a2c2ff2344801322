//! Answers that outlive their round: a value with its age, per cluster, broker, topic or partition.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crate::{
    clock::SharedClock,
    model::{BrokerId, MonotonicTime, TopicName, Topology, WallTime},
    snapshot::Section,
};

/// A value is published for this many of its cadences. After that it no longer describes the
/// cluster.
const LIFE_CADENCES: u32 = 3;

/// The same instant by both clocks: the wall clock for records, the monotonic one for durations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timestamps {
    pub(super) wall: WallTime,
    pub(super) monotonic: MonotonicTime,
}

impl Timestamps {
    pub(super) fn now(clock: &SharedClock) -> Self {
        Self { wall: clock.wall(), monotonic: clock.monotonic() }
    }

    pub(super) fn since(self, earlier: MonotonicTime) -> Duration {
        self.monotonic.0.saturating_sub(earlier.0)
    }
}

/// A value and when it was read, by the clock that does not jump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cached<T> {
    value: T,
    read: MonotonicTime,
}

impl<T> Cached<T> {
    pub(super) fn new(value: T, read: MonotonicTime) -> Self {
        Self { value, read }
    }

    pub(super) fn value(&self) -> &T {
        &self.value
    }

    /// Whether a value that is read once per `cadence` may still be published.
    pub(super) fn is_fresh(&self, now: Timestamps, cadence: Duration) -> bool {
        now.since(self.read) <= cadence * LIFE_CADENCES
    }
}

impl<T> Cached<Section<T>> {
    /// A section of the snapshot, read at `at`.
    pub(super) fn section(value: T, at: Timestamps) -> Self {
        Self::new(Section::new(value, at.wall), at.monotonic)
    }

    /// The section, unless it is too old.
    pub(super) fn fresh(&self, now: Timestamps, cadence: Duration) -> Option<Section<T>> {
        self.is_fresh(now, cadence).then(|| self.value.clone())
    }
}

#[derive(Debug)]
pub(super) struct ByBroker<T>(BTreeMap<BrokerId, Cached<Section<T>>>);

impl<T> Default for ByBroker<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByBroker<T> {
    pub(super) fn insert(&mut self, broker: BrokerId, value: T, at: Timestamps) {
        self.0.insert(broker, Cached::section(value, at));
    }

    /// Drops the brokers that are gone.
    pub(super) fn retain(&mut self, topology: &Topology) {
        self.0.retain(|broker, _| topology.brokers.iter().any(|it| it.id == *broker));
    }

    pub(super) fn fresh(
        &self,
        now: Timestamps,
        cadence: Duration,
    ) -> BTreeMap<BrokerId, Section<T>> {
        let fresh = self.0.iter();
        fresh.filter_map(|(broker, it)| Some((*broker, it.fresh(now, cadence)?))).collect()
    }
}

/// One entry per topic. A topic that is deleted and created again has another id, and its entry
/// starts anew.
#[derive(Debug)]
pub(super) struct ByTopic<T>(HashMap<TopicName, TopicEntry<T>>);

#[derive(Debug)]
struct TopicEntry<T> {
    id: u128,
    value: T,
}

impl<T> Default for ByTopic<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> ByTopic<T> {
    pub(super) fn get(&self, topic: &TopicName) -> Option<&T> {
        self.0.get(topic).map(|it| &it.value)
    }

    /// The entry of this topic, unless it belongs to a deleted topic of the same name.
    pub(super) fn get_with_id(&self, topic: &TopicName, id: u128) -> Option<&T> {
        self.0.get(topic).filter(|it| it.id == id).map(|it| &it.value)
    }

    pub(super) fn insert(&mut self, topic: TopicName, id: u128, value: T) {
        self.0.insert(topic, TopicEntry { id, value });
    }

    /// The entry of this topic; a new one where there is none, or one of a deleted topic.
    pub(super) fn entry(&mut self, topic: &TopicName, id: u128) -> &mut T
    where
        T: Default,
    {
        let new = || TopicEntry { id, value: T::default() };
        let entry = self.0.entry(topic.clone()).or_insert_with(new);

        if entry.id != id {
            *entry = new();
        }

        &mut entry.value
    }

    /// Drops the topics that are gone, and those of which `keep` says no.
    pub(super) fn retain(&mut self, topology: &Topology, mut keep: impl FnMut(&mut T) -> bool) {
        let ids = topic_ids(topology);
        self.0.retain(|topic, it| ids.get(topic) == Some(&it.id) && keep(&mut it.value));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicName, &T)> {
        self.0.iter().map(|(topic, it)| (topic, &it.value))
    }
}

pub(super) fn topic_ids(topology: &Topology) -> HashMap<&TopicName, u128> {
    topology.topics.iter().map(|it| (&it.name, it.id)).collect()
}
