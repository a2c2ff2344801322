//! The worker of one cluster. It reconciles one run at a time (I10), the most urgent one that is
//! due, and decides anew after each: scheduling, preemption, expiry, pauses and a person's orders
//! all take effect here.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{
    ActiveClusters,
    context::Context,
    guard, identity, orders,
    queue::{Queue, Rank},
    reconcile::{Requeue, reconcile},
    schedule::{self, ScheduleState},
    temporary,
    transition::{roll_back, transition},
    view,
};
use crate::{
    model::{ClusterName, EpisodeEnd, MonotonicTime, RollbackReason, RunEvent, RunState, Verdict},
    store::{Priority, RunRow, RunUpdate, StoreError},
    telemetry::chain,
};

/// How often a waiting run is checked, and how long to wait after the store failed.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Maximum number of critical runs that are checked in one scrape interval while another run is
/// observed: each check takes queries to Prometheus and to the brokers.
const CRITICAL_MAX: usize = 10;

/// Number of usual runs that wait and that are checked in one [`CHECK_INTERVAL`]: each check takes
/// queries to Prometheus and to the brokers.
const CHECKS_MAX: usize = 100;

/// How long waiting runs are checked before the worker decides anew, and how often it looks for new
/// alerts between two turns.
const DECISION_INTERVAL: Duration = Duration::from_secs(1);

/// Pause after a run was in another state than the worker had read: a person may have ended it.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

/// What a worker keeps between passes. Losing it costs a repeated check.
#[derive(Default)]
struct WorkerState {
    schedule: ScheduleState,
    /// When alerts were last turned into runs; `None` after the worker has slept.
    scheduled: Option<MonotonicTime>,
    queue: Queue,
}

/// Runs until `stop`. Does nothing while the cluster is not configured.
pub(super) async fn run(
    active: watch::Receiver<Arc<ActiveClusters>>,
    cluster: ClusterName,
    stop: CancellationToken,
) {
    let mut state = WorkerState::default();
    while !stop.is_cancelled() {
        // The configuration may have been reloaded since the last turn.
        let context = active.borrow().cluster(&cluster).cloned();
        let Some(context) = context else { return stop.cancelled().await };

        guard::actor::take_part(&context).await;
        let turn = pass(&context, &mut state, &stop).await;
        context.telemetry.store_used(context.store.is_usable());
        let wait = match turn {
            Ok(PassOutcome::Reconciled) => continue,
            Ok(PassOutcome::Wait(wait)) => wait,
            Err(StoreError::InvalidTransition { run, problem }) => {
                info!(%run, %problem, "The run changed while it was checked, trying again.");
                CONFLICT_PAUSE
            }
            Err(failure) => {
                // Nothing was done that is not stored; the next pass continues from there.
                error!(error = chain(&failure), "Remediation cannot use its store, trying again.");
                CHECK_INTERVAL
            }
        };

        tokio::select! {
            () = stop.cancelled() => return,
            () = context.clock.sleep(wait) => (),
            () = context.wake.notified() => (),
        }
    }
}

/// Turns alerts into runs, if that was not done a moment ago, and lets one run have its turn.
async fn pass(
    context: &Context,
    state: &mut WorkerState,
    stop: &CancellationToken,
) -> Result<PassOutcome, StoreError> {
    let now = context.clock.monotonic();
    let is_recent = |it: MonotonicTime| now.0.saturating_sub(it.0) < DECISION_INTERVAL;
    if !state.scheduled.is_some_and(is_recent) {
        orders::note_pause_by_hand(context).await?;
        schedule::add_runs(context, &mut state.schedule).await?;
        cancel_resolved(context).await?;
        state.scheduled = Some(now);
    }

    // Before anything is undone or resumed: the open runs may belong to another cluster.
    let is_identified = identity::settle(context).await?;
    let open = context.store.open_runs(&context.cluster.name).await?;
    let is_ended = |it: &RunRow| matches!(it.state, RunState::Kept | RunState::Stuck);
    let waiting = |it: &RunRow| !it.state.is_active() && !is_ended(it);
    let open = open.into_iter().filter(|it| is_identified || waiting(it)).collect();

    let outcome = take_turn(context, &mut state.queue, open, stop).await?;
    if matches!(outcome, PassOutcome::Wait(_)) {
        // Each transition has published what it changed; this is for what changes with time.
        view::publish(context).await?;
        state.scheduled = None;
    }

    Ok(outcome)
}

/// What came of one pass over the queue.
enum PassOutcome {
    /// A run was reconciled, so that another one may be more urgent now.
    Reconciled,
    /// No run is due before this time has passed.
    Wait(Duration),
}

/// Reconciles the most urgent run that is due and may have its turn.
async fn take_turn(
    context: &Context,
    queue: &mut Queue,
    open: Vec<RunRow>,
    stop: &CancellationToken,
) -> Result<PassOutcome, StoreError> {
    let runs = queue.sort(open);
    let now = context.clock.monotonic();

    // Where many wait, each is checked less often.
    let waiting = runs.iter().filter(|(rank, _)| *rank == Rank::Waits).count();
    let rounds = u32::try_from(waiting.div_ceil(CHECKS_MAX)).unwrap_or(u32::MAX);
    let mut next = MonotonicTime(now.0.saturating_add(CHECK_INTERVAL));

    for (rank, run) in &runs {
        if stop.is_cancelled() {
            break;
        }

        let due = queue.due(run.id).filter(|_| *rank != Rank::RollbackOrdered);
        if let Some(due) = due.filter(|it| *it > now) {
            next = next.min(due);
            continue;
        }

        match admit(context, &runs, *rank, run).await? {
            Admission::Granted => (),
            Admission::GaveWay => return Ok(PassOutcome::Reconciled),
            Admission::Denied => continue,
        }

        let requeue = reconcile(context, run.id, queue.progress(run.id), stop).await?;
        let done = context.clock.monotonic();
        let pause = match requeue {
            Requeue::Done => None,
            Requeue::After(pause) => Some(pause),
            Requeue::Waiting if *rank == Rank::Waits => Some(CHECK_INTERVAL.saturating_mul(rounds)),
            Requeue::Waiting => Some(CHECK_INTERVAL),
        };
        match pause {
            Some(pause) => {
                queue.requeue(run.id, done, MonotonicTime(done.0.saturating_add(pause)));
            }
            None => queue.forget(run.id),
        }

        // A run that goes on waiting changes nothing for the next one.
        let is_long = done.0.saturating_sub(now.0) >= DECISION_INTERVAL;
        if requeue != Requeue::Waiting || is_long {
            return Ok(PassOutcome::Reconciled);
        }
    }

    Ok(PassOutcome::Wait(next.0.saturating_sub(now.0)))
}

/// Whether a run that is due may have its turn.
enum Admission {
    Granted,
    /// Another run has given way to it, and is undone first.
    GaveWay,
    Denied,
}

/// Decides whether `run` may have its turn beside the other open runs.
async fn admit(
    context: &Context,
    runs: &[(Rank, RunRow)],
    rank: Rank,
    run: &RunRow,
) -> Result<Admission, StoreError> {
    let observed = runs.iter().map(|(_, it)| it).find(|it| is_observed(it) && it.id != run.id);

    // An undo that waits for its next try has the cluster all the same (I10).
    let is_other_writing = runs.iter().any(|(rank, it)| *rank == Rank::Writing && it.id != run.id);

    match rank {
        Rank::Writing => Ok(Admission::Granted),
        Rank::RollbackOrdered | Rank::Temporary if is_other_writing => Ok(Admission::Denied),
        // A person does not wait for the end of somebody else's observation.
        Rank::RollbackOrdered => match observed.filter(|it| !it.undo_requested) {
            Some(other) => {
                let text = format!("run {} is rolled back within the observation", run.id);
                give_way(context, other, RollbackReason::Overlap, text).await
            }
            None => Ok(Admission::Granted),
        },
        Rank::Observed => match find_preempting(context, runs, run).await {
            Some(other) => {
                let text = format!("run {} of a critical alert waits", other.id);
                give_way(context, run, RollbackReason::Preempted, text).await
            }
            None => Ok(Admission::Granted),
        },
        Rank::Temporary => match observed {
            // No end of another run helps a stuck one.
            Some(other) if run.state == RunState::Kept && temporary::is_overdue(context, run) => {
                let text = format!("the temporary change of run {} had to expire", run.id);
                give_way(context, other, RollbackReason::Overlap, text).await
            }
            Some(_) => Ok(Admission::Denied),
            None => Ok(Admission::Granted),
        },
        // Also what a person ordered: two changes at once cannot be told apart.
        Rank::PersonWaits | Rank::CriticalWaits | Rank::Waits => {
            let is_busy = runs.iter().any(|(rank, it)| *rank == Rank::Writing || is_observed(it));
            Ok(if is_busy { Admission::Denied } else { Admission::Granted })
        }
    }
}

const fn is_observed(run: &RunRow) -> bool {
    matches!(run.state, RunState::Settling | RunState::Observing)
}

/// Ends an observation without a judgement, for the sake of another run.
async fn give_way(
    context: &Context,
    run: &RunRow,
    reason: RollbackReason,
    text: String,
) -> Result<Admission, StoreError> {
    let verdict = Verdict::Inconclusive;
    context.telemetry.verdict_given(&context.cluster.name, run.optimizer, verdict);
    roll_back(context, run, reason, Some(verdict), text).await?;

    Ok(Admission::GaveWay)
}

/// The run of a critical alert of another playbook that `run` gives way to: one that would start
/// now (I40). Critical runs do not end each other.
async fn find_preempting<'a>(
    context: &Context,
    runs: &'a [(Rank, RunRow)],
    run: &RunRow,
) -> Option<&'a RunRow> {
    if run.priority == Priority::Critical {
        return None;
    }

    let waiting = runs.iter().filter(|(rank, _)| *rank == Rank::CriticalWaits).map(|(_, it)| it);
    let waiting = waiting.filter(|it| it.playbook != run.playbook);

    for other in waiting.take(CRITICAL_MAX) {
        if guard::may_preempt(context, other).await.is_ok() {
            return Some(other);
        }
    }

    None
}

/// Cancels the runs of alerts that wait although all of their episodes are closed (I6). What a
/// person ordered does not depend on an alert.
async fn cancel_resolved(context: &Context) -> Result<(), StoreError> {
    for run in context.store.resolved_runs(&context.cluster.name).await? {
        let note = match context.store.claims(run.id).await?.last_end {
            None | Some(EpisodeEnd::Resolved) => "the alert is resolved",
            Some(EpisodeEnd::NotFiring) => "Prometheus no longer reports the alert",
            Some(EpisodeEnd::Silent) => "no notification of the alert came for a day",
            Some(EpisodeEnd::Replaced) => "the alert ended and fires again",
            Some(EpisodeEnd::Unmatched) => "the playbook no longer matches the alert",
        };
        let note = Some(note.to_owned());
        let change = RunUpdate { note, ..RunUpdate::default() };
        transition(context, &run, RunEvent::Cancel, change).await?;
    }

    Ok(())
}
