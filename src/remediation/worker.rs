//! One worker for each cluster: takes runs one at a time (I10), the open ones of an earlier process
//! first.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    context::Context,
    reconcile::{Outcome, reconcile},
    schedule::{self, Told},
    transition, view,
};
use crate::{
    model::{HoldReason, MonotonicTime, RunEvent, RunId, RunState},
    store::{RunRow, RunUpdate, StoreError},
    telemetry::chain,
};

/// How often a held run is looked at again, and the store after it could not be written.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Runs of a cluster that are looked at; those behind them wait as `held: queue_full` (I2).
const QUEUE_MAX: usize = 100;

/// What a worker remembers from pass to pass; losing it costs nothing but a repeated look.
#[derive(Default)]
struct Memory {
    told: Told,
    /// When each held run was looked at: a storm of alerts must not become a storm of questions.
    looked: BTreeMap<RunId, MonotonicTime>,
}

/// Works until `stop`.
pub(super) async fn run(context: Context, stop: CancellationToken) {
    let mut memory = Memory::default();
    while !stop.is_cancelled() {
        if let Err(failure) = pass(&context, &mut memory, &stop).await {
            // Nothing was done that is not stored; the next pass takes up where the store says.
            error!(error = chain(&failure), "Remediation cannot use its store, trying again.");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = context.clock.sleep(LOOK_AGAIN) => (),
            () = context.wake.notified() => (),
        }
    }
}

/// Looks at everything once; ends when every open run is held or over.
async fn pass(
    context: &Context,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    loop {
        schedule::due(context, Some(&mut memory.told)).await?;
        view::publish(context).await?;
        let open = context.store.open_runs(&context.cluster.name).await?;
        memory.looked.retain(|id, _| open.iter().any(|it| it.id == *id));
        if all_held(context, (open, memory), stop).await? == Looked::Everything
            || stop.is_cancelled()
        {
            return Ok(());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// No run moved.
    Everything,
    /// A run ended, which took time: what is open may have changed.
    UntilOneEnded,
}

async fn all_held(
    context: &Context,
    (open, memory): (Vec<RunRow>, &mut Memory),
    stop: &CancellationToken,
) -> Result<Looked, StoreError> {
    // What may be half done comes before what a person wants undone, and that before all that
    // waits.
    let mut open = open;
    open.sort_by_key(|it| (!it.state.is_active(), !it.undo_requested, it.id));
    for (place, run) in open.into_iter().enumerate() {
        if stop.is_cancelled() || over(context, &run).await? {
            continue;
        }
        if QUEUE_MAX <= place {
            // Said once: in a storm of alerts, thousands wait.
            if run.hold != Some(HoldReason::QueueFull) || run.note.is_none() {
                let note = format!("{QUEUE_MAX} runs wait before it");
                transition::hold(context, &run, (HoldReason::QueueFull, note)).await?;
            }
            continue;
        }
        let now = context.clock.monotonic();
        let looked = memory.looked.get(&run.id).map(|it| now.0.saturating_sub(it.0));
        let rests = matches!(run.state, RunState::Held | RunState::Kept) && !run.undo_requested;
        if rests && looked.is_some_and(|it| it < LOOK_AGAIN) {
            continue;
        }
        if reconcile(context, run.id, stop).await? != Outcome::Held {
            return Ok(Looked::UntilOneEnded);
        }
        memory.looked.insert(run.id, now);
    }
    Ok(Looked::Everything)
}

/// Cancels a waiting run whose episodes are all over (I6). An order has none, and is not over for
/// that.
async fn over(context: &Context, run: &RunRow) -> Result<bool, StoreError> {
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
    let (open, all) = context.store.claims(run.id).await?;
    if !waits || 0 < open || all == 0 {
        return Ok(false);
    }
    let change =
        RunUpdate { note: Some("the alert is resolved".to_owned()), ..RunUpdate::default() };
    transition::transition(context, run, RunEvent::Cancel, change).await?;
    Ok(true)
}
