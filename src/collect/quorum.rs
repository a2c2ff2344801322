//! The controller quorum: one request to any broker, each round.
//!
//! Publishes `quorum` and `membership.controller_changed`.

use std::time::Duration;

use super::{
    Collect, RoundPlan,
    cached::{Cached, Timestamps},
    in_flight::{Request, RequestKey},
};
use crate::{
    model::{MonotonicTime, Quorum},
    snapshot::{Section, Snapshot},
    telemetry::CollectorName,
};

#[derive(Debug)]
pub(super) struct QuorumCollector {
    cadence: Duration,
    quorum: Option<Cached<Section<Quorum>>>,
    epoch: Option<i32>,
    controller_changed: Option<MonotonicTime>,
}

impl QuorumCollector {
    pub(super) fn new(cadence: Duration) -> Self {
        Self { cadence, quorum: None, epoch: None, controller_changed: None }
    }

    /// The first epoch seen is no change of the controller.
    fn store(&mut self, quorum: Quorum, at: Timestamps) {
        let previous = self.epoch.replace(quorum.epoch);
        if previous.is_some_and(|it| it != quorum.epoch) {
            self.controller_changed = Some(at.monotonic);
        }

        self.quorum = Some(Cached::section(quorum, at));
    }
}

impl Collect for QuorumCollector {
    fn plan(&mut self, plan: &mut RoundPlan<'_>) {
        plan.send(Request::new(
            RequestKey::to_any(CollectorName::Quorum),
            |kafka| async move { kafka.quorum().await },
            |state, _, quorum, at| state.quorum.store(quorum, at),
        ));
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        snapshot.quorum = self.quorum.as_ref().and_then(|it| it.fresh(now, self.cadence));
        snapshot.membership.controller_changed = self.controller_changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BrokerId, WallTime};

    fn quorum(leader: Option<i32>, epoch: i32) -> Quorum {
        let leader = leader.and_then(BrokerId::from_wire);
        Quorum { leader, epoch, ..Quorum::default() }
    }

    #[test]
    fn only_a_new_epoch_is_a_change_of_the_controller() {
        let mut collector = QuorumCollector::new(Duration::from_secs(15));
        let time = |seconds| MonotonicTime(Duration::from_secs(seconds));
        let at = |seconds| Timestamps { wall: WallTime::default(), monotonic: time(seconds) };

        collector.store(quorum(None, 7), at(1));
        collector.store(quorum(Some(1), 7), at(2));

        assert_eq!(collector.controller_changed, None);

        collector.store(quorum(Some(1), 8), at(3));
        assert_eq!(collector.controller_changed, Some(time(3)));
    }
}
