//! What a run compares, and what came of it. Stored with the run as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    model::as_label,
    playbook::{Better, Guard, ObjectiveExpression},
    verdict::Evidence,
};

/// What a run compares, as it was rendered when the run began: a playbook that is edited meanwhile
/// changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservationPlan {
    pub objective: ObjectiveExpression<String>,
    /// The objective of brokers that the run does not touch; `None` if there are none.
    pub untouched: Option<ObjectiveExpression<String>>,
    /// `None` if the load is the number of what the objective is the mean of.
    pub load: Option<String>,
    pub untouched_load: Option<String>,
    pub guards: Vec<Guard<String>>,
    /// Returns a series if the change reached what it is for.
    #[serde(default)]
    pub reached_when: Option<String>,
    #[serde(with = "as_label")]
    pub better: Better,
    /// Minimum relative improvement to keep the change, 0–1.
    pub at_least: f64,
    pub bin: Duration,
    pub baseline: Duration,
    /// From when the change is effective.
    pub settle: Duration,
    pub history: Duration,
}

/// What was measured before and after the change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measurement {
    /// The objective in words; of a run of an earlier version, its query.
    pub query: String,
    /// `None` in runs of an earlier version.
    pub observation: Option<ObservationPlan>,
    /// Value of each guard before the write, in the order of the guards. `None` if it had none.
    pub guard_levels: Vec<Option<f64>>,
    /// The objective in the baseline: its geometric mean.
    #[serde(alias = "baseline_median")]
    pub before: Option<f64>,
    /// The objective in the observation: its geometric mean.
    #[serde(alias = "observed_median")]
    pub after: Option<f64>,
    /// Relative change, positive when better; less what load, untouched brokers and the way back to
    /// the usual level explain.
    pub effect: Option<f64>,
    /// Relative change of the load, positive when it rose.
    pub load_change: Option<f64>,
    pub evidence: Option<Evidence>,
    /// The evidence in one sentence.
    pub sentence: Option<String>,
    /// The broker that is changed first; the expressions above are about it.
    pub canary: Option<i32>,
    /// Distance between two samples in the baseline; `None` in runs of an earlier version.
    pub interval_seconds: Option<f64>,
}
