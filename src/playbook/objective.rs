//! What a run improves, and what must not get worse meanwhile, declared as what they are: a value
//! that is to be compared bin by bin has to be known as a counter or as a gauge.

use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::model::{as_label, closed_list};

closed_list! {
    /// Direction in which the objective improves.
    pub enum Better {
        /// As for latencies and lag.
        Lower = "lower",
        Higher = "higher",
    }
}

/// An expression for each kind of value: a template in a playbook, PromQL in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveExpression<T> {
    /// The mean of what is counted: the increase of the counter `sum`, divided by that of `count`.
    Mean { sum: T, count: T },
    /// The increase of a counter.
    Rate(T),
    /// A value of the moment, averaged over time.
    Gauge(T),
    /// A number of things to go that may reach 0, averaged over time.
    Lag(T),
}

impl<T> ObjectiveExpression<T> {
    pub fn expressions(&self) -> Vec<&T> {
        match self {
            Self::Mean { sum, count } => vec![sum, count],
            Self::Rate(it) | Self::Gauge(it) | Self::Lag(it) => vec![it],
        }
    }

    pub fn map<U>(&self, with: impl Fn(&T) -> U) -> ObjectiveExpression<U> {
        match self {
            Self::Mean { sum, count } => {
                ObjectiveExpression::Mean { sum: with(sum), count: with(count) }
            }
            Self::Rate(it) => ObjectiveExpression::Rate(with(it)),
            Self::Gauge(it) => ObjectiveExpression::Gauge(with(it)),
            Self::Lag(it) => ObjectiveExpression::Lag(with(it)),
        }
    }

    /// Whether the expressions are counters.
    pub const fn is_of_counters(&self) -> bool {
        matches!(self, Self::Mean { .. } | Self::Rate(_))
    }
}

/// What a run is to improve, and by how much.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    pub measure: ObjectiveExpression<Template>,
    pub better: Better,
    /// Minimum relative improvement to keep a change, 0–1.
    pub at_least: f64,
}

/// What must not get worse while a change is observed. Higher is worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard<T> {
    /// A count, or 0 and 1: any rise above what was there before the write undoes the change.
    Count(T),
    /// A value that swings by itself.
    Level {
        query: T,
        /// It has risen if it did so by at least this share, 0.5 for half as much again, and by
        /// more than it ever does by itself.
        rises_by: f64,
        /// It has also risen if its mean over a bin is above this.
        at_most: Option<f64>,
        #[serde(with = "as_label")]
        without_history: WithoutHistory,
    },
}

closed_list! {
    /// What to do with a guard of which too little history is known to tell a rise.
    pub enum WithoutHistory {
        /// The run is held until there is enough.
        Hold = "hold",
        /// The run starts, guarded by `at_most` alone, and its plan says so.
        Warn = "warn",
    }
}

impl<T> Guard<T> {
    pub const fn query(&self) -> &T {
        match self {
            Self::Count(query) | Self::Level { query, .. } => query,
        }
    }

    pub fn map<U>(&self, with: impl Fn(&T) -> U) -> Guard<U> {
        match self {
            Self::Count(query) => Guard::Count(with(query)),
            &Self::Level { ref query, rises_by, at_most, without_history } => {
                Guard::Level { query: with(query), rises_by, at_most, without_history }
            }
        }
    }
}
