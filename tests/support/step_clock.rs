//! A clock that only a test advances: rounds follow each other at once, one interval apart by this
//! clock.

use std::time::Duration;

use async_trait::async_trait;
use kafka_optimizer::{
    clock::Clock,
    model::{MonotonicTime, WallTime},
};
use tokio::sync::watch;

/// 2026-01-01T00:00:00Z.
const BEGIN: WallTime = WallTime(1_767_225_600_000);

/// For waits between rounds only: deadlines of real sockets need a real clock.
#[derive(Debug)]
pub(crate) struct StepClock {
    elapsed: watch::Sender<Duration>,
    sleepers: watch::Sender<usize>,
}

impl StepClock {
    pub(crate) fn new() -> Self {
        Self { elapsed: watch::Sender::new(Duration::ZERO), sleepers: watch::Sender::new(0) }
    }

    /// Advances by `step` once a task waits for it.
    pub(crate) async fn step(&self, step: Duration) {
        self.sleepers.subscribe().wait_for(|it| 0 < *it).await.unwrap();
        self.elapsed.send_modify(|it| *it += step);
    }
}

#[async_trait]
impl Clock for StepClock {
    fn monotonic(&self) -> MonotonicTime {
        MonotonicTime(*self.elapsed.borrow())
    }

    fn wall(&self) -> WallTime {
        BEGIN.after(*self.elapsed.borrow())
    }

    async fn sleep(&self, pause: Duration) {
        let mut elapsed = self.elapsed.subscribe();
        let until = *elapsed.borrow() + pause;
        let _here = Sleeper::enter(&self.sleepers);
        elapsed.wait_for(|it| until <= *it).await.unwrap();
    }
}

struct Sleeper<'a>(&'a watch::Sender<usize>);

impl<'a> Sleeper<'a> {
    fn enter(sleepers: &'a watch::Sender<usize>) -> Self {
        sleepers.send_modify(|it| *it += 1);
        Self(sleepers)
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|it| *it -= 1);
    }
}
