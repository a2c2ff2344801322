//! Encodes snapshots as Prometheus expositions: written and compressed once per snapshot, served as
//! ready bytes.
//!
//! A scrape sends no request to a broker, and a cluster that is down can still be scraped: its
//! snapshot says `kafka_up` 0 and holds no outdated section.

pub mod catalogue;
mod encode;
mod exposition;
mod text;

use std::{future::pending, sync::Arc};

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use exposition::{Exposition, Format, Pieces};

use crate::{
    snapshot::{Latest, Snapshot},
    telemetry::{PageMade, Telemetry},
};

#[derive(Debug)]
pub struct Exposer {
    latest: Vec<Latest>,
    telemetry: Arc<Telemetry>,
    pages: watch::Sender<Arc<Exposition>>,
}

impl Exposer {
    /// Takes one snapshot channel per cluster.
    pub fn new(latest: Vec<Latest>, telemetry: Arc<Telemetry>) -> Self {
        Self { latest, telemetry, pages: watch::channel(Arc::default()).0 }
    }

    /// The latest exposition, now and later.
    pub fn pages(&self) -> watch::Receiver<Arc<Exposition>> {
        self.pages.subscribe()
    }

    /// Encodes again whenever a snapshot is new, until `stop` or until a collector is gone.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        loop {
            let seen = self.latest.iter_mut().filter_map(|it| it.borrow_and_update().clone());
            let snapshots: Vec<Arc<Snapshot>> = seen.collect();
            // Encoding a large cluster takes about 50 ms, too long for a thread that answers
            // requests.
            let made = tokio::task::spawn_blocking(move || make(&snapshots)).await;
            let (page, facts) = match made {
                Ok(made) => made,
                Err(failure) if failure.is_panic() => {
                    std::panic::resume_unwind(failure.into_panic())
                }
                // The runtime is shutting down.
                Err(_cancelled) => return,
            };
            self.telemetry.page_made(facts);
            self.pages.send_replace(Arc::new(page));
            if any_is_new(&mut self.latest).await.is_err() {
                return;
            }
        }
    }
}

async fn any_is_new(latest: &mut [Latest]) -> Result<(), watch::error::RecvError> {
    if latest.is_empty() {
        return pending().await;
    }
    let changes = latest.iter_mut().map(|it| Box::pin(it.changed()));
    select_all(changes).await.0
}

/// The exposition of `snapshots`, and its size.
pub fn make(snapshots: &[Arc<Snapshot>]) -> (Exposition, PageMade) {
    let (page, series) = encode::encode(snapshots);
    let (identity_bytes, gzip_bytes) = (page.text_bytes(), page.gzip_bytes());
    (page, PageMade { series, identity_bytes, gzip_bytes })
}
