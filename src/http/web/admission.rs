//! The first to see a request: the rate, the users, and the headers of the answer.
//!
//! Where there are users, everything asks for one. The token of whoever changes state passes too,
//! because a request has one `Authorization` header, and who may change the cluster may read about
//! it. The reverse does not hold: a user reads, and changes nothing (docs/adr/0013).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{ActiveConfig, Web, passwords::BasicCredentials};
use crate::http::{Inner, auth, error::ApiError};

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
        && !bucket.take(inner.state.clock.monotonic())
    {
        let advice = "more requests than rate_limit of the web configuration allows; try again";
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, advice).into_response());
    }
    let token = inner.state.token.as_ref();
    if active.users.is_empty() || token.is_some_and(|it| auth::carry(headers, it)) {
        return Ok(());
    }
    let Some(login) = BasicCredentials::of(headers) else { return Err(unknown()) };
    let Web(shared) = &inner.state.web;
    match active.users.verify(login, &shared.checks).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(unknown()),
        Err(_busy) => {
            let advice = "too many passwords wait to be checked; try again";
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, advice).into_response())
        }
    }
}

fn unknown() -> Response {
    let advice = "send the name and the password of a user of the web configuration";
    let mut response = ApiError::new(StatusCode::UNAUTHORIZED, advice).into_response();
    let challenge = HeaderValue::from_static("Basic realm=\"kafka-optimizer\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}
