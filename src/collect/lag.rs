//! Lag, from committed offsets and log ends. Pure.
//!
//! Invariant: what is not known is [`Reading::Unknown`], never 0; a sum with a hole in it is not a
//! sum.

use std::collections::{BTreeMap, HashSet};

use crate::{
    kafka::CommittedOffset,
    model::{Reading, TopicName},
    snapshot::{GroupPartition, GroupTopic, Offsets},
};

/// What is worth a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LagCount {
    /// Commits ahead of the log end.
    pub(super) ahead: u64,
    /// Commits whose lag is not known.
    pub(super) unknown: u64,
}

/// What a group has committed, by topic. Partitions that the topology no longer has are left out;
/// those of a topic whose metadata could not be read stay, with an unknown lag.
pub(super) fn by_topic(
    commits: Vec<CommittedOffset>,
    ends: &Offsets,
    unreadable: &HashSet<TopicName>,
    count: &mut LagCount,
) -> Vec<GroupTopic> {
    let mut topics: BTreeMap<TopicName, Vec<GroupPartition>> = BTreeMap::new();
    for CommittedOffset { at, offset } in commits {
        // Kafka says -1 for a partition that the group never committed.
        if offset.is_ok_and(|it| it < 0) {
            continue;
        }
        let last = match end_of(ends, &at.topic, at.partition) {
            Some(last) => last,
            None if unreadable.contains(&at.topic) => Reading::Unknown,
            None => continue,
        };
        let committed = offset.ok().into();
        let lag = between(committed, last, count);
        let partition = GroupPartition { partition: at.partition, committed, lag };
        topics.entry(at.topic).or_default().push(partition);
    }
    topics.into_iter().map(|(topic, partitions)| of_topic(topic, partitions)).collect()
}

/// Commits are read after ends, so a live group may be ahead of the end we saw; so is a group whose
/// topic lost records. There is nothing left to read then.
fn between(committed: Reading<i64>, last: Reading<i64>, count: &mut LagCount) -> Reading<u64> {
    let (Reading::Known(committed), Reading::Known(last)) = (committed, last) else {
        count.unknown = count.unknown.saturating_add(1);
        return Reading::Unknown;
    };
    if last < committed {
        count.ahead = count.ahead.saturating_add(1);
    }
    Reading::Known(u64::try_from(last.saturating_sub(committed)).unwrap_or(0))
}

fn of_topic(topic: TopicName, mut partitions: Vec<GroupPartition>) -> GroupTopic {
    partitions.sort_by_key(|it| it.partition);
    let committed_sum = sum(partitions.iter().map(|it| it.committed), i64::saturating_add);
    let lag_sum = sum(partitions.iter().map(|it| it.lag), u64::saturating_add);
    GroupTopic { topic, partitions, committed_sum, lag_sum }
}

fn sum<T: Default>(parts: impl Iterator<Item = Reading<T>>, add: impl Fn(T, T) -> T) -> Reading<T> {
    let mut total = T::default();
    for part in parts {
        match part {
            Reading::Known(part) => total = add(total, part),
            Reading::Unknown => return Reading::Unknown,
        }
    }
    Reading::Known(total)
}

/// The log end, if the topology has the partition.
fn end_of(ends: &Offsets, topic: &TopicName, partition: i32) -> Option<Reading<i64>> {
    let partitions = ends.get(topic)?;
    let at = partitions.binary_search_by_key(&partition, |(index, _)| *index).ok()?;
    partitions.get(at).map(|(_, ends)| ends.last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kafka::PartitionFault, model::TopicPartition, snapshot::Ends};

    /// Ends of partitions 0, 1, … of topic `t`.
    fn ends(lasts: &[Option<i64>]) -> Offsets {
        let partitions = (0..)
            .zip(lasts)
            .map(|(index, last)| (index, Ends { first: Reading::Unknown, last: (*last).into() }));
        [(TopicName::new("t"), partitions.collect())].into()
    }

    fn commit(topic: &str, partition: i32, offset: Result<i64, PartitionFault>) -> CommittedOffset {
        CommittedOffset { at: TopicPartition { topic: TopicName::new(topic), partition }, offset }
    }

    /// Lags and their sum of topic `t`, or of what the commits hold instead.
    #[track_caller]
    fn check(
        lasts: &[Option<i64>],
        commits: &[(i32, i64)],
        want: &[Option<u64>],
        want_sum: Option<u64>,
        want_count: (u64, u64),
    ) {
        let commits = commits.iter().map(|(at, offset)| commit("t", *at, Ok(*offset))).collect();
        let mut count = LagCount::default();
        let topics = by_topic(commits, &ends(lasts), &HashSet::new(), &mut count);
        let topic = topics.first().expect("a topic");
        let lags: Vec<Option<u64>> = topic.partitions.iter().map(|it| it.lag.known()).collect();
        assert_eq!(lags, want);
        assert_eq!(topic.lag_sum.known(), want_sum);
        assert_eq!((count.ahead, count.unknown), want_count);
    }

    #[test]
    fn lag_is_the_end_minus_the_commit() {
        check(&[Some(10), Some(7)], &[(1, 7), (0, 4)], &[Some(6), Some(0)], Some(6), (0, 0));
    }

    #[test]
    fn an_unknown_end_leaves_no_lag_and_no_sum() {
        check(&[Some(10), None], &[(0, 4), (1, 7)], &[Some(6), None], None, (0, 1));
    }

    #[test]
    fn a_commit_ahead_of_the_end_is_no_lag_and_is_counted() {
        check(&[Some(10)], &[(0, 25)], &[Some(0)], Some(0), (1, 0));
    }

    #[test]
    fn a_partition_never_committed_is_absent_and_does_not_spoil_the_sum() {
        check(&[Some(10), Some(9)], &[(0, 4), (1, -1)], &[Some(6)], Some(6), (0, 0));
    }

    #[test]
    fn a_commit_that_could_not_be_read_spoils_both_sums() {
        let commits = vec![commit("t", 0, Err(PartitionFault::Other)), commit("t", 1, Ok(3))];
        let mut count = LagCount::default();
        let topics = by_topic(commits, &ends(&[Some(5), Some(5)]), &HashSet::new(), &mut count);
        assert_eq!(topics[0].committed_sum, Reading::Unknown);
        assert_eq!(topics[0].lag_sum, Reading::Unknown);
    }

    #[test]
    fn a_topic_that_is_gone_is_left_out_and_an_unreadable_one_is_unknown() {
        let commits =
            vec![commit("gone", 0, Ok(3)), commit("dark", 0, Ok(3)), commit("t", 9, Ok(1))];
        let dark = HashSet::from([TopicName::new("dark")]);
        let mut count = LagCount::default();
        let topics = by_topic(commits, &ends(&[Some(5)]), &dark, &mut count);
        assert_eq!(topics.len(), 1);
        assert_eq!(topics[0].topic.as_str(), "dark");
        assert_eq!(topics[0].partitions[0].lag, Reading::Unknown);
        assert_eq!(topics[0].committed_sum, Reading::Known(3));
    }
}
