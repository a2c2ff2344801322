//! Exponential back-off after a failure to connect: short for a broker that is down, long for
//! credentials that were refused.

use std::time::Duration;

use super::{
    connection_error::ConnectionError,
    options::{
        AUTH_BACKOFF_INITIAL, AUTH_BACKOFF_MAX, CONNECT_BACKOFF_INITIAL, CONNECT_BACKOFF_MAX,
    },
};
use crate::model::MonotonicTime;

/// Remembers the last failed attempt, and when the next one is allowed.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<FailedAttempt>,
}

#[derive(Debug)]
struct FailedAttempt {
    error: ConnectionError,
    /// Consecutive failures of the same kind before this one.
    earlier: u32,
    retry_at: MonotonicTime,
    generation: u64,
}

impl Backoff {
    /// The last error, while it is too early for another attempt. New credentials (another
    /// `generation`) end the back-off: whoever replaced them waits for the result.
    pub(super) fn active(&self, now: MonotonicTime, generation: u64) -> Option<ConnectionError> {
        let last = self.last.as_ref()?;
        let active = last.generation == generation && now < last.retry_at;

        active.then(|| last.error.clone())
    }

    /// Records a failure and returns the delay until the next attempt. The delay doubles with each
    /// failure of the same kind.
    pub(super) fn record_failure(
        &mut self,
        now: MonotonicTime,
        generation: u64,
        error: ConnectionError,
    ) -> Duration {
        let failed_login = error.is_failed_login();
        let same_kind = self
            .last
            .as_ref()
            .filter(|it| it.generation == generation && it.error.is_failed_login() == failed_login);
        let earlier = same_kind.map_or(0, |it| it.earlier.saturating_add(1));

        let delay = if failed_login {
            delay(earlier, AUTH_BACKOFF_INITIAL, AUTH_BACKOFF_MAX)
        } else {
            delay(earlier, CONNECT_BACKOFF_INITIAL, CONNECT_BACKOFF_MAX)
        };

        let retry_at = MonotonicTime(now.0.saturating_add(delay));
        self.last = Some(FailedAttempt { error, earlier, retry_at, generation });

        delay
    }
}

/// The delay after `earlier` other failures, with 20 % jitter so that many processes do not
/// reconnect at once.
fn delay(earlier: u32, initial: Duration, max: Duration) -> Duration {
    let doubled = initial.saturating_mul(2_u32.saturating_pow(earlier));
    doubled.min(max).mul_f64(rand::random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> ConnectionError {
        ConnectionError::Broken(std::io::ErrorKind::ConnectionRefused, "down".to_owned())
    }

    fn refused() -> ConnectionError {
        ConnectionError::AuthRefused("wrong password".to_owned())
    }

    #[track_caller]
    fn check(error: &ConnectionError, initial: Duration, max: Duration) {
        let mut backoff = Backoff::default();

        for earlier in 0..40 {
            let got = backoff.record_failure(MonotonicTime::default(), 1, error.clone());
            let exact = initial.saturating_mul(2_u32.saturating_pow(earlier)).min(max);
            assert!(exact.mul_f64(0.8) <= got && got <= exact.mul_f64(1.2), "{earlier}: {got:?}");
        }
    }

    #[test]
    fn the_delay_doubles_up_to_its_maximum() {
        check(&down(), CONNECT_BACKOFF_INITIAL, CONNECT_BACKOFF_MAX);
        check(&refused(), AUTH_BACKOFF_INITIAL, AUTH_BACKOFF_MAX);
    }

    #[test]
    fn wrong_credentials_are_sent_at_most_five_times_in_two_minutes() {
        let mut backoff = Backoff::default();
        let mut now = MonotonicTime::default();
        let mut attempts = 0;

        while now.0 < Duration::from_mins(2) {
            attempts += 1;
            let delay = backoff.record_failure(now, 1, refused());
            now = MonotonicTime(now.0.saturating_add(delay));
        }

        assert!(attempts <= 5, "{attempts}");
    }

    #[test]
    fn a_back_off_applies_until_its_end_or_until_the_credentials_change() {
        let mut backoff = Backoff::default();
        let now = MonotonicTime(Duration::from_secs(100));

        assert!(backoff.active(now, 1).is_none());

        let delay = backoff.record_failure(now, 1, refused());

        assert!(backoff.active(now, 1).is_some_and(|it| it.is_failed_login()));
        assert!(backoff.active(now, 2).is_none());
        assert!(backoff.active(MonotonicTime(now.0.saturating_add(delay)), 1).is_none());
    }

    #[test]
    fn a_refusal_after_a_long_outage_starts_at_the_initial_delay() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            backoff.record_failure(MonotonicTime::default(), 1, down());
        }

        let delay = backoff.record_failure(MonotonicTime::default(), 1, refused());

        assert!(delay < AUTH_BACKOFF_INITIAL * 2, "{delay:?}");
    }
}
