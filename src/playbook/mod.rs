//! A playbook: which alert it answers, with which optimizer, and how its effect is judged.
//!
//! Data, checked when the configuration is loaded. Pure: no I/O, no clock.

mod template;

use std::{collections::BTreeMap, time::Duration};

pub use template::{Template, TemplateError, Values, quoted};

use crate::{alert::Labels, model::closed_list};

closed_list! {
    /// How far `tune-brokers` goes. The numbers are in `optimizers::tune_brokers`.
    pub enum Level {
        /// 12 network threads, 12 I/O threads.
        Conservative = "conservative",
        /// 16 and 16.
        Moderate = "moderate",
        /// 32 and 32.
        Aggressive = "aggressive",
    }
}

closed_list! {
    /// Which way the objective gets better.
    pub enum Better {
        /// Less is better: times, lag.
        Lower = "lower",
        /// More is better: rates.
        Higher = "higher",
    }
}

closed_list! {
    /// What to do above twice the value that a broker starts with, which does not survive a restart
    /// (KAFKA-20890).
    pub enum AboveStatic {
        /// Stop there and say so.
        Cap = "cap",
    }
}

closed_list! {
    /// How a change of several brokers is spread.
    pub enum Rollout {
        /// All brokers at once, step by step.
        Together = "together",
    }
}

closed_list! {
    /// The optimizers there are.
    pub enum OptimizerKind {
        /// Thread pools of brokers.
        TuneBrokers = "tune_brokers",
    }
}

/// Parameters of `tune-brokers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuneBrokers {
    /// How far.
    pub level: Level,
    /// What to do above twice the static value.
    pub above_static: AboveStatic,
    /// How several brokers are changed.
    pub rollout: Rollout,
}

/// An optimizer and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimizer {
    /// Thread pools of brokers.
    TuneBrokers(TuneBrokers),
}

impl Optimizer {
    /// Which one it is.
    pub const fn kind(self) -> OptimizerKind {
        match self {
            Self::TuneBrokers(_) => OptimizerKind::TuneBrokers,
        }
    }
}

/// What a run is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Evaluates to one series.
    pub query: Template,
    /// Which way is better.
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
    /// Length of the observation.
    pub observe: Duration,
    /// Rest after the end of a run, by playbook and target.
    pub cooldown: Duration,
}

/// Which alerts a playbook answers: every label must be equal. Always names an `alertname`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Label to value.
    pub labels: BTreeMap<String, String>,
}

impl Match {
    /// Whether an alert with these labels is answered.
    pub fn answers(&self, alert: &Labels) -> bool {
        self.labels.iter().all(|(name, value)| alert.get(name) == Some(value))
    }
}

/// A playbook, as meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// Unique name.
    pub name: String,
    /// Which alerts it answers.
    pub matches: Match,
    /// Must hold (return a series) on Prometheus, beside the alert itself.
    pub when: Option<Template>,
    /// What it does.
    pub optimizer: Optimizer,
    /// What it is for.
    pub objective: Objective,
    /// The load that the objective depends on; evaluates to one series.
    pub load: Template,
    /// Higher is worse. Two samples in a row above the baseline's maximum undo the change.
    pub guards: Vec<Template>,
    /// Its times.
    pub windows: Windows,
    /// Runs per episode.
    pub attempts_max: u32,
    /// Whether a neutral change is kept.
    pub keep_neutral: bool,
    /// Whether a person must approve each run.
    pub approve: bool,
}

impl Playbook {
    /// Whether one of its expressions speaks of a single broker.
    pub fn needs_broker(&self) -> bool {
        let judged = [&self.objective.query, &self.load].into_iter();
        let mut all = judged.chain(&self.guards).chain(&self.when);
        all.any(|it| it.needs().any(|name| name == "broker_id"))
    }
}
