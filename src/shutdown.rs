//! Spawns all tasks of the process, and stops them together.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info_span, warn};

/// The tasks of the process, and the token that stops them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    Cleanly,
    /// Tasks were still running after the grace period. Unfinished steps are in the journal.
    GraceExpired,
}

impl Tasks {
    /// Starts a named task that runs as long as the process.
    ///
    /// If it returns or panics, all other tasks are stopped: a process that has lost a task must
    /// exit and be restarted, rather than keep looking healthy.
    pub fn start<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop_all_on_drop = self.stop.clone().drop_guard();
        let future = task(self.stop.child_token());
        let guarded = async move {
            let _guard = stop_all_on_drop;
            future.await;
        };

        self.tracker.spawn(guarded.instrument(info_span!("task", name)));
    }

    /// Starts a short-lived task, such as a connection or a request, that may end at any time.
    pub fn start_short<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(future.instrument(info_span!("task", name)));
    }

    /// Cancelled when the process is asked to stop, or when a long-lived task has ended.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops all tasks and waits for them, at most for `grace`.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.stop.cancel();
        self.tracker.close();

        match tokio::time::timeout(grace, self.tracker.wait()).await {
            Ok(()) => Drained::Cleanly,
            Err(_elapsed) => {
                warn!(
                    tasks = self.tracker.len(),
                    ?grace,
                    "Grace period expired with tasks still running."
                );
                Drained::GraceExpired
            }
        }
    }
}
