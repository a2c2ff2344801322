//! The handlers of `/api/v1/baselines` and below.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;

use super::{
    Inner,
    auth::Operator,
    baseline_payload::{
        BaselinePayload, BaselinesPayload, ComparisonPayload, RecordBaselinePayload,
    },
    error::ApiError,
};
use crate::{
    baseline::BaselineName,
    model::ClusterName,
    remediation::{BaselineOrder, BaselineRequest},
};

const WINDOW_DEFAULT: Duration = Duration::from_mins(10);
/// Of fewer one-minute bins a median says little.
const WINDOW_MIN: Duration = Duration::from_mins(5);
/// The history of a comparison is 24 times as long.
const WINDOW_MAX: Duration = Duration::from_hours(2);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BaselineQuery {
    cluster: Option<String>,
    /// Only for comparisons: the name of the other baseline.
    with: Option<String>,
}

impl BaselineQuery {
    fn cluster(&self) -> Option<ClusterName> {
        self.cluster.clone().map(ClusterName::new)
    }
}

type RequestQuery = Result<Query<BaselineQuery>, QueryRejection>;

pub(super) async fn list(
    State(inner): State<Arc<Inner>>,
    query: RequestQuery,
) -> Result<Json<BaselinesPayload>, ApiError> {
    let query = without_other(query)?;
    let found = inner.state.pipeline.baselines(query.cluster()).await?;
    let baselines = found.iter().map(BaselinePayload::summary).collect();

    Ok(Json(BaselinesPayload { baselines }))
}

pub(super) async fn show(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    query: RequestQuery,
) -> Result<Json<BaselinePayload>, ApiError> {
    let query = without_other(query)?;
    let cluster = query.cluster();
    let found = inner.state.pipeline.baseline(cluster.as_ref(), &parsed(&name)?).await?;

    Ok(Json(BaselinePayload::whole(&found)))
}

pub(super) async fn record(
    State(inner): State<Arc<Inner>>,
    Operator(by): Operator,
    request: Request,
) -> Result<(StatusCode, Json<BaselinePayload>), ApiError> {
    let RecordBaselinePayload { cluster, name, seconds, replace } = inner.read(request).await?;
    let window = seconds.map_or(WINDOW_DEFAULT, Duration::from_secs);

    if !(WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        let (min, max) = (WINDOW_MIN.as_secs(), WINDOW_MAX.as_secs());
        let advice = format!("seconds must be from {min} to {max}");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, advice));
    }

    let cluster = cluster.map(ClusterName::new);
    let order = BaselineOrder { cluster, name: parsed(&name)?, window, replace };
    let recorded = inner.state.pipeline.record_baseline(order, &by).await?;

    Ok((StatusCode::CREATED, Json(BaselinePayload::whole(&recorded))))
}

/// Answers with what was deleted, without what was measured.
pub(super) async fn delete(
    State(inner): State<Arc<Inner>>,
    Operator(by): Operator,
    Path(name): Path<String>,
    query: RequestQuery,
) -> Result<Json<BaselinePayload>, ApiError> {
    let query = without_other(query)?;
    let (cluster, name) = (query.cluster(), parsed(&name)?);
    let deleted = inner.state.pipeline.delete_baseline(cluster.as_ref(), &name, &by).await?;

    Ok(Json(BaselinePayload::summary(&deleted)))
}

pub(super) async fn compare(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    query: RequestQuery,
) -> Result<Json<ComparisonPayload>, ApiError> {
    let query = parameters(query)?;
    let with = query.with.as_deref().map(parsed).transpose()?;
    let request = BaselineRequest { cluster: query.cluster(), name: parsed(&name)?, with };
    let compared = inner.state.pipeline.compare_baseline(request).await?;

    Ok(Json(ComparisonPayload::from(&compared)))
}

fn parameters(query: RequestQuery) -> Result<BaselineQuery, ApiError> {
    query.map(|Query(it)| it).map_err(|_| {
        let advice = "the query parameters are cluster, and for a comparison with";
        ApiError::new(StatusCode::BAD_REQUEST, advice)
    })
}

fn without_other(query: RequestQuery) -> Result<BaselineQuery, ApiError> {
    let query = parameters(query)?;
    if query.with.is_some() {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "only a comparison has `with`"));
    }

    Ok(query)
}

fn parsed(name: &str) -> Result<BaselineName, ApiError> {
    BaselineName::parse(name).map_err(|it| ApiError::new(StatusCode::BAD_REQUEST, it.to_string()))
}
