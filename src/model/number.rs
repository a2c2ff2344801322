//! Numbers: for arithmetic, and in words for people.

/// A number of things, for arithmetic; exact up to 2^32.
pub fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// About four significant digits; an exponent only for very small or large values.
pub fn significant(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (0.001..100_000.0).contains(&size) {
        let digits = if size < 0.01 {
            6
        } else if size < 1.0 {
            4
        } else if size < 100.0 {
            3
        } else {
            1
        };

        let text = format!("{value:.digits$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }

    format!("{value:.3e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (0.012_345, "0.0123"),
            (0.001_5, "0.0015"),
            (12.345_6, "12.346"),
            (1234.56, "1234.6"),
            (2.5e9, "2.500e9"),
            (-0.5, "-0.5"),
        ] {
            assert_eq!(significant(value), text);
        }
    }
}
