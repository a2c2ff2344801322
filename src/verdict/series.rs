//! What was measured of one broker, one element per bin.

use serde::{Deserialize, Serialize};

use crate::playbook::Better;

/// The floor of a gauge, as a share of the usual value.
const FLOOR_SHARE: f64 = 0.1;

/// The objective and the load of one broker as natural logarithms, one element per bin of equal
/// length, oldest first. Lower levels are better. `None` where a bin is missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub level: Vec<Option<f64>>,
    pub load: Vec<Option<f64>>,
}

/// The same bins of the broker that is changed and of those that are not. Every series has the same
/// number of bins as the objective of the changed broker; a shorter one lacks the newest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    pub changed: Series,
    /// Brokers that the run does not touch, as controls. The same ones in the same order before and
    /// after the write; one that is gone has empty series.
    pub untouched: Vec<Series>,
}

impl Bins {
    pub(super) fn number(&self) -> usize {
        self.changed.level.len()
    }
}

/// How values of a gauge or a rate become levels.
///
/// Of one that is better higher the level is that of its inverse: an improvement of 20 % is one to
/// 1 / 0.8 of its value, which is 25 % more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    better: Better,
    /// Replaces smaller values, because 0 has no logarithm. `None` if no value was positive.
    floor: Option<f64>,
}

impl Scale {
    /// The scale of a series, by its values before the write. Use it for the values after too.
    ///
    /// The floor is a tenth of the median of the positive values: small against what is usual, and
    /// the same share of it in any unit. Without a positive value there is no unit to compare a
    /// rise with, so every 0 is a missing bin.
    pub fn of(past: &[Option<f64>], better: Better) -> Self {
        let mut positive: Vec<f64> =
            past.iter().filter_map(|it| it.filter(|it| is_positive(*it))).collect();
        let middle = positive.len() / 2;
        let floor = (!positive.is_empty()).then(|| {
            let (_, median, _) = positive.select_nth_unstable_by(middle, f64::total_cmp);
            FLOOR_SHARE * *median
        });

        Self { better, floor }
    }

    fn level(&self, value: f64) -> Option<f64> {
        let logarithm = logarithm(if value < self.floor? { self.floor? } else { value })?;
        Some(match self.better {
            Better::Lower => logarithm,
            Better::Higher => -logarithm,
        })
    }
}

impl Series {
    /// Of an objective that is a mean of two counters, such as seconds and requests: the increments
    /// of both in each bin. The load is the second counter unless given.
    pub fn of_mean(
        sums: &[Option<f64>],
        counts: &[Option<f64>],
        load: Option<&[Option<f64>]>,
    ) -> Self {
        let mean = |(sum, count): (&Option<f64>, &Option<f64>)| {
            logarithm((*sum)? / (*count).filter(|it| is_positive(*it))?)
        };

        Self {
            level: sums.iter().zip(counts).map(mean).collect(),
            load: logarithms(load.unwrap_or(counts)),
        }
    }

    /// Of an objective with one value per bin: the mean of a gauge, the increment of a rate's
    /// counter, or a lag.
    pub fn of_values(values: &[Option<f64>], load: &[Option<f64>], scale: Scale) -> Self {
        let level = |it: &Option<f64>| it.and_then(|it| scale.level(it));
        Self { level: values.iter().map(level).collect(), load: logarithms(load) }
    }
}

fn logarithms(values: &[Option<f64>]) -> Vec<Option<f64>> {
    values.iter().map(|it| it.and_then(logarithm)).collect()
}

/// `None` for what has no finite logarithm: 0, negative values, infinity.
fn logarithm(value: f64) -> Option<f64> {
    is_positive(value).then(|| value.ln())
}

fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(values: &[f64], better: Better) -> Vec<Option<f64>> {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        Series::of_values(&values, &values, Scale::of(&values, better)).level
    }

    #[test]
    fn a_mean_needs_both_counters() {
        let sums = [Some(6.0), None, Some(1.0), Some(0.0), Some(2.0)];
        let counts = [Some(2.0), Some(1.0), None, Some(4.0), Some(0.0)];

        let series = Series::of_mean(&sums, &counts, None);

        assert_eq!(series.level, [Some(3.0_f64.ln()), None, None, None, None]);
        assert_eq!(series.load, [Some(2.0_f64.ln()), Some(0.0), None, Some(4.0_f64.ln()), None]);
        assert!(Series::of_mean(&sums, &counts, Some(&[])).load.is_empty());
    }

    #[test]
    fn a_gauge_of_zero_is_a_tenth_of_its_median() {
        let [zero, small, usual, odd] = levels(&[0.0, 0.5, 10.0, f64::NAN], Better::Lower)[..]
        else {
            panic!()
        };
        // The median of 0.5 and 10 is the upper one.
        assert_eq!(zero, Some(1.0_f64.ln()));
        assert_eq!(small, zero);
        assert_eq!(usual, Some(10.0_f64.ln()));
        assert_eq!(odd, None);

        assert_eq!(levels(&[10.0], Better::Higher), [Some(-(10.0_f64.ln()))]);
        assert_eq!(levels(&[0.0, -1.0], Better::Lower), [None, None]);
        assert_eq!(levels(&[f64::INFINITY, 1.0], Better::Lower), [None, Some(0.0)]);
    }
}
