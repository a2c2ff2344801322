//! The only spawner of tasks, and the one signal that ends them.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info_span, warn};

/// Every task of the process, and the one signal that ends them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    Cleanly,
    /// The grace period ran out first; what was open is in the journal.
    GraceExpired,
}

impl Tasks {
    /// Starts a named task that lives as long as the process.
    ///
    /// When it returns or panics, the guard it carries stops the rest: a process that has lost a
    /// task must end and be restarted, not go on looking healthy.
    pub fn start<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stops_the_rest = self.stop.clone().drop_guard();
        let future = task(self.stop.child_token());
        let carrying_the_guard = async move {
            let _until_here = stops_the_rest;
            future.await;
        };
        self.tracker.spawn(carrying_the_guard.instrument(info_span!("task", name)));
    }

    /// Starts a short piece of work (a connection, a request) whose end is no reason to stop.
    pub fn start_short<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(future.instrument(info_span!("task", name)));
    }

    /// Ends when the process has been asked to stop, or a task has died.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Asks every task to end, then waits at most `grace`.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.stop.cancel();
        self.tracker.close();
        match tokio::time::timeout(grace, self.tracker.wait()).await {
            Ok(()) => Drained::Cleanly,
            Err(_elapsed) => {
                warn!(tasks = self.tracker.len(), ?grace, "Shutdown grace expired.");
                Drained::GraceExpired
            }
        }
    }
}
