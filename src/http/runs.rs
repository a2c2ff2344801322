//! Handlers of `/api/v1/…`. Each one that changes state takes an [`Operator`] or an
//! [`Approver`].

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;

use super::{
    Inner,
    auth::{Approver, Operator},
    body,
    error::ApiError,
    payload::{
        ApprovePayload, JournalPagePayload, JournalPayload, NothingPayload, OrderPayload,
        OrderedPayload, PausedPayload, ReasonPayload, ReleasePayload, ReleasedPayload,
        RunDetailPayload, RunPayload, RunsPayload, StatusPayload,
    },
};
use crate::{
    model::{BrokerId, ClusterName, GroupName, Principal, RunId, RunState, Target, WallTime},
    playbook::{Level, OptimizerKind},
    remediation::{Decision, Order, ReleaseOrder},
    store::{CASES_MAX, JournalFilter, RunDetail, RunFilter, RunRow},
    verdict::VerdictCase,
};

const LIMIT_DEFAULT: u32 = 50;
/// A month of runs at the default limits, for several clusters.
const LIMIT_MAX: u32 = 1000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    pub(super) cluster: Option<String>,
    /// One state, or several separated by commas.
    pub(super) state: Option<String>,
    pub(super) playbook: Option<String>,
    /// A time, or a duration before now.
    pub(super) since: Option<String>,
    pub(super) before: Option<i64>,
    pub(super) limit: Option<u32>,
}

/// The runs that match a query, newest first.
#[derive(Debug)]
pub(super) struct ListedRuns {
    pub(super) runs: Vec<RunRow>,
    /// Where the next page begins; `None` on the last one.
    pub(super) next: Option<i64>,
}

pub(super) async fn list(
    State(inner): State<Arc<Inner>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<RunsPayload>, ApiError> {
    let ListedRuns { runs, next } = matching(&inner, &listed(query)?).await?;

    Ok(Json(RunsPayload { next, runs: runs.iter().map(RunPayload::from).collect() }))
}

/// The parameters of a request for a list of runs.
pub(super) fn listed(
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<ListQuery, ApiError> {
    query.map(|Query(it)| it).map_err(|_| {
        let advice = "the query parameters are cluster, state, playbook, since, before and limit";
        ApiError::new(StatusCode::BAD_REQUEST, advice)
    })
}

pub(super) async fn matching(inner: &Inner, query: &ListQuery) -> Result<ListedRuns, ApiError> {
    let limit = check_limit(query.limit)?;
    let filter = RunFilter {
        cluster: query.cluster.clone().map(ClusterName::new),
        states: states(query.state.as_deref().unwrap_or_default())?,
        playbook: query.playbook.clone(),
        since: match &query.since {
            Some(text) => Some(since(text, inner.state.clock.wall())?),
            None => None,
        },
        before: query.before.map(RunId),
        limit,
    };

    let runs = inner.state.pipeline.runs(filter).await?;
    let next = runs.last().map(|it| it.id.0).filter(|_| is_full(runs.len(), limit));

    Ok(ListedRuns { runs, next })
}

fn check_limit(limit: Option<u32>) -> Result<u32, ApiError> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }

    let advice = format!("limit must be from 1 to {LIMIT_MAX}; `before` gets what is older");

    Err(ApiError::new(StatusCode::BAD_REQUEST, advice))
}

/// Whether there may be another page.
fn is_full(lines: usize, limit: u32) -> bool {
    u32::try_from(lines).is_ok_and(|it| it == limit)
}

fn states(text: &str) -> Result<Vec<RunState>, ApiError> {
    let labels = text.split(',').filter(|it| !it.is_empty());
    let states: Option<Vec<RunState>> = labels.map(RunState::from_label).collect();

    states.ok_or_else(|| {
        let all: Vec<&str> = RunState::ALL.iter().map(|it| it.label()).collect();
        let advice = format!("state must be one or more of {}", all.join(","));
        ApiError::new(StatusCode::BAD_REQUEST, advice)
    })
}

/// A time such as `2026-01-02T03:04:05Z`, or a duration before now such as `24h`.
pub(super) fn since(text: &str, now: WallTime) -> Result<WallTime, ApiError> {
    let at = text.parse::<jiff::Timestamp>().map(|it| WallTime(it.as_millisecond()));
    let before = humantime::parse_duration(text).map(|it| now.before(it));

    at.ok().or(before.ok()).ok_or_else(|| {
        let advice = "since must be a time such as 2026-01-02T03:04:05Z, or a duration such as 24h";
        ApiError::new(StatusCode::BAD_REQUEST, advice)
    })
}

pub(super) async fn status(
    State(inner): State<Arc<Inner>>,
) -> Result<Json<StatusPayload>, ApiError> {
    let status = inner.state.pipeline.status().await?;
    Ok(Json((&status).into()))
}

pub(super) async fn show(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
) -> Result<Json<RunDetailPayload>, ApiError> {
    detail(&inner, run_id(&id)?).await.map(Json)
}

pub(super) async fn case(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
) -> Result<Json<VerdictCase>, ApiError> {
    let id = run_id(&id)?;
    let case = inner.state.pipeline.case(id).await?;

    case.map(Json).ok_or_else(|| {
        let advice = format!(
            "run {id} has nothing to compute its verdict from: it has no verdict, or more than \
             {CASES_MAX} runs came after it"
        );
        ApiError::new(StatusCode::NOT_FOUND, advice)
    })
}

async fn detail(inner: &Inner, id: RunId) -> Result<RunDetailPayload, ApiError> {
    stored(inner, id).await.map(|it| (&it).into())
}

pub(super) async fn stored(inner: &Inner, id: RunId) -> Result<RunDetail, ApiError> {
    inner.state.pipeline.run(id).await?.ok_or_else(|| no_run(&id.to_string()))
}

pub(super) async fn start(
    State(inner): State<Arc<Inner>>,
    Operator(by): Operator,
    request: Request,
) -> Result<(StatusCode, Json<OrderedPayload>), ApiError> {
    let order = order(inner.read(request).await?)?;
    let RunId(id) = inner.state.pipeline.order(order, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(OrderedPayload { id })))
}

fn order(payload: OrderPayload) -> Result<Order, ApiError> {
    let bad = |advice: String| ApiError::new(StatusCode::BAD_REQUEST, advice);
    let optimizer = match &payload.optimizer {
        None => OptimizerKind::TuneBrokers,
        Some(label) => OptimizerKind::from_label(label).ok_or_else(|| {
            let kinds: Vec<&str> = OptimizerKind::ALL.iter().map(|it| it.label()).collect();
            bad(format!("optimizer `{label}` is not one of {}", kinds.join(", ")))
        })?,
    };

    let level = level(optimizer, payload.level.as_deref()).map_err(bad)?;
    let target = target(optimizer, payload.broker, payload.consumergroup).map_err(bad)?;
    let (cluster, dry_run) = (payload.cluster.map(ClusterName::new), payload.rehearse);
    let playbook = payload.playbook;

    Ok(Order { cluster, optimizer, playbook, target, level, dry_run })
}

fn level(optimizer: OptimizerKind, written: Option<&str>) -> Result<Option<Level>, String> {
    let levels: Vec<&str> = Level::ALL.iter().map(|it| it.label()).collect();

    match (optimizer, written) {
        (OptimizerKind::TuneBrokers, None) => {
            Err(format!("level is required: one of {}", levels.join(", ")))
        }
        (OptimizerKind::TuneBrokers, Some(label)) => match Level::from_label(label) {
            Some(level) => Ok(Some(level)),
            None => Err(format!("level `{label}` is not one of {}", levels.join(", "))),
        },
        (_, None) => Ok(None),
        (_, Some(_)) => Err(format!("{optimizer} has no levels: omit level")),
    }
}

fn target(
    optimizer: OptimizerKind,
    broker: Option<i32>,
    group: Option<String>,
) -> Result<Target, String> {
    match (optimizer.is_about_a_group(), broker, group) {
        (true, None, Some(group)) if !group.is_empty() => Ok(Target::Group(GroupName::new(group))),
        (true, ..) => Err(format!("{optimizer} requires a consumergroup and accepts no broker")),
        (false, _, Some(_)) => Err(format!("{optimizer} accepts no consumergroup")),
        (false, None, None) => Ok(Target::Cluster),
        (false, Some(raw), None) => BrokerId::from_wire(raw)
            .map(Target::Broker)
            .ok_or_else(|| format!("{raw} is not a valid broker id")),
    }
}

pub(super) async fn temporary_changes(
    State(inner): State<Arc<Inner>>,
) -> Result<Json<RunsPayload>, ApiError> {
    let runs = inner.state.pipeline.temporary_changes().await?;
    let runs = runs.iter().map(RunPayload::from).collect();
    Ok(Json(RunsPayload { runs, next: None }))
}

pub(super) async fn approve(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Approver(by): Approver,
    request: Request,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    let id = run_id(&id)?;
    let ApprovePayload { plan_digest } = inner.read(request).await?;
    decide(&inner, id, Decision::Approve { plan_digest }, &by).await
}

pub(super) async fn reject(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Approver(by): Approver,
    request: Request,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    let id = run_id(&id)?;
    let ReasonPayload { reason } = inner.read(request).await?;
    decide(&inner, id, Decision::Reject { reason }, &by).await
}

pub(super) async fn cancel(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Operator(by): Operator,
    request: Request,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    let id = run_id(&id)?;
    let ReasonPayload { reason } = inner.read(request).await?;
    decide(&inner, id, Decision::Cancel { reason }, &by).await
}

pub(super) async fn roll_back(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Operator(by): Operator,
    request: Request,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    let id = run_id(&id)?;
    let NothingPayload {} = inner.read(request).await?;
    decide(&inner, id, Decision::RollBack, &by).await
}

pub(super) async fn retry(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Operator(by): Operator,
    request: Request,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    let id = run_id(&id)?;
    let NothingPayload {} = inner.read(request).await?;
    decide(&inner, id, Decision::Retry, &by).await
}

pub(super) async fn acknowledge(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Operator(by): Operator,
    request: Request,
) -> Result<Json<RunDetailPayload>, ApiError> {
    let id = run_id(&id)?;
    let NothingPayload {} = inner.read(request).await?;
    decide(&inner, id, Decision::Acknowledge, &by).await.map(|(_, run)| run)
}

/// Responds with what became of the run.
async fn decide(
    inner: &Inner,
    id: RunId,
    decision: Decision,
    by: &Principal,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    inner.state.pipeline.decide(id, decision, by).await?;
    Ok((StatusCode::ACCEPTED, Json(detail(inner, id).await?)))
}

pub(super) async fn release(
    State(inner): State<Arc<Inner>>,
    Operator(by): Operator,
    request: Request,
) -> Result<Json<ReleasedPayload>, ApiError> {
    let ReleasePayload { cluster, playbook, target, key } = inner.read(request).await?;
    let target = match target {
        None => None,
        Some(text) => Some(Target::parse(&text).ok_or_else(|| {
            let advice = "target is not `cluster`, `broker N` or `group NAME`";
            ApiError::new(StatusCode::BAD_REQUEST, advice)
        })?),
    };

    let cluster = cluster.map(ClusterName::new);
    let order = ReleaseOrder { cluster, playbook, target, key };
    let released = inner.state.pipeline.release(order, &by).await?;

    Ok(Json(ReleasedPayload { released }))
}

pub(super) async fn pause(
    State(inner): State<Arc<Inner>>,
    Operator(by): Operator,
    request: Request,
) -> Result<Json<PausedPayload>, ApiError> {
    let NothingPayload {} = inner.read(request).await?;
    inner.state.pipeline.pause(&by).await.map_err(|error| pause_file_error(&error))?;
    Ok(Json(PausedPayload { paused: true }))
}

pub(super) async fn resume(
    State(inner): State<Arc<Inner>>,
    Operator(by): Operator,
    request: Request,
) -> Result<Json<PausedPayload>, ApiError> {
    let NothingPayload {} = inner.read(request).await?;
    inner.state.pipeline.resume(&by).await.map_err(|error| pause_file_error(&error))?;
    Ok(Json(PausedPayload { paused: false }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalQuery {
    cluster: Option<String>,
    entry: Option<String>,
    by: Option<String>,
    before: Option<i64>,
    limit: Option<u32>,
}

pub(super) async fn journal(
    State(inner): State<Arc<Inner>>,
    query: Result<Query<JournalQuery>, QueryRejection>,
) -> Result<Json<JournalPagePayload>, ApiError> {
    let Ok(Query(query)) = query else {
        let advice = "the query parameters are cluster, entry, by, before and limit";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, advice));
    };

    let limit = check_limit(query.limit)?;
    let filter = JournalFilter {
        cluster: query.cluster.map(ClusterName::new),
        entry: query.entry,
        by: query.by.map(Principal::new),
        before: query.before,
        limit,
    };
    let lines = inner.state.pipeline.journal(filter).await?;

    Ok(Json(JournalPagePayload {
        next: lines.last().map(|it| it.id).filter(|_| is_full(lines.len(), limit)),
        lines: lines.iter().map(JournalPayload::from).collect(),
    }))
}

impl Inner {
    pub(super) async fn read<T: serde::de::DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<T, ApiError> {
        let body = self.bodies.read(request).await?;
        body::parse(&body.bytes)
    }
}

fn pause_file_error(error: &std::io::Error) -> ApiError {
    let message = "the pause file cannot be written or removed; try again";
    ApiError::with_cause(StatusCode::SERVICE_UNAVAILABLE, message, error)
}

pub(super) fn run_id(text: &str) -> Result<RunId, ApiError> {
    text.parse().map(RunId).map_err(|_| no_run(text))
}

fn no_run(id: &str) -> ApiError {
    ApiError::quoting(
        StatusCode::NOT_FOUND,
        format!("there is no run {id}"),
        "there is no such run",
    )
}
