//! The observation of one look against the baseline: the numbers that the rules compare.

use super::{
    Bins, Difference, Parameters, Placebos, count,
    history::KnownBins,
    layout::Layout,
    noise::Noise,
    placebo::PlaceboFit,
    quantile::student_upper,
    residuals::{Curves, Residuals},
    window::{self, variance_of_mean},
};

/// Disjoint comparable windows at which their mean counts for half.
const MEAN_HALF_TRUSTED: f64 = 2.0;

/// Chance that the true change lies beyond a bound of the evidence: two one-sided tests at 5 % are
/// the usual proof of equivalence (Schuirmann 1987).
const BOUND_CHANCE: f64 = 0.05;

/// What one look compares with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison<'a> {
    pub(super) history: &'a KnownBins,
    pub(super) curves: &'a Curves,
    pub(super) placebos: &'a PlaceboFit,
    pub(super) layout: Layout,
    pub(super) parameters: &'a Parameters,
}

/// The numbers of one look, NaN where too many bins are missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared {
    /// The change before the pull is taken off.
    pub(super) raw: f64,
    /// The change from the last bin before the write, instead of from the mean of the baseline.
    pub(super) since_last: f64,
    pub(super) load: LoadEffect,
    pub(super) untouched_change: f64,
    pub(super) untouched_weight: f64,
    pub(super) counted: Placebos,
    pub(super) difference: Difference,
}

/// How the load changed, and what it may have done.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadEffect {
    pub(super) change: f64,
    /// The most that it can have lowered the level, beyond what the curve has taken off.
    pub(super) lowers: f64,
    pub(super) raises: f64,
    /// How far the highest load of the observation is above that of the baseline.
    pub(super) peak: f64,
    /// Whether the load is within what the curve was fitted on; true without a curve.
    pub(super) is_reached: bool,
}

impl Comparison<'_> {
    /// Compares the bins after the write. `chance` is that of the look.
    pub(super) fn with(self, after: &Bins, chance: f64) -> Compared {
        let observed = self.curves.residuals(after, self.layout.after(0));
        let residual = observed.less_untouched(self.placebos.untouched_weight);

        let raw = window::mean(&residual, self.layout.observed) - self.placebos.before;
        let load = self.load_effect(&observed);
        let variance = self.placebos.before_variance + variance_of_mean(&residual);

        // The change with all that speaks against an improvement, and against a deterioration. A
        // pull upwards makes nothing worse than it was seen to be.
        let pull = self.placebos.pull;
        let improvement = raw - pull + load.lowers;
        let deterioration = raw - pull.max(0.0) - load.raises;
        let bounds = Bounds { change: raw - pull, improvement, deterioration };

        Compared {
            raw,
            since_last: raw + self.placebos.before - self.placebos.last,
            load,
            untouched_change: self.untouched_change(&observed),
            untouched_weight: self.placebos.untouched_weight,
            counted: self.counted(bounds),
            difference: self.difference(bounds, variance, chance),
        }
    }

    fn load_effect(self, observed: &Residuals) -> LoadEffect {
        let baseline = self.history.baseline(self.layout);
        let before = self.history.residuals.load.as_slice();
        let after = window::mean(&observed.load, self.layout.observed);
        let change = after - self.history.load.mean(baseline.clone());
        let peak = highest(&observed.load) - highest(before.get(baseline).unwrap_or_default());

        // Within the range that it was fitted on, the curve explains the load.
        if self.curves.changed.is_some() {
            let lowers = (lowest(before) - after).max(0.0);
            let raises = (after - highest(before)).max(0.0);
            return LoadEffect { change, lowers, raises, peak, is_reached: raises <= 0.0 };
        }

        // Without a curve the load may explain as much as it changed by.
        let lowers = (-change).max(0.0);

        LoadEffect { change, lowers, raises: change.max(0.0), peak, is_reached: true }
    }

    /// How much the untouched brokers changed, beyond what their load explains.
    fn untouched_change(self, observed: &Residuals) -> f64 {
        let before = self.history.untouched.as_ref();
        let before = before.map_or(f64::NAN, |it| it.mean(self.history.baseline(self.layout)));
        let after = observed.untouched.as_deref();
        let after = after.map_or(f64::NAN, |it| window::mean(it, self.layout.observed));

        after - before
    }

    /// How many placebos changed as much.
    fn counted(self, bounds: Bounds) -> Placebos {
        let comparable = &self.placebos.comparable;
        let smaller = comparable.partition_point(|it| *it < bounds.deterioration);

        Placebos {
            comparable: comparable.len(),
            disjoint: self.placebos.disjoint,
            as_good: comparable.partition_point(|it| *it <= bounds.improvement),
            as_bad: comparable.len() - smaller,
        }
    }

    fn difference(self, bounds: Bounds, variance: f64, chance: f64) -> Difference {
        let noise = Noise::of(self.placebos, variance, self.parameters);
        let degrees = noise.degrees_of_freedom;
        let bound = student_upper(BOUND_CHANCE, degrees);

        // The comparable placebos may have changed on average, beside their pull.
        let disjoint = count(self.placebos.disjoint);
        let mean = self.placebos.comparable_mean * disjoint / (disjoint + MEAN_HALF_TRUSTED);
        let best = bounds.improvement - mean.min(0.0);
        let worst = bounds.deterioration - mean.max(0.0);

        Difference {
            change: bounds.change,
            pull: self.placebos.pull,
            best,
            worst,
            noise_down: noise.down,
            noise_up: noise.up,
            degrees_of_freedom: degrees,
            low: worst - bound * noise.up,
            high: best + bound * noise.down,
            detectable: 1.0 - (-student_upper(chance, degrees) * noise.down).exp(),
        }
    }
}

/// The change, and what is left of it as an improvement and as a deterioration.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    change: f64,
    improvement: f64,
    deterioration: f64,
}

/// The highest value that is there; NaN if none is.
fn highest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}
