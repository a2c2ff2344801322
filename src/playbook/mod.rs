//! A playbook: which alert it answers, with which optimizer, and how its effect is judged.
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

/// Fewest samples on either side (I13, I24): medians of fewer mean nothing.
pub const SAMPLES_MIN: u16 = 6;

/// A cooldown doubles after a rollback up to this (I25), so that none begins above it.
pub const COOLDOWN_MAX: Duration = Duration::from_hours(24);

closed_list! {
    /// Which way the objective gets better.
    pub enum Better {
        /// Less is better: times, lag.
        Lower = "lower",
        Higher = "higher",
    }
}

/// What a run is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    pub query: Template,
    pub better: Better,
    /// Least relative improvement to keep a change, 0–1.
    pub at_least: f64,
}

/// The times of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Longest range of the recording rules behind the objective: how long an old sample stays in
    /// it.
    pub window: Duration,
    /// Length of the baseline before the write.
    pub baseline: Duration,
    /// Wait after the write until no old sample is left in the window.
    pub settle: Duration,
    pub observe: Duration,
    /// Rest after the end of a run, by playbook and target.
    pub cooldown: Duration,
}

/// A change that does not stay: how long, and when it is no longer needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryChange {
    /// It is lifted so long after it came into force (I27).
    pub expire_after: Duration,
    /// It is lifted as soon as this returns a series.
    pub expire_when: Option<Template>,
}

/// Which alerts a playbook answers: every label must be equal. Always names an `alertname`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub labels: BTreeMap<String, String>,
}

impl Match {
    /// Whether an alert with these labels is answered.
    pub fn answers(&self, alert: &Labels) -> bool {
        self.labels.iter().all(|(name, value)| alert.get(name) == Some(value))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    pub name: String,
    pub matches: Match,
    /// Must hold (return a series) on Prometheus, beside the alert itself.
    pub when: Option<Template>,
    pub optimizer: Optimizer,
    pub objective: Objective,
    /// The load that the objective depends on; evaluates to one series.
    pub load: Template,
    /// Higher is worse. Two samples in a row above the baseline's maximum undo the change.
    pub guards: Vec<Template>,
    pub windows: Windows,
    /// Runs per episode.
    pub attempts_max: u32,
    /// Whether a neutral change is kept.
    pub keep_neutral: bool,
    /// Whether a person must approve each run.
    pub approve: bool,
    /// For how long what it does stays; a change that stays for good has none.
    pub temporary: Option<TemporaryChange>,
}

impl Playbook {
    /// Whether one broker of several goes first.
    pub fn has_canary(&self) -> bool {
        matches!(&self.optimizer, Optimizer::TuneBrokers(it) if it.rollout == Rollout::Canary)
    }

    /// Whether one of its expressions speaks of `place`.
    pub fn needs(&self, place: &str) -> bool {
        let judged = [&self.objective.query, &self.load].into_iter();
        let lifted = self.temporary.iter().filter_map(|it| it.expire_when.as_ref());
        let mut all = judged.chain(&self.guards).chain(&self.when).chain(lifted);
        all.any(|it| it.needs().any(|name| name == place))
    }
}
