//! Serves the router on listeners that are bound already.
//!
//! Every connection has an end: a head must arrive in time, a body must (`body`), and none lives
//! longer than [`Limits::connection_age_max`], so that slow senders and slow readers cannot take
//! all places.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::shutdown::Tasks;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once, over all listeners. The next ones wait unaccepted.
    pub connections_max: usize,
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
            head_timeout: Duration::from_secs(40),
            connection_age_max: Duration::from_mins(10),
            last_answer_timeout: Duration::from_mins(1),
        }
    }
}

/// How long accepting rests after a failure such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Starts a task per listener. They end, after the answers in hand, when `tasks` is asked to stop.
pub fn serve(listeners: Vec<TcpListener>, router: &Router, limits: Limits, tasks: &Tasks) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    for listener in listeners {
        let door = Door {
            router: router.clone(),
            limits,
            places: Arc::clone(&places),
            tasks: tasks.clone(),
        };
        tasks.start("listener", |stop| door.open(listener, stop));
    }
}

/// One listener's side of the server.
struct Door {
    router: Router,
    limits: Limits,
    places: Arc<Semaphore>,
    tasks: Tasks,
}

impl Door {
    async fn open(self, listener: TcpListener, stop: CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(self.next(&listener)).await {
            match accepted {
                Ok((stream, place)) => {
                    let connection =
                        connection(stream, self.router.clone(), self.limits, stop.clone());
                    self.tasks.start_short("connection", async move {
                        connection.await;
                        drop(place);
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

    async fn next(&self, listener: &TcpListener) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _peer) = listener.accept().await?;
        Ok((stream, place))
    }
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, stop: CancellationToken) {
    // Answers are small or written at once: waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "Connection is gone.");
        return;
    }
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
        tokio::time::timeout(limits.last_answer_timeout, serving).await
    };
    match ended {
        Ok(Ok(())) => (),
        Ok(Err(error)) => debug!(%error, "Connection ended early."),
        Err(_elapsed) => debug!("Connection was cut off: its last answer was not read in time."),
    }
}
