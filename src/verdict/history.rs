//! The bins before the first write.

use std::ops::Range;

use super::{layout::Layout, residuals::Residuals, window::WindowMeans};

/// The bins before the first write, with what is asked of them often.
#[derive(Clone, Debug)]
pub(super) struct KnownBins {
    pub(super) bins: usize,
    pub(super) residuals: Residuals,
    pub(super) level: WindowMeans,
    pub(super) load: WindowMeans,
    pub(super) residual: WindowMeans,
    pub(super) untouched: Option<WindowMeans>,
    /// How many of the bins up to each one belong to an earlier run.
    excluded: Vec<usize>,
}

impl KnownBins {
    pub(super) fn new(residuals: Residuals, excluded: &[Range<usize>]) -> Self {
        let bins = residuals.level.len();

        Self {
            bins,
            level: WindowMeans::of(&residuals.level),
            load: WindowMeans::of(&residuals.load),
            residual: WindowMeans::of(&residuals.residual),
            untouched: residuals.untouched.as_deref().map(WindowMeans::of),
            excluded: number_excluded(bins, excluded),
            residuals,
        }
    }

    /// The bins of the run's own baseline.
    pub(super) fn baseline(&self, layout: Layout) -> Range<usize> {
        layout.before(self.bins)
    }

    /// The times at which the run could have been, with all of its windows in the history and none
    /// in an earlier run.
    pub(super) fn writes(&self, layout: Layout) -> Vec<usize> {
        let is_free = |write: &usize| {
            let whole = layout.whole(*write);
            self.excluded.get(whole.start) == self.excluded.get(whole.end)
        };
        let fits = |write: &usize| layout.whole(*write).end <= self.bins;

        (layout.baseline..=self.bins).take_while(fits).filter(is_free).collect()
    }
}

/// How many of the bins before each index, up to all of them, lie in one of the ranges.
fn number_excluded(bins: usize, ranges: &[Range<usize>]) -> Vec<usize> {
    let mut is_excluded = vec![false; bins];
    for range in ranges {
        let within = range.start.min(bins)..range.end.min(bins);
        if let Some(part) = is_excluded.get_mut(within) {
            part.fill(true);
        }
    }

    let mut number = 0;
    let until = |it: bool| {
        number += usize::from(it);
        number
    };

    std::iter::once(0).chain(is_excluded.into_iter().map(until)).collect()
}
