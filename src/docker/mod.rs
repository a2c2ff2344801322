//! The seam to a Docker engine, in this program's words.
//!
//! [`engine`] implements it; so does the simulated world of the tests. Nothing here retries: a
//! stage that calls decides.
//!
//! Invariant (I36): only containers with our labels for role and cluster are looked at, and the
//! only methods that can change anything are [`Docker::start_clone`] and [`Docker::remove_clone`].
//! They change clones and nothing else.

pub mod engine;
mod error;

use std::sync::Arc;

use async_trait::async_trait;

pub use error::DockerError;

use crate::model::{CloneName, CloneState, ConsumerContainer, ContainerUsage};

/// Names a container's part: `broker` or `consumer`.
pub const ROLE_LABEL: &str = "kafka-optimizer.role";
/// Names the cluster as the configuration does.
pub const CLUSTER_LABEL: &str = "kafka-optimizer.cluster";
/// Names the broker's `node.id`.
pub const BROKER_LABEL: &str = "kafka-optimizer.broker-id";

/// Names the consumer group that a container's process is a member of.
pub const GROUP_LABEL: &str = "kafka-optimizer.group";
/// On a clone: the run that made it.
pub const RUN_LABEL: &str = "kafka-optimizer.run";
/// On a clone: the full id of the container it was made from.
pub const CLONE_OF_LABEL: &str = "kafka-optimizer.clone-of";

/// What this program needs of a Docker engine.
///
/// Each call has its own deadline inside the implementation and ends with
/// [`DockerError::NoAnswer`] when it passes.
#[async_trait]
pub trait Docker: Send + Sync + 'static {
    /// What the broker containers of `cluster` use, by broker; all are asked at once. Containers
    /// are found by their labels. One that fails is left out.
    async fn broker_usage(&self, cluster: &str) -> Result<Vec<ContainerUsage>, DockerError>;

    /// The consumer containers of `cluster`, clones among them, by name; running or not.
    async fn consumers(&self, cluster: &str) -> Result<Vec<ConsumerContainer>, DockerError>;

    /// Where a clone stands.
    async fn clone_state(&self, clone: &CloneName) -> Result<CloneState, DockerError>;

    /// Makes a clone of the container `of` and starts it. One that exists is started if it is not
    /// running. Refused, with nothing touched, when there are objections to a clone of it, or when
    /// a container of that name is not this run's clone.
    ///
    /// A success says that its process was started, not that it stays up. After an error whose
    /// outcome is unknown the clone may be there without running.
    async fn start_clone(&self, of: &str, clone: &CloneName) -> Result<(), DockerError>;

    /// Stops a clone, with its own time-out for that, and removes it with its anonymous volumes.
    /// One that is gone is fine. Refused, with nothing touched, when the container of that name is
    /// not this run's clone.
    async fn remove_clone(&self, clone: &CloneName) -> Result<(), DockerError>;
}

/// An engine that stages share.
pub type SharedDocker = Arc<dyn Docker>;
