//! `POST /api/v1/alerts`: Alertmanager's webhook.
//!
//! Invariant (I2): 200 says that every alert of the notification is durable. What cannot be stored
//! is answered with 503, which Alertmanager tries again. Invariant (I3): no run happens inside the
//! request.

use std::sync::Arc;

use axum::{
    Json,
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::{Inner, auth::WriteAccess, error::ApiError, payload::ReceivedPayload};
use crate::alert::{NotANotification, Notification};

pub(super) const PATH: &str = "/api/v1/alerts";
/// Reading this much JSON takes less than a millisecond, which is less than another thread costs.
const PARSE_INLINE_BYTES_MAX: usize = 64 << 10;

pub(super) async fn take(
    State(inner): State<Arc<Inner>>,
    _access: WriteAccess,
    request: Request,
) -> Result<Json<ReceivedPayload>, ApiError> {
    let body = inner.bodies.read(request).await?;
    let notification = parse(body.bytes.clone()).await?;
    let truncated = notification.truncated;
    let taken = inner.state.pipeline.take(notification).await?;
    let alerts = taken.into_iter().map(|(outcome, count)| (outcome.to_string(), count)).collect();
    Ok(Json(ReceivedPayload { alerts, truncated }))
}

async fn parse(body: Bytes) -> Result<Notification, ApiError> {
    let parsed = if body.len() <= PARSE_INLINE_BYTES_MAX {
        Notification::parse(&body)
    } else {
        spawn_blocking(move || Notification::parse(&body)).await.map_err(|error| {
            let sender = "the process is stopping; try again";
            ApiError::because(StatusCode::SERVICE_UNAVAILABLE, sender, &error)
        })?
    };
    parsed.map_err(|error: NotANotification| {
        ApiError::new(StatusCode::BAD_REQUEST, error.to_string())
    })
}

/// Every answer of the webhook is counted, refusals too, whoever refuses.
pub(super) async fn count(
    State(inner): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let ours = path.is_some_and(|it| it.as_str() == PATH) && request.method() == Method::POST;
    let response = next.run(request).await;
    if ours {
        inner.state.telemetry.webhook_answered(response.status().as_u16());
    }
    response
}
