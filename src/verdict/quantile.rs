//! Quantiles of Student's distribution, in which the noise is estimated from few windows.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// Chances below this are taken for it: rarer events cannot be told from a few hundred windows.
const CHANCE_MIN: f64 = 1e-9;

/// The distribution is that of the normal one from here on, to six digits.
const DEGREES_MAX: f64 = 1e6;

/// The value that a variable of Student's distribution exceeds with this chance, for chances up to
/// one half. Infinite if one of the arguments is not a number.
pub(super) fn student_upper(chance: f64, degrees_of_freedom: f64) -> f64 {
    if chance.is_nan() || degrees_of_freedom.is_nan() {
        return f64::INFINITY;
    }

    if chance >= 0.5 {
        return 0.0;
    }

    let degrees = degrees_of_freedom.clamp(1.0, DEGREES_MAX);

    // The lower quantile is minus the upper one, and exact where 1 - chance is not.
    StudentsT::new(0.0, 1.0, degrees)
        .map_or(f64::INFINITY, |it| -it.inverse_cdf(chance.max(CHANCE_MIN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_printed_tables() {
        let table = [
            (1.0, 0.05, 6.314),
            (4.0, 0.05, 2.132),
            (4.0, 0.01, 3.747),
            (4.0, 0.005, 4.604),
            (4.0, 0.001, 7.173),
            (10.0, 0.005, 3.169),
            (30.0, 0.02, 2.147),
            (200.0, 0.025, 1.972),
            (1e9, 0.025, 1.960),
        ];

        for (degrees, chance, want) in table {
            let upper = student_upper(chance, degrees);
            assert!((upper - want).abs() < 6e-4, "{degrees} {chance}: {upper}, not {want}");
        }
    }

    #[test]
    fn impossible_arguments_have_a_quantile_too() {
        assert!(student_upper(f64::NAN, 4.0).is_infinite());
        assert!(student_upper(0.05, f64::NAN).is_infinite());
        assert_eq!(student_upper(0.9, 4.0).to_bits(), 0);

        for chance in [-1.0, 0.0, 1e-300, 1e-9, 0.499_999, 0.5, f64::INFINITY] {
            for degrees in [-1.0, 0.0, 1.0, 4.0, 1e6, f64::INFINITY] {
                let upper = student_upper(chance, degrees);
                assert!(upper.is_finite() && upper >= 0.0, "{chance} {degrees}: {upper}");
            }
        }
    }
}
