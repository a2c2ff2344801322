//! `GET /api/v1/report` and the page `/report`: gathers what is known of the clusters, and has the
//! report drawn up.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    Inner,
    error::ApiError,
    findings::{ClusterFindingsPayload, FindingPayload},
    html,
    payload::rfc3339,
    report_page, runs,
    state::ClusterInfo,
};
use crate::{
    baseline::BaselineSummary,
    diagnosis::{MeasuredUsage, PastWindow},
    model::{ClusterName, MonotonicTime, WallTime},
    playbook::Better,
    remediation::{BaselineRequest, ComparedBaseline},
    report::{
        ClusterFacts, Growth, Report, ReportedBaseline, ReportedChange, ReportedCluster,
        ReportedComparison, ReportedFinding, ReportedMetric, ReportedRun, change_level,
        daily_peaks,
    },
    store::{RunDetail, RunFilter, RunRow, StepRow},
};

const SINCE_DEFAULT: &str = "30d";
const DAYS_DEFAULT: u32 = 30;
const DAYS_MIN: u32 = 5;
const DAYS_MAX: u32 = 400;

/// Runs that are reported, at most: the steps of each are read one by one.
const RUNS_MAX: u32 = 500;

/// A report of this age is given again: everybody may ask, and each one takes a hundred queries.
const REPORT_AGE_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportQuery {
    cluster: Option<String>,
    /// A time, or a duration before now.
    since: Option<String>,
    /// Days of history that the growth is computed from.
    days: Option<u32>,
}

type ParsedQuery = Result<Query<ReportQuery>, QueryRejection>;

/// The latest report, for whoever asks the same again.
#[derive(Debug, Default)]
pub(super) struct LatestReport(Mutex<Option<MadeReport>>);

#[derive(Debug)]
struct MadeReport {
    at: MonotonicTime,
    query: ReportQuery,
    report: Arc<Report>,
}

pub(super) async fn show(
    State(inner): State<Arc<Inner>>,
    query: ParsedQuery,
) -> Result<Json<Report>, ApiError> {
    let report = latest(&inner, query).await?;
    Ok(Json(Report::clone(&report)))
}

pub(super) async fn page(
    State(inner): State<Arc<Inner>>,
    query: ParsedQuery,
) -> Result<Response, ApiError> {
    let report = latest(&inner, query).await?;
    Ok(html::respond(report_page::page(&report)))
}

/// One request at a time gathers; others wait for it.
async fn latest(inner: &Inner, query: ParsedQuery) -> Result<Arc<Report>, ApiError> {
    let query = query.map(|Query(it)| it).map_err(|_| {
        let advice = "the query parameters are cluster, since and days";
        ApiError::new(StatusCode::BAD_REQUEST, advice)
    })?;

    let clock = &inner.state.clock;
    let mut latest = inner.report.0.lock().await;

    if let Some(made) = latest.as_ref().filter(|it| it.query == query)
        && clock.monotonic().since(made.at) < REPORT_AGE_MAX
    {
        return Ok(Arc::clone(&made.report));
    }

    let report = Arc::new(gather(inner, &query).await?);
    *latest = Some(MadeReport { at: clock.monotonic(), query, report: Arc::clone(&report) });

    Ok(report)
}

/// The stretch of time that is reported.
#[derive(Clone, Copy, Debug)]
struct ReportSpan {
    now: WallTime,
    since: WallTime,
    days: u32,
}

async fn gather(inner: &Inner, query: &ReportQuery) -> Result<Report, ApiError> {
    let days = query.days.unwrap_or(DAYS_DEFAULT);
    if !(DAYS_MIN..=DAYS_MAX).contains(&days) {
        let advice = format!("days must be from {DAYS_MIN} to {DAYS_MAX}");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, advice));
    }

    let now = inner.state.clock.wall();
    let since = runs::since(query.since.as_deref().unwrap_or(SINCE_DEFAULT), now)?;
    let span = ReportSpan { now, since, days };
    let settings = inner.state.settings();
    let wanted = query.cluster.as_ref().map(|it| ClusterName::new(it.as_str()));
    let is_wanted = |it: &&ClusterInfo| wanted.as_ref().is_none_or(|name| it.name == *name);
    let mut clusters = Vec::new();

    for cluster in settings.about.clusters.iter().filter(is_wanted) {
        clusters.push(ReportedCluster::new(facts(inner, cluster, span).await?));
    }

    if let Some(name) = wanted.filter(|_| clusters.is_empty()) {
        let message = format!("there is no cluster {name}");
        return Err(ApiError::quoting(StatusCode::NOT_FOUND, message, "there is no such cluster"));
    }

    Ok(Report {
        version: settings.about.version.to_owned(),
        made_at: rfc3339(now),
        since: rfc3339(since),
        days,
        clusters,
    })
}

async fn facts(
    inner: &Inner,
    cluster: &ClusterInfo,
    span: ReportSpan,
) -> Result<ClusterFacts, ApiError> {
    let name = &cluster.name;
    let mut not_read = Vec::new();
    let runs = reported_runs(inner, name, span.since, &mut not_read).await?;
    let baselines = inner.state.pipeline.baselines(Some(name.clone())).await?;
    let (reports, usage, compared) = tokio::join!(
        inner.state.diagnosis.reports(Some(name)),
        inner.state.diagnosis.usage(name, span.days),
        comparison(inner, name, &baselines, span.since),
    );

    let MeasuredUsage { hours, usage, not_read: unread } = usage.unwrap_or_else(|| MeasuredUsage {
        not_read: vec!["growth and cost: the cluster is not watched yet".to_owned()],
        ..MeasuredUsage::default()
    });
    not_read.extend(unread);
    let growth = hours.into_iter().map(|it| {
        let peaks = daily_peaks(&it.hours, span.now);
        Growth::new(it.metric, peaks, &cluster.capacity)
    });
    let found = reports.first().map(|it| ClusterFindingsPayload::from(it.as_ref()));
    let found = found.unwrap_or_default();
    not_read.extend(found.not_seen.iter().map(|it| format!("{}: {}", it.what, it.why)));

    let comparison = compared.unwrap_or_else(|problem| {
        not_read.push(format!("the comparison of baselines: {problem}"));
        None
    });
    let recent = baselines.iter().filter(|it| it.recorded_at >= span.since);

    Ok(ClusterFacts {
        cluster: name.to_string(),
        severity: found.severity,
        findings: found.findings.into_iter().map(ReportedFinding::from).collect(),
        runs,
        baselines: recent.map(ReportedBaseline::from).collect(),
        comparison,
        growth: growth.collect(),
        usage,
        prices: cluster.prices.clone(),
        not_read,
    })
}

/// Runs since then, newest first, with what they changed.
async fn reported_runs(
    inner: &Inner,
    cluster: &ClusterName,
    since: WallTime,
    not_read: &mut Vec<String>,
) -> Result<Vec<ReportedRun>, ApiError> {
    let filter = RunFilter {
        cluster: Some(cluster.clone()),
        states: Vec::new(),
        playbook: None,
        since: Some(since),
        before: None,
        limit: RUNS_MAX,
    };
    let rows = inner.state.pipeline.runs(filter).await?;
    let mut runs = Vec::with_capacity(rows.len());

    if u32::try_from(rows.len()).is_ok_and(|it| it >= RUNS_MAX) {
        not_read.push(format!("older runs: only the newest {RUNS_MAX} are reported"));
    }

    for row in &rows {
        // A run that wrote nothing has no effect to report.
        let detail = match row.times.written {
            Some(_) => inner.state.pipeline.run(row.id).await?,
            None => None,
        };
        runs.push(reported(row, detail.as_ref()));
    }

    Ok(runs)
}

fn reported(run: &RunRow, detail: Option<&RunDetail>) -> ReportedRun {
    let optimizer = run.optimizer.label();
    let change = |it: &StepRow| {
        let text = it.change.text();
        let level = change_level(optimizer, &text.key).to_owned();
        ReportedChange { level, subject: text.subject, key: text.key, from: text.from, to: text.to }
    };
    let measured = detail.map(|it| &it.measured);

    ReportedRun {
        id: run.id.0,
        playbook: run.playbook.clone(),
        optimizer: optimizer.to_owned(),
        target: run.target.to_string(),
        state: run.state.to_string(),
        acknowledged: run.acknowledged,
        verdict: run.verdict.map(|it| it.to_string()),
        rollback_reason: run.rollback_reason.map(|it| it.to_string()),
        note: run.note.clone(),
        objective: measured.map(|it| it.query.clone()),
        before: measured.and_then(|it| it.before),
        after: measured.and_then(|it| it.after),
        effect: run.effect,
        sentence: measured.and_then(|it| it.sentence.clone()),
        changes: detail.map(|it| it.steps.iter().map(change).collect()).unwrap_or_default(),
    }
}

/// The newest baseline of the time that is reported, compared with the oldest one of it; or with
/// the one before, if there is only one. `None` if there are not two.
async fn comparison(
    inner: &Inner,
    cluster: &ClusterName,
    baselines: &[BaselineSummary],
    since: WallTime,
) -> Result<Option<ReportedComparison>, String> {
    let recent = baselines.iter().filter(|it| it.recorded_at >= since).count();
    let before = baselines.get(recent.saturating_sub(1).max(1)).filter(|_| recent > 0);
    let (Some(before), Some(after)) = (before, baselines.first()) else { return Ok(None) };
    let request = BaselineRequest {
        cluster: Some(cluster.clone()),
        name: before.name.clone(),
        with: Some(after.name.clone()),
    };
    let compared = inner.state.pipeline.compare_baseline(request).await;
    let compared = compared.map_err(|error| error.to_string())?;
    let mut metrics = metrics(&compared);
    metrics.extend(probe_p99(inner, [before, after]).await);

    Ok(Some(ReportedComparison {
        before: before.into(),
        after: after.into(),
        metrics,
        notes: compared.comparison.notes,
    }))
}

/// How long records of the probe took in both windows, which is measured and not judged.
async fn probe_p99(inner: &Inner, both: [&BaselineSummary; 2]) -> Option<ReportedMetric> {
    let mut known = Vec::new();
    for baseline in both {
        let window = PastWindow { start: baseline.window.start, end: baseline.window.end() };
        known.push(inner.state.diagnosis.probe_p99(&baseline.cluster, window).await);
    }

    let [before, after] = known.try_into().ok()?;

    before.or(after)?;
    Some(ReportedMetric::probe_p99(before, after))
}

/// The metrics of the whole cluster. Less of what is better lower is an improvement.
fn metrics(compared: &ComparedBaseline) -> Vec<ReportedMetric> {
    let of_cluster = compared.comparison.metrics.iter().filter(|it| it.broker.is_none());

    of_cluster
        .map(|it| {
            let is_lower = it.metric.better() == Some(Better::Lower);
            let sign = if is_lower { -1.0 } else { 1.0 };
            let signed = |value: f64| value * sign;
            let (low, high) = (it.change.map(|it| it.low), it.change.map(|it| it.high));

            ReportedMetric {
                metric: it.metric.to_string(),
                unit: it.metric.unit().to_string(),
                before: it.before,
                after: it.after,
                improvement: it.change.map(|it| signed(it.change)),
                improvement_low: if is_lower { high } else { low }.map(signed),
                improvement_high: if is_lower { low } else { high }.map(signed),
                verdict: it.outcome.map(|it| it.to_string()),
            }
        })
        .collect()
}

impl From<&BaselineSummary> for ReportedBaseline {
    fn from(baseline: &BaselineSummary) -> Self {
        Self {
            name: baseline.name.to_string(),
            recorded_at: rfc3339(baseline.recorded_at),
            requests_per_second: baseline.window.requests_per_second,
        }
    }
}

impl From<FindingPayload> for ReportedFinding {
    fn from(found: FindingPayload) -> Self {
        let FindingPayload { severity, title, subject, advice, command, .. } = found;
        Self { severity, title, subject, advice, command }
    }
}
