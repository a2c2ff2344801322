//! Quantiles, and how sure a share is that was counted.

use serde::Serialize;

/// A quantile of sorted values, with straight lines between them.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    let at = share * last as f64;
    let (below, above) = (at.floor(), at.ceil());
    let [low, high] = [below, above].map(|it| sorted[it as usize]);

    low + (high - low) * (at - below)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// A share that was counted, with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Share {
    pub(crate) value: f64,
    /// 95 % by Wilson's score (1927), which is right near 0 and 1 too.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Share {
    /// `runs` may be the effective number of a weighted mean.
    pub(crate) fn of(value: f64, runs: f64) -> Self {
        const Z: f64 = 1.96;

        let shrunk = Z * Z / runs;
        let middle = (value + shrunk / 2.0) / (1.0 + shrunk);
        let half =
            Z * (value * (1.0 - value) / runs + shrunk / (4.0 * runs)).sqrt() / (1.0 + shrunk);

        Self { value, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(counted: f64, runs: f64, low: f64, high: f64) {
        let share = Share::of(counted / runs, runs);
        assert!((share.low - low).abs() < 5e-4, "{share:?}");
        assert!((share.high - high).abs() < 5e-4, "{share:?}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        check(0.0, 10.0, 0.0, 0.2775);
        check(5.0, 10.0, 0.2366, 0.7634);
        check(1.0, 100.0, 0.0018, 0.0545);
    }

    #[test]
    fn quantiles_lie_on_straight_lines() {
        assert!((quantile(&[1.0, 2.0, 4.0], 0.75) - 3.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-12);
    }
}
