//! The numbers of the procedure, with what each means and where it comes from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One of the times at which a verdict may be given (an interim analysis of a group sequential
/// test).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interim {
    /// Bins observed, after those of `settle`.
    pub bins: usize,
    /// Chance of a false `improved` at this look, 0–1.
    pub chance: f64,
}

/// The numbers of the procedure. Lengths are in bins.
///
/// The defaults were chosen in simulated clusters in which the true effect is known, for few false
/// verdicts where nothing was changed and many true ones where the time of a request was halved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Length of a bin. Only the words of the evidence use it.
    pub bin: Duration,
    /// Bins right before the first write that the observation is compared with. Fewer are noisier,
    /// and more are less like the time of the write.
    pub baseline: usize,
    /// Bins after the first write that are not observed.
    pub settle: usize,
    /// In the order of time. The chances add up to that of the whole run, at most: a huge effect is
    /// decided early and a doubtful one gets its time (error spending).
    pub looks: Vec<Interim>,
    /// Smallest relative improvement that is worth keeping, 0–1.
    pub at_least: f64,
    /// Smallest relative improvement at the first look if more looks follow, 0–1. Two bins are too
    /// few for less.
    pub early: f64,
    /// Comparable placebos are this share of all, the most similar first: so few that they are
    /// similar, so many that a rare change is seen among them.
    pub near_share: f64,
    /// Number of comparable placebos, at least: with 20, one is 5 %.
    pub near_min: usize,
    /// What two windows differ by of themselves, as a standard deviation of logarithms, until the
    /// history shows otherwise: 0.2 is about 20 %.
    pub prior_deviation: f64,
    /// Number of independent windows that the prior counts for. Without history it is the degrees
    /// of freedom of Student's distribution.
    pub prior_weight: f64,
    /// Variance of a mean of this run's own bins, as a multiple of that of independent bins: 2 is
    /// that of an autoregressive process whose neighbours correlate by one third.
    pub correlated: f64,
    /// Bins in a group of the load curve, at least: a median of ten is not moved by four bad ones.
    pub group: usize,
    /// Groups of the load curve, at most.
    pub groups: usize,
    /// A peak of the load that is higher by this share may be why the objective got worse.
    pub load_rise: f64,
    /// Chance of a false `regressed`, as a share of the chance of a false `improved`. A change that
    /// did not improve is undone anyway, so little is lost where one is missed.
    pub regress_share: f64,
    /// Whether an improvement has to show against the last bin before the write too: what a run is
    /// about may end by itself while the run begins.
    pub against_last: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        let looks = [(2, 0.005), (5, 0.01), (10, 0.02)];

        Self {
            bin: Duration::from_mins(1),
            baseline: 5,
            settle: 1,
            looks: looks.map(|(bins, chance)| Interim { bins, chance }).to_vec(),
            at_least: 0.2,
            early: 0.5,
            near_share: 0.1,
            near_min: 20,
            prior_deviation: 0.2,
            prior_weight: 4.0,
            correlated: 2.0,
            group: 10,
            groups: 40,
            load_rise: 0.1,
            regress_share: 0.5,
            against_last: true,
        }
    }
}

/// A guard that trips when its value rises by more than it does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftGuard {
    /// Chance to trip at a look though nothing changed, 0–1.
    pub chance: f64,
    /// Smallest relative rise that trips it: 0.2 is 20 %.
    pub at_least: f64,
}
