//! What the brokers' containers use. An engine takes about a second to say, so it is asked beside
//! the rounds, which take whatever is there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::kept::{Kept, Moment};
use crate::{
    clock::SharedClock,
    docker::SharedDocker,
    model::{ClusterName, ContainerUsage, ReadFailure},
    telemetry::{CollectorDone, CollectorName, Telemetry},
};

/// Ten times what an engine takes.
const DEADLINE: Duration = Duration::from_secs(10);

/// What was last read, for the rounds.
pub(super) type LastUse = watch::Receiver<Option<Kept<Vec<ContainerUsage>>>>;

pub(super) struct Containers {
    pub(super) docker: SharedDocker,
    pub(super) cluster: ClusterName,
    pub(super) clock: SharedClock,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) interval: Duration,
    pub(super) found: watch::Sender<Option<Kept<Vec<ContainerUsage>>>>,
}

impl Containers {
    /// Never ends by itself.
    pub(super) async fn run(self) {
        loop {
            let began = Moment::now(&self.clock);
            self.round(began).await;
            let took = Moment::now(&self.clock).since(began.uptime);
            self.clock.sleep(self.interval.saturating_sub(took)).await;
        }
    }

    async fn round(&self, began: Moment) {
        let read = tokio::select! {
            read = self.docker.broker_usage(self.cluster.as_str()) => {
                read.map_err(|error| (ReadFailure::Refused, error.to_string()))
            }
            () = self.clock.sleep(DEADLINE) => {
                Err((ReadFailure::Timeout, format!("no answer within {DEADLINE:?}")))
            }
        };
        let ended = Moment::now(&self.clock);
        let (failure, unknown) = match read {
            Ok(mut found) => {
                found.sort_by_key(|it| it.broker);
                // Two containers that both say they are one broker would be two samples of one
                // series.
                found.dedup_by_key(|it| it.broker);
                self.found.send_replace(Some(Kept::new(found, ended)));
                (None, BTreeMap::new())
            }
            Err((reason, text)) => (Some(text), BTreeMap::from([(reason, 1)])),
        };
        let collector = CollectorName::Containers;
        let took = ended.since(began.uptime);
        let done = CollectorDone { collector, failure, took, at: ended.wall, unknown };
        self.telemetry.collector_done(&self.cluster, done);
    }
}
