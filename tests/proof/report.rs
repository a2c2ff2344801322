//! The result file, whose keys are a contract, and the tables on the terminal.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    limits::Limit,
    procedure::GIVEN,
    rates::{Rates, WorldRates},
    simulation::EFFECTS,
    world_runs::{
        FALSE_IMPROVED, FALSE_REGRESSED, GUARD_FALSE, POWER_MINUS_30, POWER_MINUS_50,
        POWER_MINUS_90,
    },
};

/// Verdicts on a real cluster, from another script: runs that changed nothing.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct LiveRuns {
    runs: u64,
    improved: u64,
    regressed: u64,
}

impl LiveRuns {
    /// `None` if they were not made.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }
}

/// Shares are 0 to 1. The limits say where each holds, the worlds have all numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProofResult {
    pub(crate) summary: Summary,
    /// Factors on the service time: the order of the `factors` of the worlds.
    pub(crate) effects: [f32; EFFECTS.len()],
    pub(crate) limits: Vec<Limit>,
    /// The mean of all worlds, of the named, and of the drawn ones.
    pub(crate) means: Vec<WorldRates>,
    pub(crate) worlds: Vec<WorldRates>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    worlds: usize,
    runs: usize,
    /// In the worst named world, with an hour of history or more. `null` for a part of the worlds.
    false_improved_max: Option<f64>,
    false_improved_max_world: Option<String>,
    false_regressed_max: Option<f64>,
    false_regressed_max_world: Option<String>,
    /// Over all worlds, with an hour of history or more: the worst of what was given.
    false_improved: f64,
    false_regressed: f64,
    power_minus_50: f64,
    power_minus_30: f64,
    soft_guard_false: f64,
    /// The procedure before, over all worlds.
    old_false_improved: f64,
    old_false_regressed: f64,
    old_soft_guard_false: f64,
    /// Runs on a real cluster that changed nothing. `null`: they were not made.
    live_runs: Option<u64>,
    live_false_improved: Option<u64>,
    live_false_regressed: Option<u64>,
}

/// Minutes of history from which the summary's numbers hold.
const HISTORY_MIN: usize = 60;

impl Summary {
    pub(crate) fn of(
        all: &WorldRates,
        worlds: usize,
        limits: &[Limit],
        live: Option<LiveRuns>,
    ) -> Self {
        let enough = |it: &&Rates| it.history_minutes >= Some(HISTORY_MIN);
        let shares = |key| all.new.iter().filter(enough).map(move |it| it.share(key));
        let most = |key| shares(key).fold(0.0, f64::max);
        let least = |key| shares(key).fold(1.0, f64::min);
        let improved = worst(limits, FALSE_IMPROVED);
        let regressed = worst(limits, FALSE_REGRESSED);

        Self {
            worlds,
            runs: all.runs,
            false_improved_max: improved.map(|it| it.measured.value),
            false_improved_max_world: improved.and_then(|it| it.world.clone()),
            false_regressed_max: regressed.map(|it| it.measured.value),
            false_regressed_max_world: regressed.and_then(|it| it.world.clone()),
            false_improved: most(FALSE_IMPROVED),
            false_regressed: most(FALSE_REGRESSED),
            power_minus_50: least(POWER_MINUS_50),
            power_minus_30: least(POWER_MINUS_30),
            soft_guard_false: most(GUARD_FALSE),
            old_false_improved: all.old.share(FALSE_IMPROVED),
            old_false_regressed: all.old.share(FALSE_REGRESSED),
            old_soft_guard_false: all.old.share(GUARD_FALSE),
            live_runs: live.map(|it| it.runs),
            live_false_improved: live.map(|it| it.improved),
            live_false_regressed: live.map(|it| it.regressed),
        }
    }
}

/// The limit of a named world that came out highest.
fn worst<'a>(limits: &'a [Limit], key: &str) -> Option<&'a Limit> {
    limits
        .iter()
        .filter(|it| it.what == key && it.world.is_some() && it.history_minutes >= HISTORY_MIN)
        .max_by(|a, b| a.measured.value.total_cmp(&b.measured.value))
}

pub(crate) fn print_header() {
    println!("Without any change: % improved / regressed. With half the service time: % improved.");
    println!("The new procedure has 2 untouched brokers, and 10 min, 1 h or 1 day of history.\n");

    println!(
        "{:<12} {:>5}  {:>11} {:>11} {:>11} {:>11}   {:>4} {:>5} {:>5} {:>5}",
        "world", "runs", "old", "10 min", "1 h", "1 day", "old", "10min", "1 h", "1 day"
    );
}

pub(crate) fn print_world(world: &WorldRates) {
    let shown = [&world.old, &world.new[1], &world.new[3], &world.new[5]];
    let percent = |rates: &Rates, key| 100.0 * rates.share(key);
    let wrong = shown.map(|it| {
        format!("{:.1} / {:.1}", percent(it, FALSE_IMPROVED), percent(it, FALSE_REGRESSED))
    });
    let [old, minutes, hour, day] = shown.map(|it| percent(it, POWER_MINUS_50));

    print!("{:<12} {:>5}  ", world.world, world.runs);
    for it in wrong {
        print!("{it:>11} ");
    }
    println!("  {old:>4.0} {minutes:>5.0} {hour:>5.0} {day:>5.0}");
}

/// Each procedure in one row, with the intervals of what counts most.
pub(crate) fn print_mean(mean: &WorldRates) {
    println!("\n{}: {} runs, % with the interval of 95 %", mean.world, mean.runs);

    println!(
        "{:<18} {:>18} {:>18} {:>18} {:>8} {:>8} {:>18}",
        "procedure",
        "false improved",
        "false regressed",
        "-50 % improved",
        "-30 %",
        "-90 %",
        "soft guard, false"
    );

    println!("{}", row("old", &mean.old));

    for (given, rates) in GIVEN.iter().zip(&mean.new) {
        println!("{}", row(&format!("{} min, {} others", given.history, given.controls), rates));
    }
}

fn row(label: &str, rates: &Rates) -> String {
    let interval = |key: &str| {
        let share = rates.shares[key];
        let [middle, low, high] = [share.value, share.low, share.high].map(|it| 100.0 * it);

        format!("{middle:.1} ({low:.1}..{high:.1})")
    };
    let percent = |key| 100.0 * rates.share(key);

    format!(
        "{label:<18} {:>18} {:>18} {:>18} {:>8.1} {:>8.1} {:>18}",
        interval(FALSE_IMPROVED),
        interval(FALSE_REGRESSED),
        interval(POWER_MINUS_50),
        percent(POWER_MINUS_30),
        percent(POWER_MINUS_90),
        interval(GUARD_FALSE),
    )
}

pub(crate) fn print_limits(limits: &[Limit]) {
    println!("\nLimits, %");

    for it in limits {
        let place = it.world.as_deref().unwrap_or("all worlds");
        let bound = match (it.at_most, it.at_least) {
            (Some(most), _) => format!("<= {:.0}", 100.0 * most),
            (None, Some(least)) => format!(">= {:.0}", 100.0 * least),
            (None, None) => String::new(),
        };

        println!(
            "{} {:<16} {:>4} min, {} others, {place:<12} {:>5.1} {bound}",
            if it.is_kept { "kept  " } else { "MISSED" },
            it.what,
            it.history_minutes,
            it.controls,
            100.0 * it.measured.value,
        );
    }
}

/// Replaces the result file atomically.
pub(crate) fn write(path: &Path, result: &ProofResult) {
    let mut text = serde_json::to_string_pretty(result).unwrap();
    text.push('\n');

    let unfinished = path.with_extension("json.unfinished");
    fs::write(&unfinished, text).unwrap();
    fs::rename(&unfinished, path).unwrap();
}
