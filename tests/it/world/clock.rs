//! tokio's paused clock, and a time of day that a test can set.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kafka_optimizer::{
    clock::Clock,
    model::{MonotonicTime, WallTime},
};
use tokio::time::Instant;

use super::crash_points::CrashPoints;

/// 2026-01-01T00:00:00Z.
const BASE: i64 = 1_767_225_600_000;

#[derive(Debug)]
pub(crate) struct WorldClock {
    started: Instant,
    /// When the time of day is set, and by how many milliseconds it jumps.
    jumps: Mutex<Vec<(Duration, i64)>>,
    crash_points: CrashPoints,
}

impl WorldClock {
    pub(crate) fn new(crash_points: CrashPoints) -> Self {
        Self { started: Instant::now(), jumps: Mutex::default(), crash_points }
    }

    /// Elapsed time since the start of the world.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sets the time of day, as an operator or NTP may do.
    pub(crate) fn set_by(&self, milliseconds: i64) {
        self.will_be_set(self.elapsed(), milliseconds);
    }

    /// The same, at a time after the start of the world.
    pub(crate) fn will_be_set(&self, at: Duration, milliseconds: i64) {
        self.jumps.lock().unwrap_or_else(PoisonError::into_inner).push((at, milliseconds));
    }

    /// Difference between the time of day and the elapsed time.
    fn away(&self) -> i64 {
        let (now, jumps) = (self.elapsed(), self.jumps.lock());
        let jumps = jumps.unwrap_or_else(PoisonError::into_inner);
        jumps.iter().filter(|(at, _)| *at <= now).map(|(_, by)| by).sum()
    }

    /// The elapsed time at which the time of day was `wall`.
    pub(crate) fn when(&self, wall: WallTime) -> Duration {
        let since = wall.0 - BASE - self.away();
        Duration::from_millis(u64::try_from(since).unwrap_or(0))
    }
}

#[async_trait]
impl Clock for WorldClock {
    fn monotonic(&self) -> MonotonicTime {
        MonotonicTime(self.elapsed())
    }

    fn wall(&self) -> WallTime {
        let elapsed = i64::try_from(self.elapsed().as_millis()).unwrap();
        WallTime(BASE + elapsed + self.away())
    }

    async fn sleep(&self, pause: Duration) {
        self.crash_points.pass().await;
        tokio::time::sleep(pause).await;
        self.crash_points.pass().await;
    }
}
