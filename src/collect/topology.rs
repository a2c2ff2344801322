//! Brokers, topics and partitions: one request to any broker begins each round, and the other
//! collectors ask for what it shows.
//!
//! Publishes `up`, `at`, `topology`, `leader_changes`, and of `membership` which brokers are
//! missing or have returned.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    cached::{Cached, Timestamps},
    leaders::LeaderChangeCounter,
};
use crate::{
    config::NameFilter,
    model::{BrokerId, Topology, WallTime},
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
    read: WallTime,
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
            read: WallTime::default(),
            topology: None,
            brokers: BrokerTracker::default(),
            leaders: LeaderChangeCounter::default(),
        }
    }

    /// Takes the answer of this round, without the topics that are not collected.
    pub(super) fn store(&mut self, mut topology: Topology, at: Timestamps) -> Arc<Topology> {
        topology.topics.retain(|it| self.topics.admits(it.name.as_str()));
        topology.unreadable.retain(|it| self.topics.admits(it.as_str()));

        self.brokers.update(&topology, at.wall);
        self.leaders.update(&topology);
        self.up = true;
        self.read = at.wall;
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
        self.read
    }

    pub(super) fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        snapshot.up = self.up;
        snapshot.at = self.read;
        snapshot.topology = self.topology.as_ref().and_then(|it| it.fresh(now, self.cadence));
        snapshot.leader_changes = self.leaders.changes();
        snapshot.membership.missing.clone_from(&self.brokers.membership.missing);
        snapshot.membership.returned.clone_from(&self.brokers.membership.returned);
    }
}

/// Tracks which brokers come and go.
#[derive(Debug, Default)]
struct BrokerTracker {
    alive: BTreeSet<BrokerId>,
    membership: Membership,
}

impl BrokerTracker {
    fn update(&mut self, topology: &Topology, now: WallTime) {
        let alive: BTreeSet<BrokerId> = topology.brokers.iter().map(|it| it.id).collect();
        let Membership { missing, returned, .. } = &mut self.membership;

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

    #[test]
    fn a_broker_that_went_is_missed_and_its_return_is_remembered() {
        let mut brokers = BrokerTracker::default();
        brokers.update(&topology(&[1, 2]), WallTime(1_000));
        assert_eq!(brokers.membership, Membership::default());
        brokers.update(&topology(&[1]), WallTime(2_000));
        brokers.update(&topology(&[1]), WallTime(3_000));
        assert_eq!(brokers.membership.missing, [(id(2), WallTime(2_000))].into());
        brokers.update(&topology(&[1, 2]), WallTime(4_000));
        assert!(brokers.membership.missing.is_empty());
        assert_eq!(brokers.membership.returned, [(id(2), WallTime(4_000))].into());
    }

    #[test]
    fn a_broker_that_stays_away_is_forgotten_after_an_hour() {
        let mut brokers = BrokerTracker::default();
        brokers.update(&topology(&[1, 2]), WallTime(0));
        brokers.update(&topology(&[1]), WallTime(1_000));
        brokers.update(&topology(&[1]), WallTime(3_601_000));
        assert_eq!(brokers.membership.missing.len(), 1);
        brokers.update(&topology(&[1]), WallTime(3_601_001));
        assert!(brokers.membership.missing.is_empty());
    }
}
