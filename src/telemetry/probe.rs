//! Metrics of the end-to-end probe: the only cluster metrics that are updated by events.
//!
//! The series of a broker exist from the moment it is known, starting at 0, and are removed with
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::registry::Registry;

use super::{
    counters::{
        CounterFamily, HistogramFamily, LabelPairs, add, cluster_label, family, histogram, timed,
        touch,
    },
    spec::{Kind, Spec, specs},
};
use crate::model::{BrokerId, ClusterName, closed_list};

specs! {
    ATTEMPTS: Counter "kafka_probe_attempts_total" ["kafka_cluster", "broker_id"]
        "Records that the probe tried to send through the broker and back", "brokers";
    FAILURES: Counter "kafka_probe_failures_total" ["kafka_cluster", "broker_id", "reason"]
        "Records of the probe that did not come back in time, by reason",
        "brokers × eight reasons";
    PRODUCE: Histogram "kafka_probe_produce_seconds" ["kafka_cluster", "broker_id"]
        "From sending a record of the probe to its acknowledgement by all replicas in sync",
        "brokers";
    ROUND_TRIP: Histogram "kafka_probe_round_trip_seconds" ["kafka_cluster", "broker_id"]
        "From sending a record of the probe to its arrival at the consumer", "brokers";
}

/// A healthy broker responds within a few milliseconds; an attempt times out after seconds.
const SECONDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

closed_list! {
    /// Why a record of the probe was not consumed.
    pub enum ProbeFailure {
        /// Not acknowledged or not consumed within the timeout.
        Timeout = "timeout",
        /// The connection could not be opened, or it broke.
        Connection = "connection",
        /// The broker is no longer the leader of the partition.
        NotLeader = "not_leader",
        /// Fewer in-sync replicas than `min.insync.replicas`.
        NotEnoughReplicas = "not_enough_replicas",
        /// The broker rejects our credentials.
        Authentication = "authentication",
        /// We have no permission to create, write or read the topic.
        Authorization = "authorization",
        /// The topic is missing, cannot be created, or has the wrong configuration.
        Topic = "topic",
        Other = "other",
    }
}

/// Result of one attempt of the probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeResult {
    /// From sending to acknowledgement; `None` if not acknowledged.
    pub produced: Option<Duration>,
    /// From sending to consumption; `None` if not consumed.
    pub round_trip: Option<Duration>,
    /// `None` if the attempt succeeded.
    pub failure: Option<ProbeFailure>,
}

/// Result of the previous attempt; `None` inside means success.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreviousAttempt(pub(super) Option<ProbeFailure>);

/// The families, and the brokers that are in them with the failure of the latest attempt.
#[derive(Debug)]
pub(super) struct Probes {
    attempts: CounterFamily,
    failures: CounterFamily,
    produce: HistogramFamily,
    round_trip: HistogramFamily,
    known: Mutex<BTreeMap<(ClusterName, BrokerId), Option<ProbeFailure>>>,
}

impl Probes {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            attempts: family(registry, &ATTEMPTS),
            failures: family(registry, &FAILURES),
            produce: timed(registry, &PRODUCE, || histogram(SECONDS)),
            round_trip: timed(registry, &ROUND_TRIP, || histogram(SECONDS)),
            known: Mutex::default(),
        }
    }

    /// Replaces the known brokers of `cluster`: creates the series of new ones, removes those of
    /// old ones.
    pub(super) fn brokers(&self, cluster: &ClusterName, now: &BTreeSet<BrokerId>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, broker), _| {
            let stays = of != cluster || now.contains(broker);
            if !stays {
                self.forget(cluster, *broker);
            }

            stays
        });

        for broker in now {
            known.entry((cluster.clone(), *broker)).or_insert_with(|| {
                self.create(cluster, *broker);
                None
            });
        }
    }

    /// Counts one attempt. Returns `None`, and counts nothing, for an unknown broker: its series
    /// would never be removed.
    pub(super) fn count(
        &self,
        cluster: &ClusterName,
        broker: BrokerId,
        probed: ProbeResult,
    ) -> Option<PreviousAttempt> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = known.get_mut(&(cluster.clone(), broker))?;
        let labels = broker_of(cluster, broker);
        add(&self.attempts, &labels, 1);
        if let Some(failure) = probed.failure {
            add(&self.failures, &failure_of(cluster, broker, failure), 1);
        }

        for (times, took) in
            [(&self.produce, probed.produced), (&self.round_trip, probed.round_trip)]
        {
            if let Some(took) = took {
                times.get_or_create(&labels).observe(took.as_secs_f64());
            }
        }

        Some(PreviousAttempt(std::mem::replace(latest, probed.failure)))
    }

    fn create(&self, cluster: &ClusterName, broker: BrokerId) {
        let labels = broker_of(cluster, broker);
        touch(&self.attempts, &labels);
        for failure in ProbeFailure::ALL {
            touch(&self.failures, &failure_of(cluster, broker, *failure));
        }

        for times in [&self.produce, &self.round_trip] {
            let _created = times.get_or_create(&labels);
        }
    }

    fn forget(&self, cluster: &ClusterName, broker: BrokerId) {
        let labels = broker_of(cluster, broker);
        self.attempts.remove(&labels);
        for failure in ProbeFailure::ALL {
            self.failures.remove(&failure_of(cluster, broker, *failure));
        }

        for times in [&self.produce, &self.round_trip] {
            times.remove(&labels);
        }
    }
}

fn broker_of(cluster: &ClusterName, broker: BrokerId) -> LabelPairs {
    vec![cluster_label(cluster), ("broker_id", broker.to_string())]
}

fn failure_of(cluster: &ClusterName, broker: BrokerId, failure: ProbeFailure) -> LabelPairs {
    let mut labels = broker_of(cluster, broker);
    labels.push(("reason", failure.to_string()));
    labels
}
