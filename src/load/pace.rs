//! When each record of an open-loop load is due. Pure.

use std::{num::NonZeroU32, time::Duration};

/// The schedule of one of several producers that share a rate. It depends on nothing that brokers
/// do: a record that cannot be sent stays due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Records per second of all producers together. `None`: as fast as possible.
    pub(super) rate: Option<NonZeroU32>,
    /// The number of this producer, from 0.
    pub(super) sender: u32,
    pub(super) senders: u32,
}

impl Pace {
    /// When record `index` of this producer is due, from the start of the load on. The producers
    /// take turns. `None`: as soon as the client accepts it.
    pub(super) fn due(self, index: u64) -> Option<Duration> {
        let rate = u128::from(self.rate?.get());
        let turn = u128::from(index) * u128::from(self.senders) + u128::from(self.sender);
        let nanos = turn * 1_000_000_000 / rate;

        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: u32, sender: u32, senders: u32) -> Pace {
        Pace { rate: NonZeroU32::new(rate), sender, senders }
    }

    #[test]
    fn producers_take_turns_at_the_common_rate() {
        let due = |sender, index| pace(1_000, sender, 2).due(index);
        assert_eq!(due(0, 0), Some(Duration::ZERO));
        assert_eq!(due(1, 0), Some(Duration::from_millis(1)));
        assert_eq!(due(0, 1), Some(Duration::from_millis(2)));
        assert_eq!(due(1, 1), Some(Duration::from_millis(3)));
    }

    #[test]
    fn rounding_does_not_add_up() {
        // A third of a second has no exact number of nanoseconds.
        assert_eq!(pace(3, 0, 1).due(3_000_000), Some(Duration::from_secs(1_000_000)));
    }

    #[test]
    fn without_a_rate_no_record_has_a_due_time() {
        assert_eq!(pace(0, 0, 1).due(5), None);
    }
}
