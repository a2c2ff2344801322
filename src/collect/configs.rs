//! The broker configuration that optimizers change: one request to each broker, each round.
//!
//! Publishes `configs`, and `reporting`: when each broker last answered.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Collect, RoundPlan,
    cached::{ByBroker, Timestamps},
    in_flight::{Request, RequestKey},
};
use crate::{
    model::{BrokerConfig, BrokerId, MonotonicTime, Topology},
    snapshot::Snapshot,
    telemetry::CollectorName,
};

/// The keys that are tuned, and the restart-only socket buffers that are reported.
pub const TUNED_KEYS: &[&str] = &[
    "num.network.threads",
    "num.io.threads",
    "num.replica.fetchers",
    "background.threads",
    "socket.send.buffer.bytes",
    "socket.receive.buffer.bytes",
];

#[derive(Debug)]
pub(super) struct ConfigsCollector {
    cadence: Duration,
    configs: ByBroker<BrokerConfig>,
    reporting: BTreeMap<BrokerId, MonotonicTime>,
}

impl ConfigsCollector {
    pub(super) fn new(cadence: Duration) -> Self {
        Self { cadence, configs: ByBroker::default(), reporting: BTreeMap::new() }
    }

    fn store(&mut self, broker: BrokerId, config: BrokerConfig, at: Timestamps) {
        self.configs.insert(broker, config, at);
        self.reporting.insert(broker, at.monotonic);
    }
}

impl Collect for ConfigsCollector {
    fn retain(&mut self, topology: &Topology, _now: Timestamps) {
        self.configs.retain(topology);
        self.reporting.retain(|broker, _| topology.brokers.iter().any(|it| it.id == *broker));
    }

    fn plan(&mut self, plan: &mut RoundPlan<'_>) {
        for broker in plan.brokers() {
            plan.send(Request::new(
                RequestKey::to_broker(CollectorName::Configs, broker),
                move |kafka| async move { kafka.broker_config(broker, TUNED_KEYS).await },
                move |state, _, config, at| state.configs.store(broker, config, at),
            ));
        }
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        snapshot.configs = self.configs.fresh(now, self.cadence);
        snapshot.reporting.clone_from(&self.reporting);
    }
}
