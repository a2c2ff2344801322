//! What the router is given: channels, watches, plain data. It knows no adapter and no store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use super::Web;
use crate::{
    alert::Notification,
    clock::SharedClock,
    config::Secret,
    expose::Page,
    model::{ClusterName, Mode, RunId},
    remediation::{Order, OrderError, Remediator},
    store::{RunDetail, RunRow, StoreError, TakenAlerts},
    telemetry::Telemetry,
};

/// Everything a handler may use.
#[derive(Clone)]
pub struct State {
    /// Takes alerts and orders.
    pub pipeline: Arc<dyn Pipeline>,
    /// The latest page of the clusters' metrics.
    pub pages: watch::Receiver<Arc<Page>>,
    /// The metrics of this process; counts what the webhook was answered.
    pub telemetry: Arc<Telemetry>,
    /// Whether the first round has been tried; the store is open before anyone listens.
    pub ready: watch::Receiver<bool>,
    /// What whoever changes state must present, if not a certificate of `client_sans`.
    pub token: Option<Secret>,
    /// Names of verified client certificates that stand for the token.
    pub client_sans: Vec<String>,
    /// How connections are secured, and who may read.
    pub web: Web,
    /// For ages, and for the rate of requests.
    pub clock: SharedClock,
    /// What the landing page says.
    pub about: ServerInfo,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("about", &self.about).finish_non_exhaustive()
    }
}

/// What does not change while the process lives.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    pub version: &'static str,
    /// How far it may go.
    pub mode: Mode,
    /// The clusters it looks after.
    pub clusters: Vec<ClusterInfo>,
    /// Where the metrics are: `/metrics`, unless told otherwise.
    pub telemetry_path: String,
}

/// A cluster that it looks after.
#[derive(Clone, Debug)]
pub struct ClusterInfo {
    pub name: ClusterName,
    /// From the start of one round to the start of the next.
    pub collect_interval: Duration,
}

/// The pipeline as seen from outside. [`Remediator`] is the one of the product.
#[async_trait]
pub trait Pipeline: Send + Sync + 'static {
    /// See [`Remediator::take`].
    async fn take(&self, notification: Notification) -> Result<TakenAlerts, StoreError>;
    /// See [`Remediator::runs`].
    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError>;
    /// See [`Remediator::run`].
    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError>;
    /// See [`Remediator::order`].
    async fn order(&self, order: Order) -> Result<RunId, OrderError>;
    /// See [`Remediator::measures`].
    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError>;
    /// See [`Remediator::approve`].
    async fn approve(&self, id: RunId) -> Result<(), OrderError>;
    /// See [`Remediator::roll_back`].
    async fn roll_back(&self, id: RunId) -> Result<(), OrderError>;
    /// See [`Remediator::acknowledge`].
    async fn acknowledge(&self, id: RunId) -> Result<(), OrderError>;
    /// See [`Remediator::release`].
    async fn release(&self, cluster: Option<ClusterName>) -> Result<Vec<String>, OrderError>;
    /// See [`Remediator::pause`].
    ///
    /// # Errors
    ///
    /// When the pause file cannot be written.
    fn pause(&self) -> std::io::Result<()>;
    /// See [`Remediator::resume`].
    ///
    /// # Errors
    ///
    /// When the pause file cannot be removed.
    fn resume(&self) -> std::io::Result<()>;
    /// See [`Remediator::paused`].
    fn paused(&self) -> bool;
}

#[async_trait]
impl Pipeline for Remediator {
    async fn take(&self, notification: Notification) -> Result<TakenAlerts, StoreError> {
        Remediator::take(self, notification).await
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        Remediator::runs(self, limit).await
    }

    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError> {
        Remediator::run(self, id).await
    }

    async fn order(&self, order: Order) -> Result<RunId, OrderError> {
        Remediator::order(self, order).await
    }

    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        Remediator::temporary_changes(self).await
    }

    async fn approve(&self, id: RunId) -> Result<(), OrderError> {
        Remediator::approve(self, id).await
    }

    async fn roll_back(&self, id: RunId) -> Result<(), OrderError> {
        Remediator::roll_back(self, id).await
    }

    async fn acknowledge(&self, id: RunId) -> Result<(), OrderError> {
        Remediator::acknowledge(self, id).await
    }

    async fn release(&self, cluster: Option<ClusterName>) -> Result<Vec<String>, OrderError> {
        Remediator::release(self, cluster).await
    }

    fn pause(&self) -> std::io::Result<()> {
        Remediator::pause(self)
    }

    fn resume(&self) -> std::io::Result<()> {
        Remediator::resume(self)
    }

    fn paused(&self) -> bool {
        Remediator::paused(self)
    }
}
