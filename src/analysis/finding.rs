//! What the analysis finds: a cause, its evidence, and what to do.

use super::{
    causes::Cause,
    signal::Signal,
    signals::{ClusterSignals, NotSeen, Subject},
    thresholds::{Threshold, TrafficLight},
};
use crate::model::WallTime;

/// Values that one finding has at most: a cluster may have hundreds of brokers.
const EVIDENCE_MAX: usize = 12;

/// One value that a finding rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingEvidence {
    pub signal: Signal,
    pub subject: Subject,
    pub value: f64,
    /// The limit that it has passed, or that it would have to pass. `None` for a value that only
    /// explains the others.
    pub limit: Option<f64>,
    /// Since when an alert about it is pending or fires.
    pub since: Option<WallTime>,
}

impl FindingEvidence {
    /// The value of a signal, with its limit; `None` if it is unknown.
    pub(super) fn of(signals: &ClusterSignals, signal: Signal, subject: &Subject) -> Option<Self> {
        let value = signals.get(signal, subject)?;
        let threshold = signal.spec().threshold;
        let passed = threshold.and_then(|it| it.passed(value)).map(|it| it.value);
        let limit = passed.or_else(|| threshold.and_then(Threshold::first_limit));
        let since = threshold.and_then(|it| since(signals, it, subject));

        Some(Self { signal, subject: subject.clone(), value, limit, since })
    }

    /// Whether the value is on the bad side of its limit.
    pub fn is_beyond(&self) -> bool {
        let threshold = self.signal.spec().threshold;
        threshold.zip(self.limit).is_some_and(|(it, limit)| it.is_beyond(self.value, limit))
    }
}

/// The earliest time since when an alert of this threshold is pending or fires about the subject.
fn since(signals: &ClusterSignals, threshold: &Threshold, subject: &Subject) -> Option<WallTime> {
    let names = [threshold.warning, threshold.critical].into_iter().flatten().map(|it| it.1);
    let of_threshold =
        |alert: &str| names.clone().any(|it| it == alert) && !threshold.series.is_empty();
    let alerts = signals.alerts.iter().filter(|it| it.subject == *subject);

    alerts.filter(|it| of_threshold(&it.alert)).map(|it| it.since).min()
}

/// A command that a person can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestedCommand {
    /// The exact command. `BROKER` stands for the address of a broker.
    pub command: String,
    /// What it would change, as text for people.
    pub effect: String,
}

/// A cause that was found at a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub cause: Cause,
    pub light: TrafficLight,
    pub subject: Subject,
    /// The values that speak for it, the strongest first.
    pub evidence: Vec<FindingEvidence>,
    pub command: Option<SuggestedCommand>,
    /// Other findings that this one explains. They have no symptoms of their own.
    pub symptoms: Vec<Self>,
}

impl Finding {
    /// A finding without a command, with those of `evidence` that are known: first those that are
    /// beyond their limits.
    pub(super) fn new(
        cause: Cause,
        light: TrafficLight,
        subject: Subject,
        evidence: impl IntoIterator<Item = Option<FindingEvidence>>,
    ) -> Self {
        let mut evidence: Vec<FindingEvidence> = evidence.into_iter().flatten().collect();
        evidence.sort_by_key(|it| !it.is_beyond());
        evidence.truncate(EVIDENCE_MAX);

        Self { cause, light, subject, evidence, command: None, symptoms: Vec::new() }
    }

    #[must_use]
    pub(super) fn with_command(self, command: String, effect: impl Into<String>) -> Self {
        Self { command: Some(SuggestedCommand { command, effect: effect.into() }), ..self }
    }
}

/// The result of an analysis of one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// The worst of all findings; `None` if nothing at all could be seen.
    pub light: Option<TrafficLight>,
    /// The worst and most likely first.
    pub findings: Vec<Finding>,
    /// Findings that were left out, because there are too many.
    pub omitted: usize,
    pub not_seen: Vec<NotSeen>,
}
