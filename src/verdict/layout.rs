//! Which bins a comparison compares.

use std::ops::Range;

use super::window::WindowMeans;

/// The windows of one comparison, in bins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) baseline: usize,
    pub(super) settle: usize,
    pub(super) observed: usize,
}

impl Layout {
    pub(super) fn before(self, write: usize) -> Range<usize> {
        write.saturating_sub(self.baseline)..write
    }

    /// The bins that are observed after a write.
    pub(super) fn after(self, write: usize) -> Range<usize> {
        let start = write.saturating_add(self.settle);
        start..start.saturating_add(self.observed)
    }

    /// All bins from the baseline to the end of the observation.
    pub(super) fn whole(self, write: usize) -> Range<usize> {
        self.before(write).start..self.after(write).end
    }

    pub(super) fn bins(self) -> usize {
        self.whole(self.baseline).len().max(1)
    }

    /// How the mean of the observation differs from that of the baseline.
    pub(super) fn change(self, means: &WindowMeans, write: usize) -> f64 {
        means.mean(self.after(write)) - means.mean(self.before(write))
    }
}
