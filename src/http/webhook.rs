//! `POST /api/v1/alerts`: Alertmanager's webhook.
//!
//! I2: 200 means that every usable alert of the notification is durable. If the store fails the
//! response is 503, and Alertmanager retries. I3: no run happens inside the request.

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
use tracing::debug;

use super::{Inner, auth::AlertSender, error::ApiError, payload::ReceivedPayload};
use crate::{
    alert::{NotANotification, Notification},
    remediation::Taken,
};

pub(super) const PATH: &str = "/api/v1/alerts";
/// Parsing this much JSON takes less than a millisecond; a larger body is parsed on a blocking
/// thread.
const PARSE_INLINE_BYTES_MAX: usize = 64 << 10;

pub(super) async fn receive(
    State(inner): State<Arc<Inner>>,
    AlertSender(by): AlertSender,
    request: Request,
) -> Result<Json<ReceivedPayload>, ApiError> {
    let body = inner.bodies.read(request).await?;
    let notification = parse(body.bytes.clone()).await?;
    let truncated = notification.truncated;
    debug!(%by, alerts = notification.alerts.len(), "Alerts received.");
    let Taken { counts, faults } = inner.state.pipeline.take(notification).await?;

    Ok(Json(ReceivedPayload {
        alerts: counts.into_iter().map(|(outcome, count)| (outcome.to_string(), count)).collect(),
        truncated,
        faults: faults.first.iter().map(ToString::to_string).collect(),
    }))
}

async fn parse(body: Bytes) -> Result<Notification, ApiError> {
    let parsed = if body.len() <= PARSE_INLINE_BYTES_MAX {
        Notification::parse(&body)
    } else {
        spawn_blocking(move || Notification::parse(&body)).await.map_err(|error| {
            let message = "the process is stopping; try again";
            ApiError::with_cause(StatusCode::SERVICE_UNAVAILABLE, message, &error)
        })?
    };

    parsed.map_err(|error: NotANotification| {
        ApiError::new(StatusCode::BAD_REQUEST, error.to_string())
    })
}

/// Counts every response of the webhook, including those of other layers.
pub(super) async fn count(
    State(inner): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let is_webhook = path.is_some_and(|it| it.as_str() == PATH) && request.method() == Method::POST;
    let response = next.run(request).await;

    if is_webhook {
        inner.state.telemetry.webhook_responded(response.status().as_u16());
    }

    response
}
