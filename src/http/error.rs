//! Error responses. An error has two texts that share a request id: one for the client, which
//! reveals nothing about the machine, and one for the log with all details.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json,
    extract::{self, MatchedPath, Request},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use maud::html;
use tracing::{info, warn};

use super::{
    html::{self, Document},
    payload::ErrorPayload,
};
use crate::{remediation::OrderError, store::StoreError, telemetry::chain};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    /// What the client reads.
    message: String,
    /// What the log says instead.
    log: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), log: None }
    }

    /// `message` quotes what the client sent, which the log does not: it says `log`.
    pub(super) fn quoting(status: StatusCode, message: String, log: &str) -> Self {
        Self { status, message, log: Some(log.to_owned()) }
    }

    /// `error` and its causes are only logged.
    pub(super) fn with_cause(
        status: StatusCode,
        message: impl Into<String>,
        error: &(dyn Error + 'static),
    ) -> Self {
        Self { status, message: message.into(), log: Some(chain(error)) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Full(problem) = error {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, problem);
        }
        let message = "the state store cannot be read or written; try again";
        Self::with_cause(StatusCode::SERVICE_UNAVAILABLE, message, &error)
    }
}

impl From<OrderError> for ApiError {
    fn from(refusal: OrderError) -> Self {
        match refusal {
            OrderError::Store(error) => error.into(),
            OrderError::NotFound(reason) => Self::quoting(
                StatusCode::NOT_FOUND,
                reason,
                "there is no such run, cluster or baseline",
            ),
            OrderError::Conflict(reason) => Self::new(StatusCode::CONFLICT, reason),
        }
    }
}

impl IntoResponse for ApiError {
    /// [`finish`] adds the body, because it knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"kafka-optimizer\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }

        response.extensions_mut().insert(self);

        response
    }
}

/// Request ids, `<random number of the process>-<count>`: unique in the log of a proxy before
/// several processes.
#[derive(Clone, Debug)]
pub(super) struct RequestIds {
    process: u32,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self { process: rand::random(), next: Arc::default() }
    }

    fn next(&self) -> String {
        format!("{:08x}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Adds the request id to each response, writes the body of each error, and logs it. The only place
/// that does.
pub(super) async fn finish(
    extract::State(ids): extract::State<RequestIds>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.next();
    let method = request.method().clone();
    let is_page = wants_page(&request);

    // The route, not the path: the path is under the client's control.
    let route = request.extensions().get::<MatchedPath>().cloned();

    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let route = route.as_ref().map_or("", MatchedPath::as_str);
        let status = error.status.as_u16();
        let reason = error.log.as_ref().unwrap_or(&error.message);

        if error.status.is_server_error() {
            warn!(request = id, %method, route, status, reason, "Request failed.");
        } else {
            info!(request = id, %method, route, status, reason, "Request rejected.");
        }

        let body = if is_page {
            html::respond(page(error.status, &error.message, &id))
        } else {
            Json(ErrorPayload { error: error.message, request_id: id.clone() }).into_response()
        };
        let (mut parts, _empty) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let (described, body) = body.into_parts();
        parts.headers.extend(described.headers);
        response = Response::from_parts(parts, body);
    }

    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }

    response
}

/// Whether a browser asks for a page. Programs get JSON, also below the paths of pages.
fn wants_page(request: &Request) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT).iter();
    let accepts_html =
        accepted.filter_map(|it| it.to_str().ok()).any(|it| it.contains("text/html"));
    let path = request.uri().path();

    accepts_html && !path.starts_with("/api/") && !path.starts_with("/-/")
}

fn page(status: StatusCode, message: &str, id: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("Error");
    let class = if status.is_server_error() { "verdict bad" } else { "verdict warning" };
    let body = html! {
        header { h1 { (reason) } span.dim { (status.as_u16()) } }
        div class=(class) { p { (message) } }
        nav {
            a href="/" { "All clusters" }
            a href="/runs" { "Runs" }
            a href="/report" { "Report" }
        }

        p.dim { "Request " (id) }
    };

    Document { title: format!("{reason} - kafka-optimizer"), refresh: None, body }.render()
}
