//! The procedure before this one, to compare with: medians of overlapping means of five minutes,
//! their absolute deviation as the noise, and thresholds on the load.

use kafka_optimizer::model::Verdict;

use crate::{simulation::Increments, statistics::median};

/// A rate of five minutes sees 20 samples of 15 s, that is 19 increments.
const WINDOW: usize = 19;
/// Samples of the baseline, of settling, and of the observation: 5, 6 and 5 minutes.
const BASELINE: usize = 20;
const SETTLE: usize = 24;
const OBSERVE: usize = 20;
const AT_LEAST: f64 = 0.2;
const LOAD_CHANGE_MAX: f64 = 0.2;
const LOAD_RATIO_MAX: f64 = 10.0;
const DEVIATIONS: f64 = 2.0;

/// What it says of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldAnswer {
    pub(crate) verdict: Verdict,
    /// Whether a guard on the same series is tripped: two samples in a row above the baseline.
    pub(crate) is_guard_tripped: bool,
}

/// `before` and `after`: increments in each quarter of a minute.
pub(crate) fn judge(before: &[Increments], after: &[Increments]) -> OldAnswer {
    let all = [before, after].concat();
    let windows: Vec<Increments> = all.windows(WINDOW).map(Increments::of).collect();
    let means: Vec<f64> = windows.iter().map(|it| it.seconds / it.requests).collect();
    let loads: Vec<f64> = windows.iter().map(|it| it.requests).collect();

    // The window that ends with the last sample before the write.
    let write = before.len() - WINDOW;
    let baseline = write - BASELINE..write + 1;
    let observation = write + SETTLE..write + SETTLE + OBSERVE + 1;

    let was = median(&means[baseline.clone()]);
    let now = median(&means[observation.clone()]);
    let distances: Vec<f64> = means[baseline.clone()].iter().map(|it| (it - was).abs()).collect();
    let load = median(&loads[observation.clone()]) / median(&loads[baseline.clone()]);
    let most = means[baseline].iter().copied().fold(f64::MIN, f64::max);
    let watched = &means[write + 1..observation.end];

    OldAnswer {
        verdict: verdict(was, now, median(&distances), load),
        is_guard_tripped: watched.windows(2).any(|it| it.iter().all(|it| *it > most)),
    }
}

fn verdict(was: f64, now: f64, deviation: f64, load: f64) -> Verdict {
    let gain = was - now;
    if gain.abs() < AT_LEAST * was || gain.abs() <= DEVIATIONS * deviation {
        return Verdict::Neutral;
    }

    let has_too_much_load = load > LOAD_RATIO_MAX.max(was / now);

    if gain > 0.0 && load >= 1.0 - LOAD_CHANGE_MAX && !has_too_much_load {
        Verdict::Improved
    } else if gain < 0.0 && load <= 1.0 + LOAD_CHANGE_MAX {
        Verdict::Regressed
    } else {
        Verdict::Inconclusive
    }
}
