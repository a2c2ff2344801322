//! The seam to a Docker engine.
//!
//! [`engine`] implements it; so does the simulated world of the tests. Nothing here retries: the
//! caller decides.
//!
//! Invariant (I36): only containers with our role and cluster labels are read, and only
//! [`Docker::start_clone`] and [`Docker::remove_clone`] can change a container. They change clones
//! and nothing else.

pub mod engine;
mod error;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::DockerError;

use crate::model::{CloneName, CloneState, ConsumerContainer, ContainerUsage};

/// The role of a container: `broker` or `consumer`.
pub const ROLE_LABEL: &str = "kafka-optimizer.role";
/// The name of the cluster in the configuration.
pub const CLUSTER_LABEL: &str = "kafka-optimizer.cluster";
/// The `node.id` of the broker.
pub const BROKER_LABEL: &str = "kafka-optimizer.broker-id";

/// The consumer group that the container's process is a member of.
pub const GROUP_LABEL: &str = "kafka-optimizer.group";
/// On a clone: the run that made it.
pub const RUN_LABEL: &str = "kafka-optimizer.run";
/// On a clone: the full id of the container it was made from.
pub const CLONE_OF_LABEL: &str = "kafka-optimizer.clone-of";

/// On a clone: the id of the installation that made it.
pub const INSTALLATION_LABEL: &str = "kafka-optimizer.installation";

/// The requests that this program needs from a Docker engine.
///
/// Implementations limit the duration of each call: it fails with [`DockerError::NoAnswer`] at its
/// deadline.
#[async_trait]
pub trait Docker: Send + Sync + 'static {
    /// What each broker container of `cluster` uses, or why that cannot be read; read concurrently.
    /// Containers are found by their labels.
    async fn broker_usage(
        &self,
        cluster: &str,
    ) -> Result<Vec<Result<ContainerUsage, DockerError>>, DockerError>;

    /// The consumer containers of `cluster` including clones, by name, whether they run or not.
    async fn consumers(&self, cluster: &str) -> Result<Vec<ConsumerContainer>, DockerError>;

    async fn clone_state(&self, clone: &CloneName) -> Result<CloneState, DockerError>;

    /// Creates a clone of the container `of` and starts it; starts an existing clone that does not
    /// run. Refused without any change when there are objections to cloning it, or when the
    /// container of that name is not this run's clone.
    ///
    /// Success means that its process was started, not that it stays up. After an error with an
    /// unknown outcome the clone may exist without running.
    async fn start_clone(&self, of: &str, clone: &CloneName) -> Result<(), DockerError>;

    /// Stops a clone within its own stop timeout and removes it with its anonymous volumes.
    /// Succeeds when it is already gone. Refused without any change when the container of that name
    /// is not this run's clone.
    async fn remove_clone(&self, clone: &CloneName) -> Result<(), DockerError>;
}

pub type SharedDocker = Arc<dyn Docker>;
