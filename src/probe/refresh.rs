//! Refreshes the probe's metadata, and creates the topic or adds partitions if needed.
//!
//! The only calls of the probe that change anything but records, and only on its own topic.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::{
    ProbeOptions,
    client::ProbeClients,
    failure,
    topic::{self, ProbeMetadata, TopicPlan},
};
use crate::telemetry::ProbeFailure;

/// With fewer brokers than the default replication factor, how long the set of brokers must be
/// unchanged before the topic is created with fewer replicas. A cluster that starts on a busy
/// machine takes a minute to be complete, and the replication factor is never changed later.
const FEW_BROKERS_STABLE_FOR: Duration = Duration::from_mins(2);
/// Timeout for creating the topic or partitions.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The inputs of one refresh.
pub(super) struct MetadataRefresh {
    pub(super) clients: Arc<ProbeClients>,
    pub(super) options: Arc<ProbeOptions>,
    /// The result of the previous refresh.
    pub(super) previous: ProbeMetadata,
    /// How long the set of brokers has been unchanged.
    pub(super) brokers_stable_for: Duration,
    pub(super) topic_setup: TopicSetup,
}

/// Whether the topic may be created or extended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicSetup {
    Allowed,
    /// The last attempt was a short time ago, with this result.
    BackingOff(Option<ProbeFailure>),
}

pub(super) struct RefreshOutcome {
    pub(super) metadata: ProbeMetadata,
    /// Why some brokers have no partition.
    pub(super) failure: Option<ProbeFailure>,
    /// Whether creating the topic or partitions was attempted.
    pub(super) setup_attempted: bool,
}

impl MetadataRefresh {
    /// Blocks, at most for two metadata timeouts and one admin timeout.
    pub(super) fn run(self, runtime: &Handle) -> Result<RefreshOutcome, KafkaError> {
        let metadata = self.clients.fetch_metadata()?;
        if metadata != self.previous && !metadata.partitions.is_empty() {
            // If it fails, a record to a former leader is counted as `not_leader`.
            let _not_refreshed = self.clients.refresh_producer();
        }

        let plan = metadata.plan(self.options.config.replication_factor);
        // Without this wait, the first broker of a starting cluster would get the only replica.
        let few_replicas =
            plan.is_below_default_replication() && self.options.config.replication_factor.is_none();
        let stable = metadata.brokers == self.previous.brokers
            && (!few_replicas || self.brokers_stable_for >= FEW_BROKERS_STABLE_FOR);

        let (failure, setup_attempted) = match (&plan, self.topic_setup) {
            (TopicPlan::Nothing, _) => (metadata.failure, false),
            (TopicPlan::TooFewBrokers, _) => (Some(ProbeFailure::Topic), false),
            (TopicPlan::Create(_) | TopicPlan::Extend { .. }, TopicSetup::BackingOff(failure)) => {
                (failure, false)
            }
            (TopicPlan::Create(_) | TopicPlan::Extend { .. }, TopicSetup::Allowed) if !stable => {
                (None, false)
            }
            (TopicPlan::Create(_) | TopicPlan::Extend { .. }, TopicSetup::Allowed) => {
                (self.set_up_topic(&plan, runtime), true)
            }
        };

        Ok(RefreshOutcome { metadata, failure, setup_attempted })
    }

    fn set_up_topic(&self, plan: &TopicPlan, runtime: &Handle) -> Option<ProbeFailure> {
        let (cluster, topic) = (&self.options.cluster, &self.options.config.topic);
        match self.execute(plan, runtime) {
            Ok(()) => {
                info!(%cluster, %topic, ?plan, "Probe topic is set up.");
                None
            }
            Err(error) => {
                warn!(%cluster, %topic, ?plan, %error, "Cannot set up the probe topic.");
                Some(failure::from_error(&error))
            }
        }
    }

    /// Uses an admin client of its own: this happens once in a cluster's life.
    fn execute(&self, plan: &TopicPlan, runtime: &Handle) -> Result<(), KafkaError> {
        let topic = self.options.config.topic.as_str();
        let admin: AdminClient<DefaultClientContext> = self.clients.config().create()?;
        let options = AdminOptions::new()
            .request_timeout(Some(ADMIN_TIMEOUT))
            .operation_timeout(Some(ADMIN_TIMEOUT));

        let results = match plan {
            TopicPlan::Nothing | TopicPlan::TooFewBrokers => return Ok(()),
            TopicPlan::Create(partitions) => {
                let replicas: Vec<&[i32]> = partitions.iter().map(Vec::as_slice).collect();
                let count = i32::try_from(replicas.len()).unwrap_or(i32::MAX);
                let mut new = NewTopic::new(topic, count, TopicReplication::Variable(&replicas));
                for (key, value) in topic::configs(partitions.first().map_or(0, Vec::len)) {
                    new = new.set(key, value);
                }
                runtime.block_on(admin.create_topics([&new], &options))?
            }
            TopicPlan::Extend { existing, added } => {
                let replicas: Vec<&[i32]> = added.iter().map(Vec::as_slice).collect();
                let new = NewPartitions::new(topic, existing + replicas.len()).assign(&replicas);
                runtime.block_on(admin.create_partitions([&new], &options))?
            }
        };

        for result in results {
            match result {
                // Another process created it first.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => (),
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }

        Ok(())
    }
}
