//! The random processes that worlds are made of, one second at a time.

use rand::{RngExt, rngs::SmallRng};
use rand_distr::{Distribution, StandardNormal};

use crate::world::{HeavyTail, Pauses};

pub(crate) fn normal(random: &mut SmallRng) -> f32 {
    StandardNormal.sample(random)
}

/// An AR(1) process of mean 0 and variance 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AutoRegression {
    value: f32,
    keep: f32,
    add: f32,
}

impl AutoRegression {
    pub(crate) fn of(tau: f32, random: &mut SmallRng) -> Self {
        let add = (-(-2.0 / tau).exp_m1()).sqrt();
        Self { value: normal(random), keep: (-1.0 / tau).exp(), add }
    }

    pub(crate) fn next(&mut self, random: &mut SmallRng) -> f32 {
        self.value = self.keep * self.value + self.add * normal(random);
        self.value
    }
}

/// A state that is entered and left at random: a job that runs, a disk that is slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flips {
    is_on: bool,
    leave: f32,
    enter: f32,
}

impl Flips {
    /// `on` and `off`: mean seconds in each state.
    pub(crate) fn of(on: f32, off: f32, random: &mut SmallRng) -> Self {
        let is_on = random.random::<f32>() < on / (on + off);
        Self { is_on, leave: on.recip(), enter: off.recip() }
    }

    pub(crate) fn next(&mut self, random: &mut SmallRng) -> bool {
        let chance = if self.is_on { self.leave } else { self.enter };
        self.is_on ^= random.random::<f32>() < chance;
        self.is_on
    }
}

/// What is left of the garbage collections that have begun.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stops {
    left: f32,
}

impl Stops {
    /// The share of the next second in which the broker stands still.
    pub(crate) fn next(&mut self, pauses: &Pauses, random: &mut SmallRng) -> f32 {
        if random.random::<f32>() < pauses.every.recip() {
            self.left += pauses.length * (0.5 * normal(random)).exp();
        }

        if random.random::<f32>() < pauses.full_every.recip() {
            self.left += pauses.full_length * (0.4 * normal(random)).exp();
        }

        let stopped = self.left.min(1.0);
        self.left -= stopped;

        stopped
    }
}

/// The factor of mean 1 by which the service of a second is heavier: 30 % of it are Pareto.
pub(crate) fn heaviness(tail: HeavyTail, random: &mut SmallRng) -> f32 {
    let (a, most) = (tail.exponent, tail.most);
    let mean = a / (a - 1.0) - most.powf(1.0 - a) / (a - 1.0);
    let pareto = (1.0 - random.random::<f32>()).powf(-a.recip());

    0.7 + 0.3 * pareto.min(most) / mean
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const SECONDS: u16 = 60_000;

    /// The mean and the variance of what a process gives.
    #[track_caller]
    fn check(mean: f32, variance: f32, mut next: impl FnMut(&mut SmallRng) -> f32) {
        let mut random = SmallRng::seed_from_u64(1);
        let values: Vec<f64> = (0..SECONDS).map(|_| f64::from(next(&mut random))).collect();
        let n = f64::from(SECONDS);
        let seen = values.iter().sum::<f64>() / n;
        let spread = values.iter().map(|it| (it - seen).powi(2)).sum::<f64>() / n;

        assert!((seen - f64::from(mean)).abs() < 0.02, "a mean of {seen}");
        assert!((spread - f64::from(variance)).abs() < 0.02, "a variance of {spread}");
    }

    #[test]
    fn an_autoregression_has_unit_variance() {
        let mut process = AutoRegression::of(2.0, &mut SmallRng::seed_from_u64(2));
        check(0.0, 1.0, |random| process.next(random));
    }

    #[test]
    fn a_job_runs_for_its_share_of_the_time() {
        let mut job = Flips::of(20.0, 60.0, &mut SmallRng::seed_from_u64(2));
        check(0.25, 0.1875, |random| f32::from(u8::from(job.next(random))));
    }

    #[test]
    fn heavy_tails_change_no_mean() {
        let tail = HeavyTail { exponent: 2.1, most: 10.0 };
        check(1.0, 0.046, |random| heaviness(tail, random));
    }

    #[test]
    fn pauses_stop_the_broker_for_their_length() {
        // exp(0.5 N) has the mean exp(0.125).
        let pauses = Pauses { every: 60.0, length: 6.0, full_every: f32::MAX, full_length: 0.0 };
        let mut stops = Stops::default();
        check(0.113, 0.1, |random| stops.next(&pauses, random));
    }
}
