//! What the procedure has to keep to.

use serde::Serialize;

use crate::{
    procedure::{GIVEN, Given},
    rates::WorldRates,
    statistics::Share,
    world_runs::{FALSE_IMPROVED, FALSE_REGRESSED, GUARD_FALSE, POWER_MINUS_50},
};

/// One limit, and what was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Limit {
    /// A key of the rates.
    pub(crate) what: &'static str,
    pub(crate) history_minutes: usize,
    pub(crate) controls: usize,
    /// The named world with the highest share. `None`: the mean of all worlds.
    pub(crate) world: Option<String>,
    #[serde(flatten)]
    pub(crate) measured: Share,
    pub(crate) at_most: Option<f64>,
    pub(crate) at_least: Option<f64>,
    pub(crate) is_kept: bool,
}

/// The limits for one length of history, as shares.
struct ByHistory {
    history: usize,
    /// Of a false `improved`, and of a false `regressed`, over all worlds.
    false_all: f64,
    /// The same in the worst of the named worlds.
    false_worst: f64,
    /// Improvements that are seen if the service time is halved, over all worlds.
    power: Option<f64>,
}

const LIMITS: [ByHistory; 3] = [
    ByHistory { history: 10, false_all: 0.06, false_worst: 0.15, power: None },
    ByHistory { history: 60, false_all: 0.05, false_worst: 0.12, power: Some(0.60) },
    ByHistory { history: 1440, false_all: 0.05, false_worst: 0.08, power: Some(0.75) },
];
/// Soft guards that trip though nothing changed, over all worlds.
const GUARD_MAX: f64 = 0.02;

/// All limits. `worlds`: each world; `all`: their mean.
pub(crate) fn limits(worlds: &[WorldRates], all: &WorldRates) -> Vec<Limit> {
    let mut limits = Vec::new();

    for (index, given) in GIVEN.into_iter().enumerate() {
        let Some(of) = LIMITS.iter().find(|it| it.history == given.history) else { continue };
        let over_all = LimitPlace { given, index, world: all, is_all: true };

        for what in [FALSE_IMPROVED, FALSE_REGRESSED] {
            let worst = worst(worlds, index, what);
            let in_worst = LimitPlace { world: worst, is_all: false, ..over_all };
            limits.push(over_all.at_most(what, of.false_all));
            limits.push(in_worst.at_most(what, of.false_worst));
        }

        limits.push(over_all.at_most(GUARD_FALSE, GUARD_MAX));
        limits.extend(of.power.map(|it| over_all.at_least(POWER_MINUS_50, it)));
    }

    limits
}

/// The named world with the highest share.
fn worst<'a>(worlds: &'a [WorldRates], given: usize, what: &str) -> &'a WorldRates {
    let share = |it: &&WorldRates| it.new[given].share(what);

    let named = worlds.iter().filter(|it| !it.is_drawn);
    named.max_by(|a, b| share(a).total_cmp(&share(b))).unwrap()
}

/// Where a share is measured.
#[derive(Clone, Copy)]
struct LimitPlace<'a> {
    given: Given,
    index: usize,
    world: &'a WorldRates,
    is_all: bool,
}

impl LimitPlace<'_> {
    fn at_most(&self, what: &'static str, most: f64) -> Limit {
        let limit = self.limit(what);

        Limit { at_most: Some(most), is_kept: limit.measured.value <= most, ..limit }
    }

    fn at_least(&self, what: &'static str, least: f64) -> Limit {
        let limit = self.limit(what);

        Limit { at_least: Some(least), is_kept: limit.measured.value >= least, ..limit }
    }

    fn limit(&self, what: &'static str) -> Limit {
        Limit {
            what,
            history_minutes: self.given.history,
            controls: self.given.controls,
            world: (!self.is_all).then(|| self.world.world.clone()),
            measured: self.world.new[self.index].shares[what],
            at_most: None,
            at_least: None,
            is_kept: false,
        }
    }
}
