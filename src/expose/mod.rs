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
    model::ClusterName,
    snapshot::{Latest, Snapshot},
    telemetry::{PageMade, Telemetry},
};

/// Where the snapshots of a cluster come from.
#[derive(Clone, Debug)]
pub struct SnapshotSource {
    pub cluster: ClusterName,
    pub latest: Latest,
}

#[derive(Debug)]
pub struct Exposer {
    /// One for each cluster; replaced when the configuration is reloaded.
    sources: watch::Receiver<Vec<SnapshotSource>>,
    /// What was shown last: also of a cluster whose new collector has no snapshot yet.
    shown: Vec<Arc<Snapshot>>,
    telemetry: Arc<Telemetry>,
    pages: watch::Sender<Arc<Exposition>>,
}

impl Exposer {
    pub fn new(sources: watch::Receiver<Vec<SnapshotSource>>, telemetry: Arc<Telemetry>) -> Self {
        Self { sources, shown: Vec::new(), telemetry, pages: watch::channel(Arc::default()).0 }
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
        let mut sources = self.sources.borrow_and_update().clone();
        loop {
            self.shown = sources.iter_mut().filter_map(|it| self.current(it)).collect();
            let snapshots = self.shown.clone();

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

            tokio::select! {
                // First: the collectors of a replaced configuration end.
                biased;
                () = replaced(&mut self.sources) => {
                    sources.clone_from(&*self.sources.borrow_and_update());
                }
                is_new = any_is_new(&mut sources) => {
                    if is_new.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn current(&self, source: &mut SnapshotSource) -> Option<Arc<Snapshot>> {
        let latest = source.latest.borrow_and_update().clone();
        latest.or_else(|| self.shown.iter().find(|it| it.cluster == source.cluster).cloned())
    }
}

/// Waits until there are other sources; for ever if nobody can replace them.
async fn replaced(sources: &mut watch::Receiver<Vec<SnapshotSource>>) {
    if sources.changed().await.is_err() {
        pending::<()>().await;
    }
}

async fn any_is_new(sources: &mut [SnapshotSource]) -> Result<(), watch::error::RecvError> {
    if sources.is_empty() {
        return pending().await;
    }
    let changes = sources.iter_mut().map(|it| Box::pin(it.latest.changed()));
    select_all(changes).await.0
}

/// The exposition of `snapshots`, and its size.
pub fn make(snapshots: &[Arc<Snapshot>]) -> (Exposition, PageMade) {
    let (page, series) = encode::encode(snapshots);
    let (identity_bytes, gzip_bytes) = (page.text_bytes(), page.gzip_bytes());
    (page, PageMade { series, identity_bytes, gzip_bytes })
}
