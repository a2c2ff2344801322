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
    remedy::{Order, Refusal, Remedy},
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
    pub about: About,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("about", &self.about).finish_non_exhaustive()
    }
}

/// What does not change while the process lives.
#[derive(Clone, Debug)]
pub struct About {
    /// This program's version.
    pub version: &'static str,
    /// How far it may go.
    pub mode: Mode,
    /// The clusters it looks after.
    pub clusters: Vec<AboutCluster>,
    /// Where the metrics are: `/metrics`, unless told otherwise.
    pub telemetry_path: String,
}

/// A cluster that it looks after.
#[derive(Clone, Debug)]
pub struct AboutCluster {
    /// Its name.
    pub name: ClusterName,
    /// From the start of one round to the start of the next.
    pub collect_interval: Duration,
}

/// The pipeline as seen from outside. [`Remedy`] is the one of the product.
#[async_trait]
pub trait Pipeline: Send + Sync + 'static {
    /// See [`Remedy::take`].
    async fn take(&self, notification: Notification) -> Result<TakenAlerts, StoreError>;
    /// See [`Remedy::runs`].
    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError>;
    /// See [`Remedy::run`].
    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError>;
    /// See [`Remedy::order`].
    async fn order(&self, order: Order) -> Result<RunId, Refusal>;
    /// See [`Remedy::measures`].
    async fn measures(&self) -> Result<Vec<RunRow>, StoreError>;
    /// See [`Remedy::approve`].
    async fn approve(&self, id: RunId) -> Result<(), Refusal>;
    /// See [`Remedy::roll_back`].
    async fn roll_back(&self, id: RunId) -> Result<(), Refusal>;
    /// See [`Remedy::acknowledge`].
    async fn acknowledge(&self, id: RunId) -> Result<(), Refusal>;
    /// See [`Remedy::release`].
    async fn release(&self, cluster: Option<ClusterName>) -> Result<Vec<String>, Refusal>;
    /// See [`Remedy::pause`].
    ///
    /// # Errors
    ///
    /// When the pause file cannot be written.
    fn pause(&self) -> std::io::Result<()>;
    /// See [`Remedy::resume`].
    ///
    /// # Errors
    ///
    /// When the pause file cannot be removed.
    fn resume(&self) -> std::io::Result<()>;
    /// See [`Remedy::paused`].
    fn paused(&self) -> bool;
}

#[async_trait]
impl Pipeline for Remedy {
    async fn take(&self, notification: Notification) -> Result<TakenAlerts, StoreError> {
        Remedy::take(self, notification).await
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        Remedy::runs(self, limit).await
    }

    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError> {
        Remedy::run(self, id).await
    }

    async fn order(&self, order: Order) -> Result<RunId, Refusal> {
        Remedy::order(self, order).await
    }

    async fn measures(&self) -> Result<Vec<RunRow>, StoreError> {
        Remedy::measures(self).await
    }

    async fn approve(&self, id: RunId) -> Result<(), Refusal> {
        Remedy::approve(self, id).await
    }

    async fn roll_back(&self, id: RunId) -> Result<(), Refusal> {
        Remedy::roll_back(self, id).await
    }

    async fn acknowledge(&self, id: RunId) -> Result<(), Refusal> {
        Remedy::acknowledge(self, id).await
    }

    async fn release(&self, cluster: Option<ClusterName>) -> Result<Vec<String>, Refusal> {
        Remedy::release(self, cluster).await
    }

    fn pause(&self) -> std::io::Result<()> {
        Remedy::pause(self)
    }

    fn resume(&self) -> std::io::Result<()> {
        Remedy::resume(self)
    }

    fn paused(&self) -> bool {
        Remedy::paused(self)
    }
}
