//! The HTTP server: metrics, health checks, Alertmanager's webhook, the API, the pages.
//!
//! Handlers use channels, watches and plain data ([`AppState`]) only. Reading is open to everyone,
//! or to the users of the web configuration (`web`); whatever changes state requires a token or a
//! client certificate with the scope for it (`auth`).

pub mod advice;
mod auth;
pub mod baseline_payload;
mod baselines;
mod body;
mod chart;
mod error;
pub mod findings;
mod growth_chart;
mod html;
mod landing;
mod pages;
pub mod payload;
mod query;
mod reload;
mod report;
mod report_page;
mod run_page;
mod runs;
mod runs_page;
mod serve;
mod state;
mod web;
mod webhook;

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, Uri},
    middleware::from_fn_with_state,
    routing::{get, post},
};

pub use auth::Access;
pub use query::with_query;
pub use reload::{ReloadHandle, ReloadRequest, ReloadRequests, reload_channel};
pub use report_page::report_file;
pub use serve::{Limits, serve};
pub use state::{AppState, ClusterInfo, Pipeline, ServerInfo, Settings};
pub use web::{Web, WebError};

use body::BodyBudget;
use error::{ApiError, RequestIds};

struct Inner {
    state: AppState,
    bodies: BodyBudget,
    report: report::LatestReport,
}

pub fn router(state: AppState) -> Router {
    let telemetry_path = state.settings().about.telemetry_path.clone();
    let inner = Arc::new(Inner {
        state,
        bodies: BodyBudget::new(),
        report: report::LatestReport::default(),
    });

    Router::new()
        .route("/", get(pages::landing))
        .route("/runs", get(pages::runs))
        .route("/runs/{id}", get(pages::run))
        .route("/report", get(report::page))
        .route(&telemetry_path, get(pages::metrics))
        .route("/-/healthy", get(pages::healthy))
        .route("/-/ready", get(pages::ready))
        .route("/-/reload", post(reload::reload))
        .route(webhook::PATH, post(webhook::receive))
        .route("/api/v1/runs", get(runs::list).post(runs::start))
        .route("/api/v1/runs/{id}", get(runs::show))
        .route("/api/v1/runs/{id}/case", get(runs::case))
        .route("/api/v1/runs/{id}/rollback", post(runs::roll_back))
        .route("/api/v1/runs/{id}/acknowledge", post(runs::acknowledge))
        .route("/api/v1/runs/{id}/retry", post(runs::retry))
        .route("/api/v1/runs/{id}/cancel", post(runs::cancel))
        .route("/api/v1/runs/{id}/approve", post(runs::approve))
        .route("/api/v1/runs/{id}/reject", post(runs::reject))
        .route("/api/v1/findings", get(findings::findings))
        .route("/api/v1/advice", get(advice::advice))
        .route("/api/v1/report", get(report::show))
        .route("/api/v1/status", get(runs::status))
        .route("/api/v1/journal", get(runs::journal))
        .route("/api/v1/temporary-changes", get(runs::temporary_changes))
        .route("/api/v1/baselines", get(baselines::list).post(baselines::record))
        .route("/api/v1/baselines/{name}", get(baselines::show).delete(baselines::delete))
        .route("/api/v1/baselines/{name}/comparison", get(baselines::compare))
        .route("/api/v1/quarantine/release", post(runs::release))
        .route("/api/v1/pause", post(runs::pause))
        .route("/api/v1/resume", post(runs::resume))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(&inner), web::admission))
        .layer(from_fn_with_state(Arc::clone(&inner), webhook::count))
        .layer(from_fn_with_state(RequestIds::new(), error::finish))
        .with_state(inner)
}

async fn no_such_path(uri: Uri) -> ApiError {
    let message = format!("no such path: {}", uri.path());
    ApiError::quoting(StatusCode::NOT_FOUND, message, "there is no such path")
}

async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not support that method")
}
