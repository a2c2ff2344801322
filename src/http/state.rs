//! The state of the router: channels, watches and plain data; no adapter and no store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Access, ReloadHandle, Web};
use crate::{
    alert::Notification,
    baseline::{BaselineName, BaselineSummary, NamedBaseline},
    clock::SharedClock,
    diagnosis::Diagnosis,
    expose::Exposition,
    model::{BrokerCapacity, ClusterName, Mode, Prices, Principal, RunId},
    remediation::{
        BaselineOrder, BaselineRequest, ComparedBaseline, Decision, Order, OrderError,
        ReleaseOrder, RemediationStatus, Remediator, Taken,
    },
    store::{JournalFilter, JournalLine, RunDetail, RunFilter, RunRow, StoreError},
    telemetry::Telemetry,
    verdict::VerdictCase,
};

#[derive(Clone)]
pub struct AppState {
    pub pipeline: Arc<dyn Pipeline>,
    /// What is most likely wrong with each cluster.
    pub diagnosis: Diagnosis,
    /// The latest encoded cluster metrics.
    pub pages: watch::Receiver<Arc<Exposition>>,
    /// This process's own metrics.
    pub telemetry: Arc<Telemetry>,
    /// Whether the first collection round of every cluster has ended.
    pub ready: watch::Receiver<bool>,
    /// What a reload of the configuration replaces.
    pub settings: watch::Receiver<Arc<Settings>>,
    pub reload: ReloadHandle,
    /// TLS, users, headers and the rate limit.
    pub web: Web,
    pub clock: SharedClock,
}

impl AppState {
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }
}

/// What the handlers need of the configuration.
#[derive(Debug)]
pub struct Settings {
    pub access: Access,
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
    /// Limits that only the report needs.
    pub capacity: BrokerCapacity,
    /// For the report; `None` if the configuration has none.
    pub prices: Option<Prices>,
}

/// The remediation pipeline as the handlers use it. Implemented by [`Remediator`], whose methods
/// say what each one does. `by` is who sent the request.
#[async_trait]
pub trait Pipeline: Send + Sync + 'static {
    async fn take(&self, notification: Notification) -> Result<Taken, StoreError>;
    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError>;
    async fn status(&self) -> Result<RemediationStatus, StoreError>;
    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError>;
    async fn case(&self, id: RunId) -> Result<Option<VerdictCase>, StoreError>;
    async fn journal(&self, filter: JournalFilter) -> Result<Vec<JournalLine>, StoreError>;
    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError>;
    async fn order(&self, order: Order, by: &Principal) -> Result<RunId, OrderError>;
    async fn decide(&self, id: RunId, decision: Decision, by: &Principal)
    -> Result<(), OrderError>;
    async fn release(&self, order: ReleaseOrder, by: &Principal)
    -> Result<Vec<String>, OrderError>;
    async fn baselines(
        &self,
        cluster: Option<ClusterName>,
    ) -> Result<Vec<BaselineSummary>, StoreError>;
    async fn baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
    ) -> Result<NamedBaseline, OrderError>;
    async fn record_baseline(
        &self,
        order: BaselineOrder,
        by: &Principal,
    ) -> Result<NamedBaseline, OrderError>;
    async fn delete_baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
        by: &Principal,
    ) -> Result<BaselineSummary, OrderError>;
    async fn compare_baseline(
        &self,
        request: BaselineRequest,
    ) -> Result<ComparedBaseline, OrderError>;
    async fn pause(&self, by: &Principal) -> std::io::Result<()>;
    async fn resume(&self, by: &Principal) -> std::io::Result<()>;
    fn paused(&self) -> bool;
}

#[async_trait]
impl Pipeline for Remediator {
    async fn take(&self, notification: Notification) -> Result<Taken, StoreError> {
        Remediator::take(self, notification).await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        Remediator::runs(self, filter).await
    }

    async fn status(&self) -> Result<RemediationStatus, StoreError> {
        Remediator::status(self).await
    }

    async fn run(&self, id: RunId) -> Result<Option<RunDetail>, StoreError> {
        Remediator::run(self, id).await
    }

    async fn case(&self, id: RunId) -> Result<Option<VerdictCase>, StoreError> {
        Remediator::case(self, id).await
    }

    async fn journal(&self, filter: JournalFilter) -> Result<Vec<JournalLine>, StoreError> {
        Remediator::journal(self, filter).await
    }

    async fn temporary_changes(&self) -> Result<Vec<RunRow>, StoreError> {
        Remediator::temporary_changes(self).await
    }

    async fn order(&self, order: Order, by: &Principal) -> Result<RunId, OrderError> {
        Remediator::order(self, order, by).await
    }

    async fn decide(
        &self,
        id: RunId,
        decision: Decision,
        by: &Principal,
    ) -> Result<(), OrderError> {
        Remediator::decide(self, id, decision, by).await
    }

    async fn release(
        &self,
        order: ReleaseOrder,
        by: &Principal,
    ) -> Result<Vec<String>, OrderError> {
        Remediator::release(self, order, by).await
    }

    async fn baselines(
        &self,
        cluster: Option<ClusterName>,
    ) -> Result<Vec<BaselineSummary>, StoreError> {
        Remediator::baselines(self, cluster).await
    }

    async fn baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
    ) -> Result<NamedBaseline, OrderError> {
        Remediator::baseline(self, cluster, name).await
    }

    async fn record_baseline(
        &self,
        order: BaselineOrder,
        by: &Principal,
    ) -> Result<NamedBaseline, OrderError> {
        Remediator::record_baseline(self, order, by).await
    }

    async fn delete_baseline(
        &self,
        cluster: Option<&ClusterName>,
        name: &BaselineName,
        by: &Principal,
    ) -> Result<BaselineSummary, OrderError> {
        Remediator::delete_baseline(self, cluster, name, by).await
    }

    async fn compare_baseline(
        &self,
        request: BaselineRequest,
    ) -> Result<ComparedBaseline, OrderError> {
        Remediator::compare_baseline(self, request).await
    }

    async fn pause(&self, by: &Principal) -> std::io::Result<()> {
        Remediator::pause(self, by).await
    }

    async fn resume(&self, by: &Principal) -> std::io::Result<()> {
        Remediator::resume(self, by).await
    }

    fn paused(&self) -> bool {
        Remediator::paused(self)
    }
}
