//! Means of windows of a series.

use std::ops::Range;

use super::count;

/// The sum of all values up to a bin, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
struct Prefix {
    sum: f64,
    present: usize,
}

/// A series whose mean over any window is known in constant time, by prefix sums.
#[derive(Clone, Debug)]
pub(super) struct WindowMeans(Vec<Prefix>);

impl WindowMeans {
    /// Of a series in which a missing bin is NaN.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut prefix = Prefix::default();
        let mut prefixes = Vec::with_capacity(values.len() + 1);
        prefixes.push(prefix);

        for value in values {
            if value.is_finite() {
                prefix.sum += value;
                prefix.present += 1;
            }
            prefixes.push(prefix);
        }

        Self(prefixes)
    }

    /// The mean of the bins that are there; NaN if more than half of the window is missing.
    pub(super) fn mean(&self, window: Range<usize>) -> f64 {
        let start = self.until(window.start);
        let end = self.until(window.end);
        let present = end.present.saturating_sub(start.present);
        if present == 0 || present < window.len().div_ceil(2) {
            return f64::NAN;
        }

        (end.sum - start.sum) / count(present)
    }

    /// Bins after the last one are missing.
    fn until(&self, bin: usize) -> Prefix {
        self.0.get(bin).or(self.0.last()).copied().unwrap_or_default()
    }
}

/// The mean of the first `bins` of a series, under the same rule.
pub(super) fn mean(values: &[f64], bins: usize) -> f64 {
    WindowMeans::of(values).mean(0..bins)
}

/// The variance of the mean of independent values: their variance by their number. 0 for fewer
/// than two values, which show no variance.
pub(super) fn variance_of_mean(values: &[f64]) -> f64 {
    let present = || values.iter().filter(|it| it.is_finite());
    let number = count(present().count());
    if number < 2.0 {
        return 0.0;
    }

    let mean = present().sum::<f64>() / number;
    let squares: f64 = present().map(|it| (it - mean).powi(2)).sum();

    squares / (number - 1.0) / number
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: f64 = f64::NAN;

    #[test]
    fn a_window_has_a_mean_if_half_of_its_bins_are_there() {
        let means = WindowMeans::of(&[1.0, 2.0, MISSING, MISSING, MISSING, 6.0]);
        let is = |window, want: f64| (means.mean(window) - want).abs() < 1e-12;

        assert!(is(0..2, 1.5));
        assert!(is(0..4, 1.5));
        assert!(is(4..6, 6.0));
        assert!(is(5..7, 6.0));
        assert!(means.mean(1..4).is_nan());
        assert!(means.mean(2..4).is_nan());
        assert!(means.mean(3..3).is_nan());
        assert!(means.mean(5..8).is_nan());
        assert!(means.mean(90..99).is_nan());
        assert!(WindowMeans::of(&[]).mean(0..1).is_nan());
    }

    #[test]
    fn fewer_than_two_values_show_no_variance() {
        assert!(variance_of_mean(&[]).abs() < 1e-12);
        assert!(variance_of_mean(&[3.0, MISSING]).abs() < 1e-12);
        assert!((variance_of_mean(&[1.0, MISSING, 3.0]) - 1.0).abs() < 1e-12);
    }
}
