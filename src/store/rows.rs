//! The store's rows, as the rest of the program sees them.

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{
    model::{
        ClusterName, HoldReason, OnUndo, RollbackReason, RunId, RunState, Subject, Target, Trigger,
        Verdict, WallTime, closed_list,
    },
    playbook::{Level, OptimizerKind},
};

closed_list! {
    /// Where one step stands. Intent is durable before the deed, the outcome after it.
    pub enum StepState {
        Planned = "planned",
        /// About to be written, or written with an unknown outcome.
        Began = "began",
        Applied = "applied",
        /// Refused, or it did not come into force.
        Failed = "failed",
        UndoBegan = "undo_began",
        /// Back at its prior value: read back.
        Undone = "undone",
        UndoFailed = "undo_failed",
        /// Changed by someone else after our write; not ours to undo.
        Drifted = "drifted",
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    pub id: RunId,
    pub cluster: ClusterName,
    /// The playbook; `manual` for a person's run without one.
    pub playbook: String,
    pub optimizer: OptimizerKind,
    /// How far it goes, where its optimizer has levels.
    pub level: Option<Level>,
    pub target: Target,
    pub trigger: Trigger,
    /// The alert's name, or the person's command.
    pub cause: String,
    /// How far it may go.
    pub extent: Extent,
    /// The attempt of its episode, from 1.
    pub attempt: u32,
    /// Where it stands.
    pub state: RunState,
    /// Why it does not start, while held.
    pub hold: Option<HoldReason>,
    /// The hold, the plan's warning, or the end, in words.
    pub note: Option<String>,
    /// The comparison's outcome.
    pub verdict: Option<Verdict>,
    pub rollback_reason: Option<RollbackReason>,
    /// Whether a person asked for it to be undone.
    pub undo_requested: bool,
    /// Whether a person has seen that it is stuck.
    pub acknowledged: bool,
    /// Whether the alert behind it is critical.
    pub urgency: Urgency,
    pub times: Times,
}

closed_list! {
    /// How far a run may go.
    pub enum Extent {
        /// Plan, and let the brokers validate it; change nothing.
        RehearseOnly = "rehearse_only",
        /// As far as the mode allows.
        AsConfigured = "as_configured",
    }
}

closed_list! {
    /// How urgent a run is.
    pub enum Urgency {
        Usual = "usual",
        /// A critical alert asks for it: it may end a run that only observes (I40).
        Critical = "critical",
    }
}

/// The times of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The alert or the order was durable.
    pub created: WallTime,
    /// The first write was about to be sent.
    pub written: Option<WallTime>,
    /// A person was asked to approve it.
    pub asked: Option<WallTime>,
    pub approved: Option<WallTime>,
    /// The last step was read back as in force.
    pub effective: Option<WallTime>,
    /// What it did is lifted then, at the latest.
    pub expires: Option<WallTime>,
    pub ended: Option<WallTime>,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    pub run: RunId,
    /// Its place in the plan, from 0.
    pub index: u32,
    /// 0, or 1 for what waits until a canary has been judged.
    pub stage: u32,
    /// Steps of one wave are taken at the same time.
    pub wave: u32,
    pub subject: Subject,
    pub key: String,
    /// The effective value it starts from.
    pub from: String,
    /// The value that was stored before it, or none.
    pub from_stored: Option<String>,
    /// The value it stores; none takes the stored value away.
    pub to: Option<String>,
    /// What becomes of it when the run is undone.
    pub on_undo: OnUndo,
    /// Where it stands.
    pub state: StepState,
    /// When that was.
    pub at: WallTime,
}

/// What was measured before and after. Kept with the run as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measurement {
    pub query: String,
    pub load_query: String,
    pub guard_queries: Vec<String>,
    /// Most that each guard showed in the baseline.
    pub guard_maxima: Vec<f64>,
    /// Baseline of the objective, as it was before the write.
    pub baseline: Vec<f64>,
    pub baseline_median: Option<f64>,
    /// Median absolute deviation of the baseline.
    pub baseline_mad: Option<f64>,
    /// Median of the load in the baseline.
    pub baseline_load: Option<f64>,
    pub observed_median: Option<f64>,
    /// Relative change, positive when better.
    pub effect: Option<f64>,
    /// Relative change of the load, positive when it rose.
    pub load_change: Option<f64>,
    /// The broker that goes first and stands for all in the expressions above, if one does.
    pub canary: Option<i32>,
}

/// One line of the journal. Append-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLine {
    /// When.
    pub at: WallTime,
    /// What kind of line: `stored`, `held`, `plan`, `rehearsed`, `state`, `step`, `answer`,
    /// `verdict`, …
    pub entry: String,
    pub text: String,
}

/// A run with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetail {
    pub run: RunRow,
    /// Its steps, in order.
    pub steps: Vec<StepRow>,
    pub measured: Measurement,
    /// Its journal, oldest first.
    pub journal: Vec<JournalLine>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    pub cluster: ClusterName,
    pub playbook: String,
    pub optimizer: OptimizerKind,
    /// How far it goes, where its optimizer has levels.
    pub level: Option<Level>,
    pub target: Target,
    pub trigger: Trigger,
    /// The alert's name, or the person's command.
    pub cause: String,
    /// How far it may go.
    pub extent: Extent,
    /// Whether the alert behind it is critical.
    pub urgency: Urgency,
    /// When the alert or the order was durable.
    pub created: WallTime,
}

/// A label of a closed list, as it was stored.
pub(super) fn word<T>(label: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
    read(label).ok_or_else(|| StoreError::Unreadable {
        doing: "read the store",
        value: label.chars().take(100).collect(),
    })
}
