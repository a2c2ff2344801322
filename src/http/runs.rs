//! Handlers of `/api/v1/…`. Each one that changes state takes a [`WriteAccess`].

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;

use super::{
    Inner,
    auth::WriteAccess,
    body,
    error::ApiError,
    payload::{
        NothingPayload, OrderPayload, OrderedPayload, PausedPayload, ReleasePayload,
        ReleasedPayload, RunDetailPayload, RunPayload, RunsPayload,
    },
};
use crate::{
    model::{BrokerId, ClusterName, GroupName, RunId, Target},
    playbook::{Level, OptimizerKind},
    remediation::Order,
};

const LIMIT_DEFAULT: u32 = 50;
/// A month of runs at the default limits, for several clusters.
const LIMIT_MAX: u32 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    limit: Option<u32>,
}

pub(super) async fn list(
    State(inner): State<Arc<Inner>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<RunsPayload>, ApiError> {
    let advice = format!("the only query parameter is limit, from 1 to {LIMIT_MAX}");
    let Ok(Query(ListQuery { limit })) = query else {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, advice));
    };

    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, advice));
    }

    let runs = inner.state.pipeline.runs(limit).await?;

    Ok(Json(RunsPayload { runs: runs.iter().map(RunPayload::from).collect() }))
}

pub(super) async fn show(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
) -> Result<Json<RunDetailPayload>, ApiError> {
    detail(&inner, run_id(&id)?).await.map(Json)
}

async fn detail(inner: &Inner, id: RunId) -> Result<RunDetailPayload, ApiError> {
    let detail = inner.state.pipeline.run(id).await?;
    detail.as_ref().map(RunDetailPayload::from).ok_or_else(|| no_run(&id.to_string()))
}

pub(super) async fn start(
    State(inner): State<Arc<Inner>>,
    _access: WriteAccess,
    request: Request,
) -> Result<(StatusCode, Json<OrderedPayload>), ApiError> {
    let order = order(inner.read(request).await?)?;
    let RunId(id) = inner.state.pipeline.order(order).await?;
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
    Ok(Order { cluster, optimizer, target, level, dry_run })
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
    Ok(Json(RunsPayload { runs: runs.iter().map(RunPayload::from).collect() }))
}

pub(super) async fn approve(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    _access: WriteAccess,
    request: Request,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    let id = run_id(&id)?;
    let NothingPayload {} = inner.read(request).await?;
    inner.state.pipeline.approve(id).await?;
    Ok((StatusCode::ACCEPTED, Json(detail(&inner, id).await?)))
}

pub(super) async fn roll_back(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    _access: WriteAccess,
    request: Request,
) -> Result<(StatusCode, Json<RunDetailPayload>), ApiError> {
    let id = run_id(&id)?;
    let NothingPayload {} = inner.read(request).await?;
    inner.state.pipeline.roll_back(id).await?;
    Ok((StatusCode::ACCEPTED, Json(detail(&inner, id).await?)))
}

pub(super) async fn acknowledge(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    _access: WriteAccess,
    request: Request,
) -> Result<Json<RunDetailPayload>, ApiError> {
    let id = run_id(&id)?;
    let NothingPayload {} = inner.read(request).await?;
    inner.state.pipeline.acknowledge(id).await?;
    detail(&inner, id).await.map(Json)
}

pub(super) async fn release(
    State(inner): State<Arc<Inner>>,
    _access: WriteAccess,
    request: Request,
) -> Result<Json<ReleasedPayload>, ApiError> {
    let ReleasePayload { cluster } = inner.read(request).await?;
    let released = inner.state.pipeline.release(cluster.map(ClusterName::new)).await?;
    Ok(Json(ReleasedPayload { released }))
}

pub(super) async fn pause(
    State(inner): State<Arc<Inner>>,
    _access: WriteAccess,
    request: Request,
) -> Result<Json<PausedPayload>, ApiError> {
    let NothingPayload {} = inner.read(request).await?;
    inner.state.pipeline.pause().map_err(|error| pause_file_error(&error))?;
    Ok(Json(PausedPayload { paused: true }))
}

pub(super) async fn resume(
    State(inner): State<Arc<Inner>>,
    _access: WriteAccess,
    request: Request,
) -> Result<Json<PausedPayload>, ApiError> {
    let NothingPayload {} = inner.read(request).await?;
    inner.state.pipeline.resume().map_err(|error| pause_file_error(&error))?;
    Ok(Json(PausedPayload { paused: false }))
}

impl Inner {
    async fn read<T: serde::de::DeserializeOwned>(&self, request: Request) -> Result<T, ApiError> {
        let body = self.bodies.read(request).await?;
        body::parse(&body.bytes)
    }
}

fn pause_file_error(error: &std::io::Error) -> ApiError {
    let message = "the pause file cannot be written or removed; try again";
    ApiError::with_cause(StatusCode::SERVICE_UNAVAILABLE, message, error)
}

fn run_id(text: &str) -> Result<RunId, ApiError> {
    text.parse().map(RunId).map_err(|_| no_run(text))
}

fn no_run(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("there is no run {id}"))
}
