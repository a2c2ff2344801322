//! `rate_limit`: a token bucket, as golang.org/x/time/rate in the exporter toolkit.

use std::sync::{Mutex, PoisonError};

use crate::{config::web::RateLimit, model::MonotonicTime};

#[derive(Debug)]
pub(super) struct TokenBucket {
    limit: RateLimit,
    /// When the bucket will be full again. Each request moves it by one interval.
    full_at: Mutex<MonotonicTime>,
}

impl TokenBucket {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, full_at: Mutex::default() }
    }

    /// Takes one token; false if there is none.
    pub(super) fn try_take(&self, now: MonotonicTime) -> bool {
        let depth = self.limit.interval.saturating_mul(self.limit.burst);

        // Poisoning is harmless: the value is always complete.
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let after = full_at.0.max(now.0).saturating_add(self.limit.interval);
        let available = after.saturating_sub(now.0) <= depth;

        if available {
            *full_at = MonotonicTime(after);
        }

        available
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_allowed_at_once_and_then_one_request_per_interval() {
        let at = |millis| MonotonicTime(Duration::from_millis(millis));
        let bucket = TokenBucket::new(RateLimit { interval: Duration::from_millis(100), burst: 3 });
        let allowed = |now| (0..10).filter(|_| bucket.try_take(at(now))).count();

        assert_eq!(allowed(0), 3);
        assert_eq!(allowed(99), 0);
        assert_eq!(allowed(100), 1);
        assert_eq!(allowed(350), 2);
        assert_eq!(allowed(100_000), 3, "the bucket holds no more than the burst");
    }
}
