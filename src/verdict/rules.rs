//! The rules: which numbers make a verdict, and which one is missing if none does.
//!
//! Every look may end a run, so the chance of a false verdict is spent look by look (group
//! sequential tests by error spending, Lan and `DeMets` 1983): little at the first look, where only
//! what is huge counts, the most at the last.

use super::{Doubt, Interim, Parameters, SoftGuard, compare::Compared, quantile::student_upper};
use crate::model::Verdict;

/// Ratio of the load after to the load before from which on there was almost no load before: its
/// few requests prove nothing about the many after. Clients that wait for each answer send more
/// requests by at most the factor by which the answers are faster (Little's law), so the change
/// itself may cause a rise up to there (ADR 0019).
const LOAD_RATIO_MAX: f64 = 10.0;

/// The numbers of one look, and what they are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) compared: Compared,
    pub(super) parameters: &'a Parameters,
    pub(super) look: usize,
    pub(super) interim: Interim,
}

impl Rules<'_> {
    /// # Errors
    ///
    /// Why no verdict is given.
    pub(super) fn verdict(self) -> Result<Verdict, Doubt> {
        if !self.is_known() {
            return Err(Doubt::TooFewBins);
        }

        if self.has_improved() {
            Ok(Verdict::Improved)
        } else if self.has_risen(self.interim.chance * self.parameters.regress_share, self.margin())
        {
            Ok(Verdict::Regressed)
        } else if self.is_equivalent() {
            Ok(Verdict::Neutral)
        } else {
            Err(self.doubt())
        }
    }

    /// Whether a soft guard trips.
    pub(super) fn trips(self, guard: SoftGuard) -> bool {
        self.is_known() && self.has_risen(guard.chance, guard.at_least.max(0.0).ln_1p())
    }

    /// Whether there are enough bins for a comparison.
    pub(super) fn is_known(self) -> bool {
        self.compared.difference.is_finite() && self.compared.load.change.is_finite()
    }

    fn is_early(self) -> bool {
        self.look == 0 && self.parameters.looks.len() > 1
    }

    /// The smallest improvement worth keeping, as a positive difference of logarithms.
    fn edge(self) -> f64 {
        -(-self.parameters.at_least).ln_1p()
    }

    /// The smallest difference that this look decides on.
    fn margin(self) -> f64 {
        if self.is_early() {
            self.edge().max(-(-self.parameters.early).ln_1p())
        } else {
            self.edge()
        }
    }

    fn has_improved(self) -> bool {
        let difference = &self.compared.difference;
        let noise = self.quantile(self.interim.chance) * difference.noise_down;

        difference.best <= -self.margin()
            && difference.best <= -noise
            && self.is_rare(self.compared.counted.as_good, self.interim.chance)
            && self.was_loaded()
            && self.began_after()
    }

    fn has_risen(self, chance: f64, margin: f64) -> bool {
        let difference = &self.compared.difference;

        difference.worst >= margin
            && difference.worst >= self.quantile(chance) * difference.noise_up
            && self.is_rare(self.compared.counted.as_bad, chance)
            && !self.peaked()
    }

    /// Two one-sided tests: surely neither an improvement nor a deterioration that counts. The
    /// first of several looks is too early for what is to stay.
    fn is_equivalent(self) -> bool {
        let difference = &self.compared.difference;

        !self.is_early() && difference.low >= -self.edge() && difference.high <= self.edge()
    }

    fn quantile(self, chance: f64) -> f64 {
        student_upper(chance, self.compared.difference.degrees_of_freedom)
    }

    /// Whether at most this share of the comparable placebos changed as much. The run itself counts
    /// as one of them, as in a permutation test (Phipson and Smyth 2010); where they are too few
    /// for so small a chance, not one may have.
    fn is_rare(self, as_large: usize, chance: f64) -> bool {
        let placebos = super::count(self.compared.counted.comparable) + 1.0;

        super::count(as_large) + 1.0 <= (chance * placebos).max(1.0)
    }

    /// Whether the level fell after the write. A fall that is in the last bin before it already has
    /// another cause: what an alert was about ends by itself, and often while the run begins.
    fn began_after(self) -> bool {
        !self.parameters.against_last || self.compared.since_last <= -self.margin()
    }

    fn was_loaded(self) -> bool {
        self.compared.load.change <= LOAD_RATIO_MAX.ln().max(-self.compared.difference.change)
    }

    /// Whether a peak of the load may be why the level rose. A queue that overflows in one bin is
    /// slow in the next ones too, which no mean of the load shows.
    fn peaked(self) -> bool {
        let peak = self.compared.load.peak;
        let within = peak <= self.parameters.load_rise.ln_1p();

        !within || !self.compared.load.is_reached
    }

    /// The first thing that a verdict lacks.
    fn doubt(self) -> Doubt {
        let Compared { raw, difference, load, .. } = self.compared;
        let margin = self.margin();

        if raw <= -margin {
            if difference.change > -margin || difference.best - load.lowers > -margin {
                Doubt::ByItself
            } else if difference.best > -margin {
                Doubt::Load
            } else if !self.was_loaded() {
                Doubt::AlmostNoLoad
            } else if !self.began_after() {
                Doubt::BeganBefore
            } else {
                Doubt::Noise
            }
        } else if raw >= margin {
            if difference.worst + load.raises < margin {
                Doubt::ByItself
            } else if difference.worst < margin || self.peaked() {
                Doubt::Load
            } else {
                Doubt::Noise
            }
        } else {
            Doubt::Imprecise
        }
    }
}
