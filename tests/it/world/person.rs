//! A person who gives orders, named `alice`.

use kafka_optimizer::{
    alert::Notification,
    model::{ClusterName, Principal, RunId},
    remediation::{Order, OrderError, ReleaseOrder, Remediator, Taken},
    store::StoreError,
};

/// The pipeline with `alice` at its controls.
#[derive(Clone)]
pub(crate) struct Person(pub(super) Remediator);

impl std::ops::Deref for Person {
    type Target = Remediator;

    /// For the calls that need no principal.
    fn deref(&self) -> &Remediator {
        &self.0
    }
}

fn alice() -> Principal {
    Principal::new("alice")
}

impl Person {
    pub(crate) async fn take(&self, sent: Notification) -> Result<Taken, StoreError> {
        self.0.take(sent).await
    }

    pub(crate) async fn order(&self, order: Order) -> Result<RunId, OrderError> {
        self.0.order(order, &alice()).await
    }

    pub(crate) async fn roll_back(&self, run: RunId) -> Result<(), OrderError> {
        self.0.roll_back(run, &alice()).await
    }

    pub(crate) async fn retry(&self, run: RunId) -> Result<(), OrderError> {
        self.0.retry(run, &alice()).await
    }

    pub(crate) async fn approve(&self, run: RunId) -> Result<(), OrderError> {
        self.0.approve(run, None, &alice()).await
    }

    pub(crate) async fn approve_plan(&self, run: RunId, digest: &str) -> Result<(), OrderError> {
        self.0.approve(run, Some(digest.to_owned()), &alice()).await
    }

    pub(crate) async fn reject(&self, run: RunId, reason: &str) -> Result<(), OrderError> {
        self.0.reject(run, Some(reason.to_owned()), &alice()).await
    }

    pub(crate) async fn cancel(&self, run: RunId) -> Result<(), OrderError> {
        self.0.cancel(run, None, &alice()).await
    }

    pub(crate) async fn acknowledge(&self, run: RunId) -> Result<(), OrderError> {
        self.0.acknowledge(run, &alice()).await
    }

    pub(crate) async fn release(
        &self,
        cluster: Option<ClusterName>,
    ) -> Result<Vec<String>, OrderError> {
        self.release_only(ReleaseOrder { cluster, ..ReleaseOrder::default() }).await
    }

    pub(crate) async fn release_only(
        &self,
        order: ReleaseOrder,
    ) -> Result<Vec<String>, OrderError> {
        self.0.release(order, &alice()).await
    }

    pub(crate) async fn pause(&self) -> std::io::Result<()> {
        self.0.pause(&alice()).await
    }

    pub(crate) async fn resume(&self) -> std::io::Result<()> {
        self.0.resume(&alice()).await
    }
}
