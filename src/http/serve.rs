//! Serves the router on listeners that are bound already.
//!
//! Every connection has an end: a handshake must be over in time, a head must arrive in time, a
//! body must (`body`), and none lives longer than [`Limits::connection_age_max`], so that slow
//! senders and slow readers cannot take all connections.

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
    /// Connections at once, over all listeners. The next ones wait unaccepted.
    pub connections_max: usize,
    /// From the start of a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// From the start of a connection, or the end of an answer, to the end of the next head. Longer
    /// than a usual scrape interval, so that scrapers keep their connections.
    pub head_timeout: Duration,
    /// Then the connection ends after the answer in hand.
    pub connection_age_max: Duration,
    /// For the answer in hand, after that.
    pub last_answer_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(40),
            connection_age_max: Duration::from_mins(10),
            last_answer_timeout: Duration::from_mins(1),
        }
    }
}

/// How long accepting rests after a failure such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Starts a task per listener. They end, after the answers in hand, when `tasks` is asked to stop.
/// `web` is that of the router's state.
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

/// One listener's side of the server.
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
                        peer: None,
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
                    warn!(%error, "Connection could not be accepted.");
                    if stop.run_until_cancelled(sleep(ACCEPT_PAUSE)).await.is_none() {
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

/// What one connection is served with.
struct HttpConnection {
    router: Router,
    /// Who is at the other end, if a certificate proved it.
    peer: Option<VerifiedClient>,
    limits: Limits,
    stop: CancellationToken,
}

impl HttpConnection {
    async fn start(mut self, stream: TcpStream, web: &Web) {
        // Answers are small or written at once: waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "Connection is gone.");
            return;
        }
        let Some(tls) = web.current().await.tls.clone() else { return self.serve(stream).await };
        if let Some(stream) = self.handshake(stream, &tls).await {
            self.peer = tls.peer(stream.get_ref().1);
            self.serve(stream).await;
        }
    }

    async fn handshake(&self, stream: TcpStream, tls: &ServerTls) -> Option<TlsStream<TcpStream>> {
        let accepting = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
        let accepting = timeout(self.limits.handshake_timeout, accepting);
        match self.stop.run_until_cancelled(accepting).await? {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => debug!(%error, "TLS handshake failed."),
            Err(_elapsed) => debug!("Connection was cut off: its TLS handshake took too long."),
        }
        None
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Self { router, peer, limits, stop } = self;
        let service = router.map_request(move |mut request: Request<Incoming>| {
            if let Some(peer) = peer.clone() {
                request.extensions_mut().insert(peer);
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
            timeout(limits.last_answer_timeout, serving).await
        };
        match ended {
            Ok(Ok(())) => (),
            Ok(Err(error)) => debug!(%error, "Connection ended early."),
            Err(_elapsed) => {
                debug!("Connection was cut off: its last answer was not read in time.");
            }
        }
    }
}
