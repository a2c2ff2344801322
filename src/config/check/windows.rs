//! Checks the lengths of a playbook's phases.

use std::time::Duration;

use super::{
    super::raw::{RawPlaybook, Scalar},
    CheckReport,
    key_path::KeyPath,
};
use crate::playbook::{COOLDOWN_MAX, HISTORY_BINS_MAX, Objective, SAMPLES_MIN, Windows};

/// The usual range of recording rules.
const WINDOW_DEFAULT: Duration = Duration::from_mins(5);
const BASELINE_DEFAULT: Duration = Duration::from_mins(5);
const OBSERVE_DEFAULT: Duration = Duration::from_mins(5);
const HISTORY_DEFAULT: Duration = Duration::from_hours(24);
const COOLDOWN_DEFAULT: Duration = Duration::from_hours(1);

/// The level before the write is the mean of a baseline, not one value.
const BASELINE_BINS_MIN: u32 = 2;

/// `scrape` is the distance between two samples.
pub(super) fn windows(
    raw: &RawPlaybook,
    objective: Option<&Objective>,
    scrape: Duration,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Windows {
    let mut read = |key: &str, written: &Option<Scalar>, default| {
        report.duration(&path.key(key), written.as_ref(), default)
    };

    let is_of_counters = objective.is_some_and(|it| it.measure.is_of_counters());
    let window_default = if is_of_counters { Duration::ZERO } else { WINDOW_DEFAULT };
    let window = read("window", &raw.window, window_default);
    let observe = read("observe", &raw.observe, OBSERVE_DEFAULT);
    let bin = observe / Windows::BINS;
    let settle_default = window.saturating_add(bin.max(scrape.saturating_mul(2)));
    let history_default = HISTORY_DEFAULT.min(bin.saturating_mul(HISTORY_BINS_MAX));

    let windows = Windows {
        window,
        baseline: read("baseline", &raw.baseline, BASELINE_DEFAULT),
        settle: read("settle", &raw.settle, settle_default),
        observe,
        history: read("history", &raw.history, history_default),
        cooldown: read("cooldown", &raw.cooldown, COOLDOWN_DEFAULT),
    };

    check(&windows, scrape, path, report);

    windows
}

fn check(windows: &Windows, scrape: Duration, path: &KeyPath, report: &mut CheckReport) {
    // Earlier, the objective still averages over samples from before the change.
    let settle_min = windows.window.saturating_add(scrape.saturating_mul(2));
    if windows.settle < settle_min {
        let advice = format!(
            "must be at least {}: the window ({}) and two scrapes of {}",
            humantime::format_duration(settle_min),
            humantime::format_duration(windows.window),
            humantime::format_duration(scrape),
        );
        report.problem(path.key("settle"), advice);
    }

    if !windows.window.is_zero() && windows.window < scrape.saturating_mul(2) {
        let advice = format!(
            "a rate over less than two scrapes of {} has no value: is it the range of your rules?",
            humantime::format_duration(scrape),
        );
        report.warning(path.key("window"), advice);
    }

    let observe_min = scrape.saturating_mul(2).saturating_mul(Windows::BINS);
    if windows.observe < observe_min {
        let advice = format!(
            "must be at least {}: {} bins of two scrapes of {}",
            humantime::format_duration(observe_min),
            Windows::BINS,
            humantime::format_duration(scrape),
        );
        report.problem(path.key("observe"), advice);
    }

    let bin = windows.bin();
    let bins = bin.saturating_mul(BASELINE_BINS_MIN);
    let baseline_min = bins.max(scrape.saturating_mul(SAMPLES_MIN.into()));
    if windows.baseline < baseline_min {
        let advice = format!(
            "must be at least {}: {BASELINE_BINS_MIN} bins, each a fifth of `observe`, and \
             {SAMPLES_MIN} samples",
            humantime::format_duration(baseline_min),
        );
        report.problem(path.key("baseline"), advice);
    }

    let history_max = bin.saturating_mul(HISTORY_BINS_MAX);
    if windows.history < windows.baseline || windows.history > history_max {
        let advice = format!(
            "must be at least the baseline ({}) and at most {}: {HISTORY_BINS_MAX} bins",
            humantime::format_duration(windows.baseline),
            humantime::format_duration(history_max),
        );
        report.problem(path.key("history"), advice);
    }

    if windows.cooldown > COOLDOWN_MAX {
        report.problem(path.key("cooldown"), "must be at most 24h");
    }
}
