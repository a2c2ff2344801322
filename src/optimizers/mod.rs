//! Optimizers: pure functions from the current state to a plan of changes.
//!
//! No I/O, no clock, no client. A plan is data; `remediation` rehearses it, writes it to the
//! journal and executes it.
//!
//! Invariant: a plan changes no key outside its optimizer's allow-list (I17).
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

pub mod elect_leaders;
mod ladder;
pub mod reapply;
pub mod scale_consumers;
pub mod shed_load;
pub mod tune_brokers;

use crate::model::Change;

/// One change, and when it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    /// 0, or 1 for steps that wait for the verdict on a canary.
    pub stage: u32,
    /// Steps of one wave run at the same time; no two of them change the same resource.
    pub wave: u32,
    pub change: Change,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<PlannedStep>,
    /// Where the plan stops short of the level, what needs a restart, what an undo does.
    pub remarks: Vec<String>,
}

impl Plan {
    /// Puts the steps in order: by wave, then by what they change.
    fn sort(&mut self) {
        self.steps.sort_by_cached_key(|it| (it.wave, it.change.resources()));
    }
}

/// Why there is nothing to plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unplannable(pub String);

impl Unplannable {
    /// `why`, and what a plan would have said beside its steps.
    fn with_remarks(why: String, remarks: &[String]) -> Self {
        let mut text = why;
        for remark in remarks {
            text.push_str("; ");
            text.push_str(remark);
        }
        Self(text)
    }
}
