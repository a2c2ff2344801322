//! Partitions with a reassignment in flight: one request to any broker, each round.
//!
//! Publishes `reassignments`.

use std::time::Duration;

use super::{
    Collect, RoundPlan,
    cached::{Cached, Timestamps},
    in_flight::{Request, RequestKey},
};
use crate::{
    model::TopicPartition,
    snapshot::{Section, Snapshot},
    telemetry::CollectorName,
};

#[derive(Debug)]
pub(super) struct ReassignmentsCollector {
    cadence: Duration,
    reassignments: Option<Cached<Section<Vec<TopicPartition>>>>,
}

impl ReassignmentsCollector {
    pub(super) fn new(cadence: Duration) -> Self {
        Self { cadence, reassignments: None }
    }
}

impl Collect for ReassignmentsCollector {
    fn plan(&mut self, plan: &mut RoundPlan<'_>) {
        plan.send(Request::new(
            RequestKey::to_any(CollectorName::Reassignments),
            |kafka| async move { kafka.reassignments().await },
            |state, _, partitions, at| {
                state.reassignments.reassignments = Some(Cached::section(partitions, at));
            },
        ));
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        let reassignments = self.reassignments.as_ref();
        snapshot.reassignments = reassignments.and_then(|it| it.fresh(now, self.cadence));
    }
}
