//! The seam to a Kafka cluster.
//!
//! [`wire`] implements it over the Kafka protocol; so does the simulated world of the tests. It
//! uses the types of [`crate::model`], never those of the codec. Nothing here retries: the caller
//! decides.
//!
//! Invariant: only three methods can change a cluster: [`Kafka::alter_broker_config`],
//! [`Kafka::alter_client_quota`] and [`Kafka::elect_preferred_leaders`].

mod error;
pub mod wire;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::KafkaError;

use crate::model::{
    ActingLease, BatchScan, BrokerConfig, BrokerId, ClientQuotas, ConfigChange, ElectionFailure,
    GroupDescription, GroupListing, GroupName, GroupOffsets, GroupState, GroupType, LogDir,
    LogPosition, MinInsync, OffsetSpec, Quorum, QuotaChange, RequestCount, Topic, TopicName,
    TopicOffsets, TopicPartition, TopicPartitions, Topology, WriteMode,
};

/// The requests that this program needs from one Kafka cluster.
///
/// Implementations limit the duration of each call: it fails with [`KafkaError::NoAnswer`] at its
/// deadline. A call with a `broker` argument goes to that broker only.
#[async_trait]
pub trait Kafka: Send + Sync + 'static {
    /// Brokers, controller and partitions, in one request to any broker that answers.
    async fn topology(&self) -> Result<Topology, KafkaError>;

    /// Log start or end offsets of partitions that `broker` leads, in one request.
    async fn offsets(
        &self,
        broker: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicOffsets>, KafkaError>;

    /// Groups that `broker` coordinates and that are in one of `states`, in one request. No states
    /// means all groups.
    async fn groups(
        &self,
        broker: BrokerId,
        states: &[GroupState],
    ) -> Result<Vec<GroupListing>, KafkaError>;

    /// State and members of groups of one type that `broker` coordinates, in one request. Empty for
    /// [`GroupType::Unknown`], for which there is no request.
    async fn describe_groups(
        &self,
        broker: BrokerId,
        group_type: GroupType,
        groups: &[GroupName],
    ) -> Result<Vec<GroupDescription>, KafkaError>;

    /// Committed offsets of groups that `broker` coordinates, in one request.
    async fn committed(
        &self,
        broker: BrokerId,
        groups: &[GroupName],
    ) -> Result<Vec<GroupOffsets>, KafkaError>;

    /// The headers of record batches from one position of a partition that `broker` leads, in one
    /// request: about `bytes_max` bytes of them, but at least one whole batch. Uncompressed batches
    /// have their records as bytes.
    async fn batches(
        &self,
        broker: BrokerId,
        from: &LogPosition,
        bytes_max: u32,
    ) -> Result<BatchScan, KafkaError>;

    /// The finalized level of the feature `metadata.version`, from any broker; `None` if it does
    /// not know one.
    async fn metadata_version(&self) -> Result<Option<i16>, KafkaError> {
        Ok(None)
    }

    /// Log directories of `broker`, with the size of each topic in them.
    async fn log_dirs(&self, broker: BrokerId) -> Result<Vec<LogDir>, KafkaError>;

    /// Configuration of `broker` for `keys`, with synonyms, as that broker reports it. No keys
    /// means all keys.
    async fn broker_config(
        &self,
        broker: BrokerId,
        keys: &[&str],
    ) -> Result<BrokerConfig, KafkaError>;

    /// Effective `min.insync.replicas` of each topic, in one request to any broker. Leaves out
    /// topics that have been deleted meanwhile.
    async fn min_insync_replicas(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, MinInsync)>, KafkaError>;

    /// The controller quorum. Any broker forwards the request to the controller.
    async fn quorum(&self) -> Result<Quorum, KafkaError>;

    /// Partitions that are being reassigned.
    async fn reassignments(&self) -> Result<Vec<TopicPartition>, KafkaError>;

    /// Changes the dynamic configuration of one broker incrementally. With
    /// [`WriteMode::ValidateOnly`] the broker runs the same checks and changes nothing.
    ///
    /// Success means that the broker has accepted the change, not that it has applied it.
    async fn alter_broker_config(
        &self,
        broker: BrokerId,
        changes: &[ConfigChange],
        mode: WriteMode,
    ) -> Result<(), KafkaError>;

    /// The topics of these names, as each of two brokers reports them, in one request to each. At
    /// least one answer. Leaves out topics that the broker does not know. A broker that is cut off
    /// from the controllers reports an old state, so one answer does not show that someone changed
    /// something.
    async fn topics(&self, names: &[TopicName]) -> Result<Vec<Vec<Topic>>, KafkaError>;

    /// The client quotas as each of two brokers reports them, as for [`Kafka::topics`]. Leaves out
    /// IP entities and other keys.
    async fn client_quotas(&self) -> Result<Vec<ClientQuotas>, KafkaError>;

    /// Sets or removes one quota. Any broker forwards the request to the controller. With
    /// [`WriteMode::ValidateOnly`] the change is only checked.
    ///
    /// Success means that the controller has accepted the change, not that every broker has applied
    /// it.
    async fn alter_client_quota(
        &self,
        change: &QuotaChange,
        mode: WriteMode,
    ) -> Result<(), KafkaError>;

    /// Elects the preferred replicas of these partitions as leaders, in one request to the
    /// controller. Never an unclean election. Returns the result of each partition, in the order of
    /// `partitions`.
    async fn elect_preferred_leaders(
        &self,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<(TopicPartition, Result<(), ElectionFailure>)>, KafkaError>;

    /// Whether this process is the one that may change the cluster (I43). Sends no request.
    fn acting_lease(&self) -> ActingLease;

    /// Competes for the acting lease from now on, if this process does not yet.
    fn compete(&self);

    /// Gives the acting lease up, so that another process may act at once, and competes no more.
    async fn resign(&self);

    /// Requests sent and failed so far, in the order of [`Api::ALL`](crate::model::Api::ALL).
    fn request_counts(&self) -> Vec<RequestCount>;
}

pub type SharedKafka = Arc<dyn Kafka>;
