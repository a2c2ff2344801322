//! `POST /-/reload`, and the channel from it to the process, which does the work.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::{Inner, auth::Operator, error::ApiError};

/// Requests that may wait for the one in hand.
const WAITING_MAX: usize = 8;

/// Asks the process to reload its configuration.
#[derive(Clone, Debug)]
pub struct ReloadHandle(mpsc::Sender<ReloadRequest>);

/// The requests of a [`ReloadHandle`].
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<ReloadRequest>);

#[derive(Debug)]
pub struct ReloadRequest(oneshot::Sender<Result<(), String>>);

/// A handle, and where its requests arrive.
pub fn reload_channel() -> (ReloadHandle, ReloadRequests) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (ReloadHandle(sender), ReloadRequests(receiver))
}

impl ReloadRequests {
    /// The next request. Waits for ever if every handle is gone.
    pub async fn next(&mut self) -> ReloadRequest {
        match self.0.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl ReloadRequest {
    /// Sends the result, or why the configuration was rejected.
    pub fn answer(self, result: Result<(), String>) {
        // The client may be gone; the result is logged and exported as well.
        let _client_gone = self.0.send(result);
    }
}

impl ReloadHandle {
    /// `None` if the process is stopping.
    async fn reload(&self) -> Option<Result<(), String>> {
        let (sender, answer) = oneshot::channel();
        self.0.send(ReloadRequest(sender)).await.ok()?;
        answer.await.ok()
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ReloadedPayload {
    reloaded: bool,
}

pub(super) async fn reload(
    State(inner): State<Arc<Inner>>,
    Operator(by): Operator,
    _request: Request,
) -> Result<Json<ReloadedPayload>, ApiError> {
    info!(%by, "Reload ordered.");
    match inner.state.reload.reload().await {
        Some(Ok(())) => Ok(Json(ReloadedPayload { reloaded: true })),
        Some(Err(reason)) => {
            let message = format!("the configuration was rejected, nothing changed: {reason}");
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message))
        }
        None => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the process is stopping")),
    }
}
