//! The worker of one cluster: handles one run at a time (I10), active runs first.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    ActiveClusters,
    context::Context,
    guard,
    hold::Hold,
    identity,
    reconcile::{Outcome, reconcile},
    schedule::{self, Reported},
    transition::{self, transition},
    view,
};
use crate::{
    model::{ClusterName, HoldReason, MonotonicTime, RunEvent, RunId, RunState},
    store::{RunRow, RunUpdate, StoreError},
    telemetry::chain,
};

/// How often a held run is checked, and how long to wait after the store failed.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Maximum number of open runs that are checked; the others wait as `held: queue_full` (I2).
const QUEUE_MAX: usize = 100;

/// What a worker keeps between passes. Losing it costs a repeated check.
#[derive(Default)]
struct WorkerState {
    reported: Reported,
    /// When each held run was last checked: a storm of alerts must not become a storm of queries.
    checked: BTreeMap<RunId, MonotonicTime>,
}

/// Runs until `stop`. Does nothing while the cluster is not configured.
pub(super) async fn run(
    active: watch::Receiver<Arc<ActiveClusters>>,
    cluster: ClusterName,
    stop: CancellationToken,
) {
    let mut state = WorkerState::default();
    while !stop.is_cancelled() {
        // The configuration may have been reloaded since the last pass.
        let context = active.borrow().cluster(&cluster).cloned();
        let Some(context) = context else { return stop.cancelled().await };

        guard::actor::take_part(&context).await;
        if let Err(failure) = pass(&context, &mut state, &stop).await {
            // Nothing was done that is not stored; the next pass continues from there.
            error!(error = chain(&failure), "Remediation cannot use its store, trying again.");
        }
        context.telemetry.store_used(context.store.is_usable());

        tokio::select! {
            () = stop.cancelled() => return,
            () = context.clock.sleep(CHECK_INTERVAL) => (),
            () = context.wake.notified() => (),
        }
    }
}

/// Handles the open runs until all of them are held or ended.
async fn pass(
    context: &Context,
    state: &mut WorkerState,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    loop {
        schedule::add_runs(context, Some(&mut state.reported)).await?;
        view::publish(context).await?;

        // Before anything is undone or resumed: the open runs may belong to another cluster.
        let is_identified = identity::settle(context).await?;

        let open = context.store.open_runs(&context.cluster.name).await?;
        state.checked.retain(|id, _| open.iter().any(|it| it.id == *id));

        let waiting = |it: &RunRow| !it.state.is_active() && it.state != RunState::Kept;
        let open = open.into_iter().filter(|it| is_identified || waiting(it)).collect();
        let all_held = check_all(context, open, state, stop).await?;
        if all_held || stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Checks the open runs in order. Returns whether all are held. Stops after the first run that is
/// not: that took time, and other runs may be open now.
async fn check_all(
    context: &Context,
    mut open: Vec<RunRow>,
    state: &mut WorkerState,
    stop: &CancellationToken,
) -> Result<bool, StoreError> {
    // Active runs first, then requested rollbacks, then waiting runs.
    open.sort_by_key(|it| (!it.state.is_active(), !it.undo_requested, it.id));

    for (position, run) in open.into_iter().enumerate() {
        if stop.is_cancelled() || cancel_if_resolved(context, &run).await? {
            continue;
        }
        if position >= QUEUE_MAX {
            hold_in_full_queue(context, &run).await?;
            continue;
        }

        let now = context.clock.monotonic();
        let since_check = state.checked.get(&run.id).map(|it| now.0.saturating_sub(it.0));
        let can_wait = matches!(run.state, RunState::Held | RunState::Kept) && !run.undo_requested;
        if can_wait && since_check.is_some_and(|it| it < CHECK_INTERVAL) {
            continue;
        }

        if reconcile(context, run.id, stop).await? != Outcome::Held {
            return Ok(false);
        }
        state.checked.insert(run.id, now);
    }
    Ok(true)
}

/// Holds the run, once: in a storm of alerts thousands wait.
async fn hold_in_full_queue(context: &Context, run: &RunRow) -> Result<(), StoreError> {
    if run.hold == Some(HoldReason::QueueFull) && run.note.is_some() {
        return Ok(());
    }
    let detail = format!("{QUEUE_MAX} runs wait before it");
    transition::hold(context, run, Hold::new(HoldReason::QueueFull, detail)).await
}

/// Cancels a waiting run once all its episodes are closed (I6). A manual run has no episodes and is
/// never cancelled here. Returns whether it was cancelled.
async fn cancel_if_resolved(context: &Context, run: &RunRow) -> Result<bool, StoreError> {
    let waits = match run.state {
        RunState::Queued | RunState::Held | RunState::AwaitingApproval => true,
        RunState::Rehearsed
        | RunState::Acting
        | RunState::Settling
        | RunState::Observing
        | RunState::Kept
        | RunState::Expiring
        | RunState::Expired
        | RunState::RollingBack
        | RunState::RolledBack
        | RunState::Stuck
        | RunState::Cancelled => false,
    };
    let claims = context.store.claims(run.id).await?;
    if !waits || claims.open > 0 || claims.all == 0 {
        return Ok(false);
    }

    let note = Some("the alert is resolved".to_owned());
    let change = RunUpdate { note, ..RunUpdate::default() };
    transition(context, run, RunEvent::Cancel, change).await?;

    Ok(true)
}
