//! Placebos: the comparison of a run, made at every earlier time as if something had been written
//! then.
//!
//! They are the placebo tests in time of the synthetic control method (Abadie, Diamond and
//! Hainmueller 2010). Nothing was changed at those times, so what they show comes about by itself.

use std::cmp::Ordering;

use super::{
    Parameters, count,
    history::KnownBins,
    layout::Layout,
    noise::Spread,
    window::{WindowMeans, variance_of_mean},
};

/// Independent windows at which a slope fitted on the history counts for half. With fewer it is
/// nearer to 0, which is to fit nothing.
const HALF_TRUSTED: f64 = 4.0;

/// What the placebos of one look show.
#[derive(Clone, Debug, Default)]
pub(super) struct PlaceboFit {
    /// The share of the untouched brokers' change that the changed one has in common with them.
    pub(super) untouched_weight: f64,
    /// The baseline of the run, less the untouched brokers.
    pub(super) before: f64,
    pub(super) before_variance: f64,
    /// The last bin before the write that is not missing.
    pub(super) last: f64,
    /// What is to be expected of the run by itself, because of where it begins.
    pub(super) pull: f64,
    /// The changes of the comparable placebos, less their pull, in ascending order.
    pub(super) comparable: Vec<f64>,
    pub(super) comparable_mean: f64,
    pub(super) comparable_spread: Spread,
    /// Comparable placebos without a bin in common.
    pub(super) disjoint: usize,
    /// Spread of all placebos, and how many would fit into the history without overlap.
    pub(super) spread: Spread,
    pub(super) independent: f64,
}

/// One earlier time: when it was, how it began, and what followed.
#[derive(Clone, Copy, Debug)]
struct Placebo {
    write: usize,
    before: f64,
    change: f64,
}

impl KnownBins {
    /// Fits all that the placebos of a look show.
    pub(super) fn placebos(&self, layout: Layout, parameters: &Parameters) -> PlaceboFit {
        let writes = self.writes(layout);
        let independent = count(writes.len()) / count(layout.bins());
        let trust = independent / (independent + HALF_TRUSTED);

        let untouched_weight = trust * self.common_share(layout, &writes);
        let residual = self.residuals.less_untouched(untouched_weight);
        let means = WindowMeans::of(&residual);
        let baseline = self.baseline(layout);

        let mut fit = PlaceboFit {
            untouched_weight,
            before: means.mean(baseline.clone()),
            before_variance: residual.get(baseline.clone()).map_or(0.0, variance_of_mean),
            last: residual.get(baseline).and_then(last_present).unwrap_or(f64::NAN),
            ..PlaceboFit::default()
        };

        let placebo = |write: &usize| Placebo {
            write: *write,
            before: means.mean(layout.before(*write)),
            change: layout.change(&means, *write),
        };
        let mut placebos: Vec<Placebo> =
            writes.iter().map(placebo).filter(|it| it.change.is_finite()).collect();
        if placebos.len() < 2 {
            return fit;
        }

        let center = mean(placebos.iter().map(|it| it.before));
        let slope = trust * slope(&placebos, center);
        fit.pull = slope * (fit.before - center);
        for placebo in &mut placebos {
            placebo.change -= slope * (placebo.before - center);
        }

        fit.spread = Spread::of(placebos.iter().map(|it| it.change));
        fit.independent = independent;
        self.keep_nearest(&mut placebos, layout, parameters);
        fit.compare_with(placebos, layout);

        fit
    }

    /// How much of a change of the untouched brokers the changed one shows too: the slope of a
    /// regression through 0, between 0 and 1. The same idea as the covariate of CUPED (Deng et al.
    /// 2013).
    fn common_share(&self, layout: Layout, writes: &[usize]) -> f64 {
        let Some(untouched) = &self.untouched else { return 0.0 };
        let mut products = 0.0;
        let mut squares = 0.0;

        for write in writes {
            let common = layout.change(untouched, *write);
            let own = layout.change(&self.residual, *write);
            if common.is_finite() && own.is_finite() {
                products += common * own;
                squares += common * common;
            }
        }

        // 0 / 0 if they never changed.
        let share = products / squares;

        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// Keeps the placebos that began most as this run does, by level and load: distances from its
    /// baseline, in standard deviations of the history.
    fn keep_nearest(&self, placebos: &mut Vec<Placebo>, layout: Layout, parameters: &Parameters) {
        let share = parameters.near_share * count(placebos.len());
        let number = (0..placebos.len()).take_while(|it| count(*it) < share).count();
        let number = number.max(parameters.near_min).clamp(1, placebos.len());

        let level = distances(&self.level, placebos, layout, self.bins);
        let load = distances(&self.load, placebos, layout, self.bins);
        let far = level.iter().zip(&load).map(|(level, load)| level.hypot(*load));

        // The index decides among equals, so that the result does not depend on the algorithm.
        let mut ranked: Vec<Ranked> =
            far.enumerate().map(|(index, distance)| Ranked { distance, index }).collect();
        if number < ranked.len() {
            ranked.select_nth_unstable_by(number, Ranked::order);
            ranked.truncate(number);
        }
        ranked.sort_unstable_by_key(|it| it.index);

        *placebos = ranked.iter().filter_map(|it| placebos.get(it.index).copied()).collect();
    }
}

/// A placebo by its likeness to the run.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    distance: f64,
    index: usize,
}

impl Ranked {
    fn order(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.index.cmp(&other.index))
    }
}

fn last_present(bins: &[f64]) -> Option<f64> {
    bins.iter().rev().copied().find(|it| it.is_finite())
}

impl PlaceboFit {
    /// Takes over the comparable placebos, which are in the order of time.
    fn compare_with(&mut self, placebos: Vec<Placebo>, layout: Layout) {
        let mut free_from = 0;
        for placebo in &placebos {
            if placebo.write >= free_from {
                self.disjoint += 1;
                free_from = placebo.write.saturating_add(layout.bins());
            }
        }

        self.comparable = placebos.into_iter().map(|it| it.change).collect();
        self.comparable.sort_unstable_by(f64::total_cmp);
        self.comparable_mean = mean(self.comparable.iter().copied());
        self.comparable_spread = Spread::of(self.comparable.iter().copied());
    }
}

/// The slope of the change on the level before, between -1 and 0: what follows an extreme is less
/// extreme (regression to the mean, Galton 1886). A run begins at an extreme whenever an alert
/// starts it.
fn slope(placebos: &[Placebo], center: f64) -> f64 {
    let mean_change = mean(placebos.iter().map(|it| it.change));
    let mut products = 0.0;
    let mut squares = 0.0;

    for placebo in placebos {
        let before = placebo.before - center;
        products += before * (placebo.change - mean_change);
        squares += before * before;
    }

    (products / squares.max(1e-12)).clamp(-1.0, 0.0)
}

/// How far the beginning of each placebo is from that of the run, in standard deviations of all
/// beginnings. Infinitely far where it is not known.
fn distances(means: &WindowMeans, placebos: &[Placebo], layout: Layout, write: usize) -> Vec<f64> {
    let begins: Vec<f64> = placebos.iter().map(|it| means.mean(layout.before(it.write))).collect();
    let known = || begins.iter().copied().filter(|it| it.is_finite());
    let center = mean(known());
    let deviation = mean(known().map(|it| (it - center).powi(2))).sqrt().max(1e-9);
    let own = means.mean(layout.before(write));

    let distance = |it: &f64| {
        let distance = (it - own) / deviation;
        if distance.is_finite() { distance } else { f64::INFINITY }
    };

    begins.iter().map(distance).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let mut number = 0;
    let sum: f64 = values.inspect(|_| number += 1).sum();

    sum / count(number)
}
