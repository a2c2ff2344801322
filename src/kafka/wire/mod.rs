//! The Kafka protocol's control plane, over the codec of the `kafka-protocol` crate.
//!
//! `requests` says what is asked and what an answer means, without a socket; `cluster` knows who
//! to ask, `peer` keeps one connection per address, `connection` carries requests. Nothing here
//! retries; only a call that may go to any broker asks the next one when the first is silent, and
//! one that changes something only when the first has not heard it.
//!
//! Invariant: no record is ever read or written here.
//! Invariant: a call ends within its deadline, whatever the broker does.

mod backoff;
mod broker_client;
mod call;
mod cluster;
mod connection;
mod connection_error;
mod credentials;
mod diagnostics;
mod error_codes;
mod frame;
mod length_checked_buf;
mod options;
mod request_counts;
mod requests;
mod sasl;
mod stream;
mod versions;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub use options::WireOptions;

use crate::{
    clock::SharedClock,
    kafka::{
        BrokerConfig, ClientQuota, ConfigChange, Edge, ElectionFault, GroupDescription,
        GroupListing, GroupOffsets, Kafka, KafkaError, LogDir, MinInsync, Quorum, QuotaChange,
        RequestCount, TopicOffsets, TopicPartitions, Topology, WriteMode,
    },
    model::{BrokerId, GroupName, GroupState, GroupType, MonotonicTime, TopicName, TopicPartition},
    shutdown::Tasks,
};
use cluster::Cluster;
use credentials::CredentialStore;
use options::CONFIG_RESOURCES_MAX;
use request_counts::RequestCounters;

/// What every part of the adapter needs.
struct AdapterContext {
    options: WireOptions,
    clock: SharedClock,
    tasks: Tasks,
    counts: RequestCounters,
    credentials: CredentialStore,
}

impl std::fmt::Debug for AdapterContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdapterContext").field("options", &self.options).finish_non_exhaustive()
    }
}

impl AdapterContext {
    /// When a call that begins now must have ended.
    fn deadline(&self) -> MonotonicTime {
        MonotonicTime(self.clock.monotonic().0.saturating_add(self.options.request_timeout))
    }

    /// What `work` comes to, if it does before the deadline.
    async fn within<T>(&self, deadline: MonotonicTime, work: impl Future<Output = T>) -> Option<T> {
        let left = deadline.0.saturating_sub(self.clock.monotonic().0);
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep(left) => None,
        }
    }
}

/// One Kafka cluster, reached over the network.
#[derive(Debug)]
pub struct Wire {
    common: Arc<AdapterContext>,
    cluster: Cluster,
}

impl Wire {
    /// Connects to nothing yet: the first call does.
    pub fn new(options: WireOptions, clock: SharedClock, tasks: Tasks) -> Self {
        let credentials = CredentialStore::new(&options);
        let counts = RequestCounters::new();
        let common = Arc::new(AdapterContext { options, clock, tasks, counts, credentials });
        Self { cluster: Cluster::new(Arc::clone(&common)), common }
    }

    fn request_timeout(&self) -> Duration {
        self.common.options.request_timeout
    }
}

#[async_trait]
impl Kafka for Wire {
    async fn topology(&self) -> Result<Topology, KafkaError> {
        let topology = self.cluster.ask_any(&requests::WholeTopology).await?;
        self.cluster.update_brokers(&topology.brokers);
        Ok(topology)
    }

    async fn offsets(
        &self,
        broker: BrokerId,
        edge: Edge,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicOffsets>, KafkaError> {
        self.cluster.ask(broker, &requests::Offsets { edge, partitions }).await
    }

    async fn groups(
        &self,
        broker: BrokerId,
        states: &[GroupState],
    ) -> Result<Vec<GroupListing>, KafkaError> {
        self.cluster.ask(broker, &requests::Groups(states)).await
    }

    async fn describe_groups(
        &self,
        broker: BrokerId,
        group_type: GroupType,
        groups: &[GroupName],
    ) -> Result<Vec<GroupDescription>, KafkaError> {
        let cluster = &self.cluster;
        match group_type {
            GroupType::Classic => cluster.ask(broker, &requests::DescribeClassic(groups)).await,
            GroupType::Consumer => cluster.ask(broker, &requests::DescribeConsumer(groups)).await,
            GroupType::Share => cluster.ask(broker, &requests::DescribeShare(groups)).await,
            GroupType::Streams => cluster.ask(broker, &requests::DescribeStreams(groups)).await,
            GroupType::Unknown => Ok(Vec::new()),
        }
    }

    async fn committed(
        &self,
        broker: BrokerId,
        groups: &[GroupName],
    ) -> Result<Vec<GroupOffsets>, KafkaError> {
        use requests::Committed;
        let peer = self.cluster.broker(broker).await?;
        if Committed::MANY_GROUPS_SINCE <= peer.version::<Committed<'_>>().await? {
            return peer.ask(&Committed(groups)).await;
        }
        let mut offsets = Vec::with_capacity(groups.len());
        for group in groups.chunks(1) {
            offsets.extend(peer.ask(&Committed(group)).await?);
        }
        Ok(offsets)
    }

    async fn log_dirs(&self, broker: BrokerId) -> Result<Vec<LogDir>, KafkaError> {
        self.cluster.ask(broker, &requests::LogDirs).await
    }

    async fn broker_config(
        &self,
        broker: BrokerId,
        keys: &[&str],
    ) -> Result<BrokerConfig, KafkaError> {
        self.cluster.ask(broker, &requests::BrokerConfiguration { broker, keys }).await
    }

    async fn min_insync_replicas(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, MinInsync)>, KafkaError> {
        let mut found = Vec::with_capacity(topics.len());
        for topics in topics.chunks(CONFIG_RESOURCES_MAX) {
            found.extend(self.cluster.ask_any(&requests::MinInsyncReplicas(topics)).await?);
        }
        Ok(found)
    }

    async fn quorum(&self) -> Result<Quorum, KafkaError> {
        self.cluster.ask_any(&requests::DescribeQuorum).await
    }

    async fn reassignments(&self) -> Result<Vec<TopicPartition>, KafkaError> {
        self.cluster.ask_any(&requests::Reassignments { timeout: self.request_timeout() }).await
    }

    async fn alter_broker_config(
        &self,
        broker: BrokerId,
        changes: &[ConfigChange],
        mode: WriteMode,
    ) -> Result<(), KafkaError> {
        self.cluster.ask(broker, &requests::AlterBroker { broker, changes, mode }).await
    }

    async fn client_quotas(&self) -> Result<Vec<ClientQuota>, KafkaError> {
        self.cluster.ask_any(&requests::ClientQuotas).await
    }

    async fn alter_client_quota(
        &self,
        change: &QuotaChange,
        mode: WriteMode,
    ) -> Result<(), KafkaError> {
        self.cluster.change_by_any(&requests::AlterQuota { change, mode }).await
    }

    async fn elect_preferred_leaders(
        &self,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<(TopicPartition, Result<(), ElectionFault>)>, KafkaError> {
        let timeout = self.request_timeout();
        self.cluster.change_by_any(&requests::ElectPreferred { partitions, timeout }).await
    }

    fn request_counts(&self) -> Vec<RequestCount> {
        self.common.counts.read()
    }
}
