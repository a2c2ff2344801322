//! How much two windows differ by themselves, and how sure that is.

use super::{Parameters, count, placebo::PlaceboFit};

/// The standard deviation of the change that comes about by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    pub(super) down: f64,
    pub(super) up: f64,
    pub(super) degrees_of_freedom: f64,
}

/// How far values lie from their mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    pub(super) down: f64,
    pub(super) up: f64,
}

impl Noise {
    /// The noise by the comparable placebos, as many as are disjoint, beside what is believed
    /// without them (a scaled inverse chi-squared prior on the variance). `own_variance` is the
    /// variance of the difference by the scatter of this run's own bins, as if they were
    /// independent.
    pub(super) fn of(placebos: &PlaceboFit, own_variance: f64, parameters: &Parameters) -> Self {
        let Spread { down, up } = placebos.comparable_spread;
        let own_variance = parameters.correlated * own_variance;
        let side = |comparable, all| one_side(placebos, comparable, all, own_variance, parameters);

        Self {
            down: side(down, placebos.spread.down),
            up: side(up, placebos.spread.up),
            degrees_of_freedom: parameters.prior_weight + degrees(placebos),
        }
    }
}

/// Disjoint windows are independent; one of their degrees of freedom is spent on their mean.
fn degrees(placebos: &PlaceboFit) -> f64 {
    count(placebos.disjoint.saturating_sub(1))
}

fn one_side(
    placebos: &PlaceboFit,
    comparable: f64,
    all: f64,
    own_variance: f64,
    parameters: &Parameters,
) -> f64 {
    let weight = parameters.prior_weight;
    let prior = parameters.prior_deviation.powi(2);

    // A history that is quiet as a whole lowers the prior; no history raises it.
    let with_history =
        (weight * prior + placebos.independent * all * all) / (weight + placebos.independent);
    let prior = prior.min(with_history).max(own_variance);

    // The variance of a new value about a mean that is itself estimated.
    let degrees = degrees(placebos);
    let predictive = 1.0 + 1.0 / count(placebos.disjoint.max(1));
    let history = degrees * comparable * comparable * predictive;

    ((weight * prior + history) / (weight + degrees)).sqrt()
}

impl Spread {
    /// Standard deviations of what lies below and above the mean, each as if the other side were
    /// its mirror image: that a level jumps up now and then is no reason to doubt a fall.
    pub(super) fn of(values: impl ExactSizeIterator<Item = f64> + Clone) -> Self {
        let number = count(values.len());
        let mean = values.clone().sum::<f64>() / number;
        let mut spread = Self::default();

        for difference in values.map(|it| it - mean) {
            if difference < 0.0 {
                spread.down += difference * difference;
            } else {
                spread.up += difference * difference;
            }
        }

        Self { down: (2.0 * spread.down / number).sqrt(), up: (2.0 * spread.up / number).sqrt() }
    }
}
