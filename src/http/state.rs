//! The state of the router: channels, watches and plain data; no adapter and no store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{ReloadHandle, Web};
use crate::{
    alert::Notification,
    clock::SharedClock,
    config::Secret,
    expose::Exposition,
    model::{ClusterName, Mode, RunId},
    remediation::{Order, OrderError, Remediator, Taken},
    store::{RunDetail, RunRow, StoreError},
    telemetry::Telemetry,
};

#[derive(Clone)]
pub struct AppState {
    pub pipeline: Arc<dyn Pipeline>,
    /// The latest encoded cluster metrics.
    pub pages: watch::Receiver<Arc<Exposition>>,
    /// This process's own metrics.
    pub telemetry: Arc<Telemetry>,
    /// Whether the first collection round of every cluster has ended.
    pub ready: watch::Receiver<bool>,
    /// What a reload of the configuration replaces.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Reloads the configuration.
    pub reload: ReloadHandle,
    /// TLS, users, headers and the rate limit.
    pub web: Web,
    pub clock: SharedClock,
}

impl AppState {
    /// The settings in force.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }
}

/// What the handlers need of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Required of requests that change state, unless the client certificate has one of
    /// `client_sans`.
    pub token: Option<Secret>,
    /// Subject alternative names of client certificates that are accepted instead of the token.
    pub client_sans: Vec<String>,
    pub about: ServerInfo,
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// This process, for the landing page.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    pub version: &'static str,
    pub mode: Mode,
    pub clusters: Vec<ClusterInfo>,
    /// Path of the metrics, by default `/metrics`. Never changes.
    pub telemetry_path: String,
}

#[derive(Clone, Debug)]
pub struct ClusterInfo {
    pub name: ClusterName,
    /// From the start of one round to the start of the next.
    pub collect_interval: Duration,
}

/// The remediation pipeline as the handlers use it. Implemented by [`Remediator`], whose methods
/// say what each one does.
#[async_trait]
pub trait Pipeline: Send + Sync + 'static {
    async fn take(&self, notification: Notification) -> Result<Taken, StoreError>;
    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError>;
    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError>;
    async fn order(&self, order: Order) -> Result<RunId, OrderError>;
    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError>;
    async fn approve(&self, id: RunId) -> Result<(), OrderError>;
    async fn roll_back(&self, id: RunId) -> Result<(), OrderError>;
    async fn acknowledge(&self, id: RunId) -> Result<(), OrderError>;
    async fn release(&self, cluster: Option<ClusterName>) -> Result<Vec<String>, OrderError>;
    fn pause(&self) -> std::io::Result<()>;
    fn resume(&self) -> std::io::Result<()>;
    fn paused(&self) -> bool;
}

#[async_trait]
impl Pipeline for Remediator {
    async fn take(&self, notification: Notification) -> Result<Taken, StoreError> {
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
