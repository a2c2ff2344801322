//! Reads request bodies within limits: of the size of one body, of the memory of all bodies in
//! flight, and of time.

use std::{sync::Arc, time::Duration};

use axum::{
    body::BodyDataStream,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// 10,000 alerts of a large cluster are 6 MiB (I3).
pub(super) const BODY_BYTES_MAX: usize = 16 << 20;
/// A body that is too large is read and dropped up to this size, so that its sender reads the
/// response instead of a broken connection, which Alertmanager would retry.
const DISCARD_BYTES_MAX: usize = 64 << 20;
/// Memory of all bodies in flight, in KiB: eight bodies of the maximum size.
const BUDGET_KIB: usize = 128 << 10;
/// Minimum that a body counts as, in KiB.
const BODY_KIB_MIN: usize = 64;
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request waits for memory. Then it gets 503, and the sender retries.
const BUDGET_WAIT_MAX: Duration = Duration::from_secs(30);

/// Semaphore over the memory of all bodies in flight, one permit per KiB.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget(Arc<Semaphore>);

/// A request body. Its memory counts until this is dropped.
#[derive(Debug)]
pub(super) struct ReceivedBody {
    pub(super) bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl BodyBudget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB)))
    }

    pub(super) async fn read(&self, request: Request) -> Result<ReceivedBody, ApiError> {
        let length = content_length(request.headers());
        let permit = self.reserve(length.unwrap_or(BODY_BYTES_MAX)).await?;

        let stream = request.into_body().into_data_stream();
        match tokio::time::timeout(READ_TIMEOUT, collect(stream)).await {
            Ok(read) => Ok(ReceivedBody { bytes: read?, _permit: permit }),
            Err(_elapsed) => {
                let advice = format!("the body did not arrive within {READ_TIMEOUT:?}");
                Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, advice))
            }
        }
    }

    async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let kib = (bytes.min(BODY_BYTES_MAX) >> 10).max(BODY_KIB_MIN);
        let permits = u32::try_from(kib).unwrap_or(u32::MAX);
        let reserving = Arc::clone(&self.0).acquire_many_owned(permits);
        if let Ok(Ok(permit)) = tokio::time::timeout(BUDGET_WAIT_MAX, reserving).await {
            return Ok(permit);
        }

        let advice = "too many large requests are in flight; try again";

        Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, advice))
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut stream: BodyDataStream) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    let mut total = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::with_cause(
                StatusCode::BAD_REQUEST,
                "the connection ended before the body did",
                &error,
            )
        })?;

        total = total.saturating_add(chunk.len());
        if total > DISCARD_BYTES_MAX {
            break;
        }

        if total <= BODY_BYTES_MAX {
            body.extend_from_slice(&chunk);
        } else {
            body = BytesMut::new();
        }
    }

    if total > BODY_BYTES_MAX {
        let advice = format!("the body is larger than {} MiB", BODY_BYTES_MAX >> 20);
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, advice));
    }

    Ok(body.freeze())
}

/// Parses a JSON body. An empty body counts as `{}`.
pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, format!("the body is not valid: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn a_chunked_body_is_read_whole() {
        let chunks = futures_util::stream::iter(["{\"a\"", ":1}"].map(Ok::<_, std::io::Error>));
        let request = Request::new(Body::from_stream(chunks));
        let held = BodyBudget::new().read(request).await.unwrap();

        assert_eq!(held.bytes, "{\"a\":1}");
    }

    #[tokio::test]
    async fn a_dropped_body_returns_its_permits() {
        let bodies = BodyBudget::new();
        for _ in 0..20 {
            let held = bodies.read(Request::new(Body::from("{}"))).await.unwrap();
            drop(held);
        }

        assert_eq!(bodies.0.available_permits(), BUDGET_KIB);
    }
}
