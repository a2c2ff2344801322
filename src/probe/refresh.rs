//! One look at the cluster, and what it leads to: the topic made, or partitions added.
//!
//! The only calls that change anything but records, and only on the probe's own topic.

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
    client::{self, ProbeClients},
    fault,
    topic::{self, ProbeMetadata, TopicPlan},
};
use crate::telemetry::ProbeFault;

/// How long fewer brokers than copies of a record must have been all there is, before the topic is
/// made with fewer. A cluster that starts on a busy machine takes a minute to be complete, and the
/// copies stay as they were made.
const FEW_FOR: Duration = Duration::from_mins(2);
/// How long making a topic or partitions may take.
const ADMIN_FOR: Duration = Duration::from_secs(10);

/// What a look begins with.
pub(super) struct MetadataRefresh {
    pub(super) clients: Arc<ProbeClients>,
    pub(super) options: Arc<ProbeOptions>,
    /// What the look before it saw.
    pub(super) before: ProbeMetadata,
    /// For how long the same brokers have been there.
    pub(super) steady_for: Duration,
    pub(super) set_up: TopicSetup,
}

/// Whether the topic may be made or extended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicSetup {
    /// If it has to be.
    May,
    /// It was tried a short while ago; this was the result.
    Rests(Option<ProbeFault>),
}

pub(super) struct RefreshOutcome {
    pub(super) seen: ProbeMetadata,
    /// Why brokers without a partition have none.
    pub(super) fault: Option<ProbeFault>,
    /// Whether making something was tried.
    pub(super) tried: bool,
}

impl MetadataRefresh {
    /// Blocks, for the time of two questions and of one order at most.
    pub(super) fn run(self, runtime: &Handle) -> Result<RefreshOutcome, KafkaError> {
        let seen = self.clients.look()?;
        if seen != self.before && !seen.partitions.is_empty() {
            // Where it fails, a record to a former leader is counted as such.
            let _not_renewed = self.clients.refresh_writer();
        }
        let need = seen.need(self.options.config.replication_factor);
        // A cluster that is coming up would get a topic of its first broker.
        let few = need.makes_few_copies() && self.options.config.replication_factor.is_none();
        let same = seen.brokers == self.before.brokers;
        let steady = same && (!few || FEW_FOR <= self.steady_for);
        let (fault, tried) = match (&need, self.set_up) {
            (TopicPlan::Nothing, _) => (seen.fault, false),
            (TopicPlan::TooFewBrokers, _) => (Some(ProbeFault::Topic), false),
            (TopicPlan::Create(_) | TopicPlan::Extend { .. }, TopicSetup::Rests(fault)) => {
                (fault, false)
            }
            (TopicPlan::Create(_) | TopicPlan::Extend { .. }, TopicSetup::May) if !steady => {
                (None, false)
            }
            (TopicPlan::Create(_) | TopicPlan::Extend { .. }, TopicSetup::May) => {
                (self.set_up(&need, runtime), true)
            }
        };
        Ok(RefreshOutcome { seen, fault, tried })
    }

    fn set_up(&self, need: &TopicPlan, runtime: &Handle) -> Option<ProbeFault> {
        let (cluster, topic) = (&self.options.cluster, &self.options.config.topic);
        match self.order(need, runtime) {
            Ok(()) => {
                info!(%cluster, %topic, ?need, "Topic of the probe prepared.");
                None
            }
            Err(error) => {
                warn!(%cluster, %topic, ?need, %error, "Topic of the probe not prepared.");
                Some(fault::of(&error))
            }
        }
    }

    /// Through a client that lives as long as the order: this is done once in a cluster's life.
    fn order(&self, need: &TopicPlan, runtime: &Handle) -> Result<(), KafkaError> {
        let topic = self.options.config.topic.as_str();
        let admin: AdminClient<DefaultClientContext> =
            client::client_config(&self.options).create()?;
        let options =
            AdminOptions::new().request_timeout(Some(ADMIN_FOR)).operation_timeout(Some(ADMIN_FOR));
        let results = match need {
            TopicPlan::Nothing | TopicPlan::TooFewBrokers => return Ok(()),
            TopicPlan::Create(partitions) => {
                let replicas: Vec<&[i32]> = partitions.iter().map(Vec::as_slice).collect();
                let count = i32::try_from(replicas.len()).unwrap_or(i32::MAX);
                let mut new = NewTopic::new(topic, count, TopicReplication::Variable(&replicas));
                for (key, value) in topic::settings(partitions.first().map_or(0, Vec::len)) {
                    new = new.set(key, value);
                }
                runtime.block_on(admin.create_topics([&new], &options))?
            }
            TopicPlan::Extend { from, added } => {
                let replicas: Vec<&[i32]> = added.iter().map(Vec::as_slice).collect();
                let new = NewPartitions::new(topic, from + replicas.len()).assign(&replicas);
                runtime.block_on(admin.create_partitions([&new], &options))?
            }
        };
        for result in results {
            match result {
                // Another process was first.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => (),
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }
}
