//! Everything that a verdict depends on.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Bins, Conclusion, Doubt, Evidence, Parameters, Past};
use crate::{
    model::{Verdict, as_label},
    playbook::Better,
};

/// Everything that the verdict on a run depends on. It is stored with the run, so that the verdict
/// can be computed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictCase {
    pub parameters: Parameters,
    /// Whether the levels are those of the objective, or of its inverse.
    #[serde(with = "as_label")]
    pub better: Better,
    pub before: Bins,
    /// Since the first write, the bins of `settle` included.
    pub after: Bins,
    /// Ranges of `before` in which another run had an effect.
    pub excluded: Vec<Range<usize>>,
    /// Whether the change reached what it is for; `true` if nobody asked.
    pub has_reached: bool,
}

impl VerdictCase {
    /// What is known at the first write.
    pub fn past(&self) -> Past {
        Past::new(&self.before, &self.parameters, &self.excluded)
    }

    /// The verdict, with the load as it was measured.
    pub fn conclusion(&self) -> Conclusion {
        let Conclusion { verdict, bins, evidence } = self.past().verdict(&self.after);
        let (verdict, evidence) = self.as_reached(verdict, self.as_measured(evidence));

        Conclusion { verdict, bins, evidence }
    }

    /// The levels of the baseline.
    pub fn baseline(&self) -> &[Option<f64>] {
        let levels = &self.before.changed.level;
        let start = levels.len().saturating_sub(self.parameters.baseline);

        levels.get(start..).unwrap_or_default()
    }

    /// The levels of an observation of so many bins.
    pub fn observation(&self, bins: usize) -> &[Option<f64>] {
        let start = self.parameters.settle;

        self.after.changed.level.get(start..start.saturating_add(bins)).unwrap_or_default()
    }

    /// What did not reach anybody did not help.
    pub fn as_reached(&self, verdict: Verdict, evidence: Evidence) -> (Verdict, Evidence) {
        if self.has_reached || verdict != Verdict::Improved {
            return (verdict, evidence);
        }

        (Verdict::Inconclusive, Evidence { doubt: Some(Doubt::ReachedNothing), ..evidence })
    }

    /// The evidence with the load as it was measured: of an objective that is better higher, the
    /// levels are inverses, and the load is too.
    pub fn as_measured(&self, evidence: Evidence) -> Evidence {
        match self.better {
            Better::Lower => evidence,
            Better::Higher => {
                Evidence { load_change: evidence.load_change.map(|it| -it), ..evidence }
            }
        }
    }
}
