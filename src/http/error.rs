//! An answer that is not what was asked for. It has two texts, one for the sender and one for the
//! log, joined by a request id: the sender learns nothing of the machine, the operator everything.

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
use tracing::{info, warn};

use super::payload::ErrorPayload;
use crate::{remediation::OrderError, store::StoreError, telemetry::chain};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    sender: String,
    /// What only the log says.
    log: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, sender: impl Into<String>) -> Self {
        Self { status, sender: sender.into(), log: None }
    }

    /// `error`, with its causes, is for the log alone.
    pub(super) fn because(
        status: StatusCode,
        sender: impl Into<String>,
        error: &(dyn Error + 'static),
    ) -> Self {
        Self { status, sender: sender.into(), log: Some(chain(error)) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let sender = "the state cannot be read or written; try again";
        Self::because(StatusCode::SERVICE_UNAVAILABLE, sender, &error)
    }
}

impl From<OrderError> for ApiError {
    fn from(refusal: OrderError) -> Self {
        match refusal {
            OrderError::Store(error) => error.into(),
            OrderError::NotFound(reason) => Self::new(StatusCode::NOT_FOUND, reason),
            OrderError::Conflict(reason) => Self::new(StatusCode::CONFLICT, reason),
        }
    }
}

impl IntoResponse for ApiError {
    /// The body is written by [`finish`], which knows the request's id.
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

/// Numbers requests. Two processes do not share numbers, so that a proxy's log can be searched.
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

/// Gives each answer its id, each refusal its body, and the log its line: here and nowhere else.
pub(super) async fn finish(
    extract::State(ids): extract::State<RequestIds>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.next();
    let method = request.method().clone();
    // Not the path as it was sent, which anyone may write.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(refused) = response.extensions_mut().remove::<ApiError>() {
        let route = route.as_ref().map_or("", MatchedPath::as_str);
        let status = refused.status.as_u16();
        let reason = refused.log.as_ref().unwrap_or(&refused.sender);
        if refused.status.is_server_error() {
            warn!(request = id, %method, route, status, reason, "Request failed.");
        } else {
            info!(request = id, %method, route, status, reason, "Request refused.");
        }
        let body = Json(ErrorPayload { error: refused.sender, request_id: id.clone() });
        let (mut parts, _empty) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let (json, body) = body.into_response().into_parts();
        parts.headers.extend(json.headers);
        response = Response::from_parts(parts, body);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
