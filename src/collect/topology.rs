//! Brokers, topics, partitions; who came and who went.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    model::{BrokerId, Quorum, Topology, WallTime},
    snapshot::Membership,
};

/// After this long a broker that went is no longer missed: it was taken out of the cluster.
const MEMORY: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
pub(super) struct Members {
    alive: BTreeSet<BrokerId>,
    epoch: Option<i32>,
    seen: Membership,
}

impl Members {
    /// Takes note of the brokers that are there now.
    pub(super) fn look(&mut self, topology: &Topology, now: WallTime) {
        let alive: BTreeSet<BrokerId> = topology.brokers.iter().map(|it| it.id).collect();
        for gone in self.alive.difference(&alive) {
            self.seen.missing.entry(*gone).or_insert(now);
            self.seen.returned.remove(gone);
        }
        for here in &alive {
            if self.seen.missing.remove(here).is_some() {
                self.seen.returned.insert(*here, now);
            }
        }
        self.seen.missing.retain(|_, since| now.since(*since) <= MEMORY);
        self.seen.returned.retain(|_, since| now.since(*since) <= MEMORY);
        self.alive = alive;
    }

    /// Takes note of the quorum's epoch. The first one seen is no change.
    pub(super) fn look_at_quorum(&mut self, quorum: &Quorum, now: WallTime) {
        let before = self.epoch.replace(quorum.epoch);
        if before.is_some_and(|it| it != quorum.epoch) {
            self.seen.controller_changed = Some(now);
        }
    }

    pub(super) fn membership(&self) -> Membership {
        self.seen.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Broker;

    fn id(raw: i32) -> BrokerId {
        BrokerId::from_wire(raw).unwrap()
    }

    fn of(ids: &[i32]) -> Topology {
        let broker = |raw: &i32| Broker { id: id(*raw), host: "h".into(), port: 9092, rack: None };
        Topology { brokers: ids.iter().map(broker).collect(), ..Topology::default() }
    }

    #[test]
    fn a_broker_that_went_is_missed_and_its_return_is_remembered() {
        let mut members = Members::default();
        members.look(&of(&[1, 2]), WallTime(1_000));
        assert_eq!(members.membership(), Membership::default());
        members.look(&of(&[1]), WallTime(2_000));
        members.look(&of(&[1]), WallTime(3_000));
        assert_eq!(members.membership().missing, [(id(2), WallTime(2_000))].into());
        members.look(&of(&[1, 2]), WallTime(4_000));
        assert!(members.membership().missing.is_empty());
        assert_eq!(members.membership().returned, [(id(2), WallTime(4_000))].into());
    }

    #[test]
    fn a_broker_that_stays_away_is_forgotten_after_an_hour() {
        let mut members = Members::default();
        members.look(&of(&[1, 2]), WallTime(0));
        members.look(&of(&[1]), WallTime(1_000));
        members.look(&of(&[1]), WallTime(3_601_000));
        assert_eq!(members.membership().missing.len(), 1);
        members.look(&of(&[1]), WallTime(3_601_001));
        assert!(members.membership().missing.is_empty());
    }

    fn quorum(leader: Option<BrokerId>, epoch: i32) -> Quorum {
        Quorum { leader, epoch, ..Quorum::default() }
    }

    #[test]
    fn only_a_new_epoch_is_a_change_of_the_controller() {
        let mut members = Members::default();
        members.look_at_quorum(&quorum(None, 7), WallTime(1));
        members.look_at_quorum(&quorum(Some(id(1)), 7), WallTime(2));
        assert_eq!(members.membership().controller_changed, None);
        members.look_at_quorum(&quorum(Some(id(1)), 8), WallTime(3));
        assert_eq!(members.membership().controller_changed, Some(WallTime(3)));
    }
}
