//! What the verdict must not depend on, what it must say of clear cases, and that no input makes it
//! panic or takes it long.

use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{model::Verdict, playbook::Better};

const SEEDS: Range<u64> = 0..40;

/// A made-up cluster: minutes of two counters with the load, swings and noise of one.
#[derive(Clone, Copy)]
struct Sample {
    seed: u64,
    history: usize,
    untouched: usize,
    /// Factors on the level and the load of the changed broker after the write.
    effect: f64,
    load: f64,
    /// Share of the bins that is missing.
    missing: f64,
}

/// The increments of both counters by broker, the changed one first.
#[derive(Clone)]
struct SampleCounters {
    write: usize,
    sums: Vec<Vec<Option<f64>>>,
    counts: Vec<Vec<Option<f64>>>,
}

const AFTER: usize = 11;
const PLAIN: Sample =
    Sample { seed: 1, history: 120, untouched: 2, effect: 1.0, load: 1.0, missing: 0.0 };

/// A value with mean 0 and variance 1: the sum of twelve even ones, less their mean.
fn normal(random: &mut StdRng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

impl Sample {
    fn counters(self) -> SampleCounters {
        let random = &mut StdRng::seed_from_u64(self.seed);
        let mut counters =
            SampleCounters { write: self.history, sums: Vec::new(), counts: Vec::new() };
        let bins = self.history + AFTER;
        let common: Vec<f64> = autoregressive(bins, 0.9, 0.06, random);

        for broker in 0..=self.untouched {
            let own = autoregressive(bins, 0.8, 0.008, random);
            let mut sums = Vec::new();
            let mut counts = Vec::new();
            for (bin, (common, own)) in common.iter().zip(&own).enumerate() {
                let is_changed = broker == 0 && bin >= self.history;
                let factor = |it: f64| if is_changed { it } else { 1.0 };
                let swing = 0.15 * (count(bin) / 9.0).sin() + own;
                let requests = 36_000.0 * swing.exp() * factor(self.load);
                let level = 1.5 * (swing + factor(self.load).ln()) + common;
                let took = 0.01 * (level + 0.1 * normal(random)).exp() * factor(self.effect);
                let is_there = random.random::<f64>() >= self.missing;
                sums.push(is_there.then_some(requests * took));
                counts.push(is_there.then_some(requests));
            }
            counters.sums.push(sums);
            counters.counts.push(counts);
        }

        counters
    }

    fn conclusion(self) -> Conclusion {
        self.counters().conclusion(&Parameters::default(), &[])
    }
}

fn autoregressive(bins: usize, keeps: f64, noise: f64, random: &mut StdRng) -> Vec<f64> {
    let mut value = 0.0;
    let mut next = || {
        value = keeps * value + noise * normal(random);
        value
    };

    (0..bins).map(|_| next()).collect()
}

impl SampleCounters {
    fn bins(&self, window: &Range<usize>) -> Bins {
        let part = |it: &[Option<f64>]| it[window.clone()].to_vec();
        let rows = self.sums.iter().zip(&self.counts);
        let mut series =
            rows.map(|(sums, counts)| Series::of_mean(&part(sums), &part(counts), None));

        Bins { changed: series.next().unwrap(), untouched: series.collect() }
    }

    fn past(&self, parameters: &Parameters, excluded: &[Range<usize>]) -> Past {
        Past::new(&self.bins(&(0..self.write)), parameters, excluded)
    }

    fn after(&self) -> Bins {
        self.bins(&(self.write..self.sums[0].len()))
    }

    fn conclusion(&self, parameters: &Parameters, excluded: &[Range<usize>]) -> Conclusion {
        self.past(parameters, excluded).verdict(&self.after())
    }

    fn scaled(&self, sums: f64, counts: f64) -> Self {
        let scaled = |rows: &[Vec<Option<f64>>], factor: f64| {
            let row =
                |row: &Vec<Option<f64>>| row.iter().map(|it| it.map(|it| it * factor)).collect();
            rows.iter().map(row).collect()
        };

        Self {
            write: self.write,
            sums: scaled(&self.sums, sums),
            counts: scaled(&self.counts, counts),
        }
    }
}

/// Runs of every kind, by seed.
fn samples() -> impl Iterator<Item = Sample> {
    SEEDS.map(|seed| {
        let random = &mut StdRng::seed_from_u64(1000 + seed);
        Sample {
            seed,
            history: [0, 5, 10, 30, 120, 300][random.random_range(0..6)],
            untouched: random.random_range(0..4),
            effect: [0.1, 0.5, 0.8, 1.0, 1.3, 3.0][random.random_range(0..6)],
            load: [0.5, 1.0, 1.6][random.random_range(0..3)],
            missing: [0.0, 0.0, 0.2][random.random_range(0..3)],
        }
    })
}

#[track_caller]
fn assert_same(a: &Conclusion, b: &Conclusion) {
    assert_eq!((a.verdict, a.bins), (b.verdict, b.bins));
    let change = |it: &Conclusion| it.evidence.difference.map_or(0.0, |it| it.change);
    assert!((change(a) - change(b)).abs() < 1e-9, "{a:?}\n{b:?}");
}

#[test]
fn the_units_of_the_counters_do_not_matter() {
    for sample in samples() {
        let counters = sample.counters();
        let conclusion = sample.conclusion();

        for scaled in [counters.scaled(1000.0, 1.0), counters.scaled(7.0, 7.0)] {
            assert_same(&scaled.conclusion(&Parameters::default(), &[]), &conclusion);
        }
    }
}

#[test]
fn the_order_of_the_untouched_brokers_does_not_matter() {
    for sample in samples() {
        let mut turned = sample.counters();
        turned.sums[1..].reverse();
        turned.counts[1..].reverse();

        assert_same(&turned.conclusion(&Parameters::default(), &[]), &sample.conclusion());
    }
}

#[test]
fn a_rate_that_is_better_higher_is_judged_as_its_inverse() {
    let counters = Sample { effect: 0.3, untouched: 0, ..PLAIN }.counters();
    let split = counters.write;
    let conclusion = |values: &[Option<f64>], better| {
        let scale = Scale::of(&values[..split], better);
        let load = &counters.counts[0];
        let series = |it: Range<usize>| Bins {
            changed: Series::of_values(&values[it.clone()], &load[it], scale),
            untouched: Vec::new(),
        };
        let past = Past::new(&series(0..split), &Parameters::default(), &[]);
        past.verdict(&series(split..values.len()))
    };

    let rows = counters.sums[0].iter().zip(&counters.counts[0]);
    let lower: Vec<Option<f64>> = rows.map(|(sum, count)| Some((*sum)? / (*count)?)).collect();
    let higher: Vec<Option<f64>> = lower.iter().map(|it| it.map(|it| 1.0 / it)).collect();

    assert_eq!(conclusion(&lower, Better::Lower).verdict, Verdict::Improved);
    assert_same(&conclusion(&higher, Better::Higher), &conclusion(&lower, Better::Lower));
    assert_eq!(conclusion(&higher, Better::Lower).verdict, Verdict::Regressed);
}

#[test]
fn a_huge_improvement_is_seen_in_two_bins() {
    for seed in SEEDS {
        let conclusion = Sample { seed, effect: 0.1, ..PLAIN }.conclusion();
        assert_eq!((conclusion.verdict, conclusion.bins), (Verdict::Improved, 3), "seed {seed}");
    }
}

#[test]
fn a_fresh_cluster_can_show_a_huge_improvement_too() {
    let fresh = |effect| Sample { effect, history: 5, untouched: 0, ..PLAIN }.conclusion();

    assert_eq!(fresh(0.1).verdict, Verdict::Improved);
    assert_eq!(fresh(0.9).verdict, Verdict::Inconclusive);
}

#[test]
fn nothing_is_improved_where_nothing_was_changed() {
    let verdicts: Vec<Verdict> =
        (0..200).map(|seed| Sample { seed, ..PLAIN }.conclusion().verdict).collect();
    let number = |verdict| verdicts.iter().filter(|it| **it == verdict).count();

    assert!(number(Verdict::Improved) <= 8, "{}", number(Verdict::Improved));
    assert!(number(Verdict::Regressed) <= 4, "{}", number(Verdict::Regressed));
}

#[test]
fn three_times_as_slow_is_regressed_unless_the_load_may_have_done_it() {
    for seed in SEEDS {
        let slow = Sample { seed, effect: 3.0, ..PLAIN };
        assert_eq!(slow.conclusion().verdict, Verdict::Regressed, "seed {seed}");

        let conclusion = Sample { load: 1.8, ..slow }.conclusion();
        assert_eq!(conclusion.verdict, Verdict::Inconclusive, "seed {seed}");
        assert_eq!(conclusion.evidence.doubt, Some(Doubt::Load), "seed {seed}");
    }
}

#[test]
fn a_higher_load_alone_does_not_make_a_run_regressed() {
    for seed in SEEDS {
        for load in [1.25, 1.6, 3.0] {
            let verdict = Sample { seed, load, ..PLAIN }.conclusion().verdict;
            assert_ne!(verdict, Verdict::Regressed, "seed {seed}, load {load}");
        }
    }
}

#[test]
fn almost_no_load_before_is_inconclusive() {
    let conclusion = Sample { load: 20.0, effect: 0.004, ..PLAIN }.conclusion();

    assert_eq!(conclusion.verdict, Verdict::Inconclusive);
    assert_eq!(conclusion.evidence.doubt, Some(Doubt::AlmostNoLoad));
}

#[test]
fn a_missing_observation_or_baseline_is_inconclusive() {
    let counters = PLAIN.counters();

    let mut after = counters.after();
    after.changed.level.fill(None);
    let conclusion = counters.past(&Parameters::default(), &[]).verdict(&after);
    assert_eq!(conclusion.verdict, Verdict::Inconclusive);
    assert_eq!(conclusion.evidence.doubt, Some(Doubt::TooFewBins));
    assert_eq!(conclusion.evidence.difference, None);

    let mut before = counters.bins(&(0..counters.write));
    before.changed.level[counters.write - 3..].fill(None);
    let conclusion = Past::new(&before, &Parameters::default(), &[]).verdict(&counters.after());
    assert_eq!(conclusion.evidence.doubt, Some(Doubt::TooFewBins));
}

#[test]
fn what_is_flat_and_stays_so_is_neutral() {
    let flat = |bins: usize| {
        let values = vec![Some(100.0); bins];
        Bins { changed: Series::of_mean(&values, &values, None), untouched: Vec::new() }
    };

    let conclusion = Past::new(&flat(180), &Parameters::default(), &[]).verdict(&flat(20));

    assert_eq!(conclusion.verdict, Verdict::Neutral);
}

#[test]
fn windows_of_earlier_runs_are_no_placebos() {
    let mut counters = Sample { history: 300, ..PLAIN }.counters();
    let earlier = [60..75, 140..155, 230..245];
    for bin in earlier.iter().cloned().flatten() {
        let value = &mut counters.sums[0][bin];
        *value = value.map(|it| it / 2.0);
    }

    let with = counters.conclusion(&Parameters::default(), &[]).evidence;
    let without = counters.conclusion(&Parameters::default(), &earlier).evidence;

    assert!(without.difference.unwrap().noise_down < with.difference.unwrap().noise_down);

    // A range beyond the history, or of everything, is no error.
    let all = [Range { start: 9, end: 3 }, 0..usize::MAX];
    let all = counters.conclusion(&Parameters::default(), &all).evidence;
    assert_eq!(all.placebos, Placebos::default());
}

#[test]
fn a_change_that_all_brokers_show_is_no_improvement() {
    let mut improved = [0, 0];
    for seed in SEEDS {
        let mut counters = Sample { seed, history: 600, ..PLAIN }.counters();
        for sums in &mut counters.sums {
            for sum in &mut sums[600..] {
                *sum = sum.map(|it| it * 0.65);
            }
        }

        for (number, untouched) in improved.iter_mut().zip([0, 2]) {
            let mut part = counters.clone();
            part.sums.truncate(1 + untouched);
            part.counts.truncate(1 + untouched);
            let verdict = part.conclusion(&Parameters::default(), &[]).verdict;
            *number += usize::from(verdict == Verdict::Improved);
        }
    }

    let [alone, with_others] = improved;
    assert!(with_others < alone / 2, "{improved:?}");
}

#[test]
fn a_soft_guard_trips_on_what_rose_only() {
    let guard = SoftGuard { chance: 0.002, at_least: 0.5 };
    let rise = |effect| {
        let counters = Sample { effect, ..PLAIN }.counters();
        counters.past(&Parameters::default(), &[]).rise(&counters.after(), 1, guard)
    };

    assert!(rise(3.0).has_risen);
    assert!(!rise(1.0).has_risen);
    assert!(!rise(0.3).has_risen);
    assert!(rise(1.0).evidence.difference.is_some());

    let unknown = Past::new(&Bins::default(), &Parameters::default(), &[]);
    let unknown = unknown.rise(&Bins::default(), 1, guard);
    assert!(!unknown.has_risen && unknown.evidence.difference.is_none());
}

#[test]
fn the_evidence_survives_being_stored() {
    for sample in samples() {
        let evidence = sample.conclusion().evidence;
        let json = serde_json::to_string(&evidence).unwrap();
        let restored: Evidence = serde_json::from_str(&json).unwrap();

        assert_eq!(restored.placebos, evidence.placebos);
        for verdict in Verdict::ALL {
            assert_eq!(restored.sentence(*verdict), evidence.sentence(*verdict));
        }
    }
}

/// Values that no counter or gauge should have.
const ODD: [Option<f64>; 9] = [
    None,
    Some(f64::NAN),
    Some(f64::INFINITY),
    Some(f64::NEG_INFINITY),
    Some(0.0),
    Some(-1.0),
    Some(f64::MAX),
    Some(f64::MIN_POSITIVE),
    Some(1.0),
];

fn odd_series(bins: usize, random: &mut StdRng) -> Series {
    // Some are all of one kind, and some are longer or shorter than the others.
    let kinds: Vec<usize> =
        (0..random.random_range(1..4)).map(|_| random.random_range(0..9)).collect();
    let length = (bins + random.random_range(0..3)).saturating_sub(1);
    let mut values =
        || (0..length).map(|_| ODD[kinds[random.random_range(0..kinds.len())]]).collect();

    Series { level: values(), load: values() }
}

fn odd_parameters(random: &mut StdRng) -> Parameters {
    let mut bins = || [0, 1, 2, 5, usize::MAX][random.random_range(0..5)];
    let parameters = Parameters {
        baseline: bins(),
        settle: bins(),
        near_min: bins(),
        group: bins(),
        groups: bins(),
        looks: vec![Interim { bins: bins(), chance: 0.01 }, Interim { bins: bins(), chance: 2.0 }],
        ..Parameters::default()
    };
    let mut number = || [0.0, -1.0, 1.0, 1e300, f64::NAN, f64::INFINITY][random.random_range(0..6)];

    Parameters {
        at_least: number(),
        early: number(),
        near_share: number(),
        prior_deviation: number(),
        prior_weight: number(),
        correlated: number(),
        load_rise: number(),
        regress_share: number(),
        ..parameters
    }
}

#[test]
fn no_input_panics_or_makes_a_verdict_of_nothing() {
    for seed in 0..2000 {
        let random = &mut StdRng::seed_from_u64(seed);
        let history = [0, 1, 2, 5, 6, 40, 200][random.random_range(0..7)];
        let untouched = random.random_range(0..3);
        let mut bins = |number| Bins {
            changed: odd_series(number, random),
            untouched: (0..untouched).map(|_| odd_series(number, random)).collect(),
        };
        let (before, after) = (bins(history), bins(AFTER));
        let is_usual = seed % 2 == 0;
        let parameters = if is_usual { Parameters::default() } else { odd_parameters(random) };
        let guard = SoftGuard { chance: f64::NAN, at_least: -1.0 };

        let past = Past::new(&before, &parameters, &[3..9, 7..usize::MAX]);
        let conclusion = past.verdict(&after);
        for verdict in Verdict::ALL {
            assert!(!conclusion.evidence.sentence(*verdict).is_empty());
        }
        for look in [0, 1, 99] {
            past.rise(&after, look, guard);
        }

        let json = serde_json::to_string(&conclusion.evidence).unwrap();
        assert!(serde_json::from_str::<Evidence>(&json).is_ok(), "seed {seed}: {json}");
    }
}

#[test]
fn many_brokers_and_bins_take_no_quadratic_time() {
    let long = Sample { history: 50_000, untouched: 2, ..PLAIN }.counters();
    let excluded: Vec<Range<usize>> = (0..10_000).map(|it| it..it + 1).collect();

    let conclusion = long.conclusion(&Parameters::default(), &excluded);

    assert_ne!(conclusion.verdict, Verdict::Improved);
}
