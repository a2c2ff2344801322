//! Spawns all tasks of the process, and stops them together.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info_span, warn};

/// The tasks of the process, or a group of them, and the token that stops them.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    /// Stops all tasks of the process.
    process: CancellationToken,
    /// Stops the tasks of this group; the same as `process` outside a group.
    stop: CancellationToken,
}

impl Default for Tasks {
    fn default() -> Self {
        let process = CancellationToken::new();
        Self { tracker: TaskTracker::new(), stop: process.clone(), process }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    Cleanly,
    /// Tasks were still running after the grace period. Unfinished steps are in the journal.
    GraceExpired,
}

impl Tasks {
    /// Tasks that can be stopped without the others of the process, such as those of one cluster.
    #[must_use]
    pub fn group(&self) -> Self {
        Self {
            tracker: self.tracker.clone(),
            process: self.process.clone(),
            stop: self.stop.child_token(),
        }
    }

    /// Stops the tasks of this group.
    pub fn stop_group(&self) {
        self.stop.cancel();
    }

    /// Starts a named task that runs as long as the process or its group.
    ///
    /// If it returns or panics before, all other tasks are stopped: a process that has lost a task
    /// must exit and be restarted, rather than keep looking healthy.
    pub fn start<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop_all_on_drop = self.process.clone().drop_guard();
        let stop = self.stop.child_token();
        let future = task(stop.clone());
        let guarded = async move {
            future.await;
            if stop.is_cancelled() {
                stop_all_on_drop.disarm();
            }
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
        self.process.clone()
    }

    /// Stops all tasks and waits for them, at most for `grace`.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.process.cancel();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_stops_alone_and_a_lost_task_of_it_stops_the_process() {
        let tasks = Tasks::default();
        let group = tasks.group();
        group.start("a", |stop| async move { stop.cancelled().await });
        group.stop_group();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;

        assert!(!tasks.stopping().is_cancelled(), "a group that was stopped ended the process");

        tasks.group().start("b", |_stop| async {});
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;

        assert!(tasks.stopping().is_cancelled());
        assert_eq!(tasks.drain(Duration::from_secs(1)).await, Drained::Cleanly);
    }
}
