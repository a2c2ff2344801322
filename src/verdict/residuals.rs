//! What is left of the levels when the load is taken off, and the same of the untouched brokers.

use std::ops::Range;

use super::{Bins, Parameters, Series, count, load_curve::LoadCurve};

/// The curves of the brokers, fitted on the history. `None` where it is too short for one.
#[derive(Clone, Debug)]
pub(super) struct Curves {
    pub(super) changed: Option<LoadCurve>,
    pub(super) untouched: Vec<Option<LoadCurve>>,
}

/// Bins of a run, with NaN where one is missing.
#[derive(Clone, Debug)]
pub(super) struct Residuals {
    pub(super) level: Vec<f64>,
    pub(super) load: Vec<f64>,
    /// The level less what the load explains.
    pub(super) residual: Vec<f64>,
    /// The mean residual of the untouched brokers. `None` if there are none.
    pub(super) untouched: Option<Vec<f64>>,
}

impl Curves {
    pub(super) fn fit(bins: &Bins, parameters: &Parameters) -> Self {
        let fit = |it: &Series| {
            let all = 0..bins.number();
            LoadCurve::fit(&values(&it.load, &all), &values(&it.level, &all), parameters)
        };

        Self { changed: fit(&bins.changed), untouched: bins.untouched.iter().map(fit).collect() }
    }

    /// The residuals of a window, as far as there are bins.
    pub(super) fn residuals(&self, bins: &Bins, window: Range<usize>) -> Residuals {
        let window = window.start..window.end.min(bins.number());
        let level = values(&bins.changed.level, &window);
        let load = values(&bins.changed.load, &window);
        let pairs = level.iter().zip(&load);
        let residual = pairs.map(|(level, load)| level - usual(self.changed.as_ref(), *load));

        Residuals {
            residual: residual.collect(),
            untouched: (!self.untouched.is_empty()).then(|| self.mean_untouched(bins, &window)),
            level,
            load,
        }
    }

    /// The mean residual of the untouched brokers that are there in each bin.
    fn mean_untouched(&self, bins: &Bins, window: &Range<usize>) -> Vec<f64> {
        let mut sums = vec![0.0; window.len()];
        let mut present = vec![0; window.len()];

        for (series, curve) in bins.untouched.iter().zip(&self.untouched) {
            let levels = values(&series.level, window);
            let loads = values(&series.load, window);
            let sums = sums.iter_mut().zip(&mut present);
            for ((sum, present), (level, load)) in sums.zip(levels.iter().zip(&loads)) {
                let residual = known_residual(curve.as_ref(), *level, *load);
                if residual.is_finite() {
                    *sum += residual;
                    *present += 1;
                }
            }
        }

        // 0 / 0 is NaN: no broker is there.
        sums.iter().zip(present).map(|(sum, present)| sum / count(present)).collect()
    }
}

impl Residuals {
    /// The residual less a share of that of the untouched brokers.
    pub(super) fn less_untouched(&self, weight: f64) -> Vec<f64> {
        match &self.untouched {
            Some(untouched) if weight > 0.0 => {
                let pairs = self.residual.iter().zip(untouched);
                pairs.map(|(own, untouched)| own - weight * untouched).collect()
            }
            Some(_) | None => self.residual.clone(),
        }
    }
}

/// The usual level at a load; 0 without a curve.
fn usual(curve: Option<&LoadCurve>, load: f64) -> f64 {
    curve.map_or(0.0, |it| it.level(load))
}

/// The residual of an untouched broker. It is 0, as usual, at a load that its curve does not reach:
/// what is slow because its load has never been as high says nothing about the others.
fn known_residual(curve: Option<&LoadCurve>, level: f64, load: f64) -> f64 {
    match curve {
        Some(curve) if load > curve.load_max() => 0.0,
        _ if load.is_nan() => f64::NAN,
        _ => level - usual(curve, load),
    }
}

/// Some values of a series, with NaN where one is missing or not a number.
fn values(all: &[Option<f64>], window: &Range<usize>) -> Vec<f64> {
    let one = |it: usize| all.get(it).copied().flatten().filter(|it| it.is_finite());
    window.clone().map(|it| one(it).unwrap_or(f64::NAN)).collect()
}
