//! Optimizers: pure functions from what is to a plan of what is to be.
//!
//! No I/O, no clock, no client. A plan is data; `remediation` rehearses, journals and carries it
//! out.
//!
//! Invariant: no plan holds a key outside its optimizer's allow-list (I17).
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

pub mod elect_leaders;
mod ladder;
pub mod reapply;
pub mod scale_consumers;
pub mod shed_load;
pub mod tune_brokers;

use crate::model::{OnUndo, Subject};

/// One change of one key of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// 0, or 1 for what waits until a canary has been judged.
    pub stage: u32,
    /// Steps of one wave are taken at the same time, each of another subject or key.
    pub wave: u32,
    pub subject: Subject,
    pub key: String,
    /// The effective value it starts from.
    pub from: String,
    /// The value stored before it, or none.
    pub from_stored: Option<String>,
    /// The value it stores; none takes the stored value away.
    pub to: Option<String>,
    /// What becomes of it when the run is undone.
    pub on_undo: OnUndo,
}

/// What is to be done, and what is worth saying about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<PlannedStep>,
    /// Where the plan stops short of the level, what it leaves to a restart, what its undo does.
    pub remarks: Vec<String>,
}

/// There is nothing to plan, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unplannable(pub String);
