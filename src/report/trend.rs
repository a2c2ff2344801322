//! How a value grows from day to day: a line that a few odd days do not move, and how sure it is.
//!
//! The slope is the median of the slopes of all pairs of days (Theil 1950). Its bounds are those of
//! Sen (1968): the slopes whose ranks are as far from the middle as Kendall's statistic varies
//! without a trend. Days resemble the day before, so the variance is enlarged by the correlation of
//! neighbouring days (Yue and Wang 2004).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{WallTime, count};

const DAY: Duration = Duration::from_hours(24);

/// The maximum of a day of which less is known may have missed the busy hours.
const SAMPLES_PER_DAY_MIN: usize = 12;

/// With four days, the slopes of all six pairs may rise by chance.
pub const DAYS_MIN: usize = 5;

/// Quantile of the normal distribution for two bounds of 95 % together.
const NORMAL_QUANTILE: f64 = 1.96;

/// The variance of days that follow each other is enlarged nineteenfold at most.
const CORRELATION_MAX: f64 = 0.9;

/// Days ahead beyond which nothing is said: ten years.
const AHEAD_MAX: f64 = 3_650.0;

/// What a value was in one hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HourlyValue {
    /// When the hour has ended.
    pub at: WallTime,
    pub value: f64,
}

/// The highest value of one day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DailyPeak {
    /// 0 for the 24 hours that have just passed.
    pub days_ago: u32,
    pub value: f64,
}

/// A straight line through the peaks of days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Number of days that it is fitted to.
    pub days: usize,
    /// The value of the line today.
    pub now: f64,
    pub per_day: f64,
    /// With 95 % confidence the slope is between these bounds.
    pub per_day_low: f64,
    pub per_day_high: f64,
}

/// In how many days a level is reached, if the trend goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaysUntil {
    /// At the upper bound of the slope.
    pub earliest: f64,
    /// `None` if the line does not reach it within ten years.
    pub expected: Option<f64>,
    /// At the lower bound of the slope; `None` if that does not reach it within ten years.
    pub latest: Option<f64>,
}

/// The highest value of each day before `end`, oldest first. Days of which less than half is known
/// are left out.
pub fn daily_peaks(hours: &[HourlyValue], end: WallTime) -> Vec<DailyPeak> {
    let mut days: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for hour in hours.iter().filter(|it| it.value.is_finite() && it.at <= end) {
        let ago = end.since(hour.at).as_secs() / DAY.as_secs();
        let Ok(ago) = u32::try_from(ago) else { continue };
        days.entry(ago).or_default().push(hour.value);
    }

    let known = days.into_iter().rev().filter(|(_, it)| it.len() >= SAMPLES_PER_DAY_MIN);
    let peak = |it: Vec<f64>| it.into_iter().fold(f64::NEG_INFINITY, f64::max);

    known.map(|(days_ago, values)| DailyPeak { days_ago, value: peak(values) }).collect()
}

impl Trend {
    /// `None` for fewer than five days.
    pub fn of(peaks: &[DailyPeak]) -> Option<Self> {
        let known = peaks.iter().filter(|it| it.value.is_finite()).copied();
        let known: BTreeMap<u32, f64> = known.map(|it| (it.days_ago, it.value)).collect();

        if known.len() < DAYS_MIN {
            return None;
        }

        // From the oldest day on, on an axis on which today is 0.
        let days: Vec<Day> = known
            .iter()
            .rev()
            .map(|(ago, value)| Day { at: -f64::from(*ago), value: *value })
            .collect();
        let slopes = slopes(&days);
        let per_day = middle(&slopes)?;

        let level = |it: &Day| it.value - per_day * it.at;
        let mut levels: Vec<f64> = days.iter().map(level).collect();
        let enlarged = enlargement(&days, &levels);
        levels.sort_unstable_by(f64::total_cmp);

        let SlopeBounds { low, high } = bounds(&slopes, count(days.len()), enlarged)?;
        let trend = Self {
            days: days.len(),
            now: middle(&levels)?,
            per_day,
            per_day_low: low,
            per_day_high: high,
        };

        trend.is_finite().then_some(trend)
    }

    fn is_finite(&self) -> bool {
        [self.now, self.per_day, self.per_day_low, self.per_day_high]
            .iter()
            .all(|it| it.is_finite())
    }

    /// Whether it surely rises: both bounds do.
    pub fn is_growth(&self) -> bool {
        self.per_day_low > 0.0
    }

    /// The line on a day from now on; negative for the past.
    pub fn at(&self, day: f64) -> f64 {
        self.now + self.per_day * day
    }

    /// When the line reaches `level`; zero days if it has. `None` if not even the upper bound
    /// reaches it within ten years.
    pub fn days_until(&self, level: f64) -> Option<DaysUntil> {
        let left = level - self.now;
        if !left.is_finite() {
            return None;
        }

        if left <= 0.0 {
            return Some(DaysUntil { earliest: 0.0, expected: Some(0.0), latest: Some(0.0) });
        }

        let days = |slope: f64| Some(left / slope).filter(|it| slope > 0.0 && *it <= AHEAD_MAX);

        Some(DaysUntil {
            earliest: days(self.per_day_high)?,
            expected: days(self.per_day),
            latest: days(self.per_day_low),
        })
    }
}

/// A day on the axis of the line.
#[derive(Clone, Copy, Debug)]
struct Day {
    at: f64,
    value: f64,
}

/// Two slopes that bound the true one.
#[derive(Clone, Copy, Debug)]
struct SlopeBounds {
    low: f64,
    high: f64,
}

/// The slopes of all pairs of days, in ascending order.
fn slopes(days: &[Day]) -> Vec<f64> {
    let mut slopes = Vec::new();
    for (index, first) in days.iter().enumerate() {
        let later = days.iter().skip(index + 1);
        slopes.extend(later.map(|it| (it.value - first.value) / (it.at - first.at)));
    }

    slopes.sort_unstable_by(f64::total_cmp);

    slopes
}

/// By how much the variance of independent days is too small, from the correlation of each day's
/// distance from the line with that of the day before.
fn enlargement(days: &[Day], levels: &[f64]) -> f64 {
    let mean = levels.iter().sum::<f64>() / count(levels.len());
    let apart: Vec<f64> = levels.iter().map(|it| it - mean).collect();
    let spread = apart.iter().map(|it| it * it).sum::<f64>();
    let mut shared = 0.0;

    for (pair, values) in days.windows(2).zip(apart.windows(2)) {
        if let ([before, after], [first, second]) = (pair, values)
            && after.at - before.at < 1.5
        {
            shared += first * second;
        }
    }

    let correlation = Some(shared / spread).filter(|it| it.is_finite()).unwrap_or(0.0);
    let correlation = correlation.clamp(0.0, CORRELATION_MAX);

    (1.0 + correlation) / (1.0 - correlation)
}

/// The bounds of the slope, as values of the sorted slopes of `days` days.
fn bounds(slopes: &[f64], days: f64, enlarged: f64) -> Option<SlopeBounds> {
    let variance = days * (days - 1.0) * (2.0 * days + 5.0) / 18.0;
    let reach = NORMAL_QUANTILE * (variance * enlarged).sqrt();
    let last = slopes.len().checked_sub(1)?;
    let rank = |it: f64| (0..=last).take_while(|index| count(*index) < it).count().min(last);
    let all = count(slopes.len());

    // Ranks from 1: the lower bound is rounded down, the upper one up.
    let low = rank(((all - reach) / 2.0).floor() - 1.0);
    let high = rank(f64::midpoint(all, reach).ceil());

    Some(SlopeBounds { low: *slopes.get(low)?, high: *slopes.get(high)? })
}

/// The middle of sorted values, or the mean of the two middle ones.
pub(super) fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().checked_sub(1)? / 2)?;

    Some(f64::midpoint(*lower, *upper))
}

#[cfg(test)]
#[path = "trend_tests.rs"]
mod tests;
