//! What is kept from round to round, for as long as it may be shown.

use std::time::Duration;

use crate::{
    clock::SharedClock,
    model::{MonotonicTime, WallTime},
    snapshot::Section,
};

/// A section is shown for this many of its cadences, then it is no longer what the cluster is like.
const LIFE_CADENCES: u32 = 3;

/// One moment by both clocks: one to record, one to measure with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) wall: WallTime,
    pub(super) uptime: MonotonicTime,
}

impl Moment {
    pub(super) fn now(clock: &SharedClock) -> Self {
        Self { wall: clock.wall(), uptime: clock.monotonic() }
    }

    /// Time since `earlier`.
    pub(super) fn since(self, earlier: MonotonicTime) -> Duration {
        self.uptime.0.saturating_sub(earlier.0)
    }

    /// Whether something read then, once per `cadence`, may still be shown.
    pub(super) fn shows(self, read: MonotonicTime, cadence: Duration) -> bool {
        self.since(read) <= cadence * LIFE_CADENCES
    }
}

/// A section and when it was read, by the clock that does not jump.
#[derive(Debug)]
pub(super) struct Kept<T> {
    section: Section<T>,
    read: MonotonicTime,
}

impl<T> Kept<T> {
    pub(super) fn new(value: T, at: Moment) -> Self {
        Self { section: Section::new(value, at.wall), read: at.uptime }
    }

    /// The section, unless it is past its life.
    pub(super) fn shown(&self, now: Moment, cadence: Duration) -> Option<Section<T>> {
        now.shows(self.read, cadence).then(|| self.section.clone())
    }

    pub(super) fn value(&self) -> &T {
        &self.section.value
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { section: self.section.clone(), read: self.read }
    }
}
