//! The procedure of `verdict`, asked about a simulated run with as much history and as many
//! untouched brokers as it is given.

use kafka_optimizer::{
    model::Verdict,
    verdict::{Bins, Parameters, Past, Series, SoftGuard},
};

use crate::simulation::{EFFECTS, Increments, SimulatedRun};

/// The history and the number of untouched brokers that the procedure is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Minutes that it knows before the write.
    pub(crate) history: usize,
    pub(crate) controls: usize,
}

pub(crate) const GIVEN: [Given; 6] = [
    Given { history: 10, controls: 0 },
    Given { history: 10, controls: 2 },
    Given { history: 60, controls: 0 },
    Given { history: 60, controls: 2 },
    Given { history: 1440, controls: 0 },
    Given { history: 1440, controls: 2 },
];

/// A soft guard on the objective itself, the hardest case: the run begins at its extreme. Its
/// chance at each look, and the rise that it lets pass.
const GUARD_CHANCES: [f64; 3] = [0.0005, 0.001, 0.002];
const GUARD_AT_LEAST: f64 = 0.5;

/// What it says under one effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    /// Minutes from the write to the verdict.
    pub(crate) minutes: usize,
    pub(crate) is_guard_tripped: bool,
}

/// What it says of a run, in the order of [`EFFECTS`].
pub(crate) fn judge(run: &SimulatedRun, given: Given) -> [Answer; EFFECTS.len()] {
    let newest = |it: &Vec<Increments>| series(&it[it.len() - given.history..]);
    let before = Bins {
        changed: newest(&run.past[0]),
        untouched: run.past[1..].iter().take(given.controls).map(newest).collect(),
    };
    let past = Past::new(&before, &Parameters::default(), &[]);
    let untouched: Vec<Series> =
        run.others.iter().take(given.controls).map(|it| series(it)).collect();

    std::array::from_fn(|effect| {
        let minutes: Vec<Increments> = run.own[effect].chunks(4).map(Increments::of).collect();
        let after = Bins { changed: series(&minutes), untouched: untouched.clone() };
        let conclusion = past.verdict(&after);

        Answer {
            verdict: conclusion.verdict,
            minutes: conclusion.bins,
            is_guard_tripped: is_guard_tripped(&past, &after),
        }
    })
}

fn is_guard_tripped(past: &Past, after: &Bins) -> bool {
    GUARD_CHANCES.into_iter().enumerate().any(|(look, chance)| {
        past.rise(after, look, SoftGuard { chance, at_least: GUARD_AT_LEAST }).has_risen
    })
}

fn series(minutes: &[Increments]) -> Series {
    let seconds: Vec<Option<f64>> = minutes.iter().map(|it| Some(it.seconds)).collect();
    let requests: Vec<Option<f64>> = minutes.iter().map(|it| Some(it.requests)).collect();

    Series::of_mean(&seconds, &requests, None)
}
