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

use super::{Live, Web, passwords::Login};
use crate::http::{Inner, refused::Refused, speaker};

pub(in crate::http) async fn guard(
    State(inner): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let live = inner.state.web.now().await;
    let mut response = match admitted(&inner, &live, request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(response) => response,
    };
    response.headers_mut().extend(live.headers.clone());
    response
}

async fn admitted(inner: &Inner, live: &Live, headers: &HeaderMap) -> Result<(), Response> {
    if let Some(bucket) = &live.bucket
        && !bucket.take(inner.state.clock.monotonic())
    {
        let advice = "more requests than rate_limit of the web configuration allows; try again";
        return Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, advice).into_response());
    }
    let token = inner.state.token.as_ref();
    if live.users.are_nobody() || token.is_some_and(|it| speaker::carry(headers, it)) {
        return Ok(());
    }
    let Some(login) = Login::of(headers) else { return Err(unknown()) };
    let Web(site) = &inner.state.web;
    match live.users.include(login, &site.checks).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(unknown()),
        Err(_busy) => {
            let advice = "too many passwords wait to be checked; try again";
            Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, advice).into_response())
        }
    }
}

fn unknown() -> Response {
    let advice = "send the name and the password of a user of the web configuration";
    let mut response = Refused::new(StatusCode::UNAUTHORIZED, advice).into_response();
    let challenge = HeaderValue::from_static("Basic realm=\"kafka-optimizer\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}
