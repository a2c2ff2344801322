//! What is known at the first write, and the verdict on what comes after it, look by look.

use std::ops::Range;

use super::{
    Bins, Doubt, Evidence, Interim, Parameters, SoftGuard, compare::Comparison, history::KnownBins,
    layout::Layout, placebo::PlaceboFit, residuals::Curves, rules::Rules,
};
use crate::model::Verdict;

/// What is known at the first write of a run. Everything that is fitted is fitted here, so that a
/// look costs little.
#[derive(Clone, Debug)]
pub struct Past {
    parameters: Parameters,
    curves: Curves,
    history: KnownBins,
    /// In the order of the looks.
    placebos: Vec<PlaceboFit>,
}

/// The result of one look.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// `None` if the run goes on to the next look; after the last one it is `inconclusive`.
    pub verdict: Option<Verdict>,
    pub evidence: Evidence,
}

/// The result of all looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    pub verdict: Verdict,
    /// Bins from the first write to the verdict.
    pub bins: usize,
    /// Of the last look that was made.
    pub evidence: Evidence,
}

/// Whether the value of a soft guard rose.
#[derive(Clone, Debug, PartialEq)]
pub struct Rise {
    pub has_risen: bool,
    /// Without a `difference` it is not known whether it rose.
    pub evidence: Evidence,
}

impl Past {
    /// Takes the bins before the first write. `excluded` are ranges of them in which an earlier run
    /// had an effect: no window with one of these bins is a placebo.
    pub fn new(bins: &Bins, parameters: &Parameters, excluded: &[Range<usize>]) -> Self {
        let curves = Curves::fit(bins, parameters);
        let history = KnownBins::new(curves.residuals(bins, 0..bins.number()), excluded);
        let fit = |it: &Interim| history.placebos(layout(parameters, &history, *it), parameters);

        Self {
            placebos: parameters.looks.iter().map(fit).collect(),
            parameters: parameters.clone(),
            curves,
            history,
        }
    }

    /// One look at the bins since the first write, those of `settle` included. `look` is an index
    /// of [`Parameters::looks`]; one that does not exist has no verdict.
    pub fn judge(&self, after: &Bins, look: usize) -> Judgement {
        let rules = self.rules(after, look);
        let verdict = rules.map_or(Err(Doubt::TooFewBins), Rules::verdict);
        let mut evidence = self.evidence(rules);
        evidence.doubt = verdict.err();

        Judgement { verdict: verdict.ok(), evidence }
    }

    /// All looks, until one has a verdict.
    pub fn verdict(&self, after: &Bins) -> Conclusion {
        let last = self.parameters.looks.len().saturating_sub(1);
        let mut look = 0;
        let judgement = loop {
            let judgement = self.judge(after, look);
            if judgement.verdict.is_some() || look >= last {
                break judgement;
            }
            look += 1;
        };

        Conclusion {
            verdict: judgement.verdict.unwrap_or(Verdict::Inconclusive),
            bins: self.parameters.settle.saturating_add(judgement.evidence.observed),
            evidence: judgement.evidence,
        }
    }

    /// Whether the level rose, for a soft guard.
    pub fn rise(&self, after: &Bins, look: usize, guard: SoftGuard) -> Rise {
        let rules = self.rules(after, look);

        Rise { has_risen: rules.is_some_and(|it| it.trips(guard)), evidence: self.evidence(rules) }
    }

    /// The numbers of one look, to be judged.
    fn rules(&self, after: &Bins, look: usize) -> Option<Rules<'_>> {
        let interim = *self.parameters.looks.get(look)?;
        let comparison = Comparison {
            history: &self.history,
            curves: &self.curves,
            placebos: self.placebos.get(look)?,
            layout: layout(&self.parameters, &self.history, interim),
            parameters: &self.parameters,
        };
        let compared = comparison.with(after, interim.chance);

        Some(Rules { compared, parameters: &self.parameters, look, interim })
    }

    fn evidence(&self, rules: Option<Rules<'_>>) -> Evidence {
        let compared = rules.map(|it| it.compared);
        let finite = |it: f64| it.is_finite().then_some(it);

        Evidence {
            observed: rules.map_or(0, |it| it.interim.bins),
            history: self.history.bins,
            bin_seconds: self.parameters.bin.as_secs_f64(),
            load_change: compared.and_then(|it| finite(it.load.change)),
            untouched: self.curves.untouched.len(),
            untouched_change: compared.and_then(|it| finite(it.untouched_change)),
            untouched_weight: compared.map_or(0.0, |it| it.untouched_weight),
            placebos: compared.map(|it| it.counted).unwrap_or_default(),
            difference: rules.filter(|it| it.is_known()).map(|it| it.compared.difference),
            doubt: None,
        }
    }
}

/// The windows of a look. A history that is shorter than the baseline is all baseline.
fn layout(parameters: &Parameters, history: &KnownBins, interim: Interim) -> Layout {
    Layout {
        baseline: parameters.baseline.min(history.bins),
        settle: parameters.settle,
        observed: interim.bins,
    }
}
