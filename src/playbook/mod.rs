//! A playbook: which alert it matches, which optimizer handles it, and how the effect is judged.
//!
//! Data, checked when the configuration is loaded. Pure: no I/O, no clock.

mod objective;
mod optimizer;
mod template;

use std::{collections::BTreeMap, time::Duration};

pub use objective::{Better, Guard, Objective, ObjectiveExpression, WithoutHistory};
pub use optimizer::{
    AboveStatic, ClientKind, Factor, Level, Optimizer, OptimizerKind, Rollout, ScaleConsumers,
    Shed, ShedLoad, TuneBrokers,
};
pub use template::{Template, TemplateError, Values, averaged, quoted};

use crate::alert::Labels;

/// Minimum number of samples of each input in a baseline (I13).
pub const SAMPLES_MIN: u16 = 6;

/// Bins of the past that a run is compared with, at most: a week of minutes. Prometheus refuses a
/// query of more than 11,000 points, and those after the write are asked for with them.
pub const HISTORY_BINS_MAX: u32 = 10_100;

/// A cooldown doubles after each rollback, up to this (I25). None is configured above it.
pub const COOLDOWN_MAX: Duration = Duration::from_hours(24);

/// Lengths of the phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Longest range of the recording rules behind the objective: for so long a sample from before
    /// the change affects it.
    pub window: Duration,
    /// Before the first write.
    pub baseline: Duration,
    /// After the last write, until the objective is free of samples from before it.
    pub settle: Duration,
    /// Five bins; the longest observation has ten.
    pub observe: Duration,
    /// The past that the change is compared with.
    pub history: Duration,
    /// After the end of a run, by playbook and target.
    pub cooldown: Duration,
}

/// When a change is undone by itself (I27).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryChange {
    /// Time to live, from when the change is in effect.
    pub expire_after: Duration,
    /// The change expires earlier, as soon as this returns a series.
    pub expire_when: Option<Template>,
}

impl Windows {
    /// Bins that `observe` is divided into.
    pub const BINS: u32 = 5;

    /// The time over which one mean is taken.
    pub fn bin(&self) -> Duration {
        self.observe / Self::BINS
    }
}

/// Which alerts a playbook handles: every label must be equal. Always names an `alertname`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertMatcher {
    pub labels: BTreeMap<String, String>,
}

impl AlertMatcher {
    pub fn matches(&self, alert: &Labels) -> bool {
        self.labels.iter().all(|(name, value)| alert.get(name) == Some(value))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    pub name: String,
    pub matcher: AlertMatcher,
    /// Confirms the alert instead of its series in ALERTS: the target's labels must be on a series
    /// of this expression.
    pub confirm: Option<Template>,
    /// Must return a series in Prometheus, in addition to the alert.
    pub when: Option<Template>,
    pub optimizer: Optimizer,
    pub objective: Objective,
    /// The load that the objective depends on, a gauge; must return one series. `None` if it is
    /// the number of what the objective is the mean of.
    pub load: Option<Template>,
    pub guards: Vec<Guard<Template>>,
    /// Returns a series if the change reached what it is for. `None`: nobody asks.
    pub reached_when: Option<Template>,
    pub windows: Windows,
    /// Maximum number of runs per episode.
    pub attempts_max: u32,
    /// Whether a change with the verdict `neutral` is kept.
    pub keep_neutral: bool,
    /// Whether a person must approve each run.
    pub approve: bool,
    /// `None` if its changes stay.
    pub temporary: Option<TemporaryChange>,
}

impl Playbook {
    /// The templates by which a change is judged: objective, load, guards.
    pub fn judged(&self) -> impl Iterator<Item = &Template> {
        let objective = self.objective.measure.expressions().into_iter();
        objective.chain(&self.load).chain(self.guards.iter().map(Guard::query))
    }

    /// Whether one broker is changed and judged before the others.
    pub fn has_canary(&self) -> bool {
        matches!(&self.optimizer, Optimizer::TuneBrokers(it) if it.rollout == Rollout::Canary)
    }

    /// Whether one of its expressions contains `$label`.
    pub fn needs(&self, label: &str) -> bool {
        let expire_when = self.temporary.iter().filter_map(|it| it.expire_when.as_ref());
        let mut all = self.judged().chain(&self.when).chain(&self.reached_when).chain(expire_when);

        all.any(|it| it.needs().any(|name| name == label))
    }
}
