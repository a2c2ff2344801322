//! How often each procedure says what, in one world and over many.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    procedure::GIVEN,
    simulation::EFFECTS,
    statistics::{Share, median},
    world_runs::{COUNTED, Counted, JudgedRun, Said, WorldRuns},
};

/// A procedure, and how often it says what.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rates {
    /// `None`: the procedure before this one, which asks neither history nor other brokers.
    pub(crate) history_minutes: Option<usize>,
    pub(crate) controls: usize,
    /// Median minutes from the write to the verdict, of runs whose service time is halved.
    pub(crate) minutes_minus_50: f64,
    #[serde(flatten)]
    pub(crate) shares: BTreeMap<&'static str, Share>,
}

/// The runs of one world, or of many of which each weighs the same.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorldRates {
    pub(crate) world: String,
    #[serde(skip)]
    pub(crate) is_drawn: bool,
    /// Simulated clusters. Those in which the alert does not fire have no run.
    pub(crate) clusters: u64,
    pub(crate) runs: usize,
    /// Median factor on the latency under each effect, in the order of `EFFECTS`.
    pub(crate) factors: Vec<f64>,
    pub(crate) old: Rates,
    /// In the order of [`GIVEN`].
    pub(crate) new: Vec<Rates>,
}

/// A procedure: an index of [`GIVEN`], or `None` for the old one.
type Which = Option<usize>;

/// Minutes after which the old procedure gives its verdict.
const OLD_MINUTES: f64 = 11.0;
const HALVED: usize = 4;

impl WorldRates {
    pub(crate) fn of(simulated: &WorldRuns) -> Self {
        let factors = |effect: usize| {
            median(&simulated.runs.iter().map(|it| it.factors[effect]).collect::<Vec<_>>())
        };

        Self {
            world: simulated.world.name.clone(),
            is_drawn: simulated.world.is_drawn,
            clusters: simulated.clusters,
            runs: simulated.runs.len(),
            factors: (0..EFFECTS.len()).map(factors).collect(),
            old: rates(simulated, None),
            new: (0..GIVEN.len()).map(|it| rates(simulated, Some(it))).collect(),
        }
    }

    /// The mean of worlds. Its intervals are those of as many runs as give the same variance.
    pub(crate) fn mean(name: &str, worlds: &[&Self]) -> Self {
        let number = worlds.len() as f64;
        let variance: f64 = worlds.iter().map(|it| (it.runs as f64).recip()).sum();
        let effective = number * number / variance;

        let mean = |of: &dyn Fn(&Self) -> f64| worlds.iter().map(|it| of(it)).sum::<f64>() / number;
        let rates = |of: &dyn Fn(&Self) -> &Rates| Rates {
            minutes_minus_50: mean(&|it| of(it).minutes_minus_50),
            shares: COUNTED
                .map(|it| (it.key, Share::of(mean(&|world| of(world).share(it.key)), effective)))
                .into(),
            ..of(worlds[0]).clone()
        };

        Self {
            world: name.to_owned(),
            is_drawn: false,
            clusters: worlds.iter().map(|it| it.clusters).sum(),
            runs: worlds.iter().map(|it| it.runs).sum(),
            factors: Vec::new(),
            old: rates(&|it| &it.old),
            new: (0..GIVEN.len()).map(|given| rates(&|it| &it.new[given])).collect(),
        }
    }
}

impl Rates {
    pub(crate) fn share(&self, key: &str) -> f64 {
        self.shares[key].value
    }
}

fn rates(simulated: &WorldRuns, which: Which) -> Rates {
    let runs = simulated.runs.len() as f64;

    let share = |it: Counted| Share::of(simulated.share(|run| says(run, which, it)), runs);
    let minutes =
        |run: &JudgedRun| which.map_or(OLD_MINUTES, |given| run.new[given][HALVED].minutes as f64);

    Rates {
        history_minutes: which.map(|it| GIVEN[it].history),
        controls: which.map_or(0, |it| GIVEN[it].controls),
        minutes_minus_50: median(&simulated.runs.iter().map(minutes).collect::<Vec<_>>()),
        shares: COUNTED.map(|it| (it.key, share(it))).into(),
    }
}

fn says(run: &JudgedRun, which: Which, counted: Counted) -> bool {
    let old = &run.old[counted.effect];
    let (verdict, is_guard_tripped) = which.map_or((old.verdict, old.is_guard_tripped), |given| {
        let answer = &run.new[given][counted.effect];
        (answer.verdict, answer.is_guard_tripped)
    });

    match counted.says {
        Said::Verdict(said) => verdict == said,
        Said::GuardTripped => is_guard_tripped,
    }
}
