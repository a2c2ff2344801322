//! The order in which the runs of a cluster are reconciled.

use std::collections::{BTreeMap, BTreeSet};

use super::reconcile::Progress;
use crate::{
    model::{MonotonicTime, RunId, RunState, Trigger},
    store::{Priority, RunRow},
};

/// What a run that is open waits for, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Its steps are being written or undone; meanwhile nothing else is written.
    Writing,
    /// A person wants it rolled back.
    RollbackOrdered,
    Observed,
    /// A temporary change, which expires when it is time, or a stuck run, which is tried again.
    Temporary,
    /// A person ordered it, and waits for an answer.
    PersonWaits,
    CriticalWaits,
    Waits,
}

impl Rank {
    /// `None` for a run that has ended.
    pub(super) fn of(run: &RunRow) -> Option<Self> {
        match run.state {
            RunState::Acting | RunState::RollingBack | RunState::Expiring => Some(Self::Writing),
            RunState::Settling | RunState::Observing | RunState::Kept | RunState::Stuck
                if run.undo_requested =>
            {
                Some(Self::RollbackOrdered)
            }
            RunState::Settling | RunState::Observing => Some(Self::Observed),
            RunState::Kept | RunState::Stuck => Some(Self::Temporary),
            RunState::Queued
            | RunState::Held
            | RunState::AwaitingApproval
            | RunState::Rehearsed => Some(match (run.trigger, run.priority) {
                (Trigger::Person, _) => Self::PersonWaits,
                (Trigger::Alert, Priority::Critical) => Self::CriticalWaits,
                (Trigger::Alert, Priority::Normal) => Self::Waits,
            }),
            RunState::Expired | RunState::RolledBack | RunState::Cancelled => None,
        }
    }
}

/// What is remembered of an open run.
#[derive(Default)]
struct Entry {
    /// When it is reconciled again; `None` if it has not been yet.
    due: Option<MonotonicTime>,
    reconciled: Option<MonotonicTime>,
    progress: Progress,
}

/// The open runs of a cluster, as far as this process has seen them. It may be lost: then each of
/// them is due.
#[derive(Default)]
pub(super) struct Queue {
    entries: BTreeMap<RunId, Entry>,
}

impl Queue {
    /// The runs, most urgent first; within a rank, the least recently reconciled first. Forgets the
    /// runs that are not open any longer.
    pub(super) fn sort(&mut self, open: Vec<RunRow>) -> Vec<(Rank, RunRow)> {
        let ids: BTreeSet<RunId> = open.iter().map(|it| it.id).collect();
        self.entries.retain(|id, _| ids.contains(id));

        let ranked = open.into_iter().filter_map(|it| Some((Rank::of(&it)?, it)));
        let mut ranked: Vec<(Rank, RunRow)> = ranked.collect();
        ranked.sort_by_key(|(rank, run)| {
            let seen = self.entries.get(&run.id).and_then(|it| it.reconciled);
            (*rank, seen, run.id)
        });

        ranked
    }

    /// When the run is due; at once if it has never been reconciled.
    pub(super) fn due(&self, run: RunId) -> Option<MonotonicTime> {
        self.entries.get(&run)?.due
    }

    pub(super) fn progress(&mut self, run: RunId) -> &mut Progress {
        &mut self.entries.entry(run).or_default().progress
    }

    /// Notes that the run was reconciled, and is due again at `due`.
    pub(super) fn requeue(&mut self, run: RunId, now: MonotonicTime, due: MonotonicTime) {
        let entry = self.entries.entry(run).or_default();
        entry.reconciled = Some(now);
        entry.due = Some(due);
    }

    pub(super) fn forget(&mut self, run: RunId) {
        self.entries.remove(&run);
    }
}
