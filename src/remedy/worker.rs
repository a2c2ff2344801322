//! One worker for each cluster: takes runs one at a time (I10), the open ones of an earlier process
//! first.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    context::Context,
    drive::{Driven, drive},
    moves,
    schedule::{self, Told},
    view,
};
use crate::{
    model::{Hold, RunEvent, RunId, RunState, Uptime},
    store::{Change, RunRow, StoreError},
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
    looked: BTreeMap<RunId, Uptime>,
}

/// Works until `stop`.
pub(super) async fn run(at: Context, stop: CancellationToken) {
    let mut memory = Memory::default();
    while !stop.is_cancelled() {
        if let Err(failure) = pass(&at, &mut memory, &stop).await {
            // Nothing was done that is not stored; the next pass takes up where the store says.
            error!(error = chain(&failure), "Remediation cannot use its store, trying again.");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = at.clock.sleep(LOOK_AGAIN) => (),
            () = at.wake.notified() => (),
        }
    }
}

/// Looks at everything once; ends when every open run is held or over.
async fn pass(
    at: &Context,
    memory: &mut Memory,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    loop {
        schedule::due(at, Some(&mut memory.told)).await?;
        view::publish(at).await?;
        let open = at.store.open_runs(&at.cluster.name).await?;
        memory.looked.retain(|id, _| open.iter().any(|it| it.id == *id));
        if all_held(at, (open, memory), stop).await? == Looked::Everything || stop.is_cancelled() {
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
    at: &Context,
    (open, memory): (Vec<RunRow>, &mut Memory),
    stop: &CancellationToken,
) -> Result<Looked, StoreError> {
    // What may be half done comes before what a person wants undone, and that before all that
    // waits.
    let mut open = open;
    open.sort_by_key(|it| (!it.state.is_active(), !it.undo_requested, it.id));
    for (place, run) in open.into_iter().enumerate() {
        if stop.is_cancelled() || over(at, &run).await? {
            continue;
        }
        if QUEUE_MAX <= place {
            // Said once: in a storm of alerts, thousands wait.
            if run.hold != Some(Hold::QueueFull) || run.note.is_none() {
                let note = format!("{QUEUE_MAX} runs wait before it");
                moves::hold(at, &run, (Hold::QueueFull, note)).await?;
            }
            continue;
        }
        let now = at.clock.uptime();
        let looked = memory.looked.get(&run.id).map(|it| now.0.saturating_sub(it.0));
        let rests = matches!(run.state, RunState::Held | RunState::Kept) && !run.undo_requested;
        if rests && looked.is_some_and(|it| it < LOOK_AGAIN) {
            continue;
        }
        if drive(at, run.id, stop).await? != Driven::Held {
            return Ok(Looked::UntilOneEnded);
        }
        memory.looked.insert(run.id, now);
    }
    Ok(Looked::Everything)
}

/// Cancels a waiting run whose episodes are all over (I6). An order has none, and is not over for
/// that.
async fn over(at: &Context, run: &RunRow) -> Result<bool, StoreError> {
    let waits = match run.state {
        RunState::Queued | RunState::Held | RunState::AwaitingApproval => true,
        RunState::Rehearsed
        | RunState::Acting
        | RunState::Settling
        | RunState::Observing
        | RunState::Kept
        | RunState::Lifting
        | RunState::Lifted
        | RunState::RollingBack
        | RunState::RolledBack
        | RunState::Stuck
        | RunState::Cancelled => false,
    };
    let (open, all) = at.store.claims(run.id).await?;
    if !waits || 0 < open || all == 0 {
        return Ok(false);
    }
    let change = Change { note: Some("the alert is resolved".to_owned()), ..Change::default() };
    moves::move_to(at, run, RunEvent::Cancel, change).await?;
    Ok(true)
}
