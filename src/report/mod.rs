//! The report: what was changed and what came of it, how the load grows and what that makes due,
//! what the cluster costs, what was learnt, and what to do next.
//!
//! Pure: `data` is what is known, `scaling`, `cost` and `lessons` compute from it, `content` says
//! it in sections, and `markdown` renders them. The page of the server renders the same sections
//! (`http::report_page`). A number that is not known is not there, and no number is without its
//! unit.

mod content;
mod cost;
mod data;
mod growth;
mod lessons;
mod markdown;
mod scaling;
mod trend;

#[cfg(test)]
mod tests;

pub use content::{BarPair, ReportBlock, ReportSection, ReportStep, ReportTable};
pub use cost::{CostItem, RunningCost, money};
pub use data::{
    ClusterFacts, ClusterUsage, Report, ReportedBaseline, ReportedChange, ReportedCluster,
    ReportedComparison, ReportedFinding, ReportedMetric, ReportedRun, change_level,
};
pub use growth::{Growth, GrowthMetric};
pub use lessons::Lesson;
pub use scaling::{ScalingAdvice, ScalingTerm, Tenfold};
pub use trend::{DAYS_MIN, DailyPeak, DaysUntil, HourlyValue, Trend, daily_peaks};
