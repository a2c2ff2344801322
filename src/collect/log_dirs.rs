//! Log directories and what each topic takes in them: one request to each broker, every fourth
//! round.
//!
//! Publishes `log_dirs`.

use std::time::Duration;

use super::{
    Collect, RoundPlan,
    cached::{ByBroker, Timestamps},
    in_flight::{Request, RequestKey},
};
use crate::{
    model::{LogDir, Topology},
    snapshot::Snapshot,
    telemetry::CollectorName,
};

#[derive(Debug)]
pub(super) struct LogDirsCollector {
    cadence: Duration,
    log_dirs: ByBroker<Vec<LogDir>>,
}

impl LogDirsCollector {
    pub(super) fn new(cadence: Duration) -> Self {
        Self { cadence, log_dirs: ByBroker::default() }
    }
}

impl Collect for LogDirsCollector {
    fn retain(&mut self, topology: &Topology, _now: Timestamps) {
        self.log_dirs.retain(topology);
    }

    fn plan(&mut self, plan: &mut RoundPlan<'_>) {
        for broker in plan.brokers() {
            let key = RequestKey::to_broker(CollectorName::LogDirs, broker);
            if !plan.is_due(key) {
                continue;
            }

            plan.send(Request::new(
                key,
                move |kafka| async move { kafka.log_dirs(broker).await },
                move |state, _, dirs, at| state.log_dirs.log_dirs.insert(broker, dirs, at),
            ));
        }
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        snapshot.log_dirs = self.log_dirs.fresh(now, self.cadence);
    }
}
