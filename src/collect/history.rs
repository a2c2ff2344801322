//! The history of log end offsets: it converts a committed offset into the time when the record at
//! that offset was appended.
//!
//! It keeps readings of partitions that at least one group reads, and interpolates linearly between
//! two readings. A reading that repeats the previous offset only updates its time, so an idle
//! partition takes two readings however long it is idle. When a partition has reached its maximum,
//! the reading whose neighbours are closest together relative to their age is dropped: old readings
//! are further apart than recent ones, and the error stays proportional to the lag.
//!
//! Invariant: it never keeps more than [`POINTS_MAX`] readings in total.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use crate::model::{LagMethod, LagTime, MonotonicTime, TopicName, Topology};

/// Maximum of all readings: 12 bytes each, so 52 MiB. With one list per partition, the history of
/// 200,000 partitions stays below 64 MiB.
const POINTS_MAX: usize = 4_500_000;
/// More than this gains little: at 15 s a day is covered with gaps of a fifth of the lag.
const POINTS_OF_PARTITION_MAX: usize = 48;
/// The minimum to compute a time from. Partitions for which there is no room left are not followed.
const POINTS_OF_PARTITION_MIN: usize = 4;
/// A topic that no group has read for this long is forgotten. Longer than a broker is away, so that
/// the groups it coordinates keep their history.
const MEMORY: Duration = Duration::from_mins(10);

/// A reading, packed into 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    /// In tenths of a second since the process started.
    at: u32,
    offset: [u8; 8],
}

impl Point {
    const fn new(at: u32, offset: u64) -> Self {
        Self { at, offset: offset.to_ne_bytes() }
    }

    const fn offset(self) -> u64 {
        u64::from_ne_bytes(self.offset)
    }
}

fn tenths(at: MonotonicTime) -> u32 {
    u32::try_from(at.0.as_millis() / 100).unwrap_or(u32::MAX)
}

/// The readings of one partition, oldest first. Offsets never fall from one to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Track(Vec<Point>);

/// The end offset of a partition at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndOffset {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) at: MonotonicTime,
}

#[derive(Debug)]
struct TopicTracks {
    /// The topic id: a topic that is deleted and created again has another one.
    id: u128,
    read: MonotonicTime,
    /// By index; `None` for a partition that no group reads.
    partitions: Vec<Option<Track>>,
}

/// The readings of one cluster.
#[derive(Debug, Default)]
pub(super) struct History {
    topics: HashMap<TopicName, TopicTracks>,
    followed: usize,
    points: usize,
}

/// The readings of one topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicHistory<'a>(&'a [Option<Track>]);

impl History {
    /// Follows these partitions, which a group reads. Returns how many of them there is no room
    /// for.
    pub(super) fn follow(
        &mut self,
        topic: &TopicName,
        id: u128,
        partitions: impl Iterator<Item = i32>,
        now: MonotonicTime,
    ) -> u64 {
        let fresh = || TopicTracks { id, read: now, partitions: Vec::new() };
        let of = match self.topics.entry(topic.clone()) {
            Entry::Occupied(known) if known.get().id == id => known.into_mut(),
            Entry::Occupied(mut other) => {
                let before = other.insert(fresh());
                forget(&before, &mut self.followed, &mut self.points);
                other.into_mut()
            }
            Entry::Vacant(none) => none.insert(fresh()),
        };

        of.read = now;
        let mut without_room = 0;

        for index in partitions.filter_map(|it| usize::try_from(it).ok()) {
            if of.partitions.get(index).is_some_and(Option::is_some) {
                continue;
            }
            if self.followed >= POINTS_MAX / POINTS_OF_PARTITION_MIN {
                without_room += 1;
                continue;
            }
            if index >= of.partitions.len() {
                of.partitions.resize(index + 1, None);
            }
            of.partitions[index] = Some(Track::default());
            self.followed += 1;
        }

        without_room
    }

    /// Drops topics that are gone, or that no group reads any more.
    pub(super) fn retain(&mut self, topology: &Topology, now: MonotonicTime) {
        let ids: HashMap<&TopicName, u128> =
            topology.topics.iter().map(|it| (&it.name, it.id)).collect();
        self.topics.retain(|topic, of| {
            let unread = now.0.saturating_sub(of.read.0);
            let keep = ids.get(topic) == Some(&of.id) && unread <= MEMORY;
            if !keep {
                forget(of, &mut self.followed, &mut self.points);
            }
            keep
        });
    }

    /// Records end offsets of the partitions that are followed.
    pub(super) fn record(&mut self, topic: &TopicName, readings: &[EndOffset]) {
        let room = POINTS_MAX / self.followed.max(1);
        let most = room.clamp(POINTS_OF_PARTITION_MIN, POINTS_OF_PARTITION_MAX);
        let Some(of) = self.topics.get_mut(topic) else { return };

        for reading in readings {
            let index = usize::try_from(reading.partition).ok();
            let track = index.and_then(|it| of.partitions.get_mut(it)?.as_mut());
            if let (Some(track), Ok(end)) = (track, u64::try_from(reading.offset)) {
                self.points -= track.0.len();
                track.push(Point::new(tenths(reading.at), end), most);
                self.points += track.0.len();
            }
        }
    }

    /// The readings of one topic.
    pub(super) fn of(&self, topic: &TopicName) -> Option<TopicHistory<'_>> {
        self.topics.get(topic).map(|it| TopicHistory(&it.partitions))
    }
}

fn forget(of: &TopicTracks, followed: &mut usize, points: &mut usize) {
    for track in of.partitions.iter().flatten() {
        *followed -= 1;
        *points -= track.0.len();
    }
}

impl TopicHistory<'_> {
    /// The age at `now` of the record at `offset`, which the log's end has passed.
    pub(super) fn age(self, partition: i32, offset: i64, now: MonotonicTime) -> Option<LagTime> {
        let track = self.0.get(usize::try_from(partition).ok()?)?.as_ref()?;
        track.age(u64::try_from(offset).ok()?, tenths(now))
    }
}

impl Track {
    fn push(&mut self, new: Point, most: usize) {
        let points = &mut self.0;
        // A log that became shorter was truncated: other records will get these offsets.
        while points.last().is_some_and(|it| new.offset() < it.offset()) {
            points.pop();
        }

        let rests = |it: &[Point]| it.iter().all(|it| it.offset() == new.offset());

        match points.as_mut_slice() {
            [.., before, last] if rests(&[*before, *last]) => last.at = new.at,
            _ => {
                if points.len() == points.capacity() {
                    points.reserve_exact(8);
                }
                points.push(new);
            }
        }

        while self.0.len() > most {
            self.thin(new.at);
        }

        if most.saturating_mul(2) < self.0.capacity() {
            self.0.shrink_to(most);
        }
    }

    /// Drops the reading whose neighbours are closest together for their age.
    fn thin(&mut self, now: u32) {
        let closeness = |it: &[Point]| {
            let [before, _, after] = it else { return f64::INFINITY };
            let age = f64::from(now.saturating_sub(after.at)) + 1.0;
            f64::from(after.at.saturating_sub(before.at)) / age
        };

        let gaps = self.0.windows(3).map(closeness).enumerate();
        let closest = gaps.min_by(|a, b| a.1.total_cmp(&b.1)).map(|it| it.0);

        if let Some(at) = closest {
            self.0.remove(at + 1);
        } else {
            self.0.remove(0);
        }
    }

    fn age(&self, offset: u64, now: u32) -> Option<LagTime> {
        let points = &self.0;
        let passed = points.partition_point(|it| it.offset() <= offset);
        let after = points.get(passed)?;
        let since = |at: f64| Duration::from_secs_f64((f64::from(now) - at).max(0.0) / 10.0);
        let Some(before) = passed.checked_sub(1).and_then(|it| points.get(it)) else {
            let age = since(f64::from(after.at));
            return Some(LagTime { age, method: LagMethod::LowerBound });
        };

        // The middle of the record: with one record between two readings, the middle of the two.
        let share =
            (float(offset - before.offset()) + 0.5) / float(after.offset() - before.offset());
        let gap = f64::from(after.at.saturating_sub(before.at));
        let age = since(f64::from(before.at) + share * gap);
        Some(LagTime { age, method: LagMethod::Interpolated })
    }
}

/// Differences of offsets are far below 2⁵³, where this is exact.
fn float(difference: u64) -> f64 {
    let (high, low) = (difference >> 32, difference & u64::from(u32::MAX));
    let part = |it: u64| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    part(high) * 4_294_967_296.0 + part(low)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::model::Topic;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime(Duration::from_secs(seconds))
    }

    fn end(partition: i32, offset: i64, at: MonotonicTime) -> EndOffset {
        EndOffset { partition, offset, at }
    }

    fn topic(id: u128) -> Topic {
        Topic { name: TopicName::new("t"), id, internal: false, partitions: Vec::new() }
    }

    /// A history of partition 0 of `t` with these (second, end) readings.
    fn with(readings: &[(u64, i64)]) -> History {
        let mut history = History::default();
        let name = TopicName::new("t");
        assert_eq!(history.follow(&name, 1, [0].into_iter(), at(0)), 0);

        for (second, offset) in readings {
            history.record(&name, &[end(0, *offset, at(*second))]);
        }

        history
    }

    #[track_caller]
    fn check(history: &History, offset: i64, now: u64, want: Option<(u64, LagMethod)>) {
        let found = history.of(&TopicName::new("t")).and_then(|it| it.age(0, offset, at(now)));
        let found = found.map(|it| (it.age.as_secs_f64().round(), it.method));
        let want = want.map(|(age, method)| (Duration::from_secs(age).as_secs_f64(), method));
        assert_eq!(found, want);
    }

    #[test]
    fn an_even_stream_is_read_to_the_second() {
        let history = with(&[(0, 0), (10, 1_000), (20, 2_000)]);
        check(&history, 500, 30, Some((25, LagMethod::Interpolated)));
        check(&history, 1_999, 30, Some((10, LagMethod::Interpolated)));
        check(&history, 2_000, 30, None);
    }

    #[test]
    fn an_idle_producer_does_not_make_the_backlog_younger_or_the_group_late() {
        let history = with(&[(0, 0), (10, 100), (20, 100), (500, 100), (1_000, 100)]);
        check(&history, 50, 1_000, Some((995, LagMethod::Interpolated)));
        check(&history, 100, 1_000, None);

        // The record that ends the rest is new.
        let history = with(&[(0, 100), (1_000, 100), (1_010, 101)]);
        check(&history, 100, 1_010, Some((5, LagMethod::Interpolated)));
        assert_eq!(history.points, 3);
    }

    #[test]
    fn what_is_older_than_the_history_is_at_least_so_old() {
        let history = with(&[(100, 1_000), (110, 1_100)]);
        check(&history, 10, 160, Some((60, LagMethod::LowerBound)));
        check(&history, 999, 160, Some((60, LagMethod::LowerBound)));
        check(&history, 1_050, 160, Some((55, LagMethod::Interpolated)));
    }

    #[test]
    fn a_log_that_was_cut_has_no_history_beyond_the_cut() {
        let mut history = with(&[(0, 0), (10, 100), (20, 200)]);
        history.record(&TopicName::new("t"), &[end(0, 150, at(30))]);
        check(&history, 149, 40, Some((10, LagMethod::Interpolated)));
        check(&history, 50, 40, Some((35, LagMethod::Interpolated)));
        check(&history, 150, 40, None);
    }

    #[test]
    fn a_topic_created_again_and_one_that_nobody_reads_are_forgotten() {
        let name = TopicName::new("t");
        let mut history = with(&[(0, 0), (10, 100)]);
        history.follow(&name, 2, [0].into_iter(), at(20));
        check(&history, 50, 20, None);
        assert_eq!((history.followed, history.points), (1, 0));
        let topology = Topology { topics: vec![topic(2)], ..Topology::default() };
        history.record(&name, &[end(0, 5, at(20))]);
        history.retain(&topology, at(20 + 600));
        assert_eq!((history.followed, history.points), (1, 1));
        history.retain(&topology, at(20 + 601));
        assert_eq!((history.followed, history.points, history.topics.len()), (0, 0, 0));
    }

    /// A generated truth: a log that grows by whims for a day, read every 15 s.
    fn worst_error(seed: u64, most: usize) -> f64 {
        const INTERVAL: u64 = 15;
        let mut random = StdRng::seed_from_u64(seed);
        let mut track = Track::default();

        // Where the log ended, second by second; it grows by so many tenths of a record.
        let (mut ends, mut tenths, mut rate) = (Vec::new(), 0_u64, 100);

        for second in 0..86_400_u64 {
            if random.random_ratio(1, 600) {
                let whims = [0, 0, 2, 100, 10_000];
                rate = whims[random.random_range(0..whims.len())];
            }
            tenths += rate;
            let end = tenths / 10;
            ends.push(end);
            if second % INTERVAL == 0 {
                track.push(Point::new(u32::try_from(second * 10).unwrap(), end), most);
                assert!(track.0.len() <= most);
            }
        }

        let now = 86_399_u32;
        let mut worst = 0.0_f64;

        for (second, end) in ends.iter().enumerate().step_by(97) {
            // The record that was appended last in that second.
            let Some(record) = end.checked_sub(1) else { continue };
            let appended = ends.partition_point(|it| *it <= record);
            let truth = f64::from(now) - f64::from(u32::try_from(appended).unwrap());
            let Some(found) = track.age(record, now * 10) else { continue };
            let error = found.age.as_secs_f64() - truth;
            if found.method == LagMethod::LowerBound {
                assert!(error < 1.0, "second {second}: {error} beyond the truth");
                continue;
            }
            let allowed = f64::from(u32::try_from(INTERVAL).unwrap()) * 2.0;
            worst = worst.max((error.abs() - allowed) / truth.max(1.0));
        }

        worst
    }

    /// The bound that docs/metrics.md states: two intervals, and a share of the lag.
    #[test]
    fn the_error_stays_in_proportion_to_the_lag() {
        for (most, share) in [(48, 0.25), (22, 0.6)] {
            let worst = (0..20).map(|seed| worst_error(seed, most)).fold(0.0, f64::max);
            assert!(worst <= share, "{most} readings: {worst}");
        }
    }

    #[test]
    fn the_history_of_200_000_busy_partitions_takes_less_than_64_mib() {
        let mut history = History::default();
        let names: Vec<TopicName> =
            (0..10_000).map(|it| TopicName::new(format!("t{it}"))).collect();

        for name in &names {
            history.follow(name, 1, 0..20, at(0));
        }

        for round in 0..60_u32 {
            let readings: Vec<_> = (0..20)
                .map(|it| end(it, i64::from(round) * 7, at(u64::from(round) * 15)))
                .collect();
            for name in &names {
                history.record(name, &readings);
            }
        }

        assert!(history.points <= POINTS_MAX, "{}", history.points);
        let lists = history.topics.values().flat_map(|it| it.partitions.iter().flatten());
        let bytes: usize = lists.map(|it| it.0.capacity() * size_of::<Point>() + 24 + 16).sum();
        assert!(bytes < 64 << 20, "{bytes}");
    }
}
