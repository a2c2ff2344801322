//! The numbers behind a verdict, which are stored with the run.

use serde::{Deserialize, Serialize};

/// Why a look has no verdict; of the last look, why the verdict is `inconclusive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// More than half of the bins of the baseline or of the observation are missing.
    TooFewBins,
    /// The load may have made the difference.
    Load,
    /// The load rose from almost nothing, so the baseline proves little.
    AlmostNoLoad,
    /// The objective was on its way back to its usual level.
    ByItself,
    /// The last bin before the first write was as good as those after it.
    BeganBefore,
    /// The change reached nothing of what it is for.
    ReachedNothing,
    /// The difference is large, but within the noise, or as large a one comes about too often.
    Noise,
    /// The difference is small, and the noise too large to rule out one that counts.
    Imprecise,
}

/// The same comparison at earlier times, when nothing was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placebos {
    /// Windows of the history that began as the run did.
    pub comparable: usize,
    /// Comparable windows without a bin in common.
    pub disjoint: usize,
    /// Comparable windows with as large an improvement.
    pub as_good: usize,
    /// Comparable windows with as large a deterioration.
    pub as_bad: usize,
}

/// How the observation differs from the baseline. Differences of natural logarithms; a negative one
/// is an improvement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Less what the load, the untouched brokers and the pull explain.
    pub change: f64,
    /// What was to be expected because the baseline was not at its usual level.
    pub pull: f64,
    /// The least improvement that the change may be, if the load did all that it can have done.
    pub best: f64,
    /// The least deterioration that it may be.
    pub worst: f64,
    /// Standard deviation of what the level falls by itself.
    pub noise_down: f64,
    /// Standard deviation of what the level rises by itself.
    pub noise_up: f64,
    pub degrees_of_freedom: f64,
    /// One-sided bound of `worst`: with 95 % confidence the level changed by no less.
    pub low: f64,
    /// One-sided bound of `best`: with 95 % confidence the level changed by no more.
    pub high: f64,
    /// The smallest relative improvement that this look can tell from the noise, 0–1.
    pub detectable: f64,
}

impl Difference {
    pub(super) fn is_finite(&self) -> bool {
        let Self { change, pull, best, worst, noise_down, noise_up, .. } = *self;
        let bounds = [self.degrees_of_freedom, self.low, self.high, self.detectable];

        [change, pull, best, worst, noise_down, noise_up]
            .into_iter()
            .chain(bounds)
            .all(f64::is_finite)
    }
}

/// The numbers of one look. Changes are differences of natural logarithms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Bins observed, after those of `settle`.
    pub observed: usize,
    /// Bins known at the first write.
    pub history: usize,
    pub bin_seconds: f64,
    pub load_change: Option<f64>,
    /// Brokers that the run does not touch.
    pub untouched: usize,
    /// Their mean change, less what their load explains.
    pub untouched_change: Option<f64>,
    /// The share of that change that was taken off, 0–1.
    pub untouched_weight: f64,
    pub placebos: Placebos,
    /// `None` if too many bins are missing.
    pub difference: Option<Difference>,
    /// `None` if there is a verdict, and for a soft guard.
    pub doubt: Option<Doubt>,
}
