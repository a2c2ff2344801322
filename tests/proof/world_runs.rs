//! Many runs of one world, on all cores, and what each procedure said of them.

use std::{
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use kafka_optimizer::model::Verdict;

use crate::{
    old::{self, OldAnswer},
    procedure::{self, Answer, GIVEN},
    simulation::{EFFECTS, Increments, SimulatedRun, simulate},
    world::WorldSpec,
};

/// What the procedures said of one run, by effect.
#[derive(Clone, Debug)]
pub(crate) struct JudgedRun {
    pub(crate) old: [OldAnswer; EFFECTS.len()],
    /// In the order of [`GIVEN`].
    pub(crate) new: [[Answer; EFFECTS.len()]; GIVEN.len()],
    /// The factor by which each effect changed the latency, over the ten minutes observed.
    pub(crate) factors: [f64; EFFECTS.len()],
}

impl JudgedRun {
    fn of(run: &SimulatedRun) -> Self {
        let latency = |own: &Vec<Increments>| {
            let all = Increments::of(&own[4..44]);
            all.seconds / all.requests
        };
        let unchanged = latency(&run.own[0]);

        Self {
            old: std::array::from_fn(|effect| old::judge(&run.fine, &run.own[effect])),
            new: GIVEN.map(|given| procedure::judge(run, given)),
            factors: std::array::from_fn(|effect| latency(&run.own[effect]) / unchanged),
        }
    }
}

/// The runs of one world. A cluster without an alert in its time has none.
#[derive(Clone, Debug)]
pub(crate) struct WorldRuns {
    pub(crate) world: WorldSpec,
    pub(crate) clusters: u64,
    pub(crate) runs: Vec<JudgedRun>,
}

impl WorldRuns {
    /// The same seed gives the same runs, on any number of cores.
    pub(crate) fn of(world: WorldSpec, clusters: u64, seed: u64) -> Self {
        let next = AtomicU64::new(0);
        let judged = Mutex::new(Vec::new());
        let work = || {
            loop {
                let cluster = next.fetch_add(1, Ordering::Relaxed);
                if cluster >= clusters {
                    break;
                }
                if let Some(run) = simulate(&world, seed.wrapping_add(cluster)) {
                    let run = JudgedRun::of(&run);
                    judged.lock().unwrap().push(run);
                }
            }
        };

        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let runs = judged.into_inner().unwrap();

        Self { world, clusters, runs }
    }

    /// The share of runs for which something holds.
    pub(crate) fn share(&self, holds: impl Fn(&JudgedRun) -> bool) -> f64 {
        let holding = self.runs.iter().filter(|it| holds(it)).count();

        holding as f64 / self.runs.len() as f64
    }
}

/// What is counted of a procedure: how often it says something under one effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// Its key in the result.
    pub(crate) key: &'static str,
    pub(crate) effect: usize,
    pub(crate) says: Said,
}

/// Something that a procedure may say of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    Verdict(Verdict),
    GuardTripped,
}

pub(crate) const FALSE_IMPROVED: &str = "false_improved";
pub(crate) const FALSE_REGRESSED: &str = "false_regressed";
pub(crate) const POWER_MINUS_30: &str = "power_minus_30";
pub(crate) const POWER_MINUS_50: &str = "power_minus_50";
pub(crate) const POWER_MINUS_90: &str = "power_minus_90";
pub(crate) const GUARD_FALSE: &str = "soft_guard_false";

const fn counted(key: &'static str, effect: usize, says: Said) -> Counted {
    Counted { key, effect, says }
}

/// Effects 0 to 7 are 1, 0.9, 0.8, 0.7, 0.5, 0.1, 1.3 and 2 times the service time.
pub(crate) const COUNTED: [Counted; 13] = [
    counted(FALSE_IMPROVED, 0, Said::Verdict(Verdict::Improved)),
    counted(FALSE_REGRESSED, 0, Said::Verdict(Verdict::Regressed)),
    counted("unchanged_neutral", 0, Said::Verdict(Verdict::Neutral)),
    counted("power_minus_10", 1, Said::Verdict(Verdict::Improved)),
    counted("power_minus_20", 2, Said::Verdict(Verdict::Improved)),
    counted(POWER_MINUS_30, 3, Said::Verdict(Verdict::Improved)),
    counted(POWER_MINUS_50, 4, Said::Verdict(Verdict::Improved)),
    counted(POWER_MINUS_90, 5, Said::Verdict(Verdict::Improved)),
    counted("regressed_plus_30", 6, Said::Verdict(Verdict::Regressed)),
    counted("regressed_plus_100", 7, Said::Verdict(Verdict::Regressed)),
    counted(GUARD_FALSE, 0, Said::GuardTripped),
    counted("soft_guard_plus_30", 6, Said::GuardTripped),
    counted("soft_guard_plus_100", 7, Said::GuardTripped),
];
