//! Serves the router on bound listeners.
//!
//! Every connection is limited in time: its TLS handshake, each request head, each body (`body`),
//! and its age ([`Limits::connection_age_max`]). So slow clients cannot occupy all connections.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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
use crate::{
    shutdown::Tasks,
    telemetry::{ConnectionLimit, Telemetry},
};

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum open connections over all listeners. Further ones are not accepted until one closes.
    pub connections_max: usize,
    /// Maximum open connections from one address. Further ones are closed at once, so that one
    /// client cannot take the places of all others.
    pub connections_per_address_max: usize,
    /// From the start of a connection, or the end of its TLS handshake, to the end of the first
    /// request head.
    pub first_head_timeout: Duration,
    /// From the start of a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// From the end of a response to the end of the next request head. Longer than a usual scrape
    /// interval, so that scrapers can keep their connections.
    pub head_timeout: Duration,
    /// A connection of this age is closed after the current response.
    pub connection_age_max: Duration,
    /// Time for that last response.
    pub last_response_timeout: Duration,
    /// Time for the current request and its response when the process stops. Less than the 10 s
    /// that Docker grants.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            connections_per_address_max: 128,
            first_head_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(40),
            connection_age_max: Duration::from_mins(10),
            last_response_timeout: Duration::from_mins(1),
            stop_timeout: Duration::from_secs(5),
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
    telemetry: &Arc<Telemetry>,
    limits: Limits,
    tasks: &Tasks,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let clients = ClientCounts::default();

    for listener in listeners {
        let acceptor = Acceptor {
            router: router.clone(),
            web: web.clone(),
            limits,
            permits: Arc::clone(&permits),
            clients: clients.clone(),
            telemetry: Arc::clone(telemetry),
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
    clients: ClientCounts,
    telemetry: Arc<Telemetry>,
    tasks: Tasks,
}

/// Open connections by the client's address, over all listeners.
#[derive(Clone, Debug, Default)]
struct ClientCounts(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// Counts one connection until it is dropped.
struct ClientPermit {
    counts: ClientCounts,
    address: IpAddr,
}

impl ClientCounts {
    /// `None` if the client has `max` connections already.
    fn acquire(&self, address: IpAddr, max: usize) -> Option<ClientPermit> {
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();

        if *count >= max {
            return None;
        }

        *count += 1;
        drop(counts);

        Some(ClientPermit { counts: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        // Poisoning is harmless: every change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl Acceptor {
    async fn run(self, listener: TcpListener, stop: CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(self.accept(&listener)).await {
            match accepted {
                Ok((stream, permit, peer)) => {
                    let max = self.limits.connections_per_address_max;

                    // A client of a dual-stack listener is one client, whatever its notation.
                    let client = peer.ip().to_canonical();
                    let Some(client) = self.clients.acquire(client, max) else {
                        self.telemetry.connection_refused(ConnectionLimit::Address, peer.ip());
                        continue;
                    };

                    let connection = HttpConnection {
                        router: self.router.clone(),
                        client: None,
                        limits: self.limits,
                        stop: stop.clone(),
                    };

                    let web = self.web.clone();
                    self.tasks.start_short("connection", async move {
                        connection.start(stream, &web).await;
                        drop((permit, client));
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
    ) -> io::Result<(TcpStream, OwnedSemaphorePermit, SocketAddr)> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_none_left) => {
                self.telemetry.connections_exhausted(self.limits.connections_max);
                Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?
            }
        };

        let (stream, peer) = listener.accept().await?;

        Ok((stream, permit, peer))
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
        let has_head = Arc::new(AtomicBool::new(false));
        let got_head = Arc::clone(&has_head);
        let service = router.map_request(move |mut request: Request<Incoming>| {
            got_head.store(true, Ordering::Relaxed);
            if let Some(client) = client.clone() {
                request.extensions_mut().insert(client);
            }

            request
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let without_head = async {
            sleep(limits.first_head_timeout).await;
            if has_head.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };

        let mut serving = pin!(serving);
        let last = tokio::select! {
            ended = serving.as_mut() => Err(ended),
            () = without_head => {
                debug!("Connection closed: its first request head did not arrive in time.");
                return;
            }
            () = stop.cancelled() => Ok(limits.stop_timeout),
            () = sleep(limits.connection_age_max) => Ok(limits.last_response_timeout),
        };

        let ended = match last {
            Err(ended) => Ok(ended),
            Ok(last) => {
                serving.as_mut().graceful_shutdown();
                timeout(last, serving).await
            }
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
