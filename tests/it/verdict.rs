//! The verdict against numbers that were computed by a separate implementation in Python with
//! numpy. It shares no code with this one, so a slip in one of the formulas shows here.
//!
//! `fixtures/verdict.json` holds runs whose bins are made up: the increments of two counters, the
//! changed broker first, as minutes with the load, noise and swings of a cluster. Each has the
//! verdict and the numbers of every look, also of those after the one that decided.

use std::{collections::BTreeMap, fs, ops::Range};

use kafka_optimizer::{
    model::Verdict,
    verdict::{Bins, Doubt, Evidence, Interim, Judgement, Parameters, Past, Series, SoftGuard},
};
use serde::Deserialize;

/// None of the numbers depends on Student's quantile, for which the two have different formulas.
/// The verdicts do.
const TOLERANCE: f64 = 1e-9;

const GUARD: SoftGuard = SoftGuard { chance: 0.01, at_least: 0.5 };

#[derive(Deserialize)]
struct Fixture {
    about: String,
    parameters: FixtureParameters,
    excluded: Vec<FixtureRange>,
    /// The first bin after the write.
    write: usize,
    verdict: String,
    bins: usize,
    looks: Vec<FixtureNumbers>,
    sums: Vec<Vec<Option<f64>>>,
    counts: Vec<Vec<Option<f64>>>,
}

/// Those that differ from the default.
#[derive(Deserialize)]
struct FixtureParameters {
    base: Option<usize>,
    gap: Option<usize>,
    looks: Option<Vec<usize>>,
    alpha: Option<Vec<f64>>,
    at_least: Option<f64>,
}

/// The first bin, and the one after the last.
#[derive(Clone, Copy, Deserialize)]
struct FixtureRange(usize, usize);

#[derive(Deserialize)]
struct FixtureNumbers {
    verdict: Option<String>,
    /// Whether `GUARD` on the same series trips.
    rose: bool,
    weight: f64,
    /// `None` if too many bins are missing.
    numbers: Option<BTreeMap<String, f64>>,
}

impl Fixture {
    fn bins(&self, window: Range<usize>) -> Bins {
        let rows = self.sums.iter().zip(&self.counts);
        let mut series = rows.map(|(sum, count)| {
            Series::of_mean(&sum[window.clone()], &count[window.clone()], None)
        });

        Bins { changed: series.next().unwrap(), untouched: series.collect() }
    }

    fn past(&self) -> Past {
        let excluded: Vec<Range<usize>> = self.excluded.iter().map(|it| it.0..it.1).collect();
        Past::new(&self.bins(0..self.write), &self.parameters.all(), &excluded)
    }

    fn after(&self) -> Bins {
        self.bins(self.write..self.sums[0].len())
    }

    fn began_before(&self) -> bool {
        let (past, after) = (self.past(), self.after());
        let mut looks = self.looks.iter().enumerate();
        looks.any(|(look, theirs)| is_stricter(&past.judge(&after, look), theirs))
    }
}

impl FixtureParameters {
    fn all(&self) -> Parameters {
        let mut all = Parameters::default();
        all.baseline = self.base.unwrap_or(all.baseline);
        all.settle = self.gap.unwrap_or(all.settle);
        all.at_least = self.at_least.unwrap_or(all.at_least);
        if let (Some(bins), Some(chances)) = (&self.looks, &self.alpha) {
            let pairs = bins.iter().zip(chances);
            all.looks =
                pairs.map(|(bins, chance)| Interim { bins: *bins, chance: *chance }).collect();
        }

        all
    }
}

fn fixtures() -> Vec<Fixture> {
    let text = fs::read_to_string("tests/it/fixtures/verdict.json").unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Whether only the rule that a fall has to come after the write differs: the separate
/// implementation does not have it, and a run is never improved by it.
fn is_stricter(ours: &Judgement, theirs: &FixtureNumbers) -> bool {
    let refused = ours.evidence.doubt == Some(Doubt::BeganBefore);
    refused && ours.verdict.is_none() && theirs.verdict.as_deref() == Some("improved")
}

/// The numbers of a look by the names that the fixtures have for them.
fn numbers(evidence: &Evidence) -> Option<BTreeMap<String, f64>> {
    let difference = evidence.difference?;
    let count = |it: usize| f64::from(u32::try_from(it).unwrap());
    let numbers = [
        ("change", difference.change),
        ("load", evidence.load_change?),
        ("pull", difference.pull),
        ("better", difference.best),
        ("worse", difference.worst),
        ("down", difference.noise_down),
        ("up", difference.noise_up),
        ("df", difference.degrees_of_freedom),
        ("fewer", count(evidence.placebos.as_good)),
        ("more", count(evidence.placebos.as_bad)),
        ("of", count(evidence.placebos.comparable)),
        ("nu", count(evidence.placebos.disjoint)),
    ];

    Some(numbers.map(|(name, number)| (name.to_owned(), number)).into())
}

#[test]
fn the_verdict_of_all_looks_is_that_of_a_separate_implementation() {
    let fixtures = fixtures();
    let mut seen: Vec<&str> = Vec::new();

    for fixture in &fixtures {
        if fixture.began_before() {
            continue;
        }
        let conclusion = fixture.past().verdict(&fixture.after());
        assert_eq!(conclusion.verdict.label(), fixture.verdict, "{}", fixture.about);
        assert_eq!(conclusion.bins, fixture.bins, "{}", fixture.about);
        seen.push(&fixture.verdict);
    }

    assert!(Verdict::ALL.iter().all(|it| seen.contains(&it.label())), "{seen:?}");
}

#[test]
fn each_number_is_that_of_a_separate_implementation() {
    for fixture in fixtures() {
        let (past, after) = (fixture.past(), fixture.after());

        for (look, want) in fixture.looks.iter().enumerate() {
            let about = format!("{}, look {look}", fixture.about);
            let judgement = past.judge(&after, look);
            if !is_stricter(&judgement, want) {
                let verdict = judgement.verdict.map(Verdict::label);
                assert_eq!(verdict, want.verdict.as_deref(), "{about}");
            }

            let weight = judgement.evidence.untouched_weight;
            assert!((weight - want.weight).abs() < TOLERANCE, "{about}: weight {weight}");

            let got = numbers(&judgement.evidence);
            assert_eq!(got.is_some(), want.numbers.is_some(), "{about}");
            for (name, want) in want.numbers.iter().flatten() {
                let got = got.as_ref().unwrap()[name];
                assert!((got - want).abs() < TOLERANCE, "{about}: {name} {got}, not {want}");
            }
        }
    }
}

#[test]
fn a_fall_that_began_before_the_write_is_no_improvement() {
    let stricter: Vec<_> = fixtures().into_iter().filter(Fixture::began_before).collect();

    assert_eq!(stricter.len(), 1);
    assert_ne!(stricter[0].past().verdict(&stricter[0].after()).verdict, Verdict::Improved);
}

#[test]
fn a_soft_guard_trips_where_it_does_in_a_separate_implementation() {
    let mut trips = 0;
    for fixture in fixtures() {
        let (past, after) = (fixture.past(), fixture.after());

        for (look, want) in fixture.looks.iter().enumerate() {
            let rise = past.rise(&after, look, GUARD);
            assert_eq!(rise.has_risen, want.rose, "{}, look {look}", fixture.about);
            trips += usize::from(rise.has_risen);
        }
    }

    assert!(trips > 0);
}
