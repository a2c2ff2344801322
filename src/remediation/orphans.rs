//! Runs that nobody continues: their cluster's name is no longer configured, and no configured
//! cluster has its id.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    clock::SharedClock,
    store::Store,
    telemetry::{Telemetry, chain},
};

const CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// Checks between two log lines: one line an hour.
const CHECKS_PER_LINE: u32 = 60;

/// Counts orphaned runs until `stop`, and logs them once an hour.
pub(super) async fn watch(
    store: &Store,
    clock: &SharedClock,
    telemetry: &Telemetry,
    stop: CancellationToken,
) {
    let mut checks: u32 = 0;
    loop {
        // First of all: a renamed cluster has not answered yet.
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(CHECK_INTERVAL) => (),
        }

        let orphaned = match store.orphaned_runs().await {
            Ok(orphaned) => orphaned,
            Err(failure) => {
                error!(error = chain(&failure), "Cannot look for orphaned runs.");
                continue;
            }
        };
        if checks.is_multiple_of(CHECKS_PER_LINE) {
            for it in &orphaned {
                error!(
                    cluster = %it.cluster, runs = it.runs,
                    "Changes are in effect on a cluster that is not configured: nobody undoes them. \
                     Configure it again, or undo them by hand; `kafka-optimizer runs` lists them."
                );
            }
        }

        checks = if orphaned.is_empty() { 0 } else { checks.wrapping_add(1) };
        let counts = orphaned.into_iter().map(|it| (it.cluster, u64::from(it.runs)));
        telemetry.orphans_counted(counts.collect());
    }
}
