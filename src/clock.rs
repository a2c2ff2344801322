//! The only code that reads the time. Everything else takes a [`Clock`].

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;

use crate::model::{MonotonicTime, WallTime};

/// A source of time. Times that outlive the process use `wall`; deadlines use `monotonic`.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Time since the clock was created. Never goes back.
    fn monotonic(&self) -> MonotonicTime;

    /// Time since 1970. May jump.
    fn wall(&self) -> WallTime;

    async fn sleep(&self, duration: Duration);
}

pub type SharedClock = Arc<dyn Clock>;

/// The clock of this machine.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only code that reads the time")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn monotonic(&self) -> MonotonicTime {
        MonotonicTime(self.started.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "the only code that reads the time")]
    fn wall(&self) -> WallTime {
        // A clock before 1970 is broken. Time 0 keeps comparisons meaningful.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
