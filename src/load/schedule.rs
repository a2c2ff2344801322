//! The send schedule of a producer. Pure.

use std::time::Duration;

use crate::model::MonotonicTime;

/// When one producer sends: at `first`, `first + period`, `first + 2 period`, …
#[derive(Clone, Copy, Debug)]
pub(super) struct SendSchedule {
    first: MonotonicTime,
    period: Duration,
}

impl SendSchedule {
    /// The schedule of producer `index` of `producers` that share `rate` records per second. The
    /// producers are staggered, so that their records do not arrive at the broker together.
    pub(super) fn new(start: MonotonicTime, index: u16, producers: u16, rate: u32) -> Self {
        let interval = Duration::from_secs(1) / rate;
        Self {
            first: MonotonicTime(start.0 + interval * u32::from(index)),
            period: Duration::from_secs(u64::from(producers)) / rate,
        }
    }

    /// The first scheduled time that is not before `now`. Missed times are skipped: a producer that
    /// was delayed must not catch up with a burst.
    pub(super) fn next(self, now: MonotonicTime) -> MonotonicTime {
        let late = now.0.saturating_sub(self.first.0).as_nanos();
        let periods = late.div_ceil(self.period.as_nanos().max(1));

        let after_first = self.period.as_nanos().saturating_mul(periods);
        let after_first = Duration::from_nanos(u64::try_from(after_first).unwrap_or(u64::MAX));

        MonotonicTime(self.first.0.saturating_add(after_first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: MonotonicTime = MonotonicTime(Duration::from_secs(10));

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime(START.0 + Duration::from_millis(millis))
    }

    #[test]
    fn the_producers_share_the_rate_evenly() {
        let first_times: Vec<MonotonicTime> =
            (0..4).map(|it| SendSchedule::new(START, it, 4, 400).next(START)).collect();
        let second_of_0 = SendSchedule::new(START, 0, 4, 400)
            .next(MonotonicTime(at(0).0 + Duration::from_nanos(1)));
        let millis = Duration::from_micros(2_500);
        let want: Vec<MonotonicTime> =
            (0..4).map(|it| MonotonicTime(START.0 + millis * it)).collect();

        assert_eq!(first_times, want);
        assert_eq!(second_of_0, at(10), "one producer sends every 10 ms");
    }

    #[test]
    fn a_missed_time_is_skipped() {
        let schedule = SendSchedule::new(START, 0, 1, 10);
        assert_eq!(schedule.next(at(99)), at(100));
        assert_eq!(schedule.next(at(100)), at(100));
        assert_eq!(schedule.next(at(1_234)), at(1_300));
    }

    #[test]
    fn the_highest_rate_has_a_schedule() {
        let schedule = SendSchedule::new(START, 0, 1, 1_000_000);
        let next = schedule.next(at(5));
        assert!((at(5)..=at(6)).contains(&next));
    }
}
