//! The rest after a failure to connect: short for a broker that is down, long for credentials that
//! were refused.

use std::time::Duration;

use super::{
    connection_error::ConnectionError,
    options::{BACKOFF_FIRST, BACKOFF_MAX, REFUSED_BACKOFF_FIRST, REFUSED_BACKOFF_MAX},
};
use crate::model::MonotonicTime;

/// No attempt before its end; what the last one ended with.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    ending: ConnectionError,
    /// Failures of the same kind before this one.
    earlier: u32,
    again_at: MonotonicTime,
    generation: u64,
}

impl Backoff {
    /// What the last attempt ended with, while it is too early for another. Other credentials end a
    /// pause: whoever put them there waits for what they do.
    pub(super) fn holds(&self, now: MonotonicTime, generation: u64) -> Option<ConnectionError> {
        let last = self.last.as_ref()?;
        let holds = last.generation == generation && now < last.again_at;
        holds.then(|| last.ending.clone())
    }

    /// Begins the next, longer pause; returns its length.
    pub(super) fn begin(
        &mut self,
        now: MonotonicTime,
        generation: u64,
        ending: ConnectionError,
    ) -> Duration {
        let alike = self.last.as_ref().filter(|it| {
            it.generation == generation && it.ending.is_refusal() == ending.is_refusal()
        });
        let earlier = alike.map_or(0, |it| it.earlier.saturating_add(1));
        let bounds = if ending.is_refusal() {
            (REFUSED_BACKOFF_FIRST, REFUSED_BACKOFF_MAX)
        } else {
            (BACKOFF_FIRST, BACKOFF_MAX)
        };
        let pause = backoff(earlier, bounds);
        let again_at = MonotonicTime(now.0.saturating_add(pause));
        self.last = Some(Failed { ending, earlier, again_at, generation });
        pause
    }
}

/// The pause after `earlier` others. Jitter keeps many processes from coming back at once.
fn backoff(earlier: u32, (first, longest): (Duration, Duration)) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(earlier));
    doubled.min(longest).mul_f64(rand::random_range(0.8..1.2))
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
    fn check(ending: &ConnectionError, first: Duration, longest: Duration) {
        let mut pause = Backoff::default();
        for earlier in 0..40 {
            let got = pause.begin(MonotonicTime::default(), 1, ending.clone());
            let exact = first.saturating_mul(2_u32.saturating_pow(earlier)).min(longest);
            assert!(exact.mul_f64(0.8) <= got && got <= exact.mul_f64(1.2), "{earlier}: {got:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        check(&down(), BACKOFF_FIRST, BACKOFF_MAX);
        check(&refused(), REFUSED_BACKOFF_FIRST, REFUSED_BACKOFF_MAX);
    }

    #[test]
    fn wrong_credentials_are_shown_five_times_in_two_minutes_at_most() {
        let (mut pause, mut now, mut attempts) = (Backoff::default(), MonotonicTime::default(), 0);
        while now.0 < Duration::from_mins(2) {
            attempts += 1;
            let rest = pause.begin(now, 1, refused());
            now = MonotonicTime(now.0.saturating_add(rest));
        }
        assert!(attempts <= 5, "{attempts}");
    }

    #[test]
    fn a_pause_holds_until_its_end_or_until_there_are_other_credentials() {
        let mut pause = Backoff::default();
        let now = MonotonicTime(Duration::from_secs(100));
        assert!(pause.holds(now, 1).is_none());
        let rest = pause.begin(now, 1, refused());
        assert!(pause.holds(now, 1).is_some_and(|it| it.is_refusal()));
        assert!(pause.holds(now, 2).is_none());
        assert!(pause.holds(MonotonicTime(now.0.saturating_add(rest)), 1).is_none());
    }

    #[test]
    fn a_broker_that_was_down_for_long_and_then_refuses_us_begins_with_the_first_refusal() {
        let mut pause = Backoff::default();
        for _ in 0..20 {
            pause.begin(MonotonicTime::default(), 1, down());
        }
        let rest = pause.begin(MonotonicTime::default(), 1, refused());
        assert!(rest < REFUSED_BACKOFF_FIRST * 2, "{rest:?}");
    }
}
