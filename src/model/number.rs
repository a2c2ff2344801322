//! Numbers: for arithmetic, and in words for people.

use std::fmt::Display;

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

/// A number with its noun, as in `2 partitions` or `1 partition`.
pub fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };

    format!("{number} {noun}{plural}")
}

/// A whole number with separators: `1,234,567`.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }

    if value < 0.0 { format!("-{text}") } else { text }
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

    #[test]
    fn only_one_is_singular() {
        assert_eq!(counted(1, "run"), "1 run");
        assert_eq!(counted(0_usize, "run"), "0 runs");
        assert_eq!(counted(1.2_f64.round(), "partition"), "1 partition");
        assert_eq!(counted(2.0, "partition"), "2 partitions");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(999.0), "999");
        assert_eq!(thousands(-1_234_567.4), "-1,234,567");
    }
}
