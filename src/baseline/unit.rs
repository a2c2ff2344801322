//! What values are counted in, and how people read them.

use crate::model::{closed_list, significant};

closed_list! {
    /// What the values are counted in.
    pub enum Unit {
        Seconds = "seconds",
        BytesPerSecond = "bytes_per_second",
        PerSecond = "per_second",
        Cores = "cores",
        /// A share of a whole, 0–1.
        Ratio = "ratio",
        Bytes = "bytes",
        /// Number of replicas of partitions.
        Replicas = "replicas",
    }
}

impl Unit {
    /// The value with its unit, rounded to about three significant digits.
    pub fn shown(self, value: f64) -> String {
        // There is no -0.
        let value = value + 0.0;

        match self {
            Self::Seconds => format!("{} ms", short(value * 1000.0)),
            Self::Bytes => scaled(value, ""),
            Self::BytesPerSecond => scaled(value, "/s"),
            Self::PerSecond => format!("{}/s", short(value)),
            Self::Cores => format!("{} cores", short(value)),
            Self::Ratio => format!("{} %", short_percent(value)),
            Self::Replicas => format!("{} replicas", short(value)),
        }
    }
}

/// Bytes in units of a thousand, as network and disks are sold.
fn scaled(bytes: f64, per: &str) -> String {
    let mut rest = bytes;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();

    while rest.abs() >= 1000.0 {
        let Some(next) = units.next() else { break };
        rest /= 1000.0;
        unit = next;
    }

    format!("{} {unit}{per}", short(rest))
}

/// A share in percent; with a decimal where a whole percent would be too coarse.
fn short_percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent != 0.0 && percent.abs() < 10.0 { short(percent) } else { format!("{percent:.0}") }
}

/// Rounded to about three significant digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => significant(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_have_their_unit() {
        for (unit, number, text) in [
            (Unit::Seconds, 0.012_34, "12.3 ms"),
            (Unit::Seconds, 1.5, "1500 ms"),
            (Unit::Bytes, 536_870_912.0, "537 MB"),
            (Unit::Bytes, 2e12, "2.00 TB"),
            (Unit::BytesPerSecond, 1_500.0, "1.50 kB/s"),
            (Unit::BytesPerSecond, 12.0, "12.0 B/s"),
            (Unit::PerSecond, 1234.6, "1235/s"),
            (Unit::Ratio, 0.834, "83 %"),
            (Unit::Ratio, 0.012, "1.20 %"),
            (Unit::Ratio, 0.0, "0 %"),
            (Unit::Cores, 0.42, "0.42 cores"),
            (Unit::Replicas, 812.3, "812 replicas"),
        ] {
            assert_eq!(unit.shown(number), text);
        }
    }
}
