//! The verdict on a change: whether an objective improved, got worse or stayed the same, by more
//! than it does by itself (I24, ADR 0019).
//!
//! Takes one value per bin and returns a verdict with its evidence. Holds no I/O, no clock and no
//! `async`: a verdict can be computed again from recorded bins. The steps, one file for each:
//!
//! 1. `series`: what was measured becomes logarithms, so that a difference is a relative change
//!    and the unit of a metric does not matter.
//! 2. `load_curve`: what the load explains is taken off, by a curve fitted on the history.
//! 3. `residuals`: what the brokers have in common is known from those that the run does not touch.
//! 4. `history` and `placebo`: the comparison is made at every earlier time too, when nothing was
//!    written.
//! 5. `noise`: how much two windows differ by themselves, and how sure that is.
//! 6. `compare`: the observation against the baseline, with the numbers of steps 2 to 5.
//! 7. `rules` and `judge`: what is `improved`, `regressed` or `neutral`, look by look.
//! 8. `evidence` and `sentence`: the numbers to store, and their words.
//!
//! Inside the module a missing bin is NaN, as is every mean of which too many bins are missing. A
//! comparison with NaN is false, and each verdict needs comparisons that are true.

mod case;
mod compare;
mod evidence;
mod history;
mod judge;
mod layout;
mod load_curve;
mod noise;
mod parameters;
mod placebo;
mod quantile;
mod residuals;
mod rules;
mod sentence;
mod series;
mod window;

#[cfg(test)]
mod tests;

pub use case::VerdictCase;
pub use evidence::{Difference, Doubt, Evidence, Placebos};
pub use judge::{Conclusion, Judgement, Past, Rise};
pub use parameters::{Interim, Parameters, SoftGuard};
pub use series::{Bins, Scale, Series};

use crate::model::count;
