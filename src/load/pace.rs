//! When a producer's next turn is. Pure.

use std::time::Duration;

use crate::model::MonotonicTime;

/// The turns of one producer: `first`, `first + period`, `first + 2 period`, …
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    first: MonotonicTime,
    period: Duration,
}

impl Pace {
    /// The turns of producer `index` of `producers` that share `rate` records per second. They are
    /// spread evenly, so that the producers' records do not arrive at the broker together.
    pub(super) fn new(began: MonotonicTime, index: u16, producers: u16, rate: u32) -> Self {
        let between_any_two = Duration::from_secs(1) / rate;
        Self {
            first: MonotonicTime(began.0 + between_any_two * u32::from(index)),
            period: Duration::from_secs(u64::from(producers)) / rate,
        }
    }

    /// The first turn that is not over. Turns that passed are left out: a producer that was held up
    /// must not make up for it with a burst.
    pub(super) fn next(self, now: MonotonicTime) -> MonotonicTime {
        let late = now.0.saturating_sub(self.first.0).as_nanos();
        let turns = late.div_ceil(self.period.as_nanos().max(1));
        let after_first = self.period.as_nanos().saturating_mul(turns);
        let after_first = Duration::from_nanos(u64::try_from(after_first).unwrap_or(u64::MAX));
        MonotonicTime(self.first.0.saturating_add(after_first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: MonotonicTime = MonotonicTime(Duration::from_secs(10));

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime(BEGAN.0 + Duration::from_millis(millis))
    }

    #[test]
    fn the_producers_share_the_rate_evenly() {
        let firsts: Vec<MonotonicTime> =
            (0..4).map(|it| Pace::new(BEGAN, it, 4, 400).next(BEGAN)).collect();
        let second_of_0 =
            Pace::new(BEGAN, 0, 4, 400).next(MonotonicTime(at(0).0 + Duration::from_nanos(1)));
        let millis = Duration::from_micros(2_500);
        let want: Vec<MonotonicTime> =
            (0..4).map(|it| MonotonicTime(BEGAN.0 + millis * it)).collect();
        assert_eq!(firsts, want);
        assert_eq!(second_of_0, at(10), "the producer's own turns are 10 ms apart");
    }

    #[test]
    fn a_turn_that_passed_is_left_out() {
        let pace = Pace::new(BEGAN, 0, 1, 10);
        assert_eq!(pace.next(at(99)), at(100));
        assert_eq!(pace.next(at(100)), at(100));
        assert_eq!(pace.next(at(1_234)), at(1_300));
    }

    #[test]
    fn the_highest_rate_still_has_turns() {
        let pace = Pace::new(BEGAN, 0, 1, 1_000_000);
        assert!(at(5) <= pace.next(at(5)) && pace.next(at(5)) <= at(6));
    }
}
