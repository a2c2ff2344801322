//! What the load explains: the level that is usual at a load.
//!
//! Latency rises with the load and never falls with it, so the curve is an isotonic regression:
//! medians of groups of bins with similar load, which one bad bin does not move, made never to
//! fall by pooling adjacent violators (Ayer et al. 1955; Barlow et al. 1972).

use super::{Parameters, count};

/// A usual level for each load: straight lines between groups of bins, level outside of them.
#[derive(Clone, Debug)]
pub(super) struct LoadCurve {
    /// In ascending order of the load.
    groups: Vec<LoadGroup>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct LoadGroup {
    load: f64,
    level: f64,
}

#[derive(Clone, Copy, Debug)]
struct LoadPoint {
    load: f64,
    level: f64,
}

impl LoadCurve {
    /// Fits the curve to bins of the history. `None` if they are too few for two groups.
    pub(super) fn fit(load: &[f64], level: &[f64], parameters: &Parameters) -> Option<Self> {
        let is_there = |it: &LoadPoint| it.load.is_finite() && it.level.is_finite();
        let points =
            load.iter().zip(level).map(|(load, level)| LoadPoint { load: *load, level: *level });
        let mut points: Vec<LoadPoint> = points.filter(is_there).collect();
        let number = parameters.groups.min(points.len() / parameters.group.max(1));
        if number < 2 {
            return None;
        }

        points.sort_by(|a, b| a.load.total_cmp(&b.load));

        Some(Self { groups: never_falling(&grouped(&mut points, number)) })
    }

    /// The usual level at a load; NaN if the load is.
    pub(super) fn level(&self, load: f64) -> f64 {
        if load.is_nan() {
            return f64::NAN;
        }

        let above = self.groups.partition_point(|it| it.load <= load);
        let left = above.checked_sub(1).and_then(|it| self.groups.get(it));

        match (left, self.groups.get(above)) {
            (Some(left), Some(right)) => {
                let share = (load - left.load) / (right.load - left.load);
                left.level + share * (right.level - left.level)
            }
            (Some(only), None) | (None, Some(only)) => only.level,
            (None, None) => f64::NAN,
        }
    }

    /// The highest load that the curve knows.
    pub(super) fn load_max(&self) -> f64 {
        self.groups.last().map_or(f64::INFINITY, |it| it.load)
    }
}

/// Up to `number` groups of equal size of the points, which are sorted by load. Points of the same
/// load are in one group: which of them is first depends on the time only.
fn grouped(points: &mut [LoadPoint], number: usize) -> Vec<LoadGroup> {
    let total = points.len();
    let mut groups = Vec::with_capacity(number);
    let mut start = 0;

    for end in (1..=number).map(|it| it * total / number) {
        let last = end.checked_sub(1).and_then(|it| points.get(it)).map(|it| it.load);
        let Some(last) = last.filter(|_| end > start) else { continue };
        let same = points.iter().skip(end).take_while(|it| it.load <= last).count();
        let end = end + same;

        let Some(group) = points.get_mut(start..end) else { continue };
        groups.push(LoadGroup {
            load: median_by(group, |it| it.load),
            level: median_by(group, |it| it.level),
        });
        start = end;
    }

    groups
}

/// The middle value, or the mean of the two middle ones.
fn median_by(points: &mut [LoadPoint], of: impl Fn(&LoadPoint) -> f64) -> f64 {
    let middle = points.len() / 2;
    let is_even = points.len().is_multiple_of(2);
    if points.is_empty() {
        return f64::NAN;
    }

    let (below, upper, _) = points.select_nth_unstable_by(middle, |a, b| of(a).total_cmp(&of(b)));
    let upper = of(upper);
    if !is_even {
        return upper;
    }

    let lower = below.iter().map(of).fold(f64::NEG_INFINITY, f64::max);

    f64::midpoint(lower, upper)
}

/// The nearest sequence of levels that never falls: neighbours in the wrong order take their common
/// mean, until none are (pool adjacent violators). Groups count alike, as they have the same size.
fn never_falling(groups: &[LoadGroup]) -> Vec<LoadGroup> {
    struct Pooled {
        mean: f64,
        groups: usize,
    }

    let mut pools: Vec<Pooled> = Vec::with_capacity(groups.len());
    for group in groups {
        let mut last = Pooled { mean: group.level, groups: 1 };
        while let Some(previous) = pools.pop_if(|it| it.mean > last.mean) {
            let both = previous.groups + last.groups;
            let sum = previous.mean * count(previous.groups) + last.mean * count(last.groups);
            last = Pooled { mean: sum / count(both), groups: both };
        }
        pools.push(last);
    }

    let levels = pools.iter().flat_map(|it| std::iter::repeat_n(it.mean, it.groups));

    groups.iter().zip(levels).map(|(group, level)| LoadGroup { level, ..*group }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(levels: &[f64]) -> Vec<f64> {
        let group = |level: &f64| LoadGroup { load: 0.0, level: *level };
        never_falling(&levels.iter().map(group).collect::<Vec<LoadGroup>>())
            .iter()
            .map(|it| it.level)
            .collect()
    }

    fn is(level: f64, want: f64) -> bool {
        (level - want).abs() < 1e-12
    }

    fn fit(load: &[f64], level: &[f64]) -> Option<LoadCurve> {
        LoadCurve::fit(load, level, &Parameters::default())
    }

    #[test]
    fn levels_in_the_wrong_order_take_their_mean() {
        assert!(levels(&[]).is_empty());
        assert_eq!(levels(&[1.0, 2.0, 2.0]), [1.0, 2.0, 2.0]);
        assert_eq!(levels(&[1.0, 3.0, 2.0, 4.0, 0.0]), [1.0, 2.25, 2.25, 2.25, 2.25]);
        assert_eq!(levels(&[3.0, 2.0, 1.0]), [2.0, 2.0, 2.0]);
    }

    #[test]
    fn the_curve_follows_the_load_and_one_bad_bin_does_not_move_it() {
        let load: Vec<f64> = (0..40).map(count).collect();
        let mut level: Vec<f64> = load.iter().map(|it| 2.0 * it).collect();
        level[3] = 1e9;

        let curve = fit(&load, &level).unwrap();

        // Groups of ten: their medians are 4.5, 14.5, 24.5 and 34.5; the bad bin is above its own.
        assert!(is(curve.level(14.5), 29.0));
        assert!(is(curve.level(19.5), 39.0));
        assert!(is(curve.level(99.0), 69.0));
        assert!(is(curve.level(-9.0), curve.level(4.5)));
        assert!(is(curve.load_max(), 34.5));
        assert!(curve.level(f64::NAN).is_nan());
    }

    #[test]
    fn bins_of_the_same_load_have_one_level() {
        // Levels that rise with the time, at one load: a trend is no effect of the load.
        let level: Vec<f64> = (0..40).map(count).collect();
        let curve = fit(&[1.0; 40], &level).unwrap();
        assert!(is(curve.level(0.9), 19.5) && is(curve.level(1.0), 19.5));

        let mut load = [1.0; 40];
        load[39] = 2.0;
        assert!(is(fit(&load, &level).unwrap().level(1.0), 19.0));
    }

    #[test]
    fn a_short_history_has_no_curve() {
        assert!(fit(&[1.0; 19], &[1.0; 19]).is_none());
        assert!(fit(&[1.0; 40], &[f64::NAN; 40]).is_none());
        assert!(fit(&[], &[]).is_none());
    }
}
