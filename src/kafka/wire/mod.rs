//! The adapter to a real cluster: the Kafka protocol's control plane, over the codec of the
//! `kafka-protocol` crate.
//!
//! `requests` builds requests and reads responses, without a socket. `cluster` picks the broker,
//! `broker_client` keeps one connection per address, `connection` carries requests. Nothing here
//! retries. A call that any broker can answer tries the next broker when one does not answer; a
//! call that changes something does so only when the first broker has certainly not received it.
//!
//! Invariant: no record is ever decoded or written here. Sampled batches are read up to their
//! headers; their records stay bytes, of which nothing but the size after compression is reported.
//! Invariant: a call ends within its deadline, whatever the broker does.

mod acting_lease;
mod api_call;
mod backoff;
mod broker_client;
mod cluster;
mod connection;
mod connection_error;
mod credentials;
mod diagnostics;
mod error_codes;
mod frame;
mod length_checked_buf;
mod options;
mod record_batch;
mod request_counters;
mod requests;
mod sasl;
mod stream;
mod supported_versions;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use acting_lease::SESSION_TIMEOUT;
pub use options::WireOptions;

use crate::{
    clock::SharedClock,
    kafka::{Kafka, KafkaError},
    model::{
        ActingLease, ActorIdentity, BatchScan, BrokerConfig, BrokerId, ClientQuotas, ConfigChange,
        ElectionFailure, GroupDescription, GroupListing, GroupName, GroupOffsets, GroupState,
        GroupType, LogDir, LogPosition, MinInsync, MonotonicTime, OffsetSpec, Quorum, QuotaChange,
        RequestCount, Topic, TopicName, TopicOffsets, TopicPartition, TopicPartitions, Topology,
        WriteMode,
    },
    shutdown::Tasks,
};
use acting_lease::LeaseHolder;
use cluster::ClusterClient;
use credentials::CredentialStore;
use options::CONFIG_RESOURCES_MAX;
use request_counters::RequestCounters;

/// Shared by every part of the adapter.
struct AdapterContext {
    options: WireOptions,
    clock: SharedClock,
    tasks: Tasks,
    counters: RequestCounters,
    credentials: CredentialStore,
}

impl std::fmt::Debug for AdapterContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdapterContext").field("options", &self.options).finish_non_exhaustive()
    }
}

impl AdapterContext {
    /// The deadline of a call that starts now.
    fn deadline(&self) -> MonotonicTime {
        MonotonicTime(self.clock.monotonic().0.saturating_add(self.options.request_timeout))
    }

    /// The output of `work`, or `None` if the deadline passes first.
    async fn until<T>(&self, deadline: MonotonicTime, work: impl Future<Output = T>) -> Option<T> {
        let remaining = deadline.0.saturating_sub(self.clock.monotonic().0);
        tokio::select! {
            biased;
            output = work => Some(output),
            () = self.clock.sleep(remaining) => None,
        }
    }
}

/// One Kafka cluster, reached over the network.
#[derive(Debug)]
pub struct Wire {
    context: Arc<AdapterContext>,
    cluster: ClusterClient,
    identity: ActorIdentity,
    session_timeout: Duration,
    /// `None` while this process changes nothing.
    lease: Mutex<Option<LeaseHolder>>,
}

impl Wire {
    /// Opens no connection: the first call does.
    pub fn new(options: WireOptions, clock: SharedClock, tasks: Tasks) -> Self {
        let credentials = CredentialStore::new(&options);
        let counters = RequestCounters::new();
        let context = Arc::new(AdapterContext { options, clock, tasks, counters, credentials });

        Self {
            cluster: ClusterClient::new(Arc::clone(&context)),
            context,
            identity: ActorIdentity::default(),
            session_timeout: SESSION_TIMEOUT,
            lease: Mutex::default(),
        }
    }

    /// Names this process to others that compete for the acting lease.
    #[must_use]
    pub fn with_identity(mut self, identity: ActorIdentity) -> Self {
        self.identity = identity;
        self
    }

    /// Replaces the session timeout of the acting lease; only tests do this.
    #[must_use]
    pub const fn with_session_timeout(mut self, session_timeout: Duration) -> Self {
        self.session_timeout = session_timeout;
        self
    }

    fn lease(&self) -> MutexGuard<'_, Option<LeaseHolder>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request_timeout(&self) -> Duration {
        self.context.options.request_timeout
    }
}

#[async_trait]
impl Kafka for Wire {
    async fn topology(&self) -> Result<Topology, KafkaError> {
        let topology = self.cluster.call_any(&requests::ClusterMetadata).await?;
        self.cluster.update_brokers(&topology.brokers);
        Ok(topology)
    }

    async fn offsets(
        &self,
        broker: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicOffsets>, KafkaError> {
        self.cluster.call(broker, &requests::ListOffsets { spec, partitions }).await
    }

    async fn groups(
        &self,
        broker: BrokerId,
        states: &[GroupState],
    ) -> Result<Vec<GroupListing>, KafkaError> {
        self.cluster.call(broker, &requests::ListGroups(states)).await
    }

    async fn describe_groups(
        &self,
        broker: BrokerId,
        group_type: GroupType,
        groups: &[GroupName],
    ) -> Result<Vec<GroupDescription>, KafkaError> {
        let cluster = &self.cluster;
        match group_type {
            GroupType::Classic => {
                cluster.call(broker, &requests::DescribeClassicGroups(groups)).await
            }
            GroupType::Consumer => {
                cluster.call(broker, &requests::DescribeConsumerGroups(groups)).await
            }
            GroupType::Share => cluster.call(broker, &requests::DescribeShareGroups(groups)).await,
            GroupType::Streams => {
                cluster.call(broker, &requests::DescribeStreamsGroups(groups)).await
            }
            GroupType::Unknown => Ok(Vec::new()),
        }
    }

    async fn committed(
        &self,
        broker: BrokerId,
        groups: &[GroupName],
    ) -> Result<Vec<GroupOffsets>, KafkaError> {
        use requests::FetchCommitted;

        let client = self.cluster.broker(broker).await?;
        if client.version::<FetchCommitted<'_>>().await? >= FetchCommitted::MANY_GROUPS_SINCE {
            return client.call(&FetchCommitted(groups)).await;
        }

        let mut offsets = Vec::with_capacity(groups.len());
        for group in groups.chunks(1) {
            offsets.extend(client.call(&FetchCommitted(group)).await?);
        }

        Ok(offsets)
    }

    async fn batches(
        &self,
        broker: BrokerId,
        from: &LogPosition,
        bytes_max: u32,
    ) -> Result<BatchScan, KafkaError> {
        self.cluster.call(broker, &requests::FetchBatches { from, bytes_max }).await
    }

    async fn log_dirs(&self, broker: BrokerId) -> Result<Vec<LogDir>, KafkaError> {
        self.cluster.call(broker, &requests::DescribeLogDirs).await
    }

    async fn broker_config(
        &self,
        broker: BrokerId,
        keys: &[&str],
    ) -> Result<BrokerConfig, KafkaError> {
        self.cluster.call(broker, &requests::DescribeBrokerConfig { broker, keys }).await
    }

    async fn min_insync_replicas(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, MinInsync)>, KafkaError> {
        let mut found = Vec::with_capacity(topics.len());
        for topics in topics.chunks(CONFIG_RESOURCES_MAX) {
            found.extend(self.cluster.call_any(&requests::DescribeMinInsync(topics)).await?);
        }
        Ok(found)
    }

    async fn quorum(&self) -> Result<Quorum, KafkaError> {
        self.cluster.call_any(&requests::DescribeQuorum).await
    }

    async fn metadata_version(&self) -> Result<Option<i16>, KafkaError> {
        self.cluster.call_any(&requests::DescribeMetadataVersion).await
    }

    async fn reassignments(&self) -> Result<Vec<TopicPartition>, KafkaError> {
        self.cluster
            .call_any(&requests::ListReassignments { timeout: self.request_timeout() })
            .await
    }

    async fn alter_broker_config(
        &self,
        broker: BrokerId,
        changes: &[ConfigChange],
        mode: WriteMode,
    ) -> Result<(), KafkaError> {
        self.cluster.call(broker, &requests::AlterBrokerConfig { broker, changes, mode }).await
    }

    async fn topics(&self, names: &[TopicName]) -> Result<Vec<Vec<Topic>>, KafkaError> {
        self.cluster.call_two(&requests::TopicMetadata(names)).await
    }

    async fn client_quotas(&self) -> Result<Vec<ClientQuotas>, KafkaError> {
        self.cluster.call_two(&requests::DescribeClientQuotas).await
    }

    async fn alter_client_quota(
        &self,
        change: &QuotaChange,
        mode: WriteMode,
    ) -> Result<(), KafkaError> {
        self.cluster.mutate_any(&requests::AlterClientQuota { change, mode }).await
    }

    async fn elect_preferred_leaders(
        &self,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<(TopicPartition, Result<(), ElectionFailure>)>, KafkaError> {
        let timeout = self.request_timeout();
        self.cluster.mutate_any(&requests::ElectPreferredLeaders { partitions, timeout }).await
    }

    fn acting_lease(&self) -> ActingLease {
        let not_sought = || ActingLease::Unconfirmed("this process does not act".to_owned());
        self.lease().as_ref().map_or_else(not_sought, LeaseHolder::current)
    }

    fn compete(&self) {
        let start = || LeaseHolder::start(&self.context, &self.identity, self.session_timeout);
        self.lease().get_or_insert_with(start);
    }

    async fn resign(&self) {
        let lease = self.lease().take();
        if let Some(lease) = lease {
            lease.resign().await;
        }
    }

    fn request_counts(&self) -> Vec<RequestCount> {
        self.context.counters.snapshot()
    }
}
