//! Brokers, topics and partitions: one request to any broker begins each round, and the other
//! collectors ask for what it shows.
//!
//! Publishes `up`, `at`, `read`, `topology`, `leader_changes`, and of `membership` which brokers
//! are missing or have returned, and since when they are watched.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    cached::{Cached, Timestamps},
    leaders::LeaderChangeCounter,
};
use crate::{
    config::NameFilter,
    model::{BrokerId, MonotonicTime, Topology, WallTime},
    snapshot::{Membership, Section, Snapshot},
};

/// A broker missing for longer than this has been removed from the cluster.
const MEMORY: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub(super) struct TopologyCollector {
    cadence: Duration,
    topics: NameFilter,
    /// Whether the latest round read the topology.
    up: bool,
    read: Option<Timestamps>,
    topology: Option<Cached<Section<Topology>>>,
    brokers: BrokerTracker,
    leaders: LeaderChangeCounter,
}

impl TopologyCollector {
    pub(super) fn new(cadence: Duration, topics: NameFilter) -> Self {
        Self {
            cadence,
            topics,
            up: false,
            read: None,
            topology: None,
            brokers: BrokerTracker::default(),
            leaders: LeaderChangeCounter::default(),
        }
    }

    /// Takes the answer of this round, without the topics that are not collected.
    pub(super) fn store(&mut self, mut topology: Topology, at: Timestamps) -> Arc<Topology> {
        topology.topics.retain(|it| self.topics.admits(it.name.as_str()));
        topology.unreadable.retain(|it| self.topics.admits(it.as_str()));

        self.brokers.update(&topology, at.monotonic);
        self.leaders.update(&topology);
        self.up = true;
        self.read = Some(at);
        let topology = self.topology.insert(Cached::section(topology, at));

        Arc::clone(&topology.value().value)
    }

    pub(super) fn failed(&mut self) {
        self.up = false;
    }

    /// The topology that was last read, however long ago.
    pub(super) fn latest(&self) -> Option<Arc<Topology>> {
        self.topology.as_ref().map(|it| Arc::clone(&it.value().value))
    }

    /// When it was last read; 0 when it never was.
    pub(super) fn read(&self) -> WallTime {
        self.read.map_or(WallTime::default(), |it| it.wall)
    }

    pub(super) fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        snapshot.up = self.up;
        snapshot.at = self.read();
        snapshot.read = self.read.map(|it| it.monotonic);
        snapshot.topology = self.topology.as_ref().and_then(|it| it.fresh(now, self.cadence));
        snapshot.leader_changes = self.leaders.changes();

        let Membership { watched_since, missing, returned, controller_changed: _ } =
            self.brokers.membership.clone();
        snapshot.membership.watched_since = watched_since;
        snapshot.membership.missing = missing;
        snapshot.membership.returned = returned;
    }
}

/// Tracks which brokers come and go.
#[derive(Debug, Default)]
struct BrokerTracker {
    alive: BTreeSet<BrokerId>,
    membership: Membership,
}

impl BrokerTracker {
    fn update(&mut self, topology: &Topology, now: MonotonicTime) {
        let alive: BTreeSet<BrokerId> = topology.brokers.iter().map(|it| it.id).collect();
        let Membership { watched_since, missing, returned, .. } = &mut self.membership;
        watched_since.get_or_insert(now);

        for gone in self.alive.difference(&alive) {
            missing.entry(*gone).or_insert(now);
            returned.remove(gone);
        }

        for here in &alive {
            if missing.remove(here).is_some() {
                returned.insert(*here, now);
            }
        }

        missing.retain(|_, since| now.since(*since) <= MEMORY);
        returned.retain(|_, since| now.since(*since) <= MEMORY);
        self.alive = alive;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Broker;

    fn id(raw: i32) -> BrokerId {
        BrokerId::from_wire(raw).unwrap()
    }

    fn topology(ids: &[i32]) -> Topology {
        let broker = |raw: &i32| Broker { id: id(*raw), host: "h".into(), port: 9092, rack: None };
        Topology { brokers: ids.iter().map(broker).collect(), ..Topology::default() }
    }

    fn after(seconds: u64) -> MonotonicTime {
        MonotonicTime(Duration::from_secs(seconds))
    }

    #[test]
    fn a_broker_that_went_is_missed_and_its_return_is_remembered() {
        let mut brokers = BrokerTracker::default();
        brokers.update(&topology(&[1, 2]), after(1));
        let watched = Membership { watched_since: Some(after(1)), ..Membership::default() };

        assert_eq!(brokers.membership, watched);

        brokers.update(&topology(&[1]), after(2));
        brokers.update(&topology(&[1]), after(3));

        assert_eq!(brokers.membership.missing, [(id(2), after(2))].into());

        brokers.update(&topology(&[1, 2]), after(4));
        assert!(brokers.membership.missing.is_empty());
        assert_eq!(brokers.membership.returned, [(id(2), after(4))].into());
        assert_eq!(brokers.membership.watched_since, Some(after(1)));
    }

    #[test]
    fn a_broker_that_stays_away_is_forgotten_after_an_hour() {
        let mut brokers = BrokerTracker::default();
        brokers.update(&topology(&[1, 2]), after(0));
        brokers.update(&topology(&[1]), after(1));
        brokers.update(&topology(&[1]), after(3601));

        assert_eq!(brokers.membership.missing.len(), 1);

        brokers.update(&topology(&[1]), after(3602));
        assert!(brokers.membership.missing.is_empty());
    }
}
