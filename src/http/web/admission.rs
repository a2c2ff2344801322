//! Middleware before all handlers: rate limit, users, and response headers.
//!
//! If users are configured, every request needs one. A token is accepted instead, because a
//! request has only one `Authorization` header, and a client that may change the cluster may also
//! read. A user can only read (docs/adr/0013).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{ActiveConfig, Web, passwords::BasicCredentials};
use crate::http::{Inner, error::ApiError};

pub(in crate::http) async fn admission(
    State(inner): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let active = inner.state.web.current().await;
    let mut response = match check(&inner, &active, request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(response) => response,
    };

    response.headers_mut().extend(active.headers.clone());

    response
}

async fn check(inner: &Inner, active: &ActiveConfig, headers: &HeaderMap) -> Result<(), Response> {
    if let Some(bucket) = &active.bucket
        && !bucket.try_take(inner.state.clock.monotonic())
    {
        let advice = "the rate_limit of the web configuration is exceeded; try again";
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, advice).into_response());
    }

    if active.users.is_empty() || inner.state.settings().access.accepts_token(headers) {
        return Ok(());
    }

    let Some(credentials) = BasicCredentials::from_headers(headers) else {
        return Err(unauthorized());
    };

    let Web(shared) = &inner.state.web;
    match active.users.verify(credentials, &shared.checks).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(unauthorized()),
        Err(_busy) => {
            let advice = "too many passwords are waiting to be checked; try again";
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, advice).into_response())
        }
    }
}

fn unauthorized() -> Response {
    let advice = "send the name and password of a user of the web configuration";
    let mut response = ApiError::new(StatusCode::UNAUTHORIZED, advice).into_response();
    let challenge = HeaderValue::from_static("Basic realm=\"kafka-optimizer\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);

    response
}
