//! Computes lag from committed offsets and log end offsets. Pure.
//!
//! Invariant: an unknown value is `None`, never 0. A sum or a maximum is unknown when one of its
//! parts is.

use std::collections::{HashMap, HashSet};

use super::history::{History, TopicHistory};
use crate::{
    model::{LagTime, MonotonicTime, OffsetRange, TopicName, TopicOffsets},
    snapshot::{GroupPartition, GroupTopic, Offsets, Retention},
};

/// Partitions to count in the metrics of the collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LagCount {
    /// Commits ahead of the log end.
    pub(super) ahead: u64,
    /// Commits whose lag is not known.
    pub(super) unknown: u64,
}

/// The logs that lag is measured against.
#[derive(Clone, Copy)]
pub(super) struct Logs<'a> {
    pub(super) ends: &'a Offsets,
    /// Topics whose metadata could not be read.
    pub(super) unreadable: &'a HashSet<TopicName>,
    /// `None` when lag in seconds is off.
    pub(super) history: Option<&'a History>,
    pub(super) now: MonotonicTime,
}

/// One topic's part of [`Logs`].
struct Log<'a> {
    /// `None` for a topic that could not be read.
    ends: Option<&'a [(i32, OffsetRange)]>,
    history: Option<TopicHistory<'a>>,
    now: MonotonicTime,
}

/// The commits of a group by topic. Leaves out partitions that the topology no longer has; keeps
/// those of a topic whose metadata could not be read, with an unknown lag.
pub(super) fn by_topic(
    commits: Vec<TopicOffsets>,
    logs: Logs<'_>,
    count: &mut LagCount,
) -> Vec<GroupTopic> {
    let mut topics = Vec::with_capacity(commits.len());
    for TopicOffsets { topic, partitions } in commits {
        let (topic, ends) = match logs.ends.get_key_value(&topic) {
            // Take the topology's name, so that thousands of groups share one string.
            Some((known, ends)) => (known.clone(), Some(ends.as_slice())),
            None if logs.unreadable.contains(&topic) => (topic, None),
            None => continue,
        };
        let history = logs.history.and_then(|it| it.of(&topic));
        let log = Log { ends, history, now: logs.now };
        // Kafka answers -1 for a partition without a commit.
        let commits = partitions.into_iter().filter(|it| it.1.map_or(true, |it| it >= 0));
        let mut read: Vec<GroupPartition> = commits
            .filter_map(|(partition, offset)| log.partition(partition, offset.ok(), count))
            .collect();
        // A partition named twice would be two samples of one series.
        read.sort_by_key(|it| it.partition);
        read.dedup_by_key(|it| it.partition);
        if !read.is_empty() {
            topics.push(log.topic(topic, read));
        }
    }

    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    topics.dedup_by(|a, b| a.topic == b.topic);
    topics
}

impl Log<'_> {
    /// `None` for a partition that the topology does not have.
    fn partition(
        &self,
        partition: i32,
        committed: Option<i64>,
        count: &mut LagCount,
    ) -> Option<GroupPartition> {
        let ends = match self.ends {
            Some(ends) => find(ends, partition)?,
            None => OffsetRange::UNKNOWN,
        };

        let lag = between(committed, ends.end, count);
        let time = self.time(partition, committed, ends, lag);
        Some(GroupPartition { partition, committed, lag, time })
    }

    /// The age of the oldest record that can still be read.
    fn time(
        &self,
        partition: i32,
        committed: Option<i64>,
        ends: OffsetRange,
        lag: Option<u64>,
    ) -> Option<LagTime> {
        let history = match (self.history, lag) {
            (Some(_), Some(0)) => return Some(LagTime::NONE),
            (Some(history), Some(_)) => history,
            (None, _) | (_, None) => return None,
        };

        let from = committed.map(|it| it.max(ends.start.unwrap_or(it)));
        from.and_then(|it| history.age(partition, it, self.now))
    }

    fn topic(&self, topic: TopicName, partitions: Vec<GroupPartition>) -> GroupTopic {
        let never = |ends: &[(i32, OffsetRange)]| ends.len().saturating_sub(partitions.len());
        let worst = |worst: LagTime, it: LagTime| worst.max(it);
        GroupTopic {
            topic,
            committed_sum: folded(partitions.iter().map(|it| it.committed), i64::saturating_add),
            lag_sum: folded(partitions.iter().map(|it| it.lag), u64::saturating_add),
            time_max: folded(partitions.iter().map(|it| it.time), worst),
            uncommitted: self.ends.map(|it| u64::try_from(never(it)).unwrap_or(u64::MAX)),
            retention: self.retention(&partitions),
            partitions,
        }
    }

    fn retention(&self, partitions: &[GroupPartition]) -> Option<Retention> {
        let of = |it: &GroupPartition| {
            let ends = self.ends.and_then(|ends| find(ends, it.partition));
            let ends = ends.unwrap_or(OffsetRange::UNKNOWN);
            match (it.committed, ends.start, ends.end) {
                (Some(committed), Some(start), Some(end)) => {
                    Some(Retention::of(committed, start, end))
                }
                _ => None,
            }
        };
        folded(partitions.iter().map(of), Retention::and)
    }
}

/// The partitions with a commit, by topic, for the history to follow.
pub(super) fn read_partitions<'a>(
    commits: impl Iterator<Item = &'a TopicOffsets>,
) -> HashMap<&'a TopicName, HashSet<i32>> {
    let mut read: HashMap<&TopicName, HashSet<i32>> = HashMap::new();
    for TopicOffsets { topic, partitions } in commits {
        let known = partitions.iter().filter(|(_, offset)| offset.is_ok_and(|it| it >= 0));
        read.entry(topic).or_default().extend(known.map(|(partition, _)| *partition));
    }

    read
}

/// Commits are read after end offsets, so an active group may be ahead of the end that we saw, as
/// may a group whose topic lost records. Its lag is 0.
fn between(committed: Option<i64>, last: Option<i64>, count: &mut LagCount) -> Option<u64> {
    let (Some(committed), Some(last)) = (committed, last) else {
        count.unknown = count.unknown.saturating_add(1);
        return None;
    };

    if last < committed {
        count.ahead = count.ahead.saturating_add(1);
    }

    Some(u64::try_from(last.saturating_sub(committed)).unwrap_or(0))
}

/// Folds all parts; unknown if any part is unknown or there are none.
fn folded<T>(mut parts: impl Iterator<Item = Option<T>>, with: impl Fn(T, T) -> T) -> Option<T> {
    let Some(Some(mut whole)) = parts.next() else { return None };
    for part in parts {
        match part {
            Some(part) => whole = with(whole, part),
            None => return None,
        }
    }

    Some(whole)
}

/// The ends of a partition, if the topology has it.
fn find(ends: &[(i32, OffsetRange)], partition: i32) -> Option<OffsetRange> {
    // Partitions are numbered from 0, so the index is nearly always the position.
    let at = usize::try_from(partition).ok()?;

    if let Some((index, found)) = ends.get(at)
        && *index == partition
    {
        return Some(*found);
    }

    let at = ends.binary_search_by_key(&partition, |(index, _)| *index).ok()?;
    ends.get(at).map(|(_, ends)| *ends)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::history::EndOffset;
    use super::*;
    use crate::model::{LagMethod, ReadFailure};

    /// Ends of partitions 0, 1, … of topic `t`.
    fn ends(starts: &[Option<i64>], ends_of: &[Option<i64>]) -> Offsets {
        let first = |at: usize| starts.get(at).copied().unwrap_or(None);
        let partitions = (0..)
            .zip(ends_of)
            .enumerate()
            .map(|(at, (index, last))| (index, OffsetRange { start: first(at), end: *last }));
        [(TopicName::new("t"), partitions.collect())].into()
    }

    fn commits(topic: &str, of: &[(i32, Result<i64, ReadFailure>)]) -> TopicOffsets {
        TopicOffsets { topic: TopicName::new(topic), partitions: of.to_vec() }
    }

    fn read(commits: Vec<TopicOffsets>, ends: &Offsets, count: &mut LagCount) -> Vec<GroupTopic> {
        let unreadable = HashSet::from([TopicName::new("dark")]);
        let now = MonotonicTime::default();
        by_topic(commits, Logs { ends, unreadable: &unreadable, history: None, now }, count)
    }

    /// Lags and their sum of topic `t`, or of what the commits hold instead.
    #[track_caller]
    fn check(
        ends_of: &[Option<i64>],
        offsets: &[(i32, i64)],
        want: &[Option<u64>],
        want_sum: Option<u64>,
        want_count: [u64; 2],
    ) {
        let offsets: Vec<_> = offsets.iter().map(|(at, offset)| (*at, Ok(*offset))).collect();
        let mut count = LagCount::default();
        let topics = read(vec![commits("t", &offsets)], &ends(&[], ends_of), &mut count);
        let topic = topics.first().expect("a topic");
        let lags: Vec<Option<u64>> = topic.partitions.iter().map(|it| it.lag).collect();
        assert_eq!(lags, want);
        assert_eq!(topic.lag_sum, want_sum);
        assert_eq!([count.ahead, count.unknown], want_count);
    }

    #[test]
    fn lag_is_the_end_minus_the_commit() {
        check(&[Some(10), Some(7)], &[(1, 7), (0, 4)], &[Some(6), Some(0)], Some(6), [0, 0]);
    }

    #[test]
    fn an_unknown_end_leaves_no_lag_and_no_sum() {
        check(&[Some(10), None], &[(0, 4), (1, 7)], &[Some(6), None], None, [0, 1]);
    }

    #[test]
    fn a_commit_ahead_of_the_end_is_no_lag_and_is_counted() {
        check(&[Some(10)], &[(0, 25)], &[Some(0)], Some(0), [1, 0]);
    }

    #[test]
    fn a_partition_never_committed_is_absent_and_does_not_spoil_the_sum() {
        check(&[Some(10), Some(9)], &[(0, 4), (1, -1)], &[Some(6)], Some(6), [0, 0]);
    }

    #[test]
    fn a_commit_that_could_not_be_read_spoils_both_sums() {
        let offsets = commits("t", &[(0, Err(ReadFailure::Other)), (1, Ok(3))]);
        let mut count = LagCount::default();
        let topics = read(vec![offsets], &ends(&[], &[Some(5), Some(5)]), &mut count);
        assert_eq!(topics[0].committed_sum, None);
        assert_eq!(topics[0].lag_sum, None);
    }

    #[test]
    fn a_topic_that_is_gone_is_left_out_and_an_unreadable_one_is_unknown() {
        let all = ["gone", "dark", "t"].map(|it| commits(it, &[(9, Ok(3))]));
        let mut count = LagCount::default();
        let topics = read(all.to_vec(), &ends(&[], &[Some(5)]), &mut count);
        assert_eq!(topics.len(), 1);
        assert_eq!(topics[0].topic.as_str(), "dark");
        assert_eq!(topics[0].partitions[0].lag, None);
        assert_eq!(topics[0].committed_sum, Some(3));
        assert_eq!(topics[0].uncommitted, None);
    }

    #[test]
    fn records_that_retention_took_are_lost_and_the_rest_has_a_headroom() {
        let known = [Some(10), Some(0)];
        let ends = ends(&known, &[Some(20), Some(100)]);
        let topics =
            read(vec![commits("t", &[(0, Ok(3)), (1, Ok(75))])], &ends, &mut LagCount::default());
        let retention = topics[0].retention.unwrap();
        assert_eq!((topics[0].lag_sum, retention.lost), (Some(17 + 25), 7));
        assert!(retention.headroom.abs() < f64::EPSILON, "{retention:?}");
        let topics = read(vec![commits("t", &[(1, Ok(75))])], &ends, &mut LagCount::default());
        let retention = topics[0].retention.unwrap();
        assert!((retention.headroom - 0.75).abs() < f64::EPSILON, "{retention:?}");
        assert_eq!(topics[0].uncommitted, Some(1));
    }

    #[test]
    fn without_the_start_of_one_log_nothing_is_said_of_retention() {
        let ends = ends(&[Some(0)], &[Some(20), Some(20)]);
        let all = vec![commits("t", &[(0, Ok(3)), (1, Ok(3))])];
        let topics = read(all, &ends, &mut LagCount::default());
        assert_eq!(topics[0].retention, None);
    }

    #[test]
    fn lag_in_time_is_that_of_the_oldest_record_that_can_be_read() {
        let name = TopicName::new("t");
        let at = |seconds| MonotonicTime(Duration::from_secs(seconds));
        let mut history = History::default();
        history.follow(&name, 1, [0, 1].into_iter(), at(0));

        for (second, offset) in [(0, 0), (100, 100)] {
            let read = |partition| EndOffset { partition, offset, at: at(second) };
            history.record(&name, &[read(0), read(1)]);
        }

        let age = |first: Option<i64>, offsets: &[(i32, i64)]| {
            let offsets: Vec<_> = offsets.iter().map(|(at, it)| (*at, Ok(*it))).collect();
            let (ends, unreadable) = (ends(&[first], &[Some(100), Some(100)]), HashSet::new());
            let (history, now) = (Some(&history), at(100));
            let logs = Logs { ends: &ends, unreadable: &unreadable, history, now };
            let topics = by_topic(vec![commits("t", &offsets)], logs, &mut LagCount::default());
            topics[0].time_max.map(|it| (it.age.as_secs(), it.method))
        };

        let interpolated = |seconds| Some((seconds, LagMethod::Interpolated));
        assert_eq!(age(None, &[(0, 40)]), interpolated(59));
        assert_eq!(age(Some(90), &[(0, 40)]), interpolated(9));
        assert_eq!(age(None, &[(0, 40), (1, 100)]), interpolated(59));
        assert_eq!(age(None, &[(0, 100)]), interpolated(0));
    }
}
