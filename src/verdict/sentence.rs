//! The evidence in words, for journal, pages and terminal.

use super::{Difference, Doubt, Evidence};
use crate::model::Verdict;

/// A change of the untouched brokers below this is called none.
const UNCHANGED: f64 = 0.05;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

impl Evidence {
    /// The evidence for people: one sentence, without a capital letter or a full stop.
    ///
    /// For example "as large an improvement came about by itself in 3 of 240 comparable windows of
    /// the last day; load +2 %; 2 untouched brokers unchanged; at least 31 % better".
    pub fn sentence(&self, verdict: Verdict) -> String {
        let mut parts = match (verdict, &self.difference) {
            (Verdict::Improved, Some(_)) => vec![self.as_large(true)],
            (Verdict::Regressed, Some(_)) => vec![self.as_large(false)],
            (Verdict::Neutral, Some(it)) => vec![between(it)],
            (Verdict::Inconclusive, Some(it)) => {
                let seen = format!("{} than before", relative(it.change));
                vec![self.reason().to_owned(), seen, self.as_large(it.change < 0.0)]
            }
            (_, None) => vec![self.reason().to_owned()],
        };

        parts.extend(self.load_change.map(|it| format!("load {}", signed(it))));
        parts.extend(self.untouched_brokers());
        match (verdict, &self.difference) {
            (Verdict::Improved, Some(it)) => parts.push(format!("at least {}", better(it.high))),
            (Verdict::Regressed, Some(it)) => parts.push(format!("at least {}", worse(it.low))),
            _ => {}
        }

        parts.join("; ")
    }

    /// How often as large a change came about by itself.
    fn as_large(&self, is_improvement: bool) -> String {
        let of = self.placebos.comparable;
        let history = duration(self.bin_seconds * super::count(self.history));
        if of == 0 {
            return format!("no earlier window to compare with in the last {history}");
        }

        let (what, number) = if is_improvement {
            ("an improvement", self.placebos.as_good)
        } else {
            ("a deterioration", self.placebos.as_bad)
        };
        let windows = plural(of, "comparable window");

        format!(
            "as large {what} came about by itself in {number} of {windows} of the last {history}"
        )
    }

    fn reason(&self) -> &'static str {
        match self.doubt {
            Some(Doubt::TooFewBins) | None => "too few bins before or after",
            Some(Doubt::Load) => "the load may have made the difference",
            Some(Doubt::AlmostNoLoad) => {
                "there was almost no load before, which proves nothing about the load after"
            }
            Some(Doubt::ByItself) => "it was on its way back to its usual level by itself",
            Some(Doubt::BeganBefore) => "it had begun before the change",
            Some(Doubt::ReachedNothing) => "the change reached nothing that it is for",
            Some(Doubt::Noise) => "the difference is within the noise",
            Some(Doubt::Imprecise) => "the noise hides whether there is a difference that counts",
        }
    }

    fn untouched_brokers(&self) -> Option<String> {
        if self.untouched == 0 {
            return None;
        }

        let brokers = plural(self.untouched, "untouched broker");

        Some(match self.untouched_change {
            None => format!("{brokers} not measured"),
            Some(change) if change.exp_m1().abs() < UNCHANGED => format!("{brokers} unchanged"),
            Some(change) => format!("{brokers} {}", relative(change)),
        })
    }
}

fn between(difference: &Difference) -> String {
    format!("between {} and {}", relative(difference.low), relative(difference.high))
}

/// A change in words, as "12 % better".
fn relative(change: f64) -> String {
    if change < 0.0 { better(change) } else { worse(change) }
}

fn better(change: f64) -> String {
    format!("{:.0} % better", percent(change.min(0.0)).abs())
}

fn worse(change: f64) -> String {
    format!("{:.0} % worse", percent(change.max(0.0)))
}

/// A change as "+12 %" or "-12 %".
fn signed(change: f64) -> String {
    let percent = percent(change);
    // No sign before what is rounded to 0.
    if percent.abs() < 0.5 { "+0 %".to_owned() } else { format!("{percent:+.0} %") }
}

/// A difference of logarithms in percent.
fn percent(change: f64) -> f64 {
    100.0 * change.exp_m1()
}

fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// A time after "the last": "day", "6 h", "90 min". Less than two of a unit are said in the next
/// smaller one.
fn duration(seconds: f64) -> String {
    for (unit, one, many) in [(DAY, "day", "days"), (HOUR, "hour", "h"), (MINUTE, "minute", "min")]
    {
        let number = seconds / unit;
        if (number - 1.0).abs() < 0.01 {
            return one.to_owned();
        }
        if number >= 2.0 {
            return format!("{number:.0} {many}");
        }
    }

    format!("{seconds:.0} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Placebos;

    fn evidence() -> Evidence {
        Evidence {
            observed: 5,
            history: 1440,
            bin_seconds: 60.0,
            load_change: Some(0.02),
            untouched: 2,
            untouched_change: Some(-0.01),
            untouched_weight: 0.5,
            placebos: Placebos { comparable: 240, disjoint: 30, as_good: 3, as_bad: 1 },
            difference: Some(Difference {
                change: -0.6,
                pull: -0.1,
                best: -0.5,
                worst: -0.7,
                noise_down: 0.1,
                noise_up: 0.1,
                degrees_of_freedom: 33.0,
                low: -0.8,
                high: -0.37,
                detectable: 0.3,
            }),
            doubt: None,
        }
    }

    fn with(change: f64, low: f64, high: f64) -> Evidence {
        let difference = evidence().difference.map(|it| Difference { change, low, high, ..it });
        Evidence { difference, ..evidence() }
    }

    #[test]
    fn each_verdict_has_its_words() {
        assert_eq!(
            evidence().sentence(Verdict::Improved),
            "as large an improvement came about by itself in 3 of 240 comparable windows of the \
             last day; load +2 %; 2 untouched brokers unchanged; at least 31 % better"
        );
        assert_eq!(
            with(0.9, 0.34, 1.2).sentence(Verdict::Regressed),
            "as large a deterioration came about by itself in 1 of 240 comparable windows of the \
             last day; load +2 %; 2 untouched brokers unchanged; at least 40 % worse"
        );
        assert_eq!(
            with(0.0, -0.08, 0.11).sentence(Verdict::Neutral),
            "between 8 % better and 12 % worse; load +2 %; 2 untouched brokers unchanged"
        );
        assert_eq!(
            Evidence { doubt: Some(Doubt::Noise), ..evidence() }.sentence(Verdict::Inconclusive),
            "the difference is within the noise; 45 % better than before; as large an improvement \
             came about by itself in 3 of 240 comparable windows of the last day; load +2 %; 2 \
             untouched brokers unchanged"
        );
    }

    #[test]
    fn each_doubt_has_its_words() {
        let mut words: Vec<&str> = [
            Doubt::TooFewBins,
            Doubt::Load,
            Doubt::AlmostNoLoad,
            Doubt::ByItself,
            Doubt::Noise,
            Doubt::Imprecise,
        ]
        .map(|it| Evidence { doubt: Some(it), ..evidence() }.reason())
        .to_vec();
        words.sort_unstable();
        words.dedup();

        assert_eq!(words.len(), 6);

        let missing = Evidence {
            doubt: Some(Doubt::TooFewBins),
            difference: None,
            load_change: None,
            untouched_change: None,
            ..evidence()
        };
        assert_eq!(
            missing.sentence(Verdict::Inconclusive),
            "too few bins before or after; 2 untouched brokers not measured"
        );
    }

    #[test]
    fn a_run_without_history_or_untouched_brokers_says_so() {
        let alone = Evidence {
            history: 5,
            untouched: 0,
            untouched_change: None,
            load_change: Some(-0.3),
            placebos: Placebos::default(),
            ..evidence()
        };

        assert_eq!(
            alone.sentence(Verdict::Improved),
            "no earlier window to compare with in the last 5 min; load -26 %; at least 31 % better"
        );
    }

    #[test]
    fn one_is_not_plural_and_a_change_of_others_is_said() {
        let one = Evidence {
            untouched: 1,
            untouched_change: Some(0.2),
            load_change: Some(-0.001),
            placebos: Placebos { comparable: 1, ..Placebos::default() },
            ..evidence()
        };

        assert_eq!(
            one.sentence(Verdict::Improved),
            "as large an improvement came about by itself in 0 of 1 comparable window of the last \
             day; load +0 %; 1 untouched broker 22 % worse; at least 31 % better"
        );
    }

    #[test]
    fn durations_take_the_largest_unit_of_which_there_are_two() {
        let seconds = [0.0, 90.0, MINUTE, 600.0, HOUR, 1.5 * HOUR, 6.0 * HOUR, DAY, 7.0 * DAY];
        let words = ["0 s", "90 s", "minute", "10 min", "hour", "90 min", "6 h", "day", "7 days"];

        assert_eq!(seconds.map(duration), words);
    }
}
