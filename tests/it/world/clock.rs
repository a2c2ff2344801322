//! Time: tokio's paused clock and a time of day that can be set.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use kafka_optimizer::{
    clock::Clock,
    model::{Uptime, Wall},
};
use tokio::time::Instant;

use super::moments::Moments;

/// 2026-01-01T00:00:00Z.
const BASE: i64 = 1_767_225_600_000;

/// The world's time.
#[derive(Debug)]
pub(crate) struct WorldClock {
    started: Instant,
    /// How far the time of day has been set away from elapsed time.
    set_by: AtomicI64,
    moments: Moments,
}

impl WorldClock {
    pub(crate) fn new(moments: Moments) -> Self {
        Self { started: Instant::now(), set_by: AtomicI64::new(0), moments }
    }

    /// Time since the world began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sets the time of day, as a person or NTP may.
    pub(crate) fn set_by(&self, milliseconds: i64) {
        self.set_by.fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// The time since the world began at which the time of day was `wall`.
    pub(crate) fn when(&self, wall: Wall) -> Duration {
        let since = wall.0 - BASE - self.set_by.load(Ordering::SeqCst);
        Duration::from_millis(u64::try_from(since).unwrap_or(0))
    }
}

#[async_trait]
impl Clock for WorldClock {
    fn uptime(&self) -> Uptime {
        Uptime(self.elapsed())
    }

    fn wall(&self) -> Wall {
        let elapsed = i64::try_from(self.elapsed().as_millis()).unwrap();
        Wall(BASE + elapsed + self.set_by.load(Ordering::SeqCst))
    }

    async fn sleep(&self, pause: Duration) {
        self.moments.pass().await;
        tokio::time::sleep(pause).await;
        self.moments.pass().await;
    }
}
