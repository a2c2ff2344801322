//! `GET /api/v1/findings`: its body, which the command line reads too, and its handler.
//!
//! A public contract, as `payload`: fields are added, never renamed or removed.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{Inner, advice::ClusterAdvicePayload, error::ApiError, payload::rfc3339};
use crate::{
    analysis::{Finding, FindingEvidence, NotSeen},
    diagnosis::ClusterReport,
    model::ClusterName,
};

/// Response to `GET /api/v1/findings`: one report for each cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FindingsPayload {
    pub clusters: Vec<ClusterFindingsPayload>,
}

/// What was found in one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterFindingsPayload {
    pub cluster: String,
    /// The worst of all findings: `green`, `yellow` or `red`; null if nothing could be seen.
    pub severity: Option<String>,
    /// When the values were read.
    pub at: String,
    /// The worst and most likely first.
    pub findings: Vec<FindingPayload>,
    /// Number of findings that were left out, because there are too many.
    pub omitted: usize,
    pub not_seen: Vec<NotSeenPayload>,
    /// Advice to clients; only `analyze --advise` adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<ClusterAdvicePayload>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FindingPayload {
    /// One of the causes, such as `cpu_bound` or `hot_partition`.
    pub cause: String,
    /// One of `yellow` and `red`.
    pub severity: String,
    /// The cause, or what is seen of it, as text for people.
    pub title: String,
    /// `cluster`, `broker 1`, `group orders`, …
    pub subject: String,
    /// Values beyond their limits come first.
    pub evidence: Vec<EvidencePayload>,
    /// What to do, as text for people.
    pub advice: String,
    /// An exact command; `BROKER` in it stands for the address of a broker.
    pub command: Option<String>,
    /// What the command would change, as text for people.
    pub effect: Option<String>,
    /// The alert that says the same.
    pub alert: Option<String>,
    /// The optimizer that answers the alert.
    pub optimizer: Option<String>,
    /// The configured playbook that answers the alert.
    pub playbook: Option<String>,
    /// What this cause explains. They have no symptoms of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<Self>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvidencePayload {
    /// One of the signals, such as `request_handler_idle` or `lag`.
    pub signal: String,
    /// What the value is about.
    pub subject: String,
    pub value: f64,
    /// `ratio`, `seconds`, `hours`, `count`, `per_second` or `bytes_per_second`.
    pub unit: String,
    /// Null for a value that only explains the others.
    pub limit: Option<f64>,
    /// Whether values `above` or `below` the limit are bad; null without a limit.
    pub bad: Option<String>,
    /// Whether the value is on the bad side of its limit.
    pub beyond: bool,
    /// Since when an alert about it is pending or fires.
    pub since: Option<String>,
}

/// A part of the cluster that could not be seen, as text for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSeenPayload {
    pub what: String,
    pub why: String,
}

impl From<&NotSeen> for NotSeenPayload {
    fn from(part: &NotSeen) -> Self {
        Self { what: part.what.clone(), why: part.why.clone() }
    }
}

impl From<&ClusterReport> for ClusterFindingsPayload {
    fn from(report: &ClusterReport) -> Self {
        let analysis = &report.analysis;
        let not_seen = analysis.not_seen.iter();

        Self {
            cluster: report.cluster.to_string(),
            severity: analysis.light.map(|it| it.label().to_owned()),
            at: rfc3339(report.at),
            findings: analysis.findings.iter().map(|it| finding(it, report)).collect(),
            omitted: analysis.omitted,
            not_seen: not_seen.map(NotSeenPayload::from).collect(),
            advice: None,
        }
    }
}

fn finding(found: &Finding, report: &ClusterReport) -> FindingPayload {
    let spec = found.cause.spec();
    let playbook = spec.alert.and_then(|it| report.playbooks.get(it)).cloned();
    let symptoms = found.symptoms.iter().map(|it| FindingPayload {
        title: it.cause.spec().symptom.to_owned(),
        ..finding(it, report)
    });

    FindingPayload {
        cause: found.cause.label().to_owned(),
        severity: found.light.label().to_owned(),
        title: spec.title.to_owned(),
        subject: found.subject.to_string(),
        evidence: found.evidence.iter().map(EvidencePayload::from).collect(),
        advice: spec.advice.to_owned(),
        command: found.command.as_ref().map(|it| it.command.clone()),
        effect: found.command.as_ref().map(|it| it.effect.clone()),
        alert: spec.alert.map(str::to_owned),
        optimizer: spec.optimizer.map(str::to_owned),
        playbook,
        symptoms: symptoms.collect(),
    }
}

impl From<&FindingEvidence> for EvidencePayload {
    fn from(evidence: &FindingEvidence) -> Self {
        let spec = evidence.signal.spec();
        let bad = evidence.limit.and(spec.threshold).map(|it| it.side.label().to_owned());

        Self {
            signal: evidence.signal.label().to_owned(),
            subject: evidence.subject.to_string(),
            value: evidence.value,
            unit: spec.unit.label().to_owned(),
            limit: evidence.limit,
            bad,
            beyond: evidence.is_beyond(),
            since: evidence.since.map(rfc3339),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingsQuery {
    pub(super) cluster: Option<String>,
}

pub(super) async fn findings(
    State(inner): State<Arc<Inner>>,
    query: Result<Query<FindingsQuery>, QueryRejection>,
) -> Result<Json<FindingsPayload>, ApiError> {
    let Ok(Query(query)) = query else {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "the query parameter is cluster"));
    };

    let wanted = query.cluster.map(ClusterName::new);
    let reports = inner.state.diagnosis.reports(wanted.as_ref()).await;

    if let Some(name) = wanted.filter(|_| reports.is_empty()) {
        let message = format!("there is no cluster {name}");
        return Err(ApiError::quoting(StatusCode::NOT_FOUND, message, "there is no such cluster"));
    }

    let clusters = reports.iter().map(|it| ClusterFindingsPayload::from(it.as_ref())).collect();

    Ok(Json(FindingsPayload { clusters }))
}
