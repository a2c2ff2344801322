//! A playbook: which alert it matches, which optimizer handles it, and how the effect is judged.
//!
//! Data, checked when the configuration is loaded. Pure: no I/O, no clock.

mod optimizer;
mod template;

use std::{collections::BTreeMap, time::Duration};

pub use optimizer::{
    AboveStatic, ClientKind, Factor, Level, Optimizer, OptimizerKind, Rollout, ScaleConsumers,
    Shed, ShedLoad, TuneBrokers,
};
pub use template::{Template, TemplateError, Values, quoted};

use crate::{alert::Labels, model::closed_list};

/// Minimum number of samples in a baseline and in an observation (I13, I24): the median of fewer is
/// meaningless.
pub const SAMPLES_MIN: u16 = 6;

/// A cooldown doubles after each rollback, up to this (I25). None is configured above it.
pub const COOLDOWN_MAX: Duration = Duration::from_hours(24);

closed_list! {
    /// Direction in which the objective improves.
    pub enum Better {
        /// As for latencies and lag.
        Lower = "lower",
        Higher = "higher",
    }
}

/// What a run improves.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    pub query: Template,
    pub better: Better,
    /// Minimum relative improvement to keep a change, 0–1.
    pub at_least: f64,
}

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
    pub observe: Duration,
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
    /// The load that the objective depends on; must return one series.
    pub load: Template,
    /// Higher is worse. Two consecutive samples above the baseline's maximum undo the change.
    pub guards: Vec<Template>,
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
    /// Whether one broker is changed and judged before the others.
    pub fn has_canary(&self) -> bool {
        matches!(&self.optimizer, Optimizer::TuneBrokers(it) if it.rollout == Rollout::Canary)
    }

    /// Whether one of its expressions contains `$label`.
    pub fn needs(&self, label: &str) -> bool {
        let judged = [&self.objective.query, &self.load].into_iter();
        let expire_when = self.temporary.iter().filter_map(|it| it.expire_when.as_ref());
        let mut all = judged.chain(&self.guards).chain(&self.when).chain(expire_when);

        all.any(|it| it.needs().any(|name| name == label))
    }
}
