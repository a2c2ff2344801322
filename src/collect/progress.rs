//! Compares each group with earlier rounds: when its commits last advanced, and how often it
//! rebalanced.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use super::cached::Timestamps;
use crate::model::{GroupMembers, GroupName, GroupState, MonotonicTime, TopicOffsets, WallTime};

/// A group that was not seen for this long is forgotten. Longer than a broker is away, so that the
/// groups it coordinates keep their counts.
const MEMORY: Duration = Duration::from_mins(10);

/// The previous sample of a group, and its counts.
#[derive(Clone, Copy, Debug)]
struct Previous {
    seen: MonotonicTime,
    /// Partitions with a commit, and the sum of their offsets.
    commits: Option<(usize, i64)>,
    progressed: Option<WallTime>,
    state: GroupState,
    fingerprint: Option<u64>,
    rebalances: u64,
}

/// A group as this round has read it. `None` where it could not be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupSample<'a> {
    pub(super) state: GroupState,
    pub(super) members: Option<&'a GroupMembers>,
    pub(super) commits: Option<&'a [TopicOffsets]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupProgress {
    /// When a commit was last seen to advance; `None` if none has since this process started.
    pub(super) progressed: Option<WallTime>,
    pub(super) rebalances: u64,
}

#[derive(Debug, Default)]
pub(super) struct ProgressTracker {
    groups: HashMap<GroupName, Previous>,
}

impl ProgressTracker {
    /// Compares a group with its previous sample.
    pub(super) fn update(
        &mut self,
        group: &GroupName,
        sample: GroupSample<'_>,
        now: Timestamps,
    ) -> GroupProgress {
        let GroupSample { state, members, commits } = sample;
        let commits = commits.and_then(summed);
        let fingerprint = members.map(|it| it.fingerprint);
        let previous = match self.groups.entry(group.clone()) {
            Entry::Occupied(known) => {
                let previous = known.into_mut();
                previous.compare(state, fingerprint, commits, now);
                previous
            }
            Entry::Vacant(none) => none.insert(Previous {
                seen: now.monotonic,
                commits,
                progressed: None,
                state,
                fingerprint,
                rebalances: 0,
            }),
        };

        GroupProgress { progressed: previous.progressed, rebalances: previous.rebalances }
    }

    /// Drops groups that have not been seen for ten minutes.
    pub(super) fn forget(&mut self, now: Timestamps) {
        self.groups.retain(|_, it| now.since(it.seen) <= MEMORY);
    }
}

impl Previous {
    fn compare(
        &mut self,
        state: GroupState,
        fingerprint: Option<u64>,
        commits: Option<(usize, i64)>,
        now: Timestamps,
    ) {
        // A rebalance that begins, or one that happened between two rounds and changed the
        // assignment.
        let begins = state.is_rebalancing() && !self.state.is_rebalancing();
        let between = !state.is_rebalancing()
            && !self.state.is_rebalancing()
            && fingerprint.zip(self.fingerprint).is_some_and(|(now, then)| now != then);

        if begins || between {
            self.rebalances = self.rebalances.saturating_add(1);
        }

        if let Some((count, sum)) = commits {
            // Sums over different partitions cannot be compared; a group whose offsets were reset
            // backwards has not advanced.
            if self.commits.is_some_and(|(before, then)| before == count && then < sum) {
                self.progressed = Some(now.wall);
            }
            self.commits = commits;
        }

        self.fingerprint = fingerprint.or(self.fingerprint);
        self.state = state;
        self.seen = now.monotonic;
    }
}

/// `None` when one commit is unknown.
fn summed(commits: &[TopicOffsets]) -> Option<(usize, i64)> {
    let mut all = commits.iter().flat_map(|it| &it.partitions);
    all.try_fold((0, 0_i64), |(count, sum), (_, offset)| {
        Some((count + 1, sum.saturating_add((*offset).ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TopicName;

    const NAME: &str = "g";
    const NOTHING_KNOWN: GroupSample<'_> =
        GroupSample { state: GroupState::Empty, members: None, commits: None };

    fn at(seconds: u64) -> Timestamps {
        let monotonic = MonotonicTime(Duration::from_secs(seconds));
        Timestamps { wall: WallTime(0).after(monotonic.0), monotonic }
    }

    fn members(state: GroupState, fingerprint: u64) -> GroupMembers {
        GroupMembers {
            state,
            count: 1,
            fingerprint,
            static_members: 0,
            assignor: String::new(),
            assigned: None,
        }
    }

    #[track_caller]
    fn check_rebalances(rounds: &[(GroupState, u64)], want: u64) {
        let mut progress = ProgressTracker::default();
        let mut seen = 0;

        for (second, (state, fingerprint)) in (0..).zip(rounds) {
            let members = members(*state, *fingerprint);
            let sample = GroupSample { state: *state, members: Some(&members), commits: None };
            seen = progress.update(&GroupName::new(NAME), sample, at(second)).rebalances;
        }

        assert_eq!(seen, want, "{rounds:?}");
    }

    #[test]
    fn a_rebalance_counts_once_however_many_rounds_it_takes() {
        use GroupState::{CompletingRebalance, PreparingRebalance, Reconciling, Stable};
        check_rebalances(&[(Stable, 1), (Stable, 1)], 0);
        check_rebalances(&[(Stable, 1), (PreparingRebalance, 1), (CompletingRebalance, 2)], 1);
        check_rebalances(&[(Stable, 1), (Reconciling, 1), (Reconciling, 1), (Stable, 2)], 1);
        check_rebalances(&[(Stable, 1), (Reconciling, 2), (Stable, 2), (Reconciling, 3)], 2);
    }

    #[test]
    fn a_rebalance_that_fell_between_two_rounds_counts() {
        use GroupState::{Empty, Stable};
        check_rebalances(&[(Stable, 1), (Stable, 2)], 1);
        check_rebalances(&[(Stable, 1), (Empty, 0), (Stable, 1)], 2);
    }

    fn commits(offsets: &[Result<i64, crate::model::ReadFailure>]) -> Vec<TopicOffsets> {
        let partitions = (0..).zip(offsets.iter().copied()).collect();
        vec![TopicOffsets { topic: TopicName::new("t"), partitions }]
    }

    #[test]
    fn only_a_commit_that_advances_is_progress() {
        use crate::model::ReadFailure::Other;
        let mut progress = ProgressTracker::default();
        let mut update = |second, offsets: &[_]| {
            let commits = commits(offsets);
            let sample = GroupSample { commits: Some(&commits), ..NOTHING_KNOWN };
            progress.update(&GroupName::new(NAME), sample, at(second)).progressed
        };

        assert_eq!(update(0, &[Ok(5), Ok(5)]), None);
        assert_eq!(update(10, &[Ok(5), Ok(5)]), None);
        assert_eq!(update(20, &[Ok(6), Ok(5)]), Some(WallTime(20_000)));
        assert_eq!(update(30, &[Ok(9), Err(Other)]), Some(WallTime(20_000)), "a hole");
        assert_eq!(update(40, &[Ok(2), Ok(2)]), Some(WallTime(20_000)), "set back");
        assert_eq!(update(50, &[Ok(2), Ok(2), Ok(9)]), Some(WallTime(20_000)), "a new partition");
        assert_eq!(update(60, &[Ok(2), Ok(3), Ok(9)]), Some(WallTime(60_000)));
    }

    #[test]
    fn a_group_that_is_gone_is_forgotten() {
        let mut progress = ProgressTracker::default();
        progress.update(&GroupName::new(NAME), NOTHING_KNOWN, at(0));
        progress.forget(at(600));
        assert_eq!(progress.groups.len(), 1);
        progress.forget(at(601));
        assert!(progress.groups.is_empty());
    }
}
