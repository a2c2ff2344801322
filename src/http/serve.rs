//! Serves the router on bound listeners.
//!
//! Every connection is limited in time: its TLS handshake, each request head, each body (`body`),
//! and its age ([`Limits::connection_age_max`]). So slow clients cannot occupy all connections.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::web::{ServerTls, VerifiedClient, Web};
use crate::shutdown::Tasks;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum open connections over all listeners. Further ones are not accepted until one closes.
    pub connections_max: usize,
    /// From the start of a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// From the start of a connection, or the end of a response, to the end of the next request
    /// head. Longer than a usual scrape interval, so that scrapers can keep their connections.
    pub head_timeout: Duration,
    /// A connection of this age is closed after the current response.
    pub connection_age_max: Duration,
    /// Time for that last response.
    pub last_response_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(40),
            connection_age_max: Duration::from_mins(10),
            last_response_timeout: Duration::from_mins(1),
        }
    }
}

/// Delay before the next accept after an error such as "too many open files".
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

/// Starts a task per listener. When `tasks` is asked to stop, open connections finish their current
/// response. `web` must be the one in the router's state.
pub fn serve(
    listeners: Vec<TcpListener>,
    router: &Router,
    web: &Web,
    limits: Limits,
    tasks: &Tasks,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    for listener in listeners {
        let acceptor = Acceptor {
            router: router.clone(),
            web: web.clone(),
            limits,
            permits: Arc::clone(&permits),
            tasks: tasks.clone(),
        };

        tasks.start("listener", |stop| acceptor.run(listener, stop));
    }
}

/// Accepts the connections of one listener.
struct Acceptor {
    router: Router,
    web: Web,
    limits: Limits,
    permits: Arc<Semaphore>,
    tasks: Tasks,
}

impl Acceptor {
    async fn run(self, listener: TcpListener, stop: CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(self.accept(&listener)).await {
            match accepted {
                Ok((stream, permit)) => {
                    let connection = HttpConnection {
                        router: self.router.clone(),
                        client: None,
                        limits: self.limits,
                        stop: stop.clone(),
                    };

                    let web = self.web.clone();
                    self.tasks.start_short("connection", async move {
                        connection.start(stream, &web).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "Failed to accept a connection.");
                    if stop.run_until_cancelled(sleep(ACCEPT_BACKOFF)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _peer) = listener.accept().await?;
        Ok((stream, permit))
    }
}

struct HttpConnection {
    router: Router,
    /// `None` without a verified client certificate.
    client: Option<VerifiedClient>,
    limits: Limits,
    stop: CancellationToken,
}

impl HttpConnection {
    async fn start(mut self, stream: TcpStream, web: &Web) {
        // Responses are small or written at once: Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "Connection closed.");
            return;
        }

        let Some(tls) = web.current().await.tls.clone() else { return self.serve(stream).await };
        if let Some(stream) = self.handshake(stream, &tls).await {
            self.client = tls.verified_client(stream.get_ref().1);
            self.serve(stream).await;
        }
    }

    async fn handshake(&self, stream: TcpStream, tls: &ServerTls) -> Option<TlsStream<TcpStream>> {
        let accepting = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
        let accepting = timeout(self.limits.handshake_timeout, accepting);
        match self.stop.run_until_cancelled(accepting).await? {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => debug!(%error, "TLS handshake failed."),
            Err(_elapsed) => debug!("Connection closed: its TLS handshake timed out."),
        }

        None
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Self { router, client, limits, stop } = self;
        let service = router.map_request(move |mut request: Request<Incoming>| {
            if let Some(client) = client.clone() {
                request.extensions_mut().insert(client);
            }

            request
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => Some(ended),
            () = stop.cancelled() => None,
            () = sleep(limits.connection_age_max) => None,
        };
        let ended = if let Some(ended) = ended {
            Ok(ended)
        } else {
            serving.as_mut().graceful_shutdown();
            timeout(limits.last_response_timeout, serving).await
        };
        match ended {
            Ok(Ok(())) => (),
            Ok(Err(error)) => debug!(%error, "Connection ended early."),
            Err(_elapsed) => {
                debug!("Connection closed: its last response was not read in time.");
            }
        }
    }
}
