//! The remediation pipeline: intake → guard → plan → rehearse → execute → verify → keep or roll back.
//!
//! [`Remedy`] is the handle that `http` and `cli` hold.

use std::sync::Arc;

use crate::{
    alert::Notification,
    model::{AlertOutcome, BrokerId, ClusterName, RunId},
    playbook::Level,
    store::{RunDetail, RunRow, StoreError},
};

/// What became of a notification that is now durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many alerts had which outcome.
    pub outcomes: Vec<(AlertOutcome, u64)>,
}

/// A person's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The cluster; may be left out when there is one.
    pub cluster: Option<ClusterName>,
    /// The broker; all of them when left out.
    pub broker: Option<BrokerId>,
    /// How far.
    pub level: Level,
    /// Whether to stop after the rehearsal.
    pub extent: Extent,
}

/// How far an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Plan, and let the brokers validate it; change nothing.
    RehearseOnly,
    /// As far as the mode allows.
    AsConfigured,
}

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The store cannot be written; try again.
    #[error("the state cannot be written")]
    Store(#[from] StoreError),
    /// There is no such run, cluster or playbook.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done now, or not to this run.
    #[error("{0}")]
    Conflict(String),
}

/// The handle of the pipeline. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Remedy {
    _shared: Arc<()>,
}

#[expect(clippy::unused_async, reason = "the bodies come with the pipeline")]
impl Remedy {
    /// Makes a notification durable: episodes opened, repeated, closed, in one transaction.
    ///
    /// # Errors
    ///
    /// When it could not be stored. Then nothing of it was.
    pub async fn take(&self, _notification: &Notification) -> Result<Taken, StoreError> {
        Ok(Taken::default())
    }

    /// The latest runs, newest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn runs(&self, _limit: u32) -> Result<Vec<RunRow>, StoreError> {
        Ok(Vec::new())
    }

    /// One run with all that is known of it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn run(&self, _id: RunId) -> Result<Option<RunDetail>, StoreError> {
        Ok(None)
    }

    /// Stores a person's order as a run.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub async fn order(&self, _order: Order) -> Result<RunId, Refusal> {
        Err(Refusal::Conflict(String::new()))
    }

    /// Asks for a kept or active run to be undone.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub async fn roll_back(&self, _id: RunId) -> Result<(), Refusal> {
        Ok(())
    }

    /// Says that a person has seen a stuck run, so that others may start again.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub async fn acknowledge(&self, _id: RunId) -> Result<(), Refusal> {
        Ok(())
    }

    /// Lifts the quarantines and the marks of externally changed keys of a cluster (or of all). Returns
    /// what was released, in words.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub async fn release(&self, _cluster: Option<ClusterName>) -> Result<Vec<String>, Refusal> {
        Ok(Vec::new())
    }

    /// Stops new runs; survives a restart.
    ///
    /// # Errors
    ///
    /// When the pause file cannot be written.
    pub async fn pause(&self) -> Result<(), std::io::Error> {
        Ok(())
    }

    /// Lets runs start again.
    ///
    /// # Errors
    ///
    /// When the pause file cannot be removed.
    pub async fn resume(&self) -> Result<(), std::io::Error> {
        Ok(())
    }

    /// Whether the pause file is there.
    pub fn paused(&self) -> bool {
        false
    }
}
