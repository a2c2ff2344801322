//! `rate_limit`: a bucket from which each request takes one.

use std::sync::{Mutex, PoisonError};

use crate::{config::web::RateLimit, model::MonotonicTime};

#[derive(Debug)]
pub(super) struct TokenBucket {
    limit: RateLimit,
    /// When the bucket will be full again: one more request moves it by one interval.
    full_at: Mutex<MonotonicTime>,
}

impl TokenBucket {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, full_at: Mutex::default() }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&self, now: MonotonicTime) -> bool {
        let depth = self.limit.interval.saturating_mul(self.limit.burst);
        // Plain values: a panic of another holder leaves nothing half done.
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let after = full_at.0.max(now.0).saturating_add(self.limit.interval);
        let there = after.saturating_sub(now.0) <= depth;
        if there {
            *full_at = MonotonicTime(after);
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_taken_at_once_and_then_one_for_each_interval() {
        let at = |millis| MonotonicTime(Duration::from_millis(millis));
        let bucket = TokenBucket::new(RateLimit { interval: Duration::from_millis(100), burst: 3 });
        let taken = |now| (0..10).filter(|_| bucket.take(at(now))).count();
        assert_eq!(taken(0), 3);
        assert_eq!(taken(99), 0);
        assert_eq!(taken(100), 1);
        assert_eq!(taken(350), 2);
        assert_eq!(taken(100_000), 3, "no more than the burst is saved up");
    }
}
