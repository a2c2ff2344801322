//! The only reader of time. Everything else takes a [`Clock`].

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;

use crate::model::{MonotonicTime, WallTime};

/// The only source of time. What outlives the process uses `wall`; deadlines use `uptime`.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    fn monotonic(&self) -> MonotonicTime;
    /// For records, and for cooldowns kept across restarts.
    fn wall(&self) -> WallTime;
    async fn sleep(&self, pause: Duration);
}

/// A clock that stages share.
pub type SharedClock = Arc<dyn Clock>;

#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of time")]
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

    #[expect(clippy::disallowed_methods, reason = "this is the one reader of time")]
    fn wall(&self) -> WallTime {
        // A clock before 1970 is a broken machine; 0 keeps every comparison meaningful.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}
