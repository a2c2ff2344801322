//! The seam to a Kafka cluster, in this program's words.
//!
//! [`wire`] implements it over the Kafka protocol; so does the simulated world of the tests. No
//! type of the codec crosses this line. Nothing here retries: a stage that calls decides.
//!
//! Invariant: three methods can change a cluster, [`Kafka::alter_broker_config`],
//! [`Kafka::alter_client_quota`] and [`Kafka::elect_preferred_leaders`]; no other does.

mod error;
pub mod wire;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::KafkaError;

use crate::model::{
    BrokerConfig, BrokerId, ClientQuota, ConfigChange, ElectionFailure, GroupDescription,
    GroupListing, GroupName, GroupOffsets, GroupState, GroupType, LogDir, MinInsync, OffsetSpec,
    Quorum, QuotaChange, RequestCount, TopicName, TopicOffsets, TopicPartition, TopicPartitions,
    Topology, WriteMode,
};

/// What this program needs of one Kafka cluster.
///
/// Each call has its own deadline inside the implementation and ends with
/// [`KafkaError::NoAnswer`] when it passes. Calls that take a broker go to that broker and to no
/// other.
#[async_trait]
pub trait Kafka: Send + Sync + 'static {
    /// Brokers, controller and partitions, in one request to any broker that answers.
    async fn topology(&self) -> Result<Topology, KafkaError>;

    /// First or last offsets of partitions that `broker` leads, in one request.
    async fn offsets(
        &self,
        broker: BrokerId,
        edge: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicOffsets>, KafkaError>;

    /// Groups that `broker` coordinates and that are in one of `states`, in one request. No states
    /// means all of them.
    async fn groups(
        &self,
        broker: BrokerId,
        states: &[GroupState],
    ) -> Result<Vec<GroupListing>, KafkaError>;

    /// State and members of groups of one type that `broker` coordinates, in one request. Of
    /// [`GroupType::Unknown`] nobody can be asked: the answer is empty.
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

    /// Log directories of `broker`, and what each topic takes in them.
    async fn log_dirs(&self, broker: BrokerId) -> Result<Vec<LogDir>, KafkaError>;

    /// Configuration of `broker` for `keys`, asked of that broker, with synonyms. No keys means all
    /// of them.
    async fn broker_config(
        &self,
        broker: BrokerId,
        keys: &[&str],
    ) -> Result<BrokerConfig, KafkaError>;

    /// Effective `min.insync.replicas` of topics, each by itself, in one request to any broker. A
    /// topic that vanished meanwhile is left out.
    async fn min_insync_replicas(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, MinInsync)>, KafkaError>;

    /// The controller quorum, asked of any broker, which forwards it to the controller.
    async fn quorum(&self) -> Result<Quorum, KafkaError>;

    /// Partitions with a reassignment in flight.
    async fn reassignments(&self) -> Result<Vec<TopicPartition>, KafkaError>;

    /// Sends one incremental change of dynamic configuration to the named broker. With
    /// [`WriteMode::ValidateOnly`] the broker runs the same checks and changes nothing.
    ///
    /// A success says that the broker accepted the change, not that it has applied it.
    async fn alter_broker_config(
        &self,
        broker: BrokerId,
        changes: &[ConfigChange],
        mode: WriteMode,
    ) -> Result<(), KafkaError>;

    /// The client quotas of users and client ids, in one request to any broker. Quotas of defaults
    /// and of addresses, and other keys, are left out.
    async fn client_quotas(&self) -> Result<Vec<ClientQuota>, KafkaError>;

    /// Sets or removes one quota; a broker forwards it to the controller. With
    /// [`WriteMode::ValidateOnly`] it is checked and nothing changes.
    ///
    /// A success says that the controller accepted the change, not that every broker has seen it.
    async fn alter_client_quota(
        &self,
        change: &QuotaChange,
        mode: WriteMode,
    ) -> Result<(), KafkaError>;

    /// Asks the controller to make the preferred replicas of these partitions their leaders, in one
    /// request (never an unclean election). What happened to each, in the order of `partitions`.
    async fn elect_preferred_leaders(
        &self,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<(TopicPartition, Result<(), ElectionFailure>)>, KafkaError>;

    /// Requests sent so far, by API, and how they failed. In the order of
    /// [`Api::ALL`](crate::model::Api::ALL).
    fn request_counts(&self) -> Vec<RequestCount>;
}

/// A cluster that stages share.
pub type SharedKafka = Arc<dyn Kafka>;
