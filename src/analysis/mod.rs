//! Analysis of measurements by pure functions: from what is known of a cluster to findings, each
//! with its evidence, its most likely cause and what to do.
//!
//! Invariant: names no client and never `remediation`: advice cannot become an action by itself.

mod causes;
mod correlate;
mod document;
mod finding;
mod signal;
mod signals;
#[cfg(test)]
mod tests;
pub mod thresholds;

pub use causes::{Cause, CauseSpec};
pub use correlate::{EXPLANATIONS, Explanation, Relation};
pub use document::document;
pub use finding::{Analysis, Finding, FindingEvidence, SuggestedCommand};
pub use signal::{Signal, SignalSource, SignalSpec, SignalUnit, SourceSpec, SubjectKind};
pub use signals::{AlertSince, ClusterSignals, NotSeen, Subject};
pub use thresholds::TrafficLight;

/// Findings that are reported at most: who has more of them starts with these.
pub const FINDINGS_MAX: usize = 50;

/// Finds what is wrong with a cluster, and the most likely causes.
pub fn analyze(mut signals: ClusterSignals) -> Analysis {
    let knows_nothing = signals.is_empty();
    signals.derive_shares();
    signals.note_silent_sources();

    let mut findings = correlate::correlate(causes::find_all(&signals), &signals);
    let worst = findings.iter().map(|it| it.light).max().unwrap_or(TrafficLight::Green);
    let omitted = findings.len().saturating_sub(FINDINGS_MAX);
    findings.truncate(FINDINGS_MAX);

    Analysis {
        light: (!knows_nothing).then_some(worst),
        findings,
        omitted,
        not_seen: signals.not_seen.into_iter().collect(),
    }
}
