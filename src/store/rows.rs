//! The store's rows, as other modules see them.

use serde::{Deserialize, Serialize};

use super::measurement::Measurement;

use crate::{
    model::{
        Change, ClusterName, HoldReason, Principal, RollbackReason, RunId, RunState, Target,
        Trigger, Verdict, WallTime, closed_list,
    },
    playbook::{Level, OptimizerKind},
};

closed_list! {
    /// State of one step. The intent is stored before the request is sent, the outcome after it.
    pub enum StepState {
        Planned = "planned",
        /// About to be sent, or sent with an unknown outcome.
        Began = "began",
        Applied = "applied",
        /// Refused, or the change did not become effective.
        Failed = "failed",
        UndoBegan = "undo_began",
        /// The prior value was restored and read back.
        Undone = "undone",
        UndoFailed = "undo_failed",
        /// Changed by someone else after our write; never undone.
        Drifted = "drifted",
        /// The run is undone, and another run of ours wrote the resource later: undone with that
        /// one (I42).
        Superseded = "superseded",
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    pub id: RunId,
    pub cluster: ClusterName,
    /// The playbook; `manual` for a person's run without one.
    pub playbook: String,
    pub optimizer: OptimizerKind,
    /// `None` for an optimizer without levels.
    pub level: Option<Level>,
    pub target: Target,
    pub trigger: Trigger,
    /// The alert's name, or the person's command.
    pub cause: String,
    /// Whether the run ends when its plan is rehearsed.
    pub dry_run: bool,
    /// Number of the attempt within its episode, from 1.
    pub attempt: u32,
    pub state: RunState,
    /// Why the run does not start; only while it is held.
    pub hold: Option<HoldReason>,
    /// Details of the hold, the plan's remarks, or why the run ended.
    pub note: Option<String>,
    pub verdict: Option<Verdict>,
    /// Relative improvement, 0–1; `None` until the run has been judged.
    pub effect: Option<f64>,
    /// The evidence for the verdict in one sentence.
    pub sentence: Option<String>,
    pub rollback_reason: Option<RollbackReason>,
    /// Whether a person asked to roll the run back.
    pub undo_requested: bool,
    /// Whether a person has acknowledged that the run is stuck.
    pub acknowledged: bool,
    /// Digest of the plan that a person approved, as [`super::plan_digest`] makes it.
    pub approved_digest: Option<String>,
    pub priority: Priority,
    pub times: Times,
}

closed_list! {
    pub enum Priority {
        Normal = "normal",
        /// A critical alert triggered the run: it may end a run that only observes (I40).
        Critical = "critical",
    }
}

/// When a run reached its stages; `None`: it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The alert or the order was stored.
    pub created: WallTime,
    /// The first write was about to be sent.
    pub written: Option<WallTime>,
    /// A person was asked for approval.
    pub asked: Option<WallTime>,
    pub approved: Option<WallTime>,
    /// The last step was read back as effective.
    pub effective: Option<WallTime>,
    /// The latest time at which a temporary change is undone.
    pub expires: Option<WallTime>,
    pub ended: Option<WallTime>,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    pub run: RunId,
    /// Position in the plan, from 0.
    pub index: u32,
    /// 0, or 1 for steps that wait for the verdict on a canary.
    pub stage: u32,
    /// Steps of one wave run at the same time.
    pub wave: u32,
    pub change: Change,
    pub state: StepState,
    /// When the state was reached.
    pub at: WallTime,
    pub progress: StepProgress,
}

/// What an undo, or the watch over a temporary change, has to know at its next look at a step. In
/// the store, so that a crash neither shortens a wait nor grants more tries. Stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepProgress {
    pub undo_began: Option<WallTime>,
    /// The undo was first sent, or could not be.
    pub first_try: Option<WallTime>,
    /// Tries of the undo that failed.
    pub tries: u32,
    /// Those of them that were answered.
    pub refusals: u32,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// Nothing is done before that.
    pub not_before: Option<WallTime>,
    /// When no request to make the change can still be processed; `None`: one may be in flight.
    pub settled: Option<WallTime>,
    /// Whether the broker may lose connections, or was waited for long enough (I15).
    pub gate_passed: bool,
    /// Whether it was checked that no restart lost the value.
    pub loss_checked: bool,
    /// Whether the undo had failed before, and is tried again.
    pub is_retried: bool,
    /// Looks in a row at which a temporary change was not in effect.
    pub checks_without_effect: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalLine {
    pub id: i64,
    pub at: WallTime,
    /// Kind of the line: `created`, `merged`, `state`, `step`, `order`, `verdict`, `stop`,
    /// `expire`, `gate` or `cluster`.
    pub entry: String,
    pub text: String,
    /// `None` if the line is not about one run.
    pub run: Option<RunId>,
    /// `None` if the line is about all clusters, or its run has been deleted.
    pub cluster: Option<ClusterName>,
    /// Who gave the order; `None` for what the program did by itself.
    pub by: Option<Principal>,
    /// How often an equal line followed.
    pub repeated: u32,
    /// When the last of those followed.
    pub last_at: Option<WallTime>,
}

/// A run with its steps, measurement and journal.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetail {
    pub run: RunRow,
    /// In order.
    pub steps: Vec<StepRow>,
    pub measured: Measurement,
    /// Oldest first.
    pub journal: Vec<JournalLine>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    pub cluster: ClusterName,
    pub playbook: String,
    pub optimizer: OptimizerKind,
    /// `None` for an optimizer without levels.
    pub level: Option<Level>,
    /// The optimizer with its parameters, as text: runs with equal ones do the same. Compared,
    /// never parsed.
    pub parameters: String,
    pub target: Target,
    pub trigger: Trigger,
    /// The alert's name, or the person's command.
    pub cause: String,
    /// Whether the run ends when its plan is rehearsed.
    pub dry_run: bool,
    pub priority: Priority,
    /// When the alert or the order was stored.
    pub created: WallTime,
    /// Who ordered it; `None` for an alert.
    pub by: Option<Principal>,
}
