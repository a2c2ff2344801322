//! What the growth makes due, and what ten times the load would need, with the arithmetic.

use serde::{Deserialize, Serialize};

use super::{
    cost::MONTH_HOURS,
    data::ClusterFacts,
    growth::{GROWTH_STEP, Growth, GrowthMetric, NETWORK_SHARE_MAX},
    trend::{DaysUntil, Trend},
};
use crate::{
    analysis::thresholds,
    baseline::short,
    model::{Prices, as_label, closed_list},
};

const SHORT_TERM_DAYS: f64 = 30.0;
const MEDIUM_TERM_DAYS: f64 = 90.0;
const LONG_TERM_DAYS: f64 = 365.0;

/// What the load is multiplied by in the long view.
const TENFOLD: f64 = 10.0;

closed_list! {
    /// How soon something is due.
    pub enum ScalingTerm {
        /// It is due within 30 days.
        Short = "short",
        /// It is due within 90 days.
        Medium = "medium",
        /// It is due within a year.
        Long = "long",
    }
}

impl ScalingTerm {
    /// The term, and how long it is.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Short => "short: 30 days",
            Self::Medium => "medium: 90 days",
            Self::Long => "long: a year",
        }
    }

    fn of(days: f64) -> Option<Self> {
        match days {
            it if it <= SHORT_TERM_DAYS => Some(Self::Short),
            it if it <= MEDIUM_TERM_DAYS => Some(Self::Medium),
            it if it <= LONG_TERM_DAYS => Some(Self::Long),
            _ => None,
        }
    }
}

/// What the growth of one value makes due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingAdvice {
    #[serde(with = "as_label")]
    pub term: ScalingTerm,
    #[serde(with = "as_label")]
    pub metric: GrowthMetric,
    /// Number of days until it is due.
    pub days: f64,
    /// What to do and by when, as text for people.
    pub text: String,
    /// How that is computed, as text for people.
    pub arithmetic: String,
    /// What it costs in addition; `None` without a price.
    pub per_month: Option<f64>,
}

/// What ten times the load would need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tenfold {
    /// As many as the scarcest resource needs.
    pub brokers: f64,
    /// One line for each resource, as text for people.
    pub arithmetic: Vec<String>,
    /// What all those brokers cost; `None` without a price.
    pub per_month: Option<f64>,
}

/// What the growth makes due within a year, the most urgent first. Only a growth that is sure makes
/// something due.
pub(super) fn advice(facts: &ClusterFacts) -> Vec<ScalingAdvice> {
    let mut due = Vec::new();
    let first_load = facts.growth.iter().find(|it| it.metric.is_load() && it.is_sure());

    for growth in facts.growth.iter().filter(|it| it.is_sure()) {
        // One line for the load, by the first of its metrics that grows.
        let is_other_load =
            growth.metric.is_load() && first_load.is_some_and(|it| it.metric != growth.metric);
        let Some(until) = growth.until.filter(|_| !is_other_load) else { continue };
        let days = until.expected.unwrap_or(until.earliest);

        if let (Some(term), Some(trend)) = (ScalingTerm::of(days), growth.trend) {
            let due_now = DueGrowth { growth, trend, until, facts };
            due.extend(due_now.advice(term, days));
        }
    }

    due.sort_by(|one: &ScalingAdvice, other| one.days.total_cmp(&other.days));

    due
}

/// A growth that reaches its limit.
struct DueGrowth<'a> {
    growth: &'a Growth,
    trend: Trend,
    until: DaysUntil,
    facts: &'a ClusterFacts,
}

impl DueGrowth<'_> {
    fn advice(&self, term: ScalingTerm, days_left: f64) -> Option<ScalingAdvice> {
        let metric = self.growth.metric;
        let when = days(&self.until);
        let (text, arithmetic, per_month) = match metric {
            GrowthMetric::BytesIn | GrowthMetric::BytesOut | GrowthMetric::RecordsIn => {
                return self.further_broker(term, days_left);
            }
            GrowthMetric::Disk => (
                format!("Add disk, or shorten retention: the fullest disk is full {when}"),
                self.line()?,
                self.more_disk(),
            ),
            GrowthMetric::Cpu => (
                format!(
                    "Add a broker, or take load off the busiest one: its CPU reaches {} {when}",
                    self.limit()?
                ),
                self.line()?,
                self.broker_month(),
            ),
            GrowthMetric::Network => (
                format!(
                    "Add a broker: the network of the busiest one reaches {} {when}",
                    self.limit()?
                ),
                self.line()?,
                self.broker_month(),
            ),
            GrowthMetric::Partitions => (
                format!(
                    "Delete topics that nobody uses, or add a broker: each one has {} {when}",
                    self.limit()?
                ),
                self.line()?,
                self.broker_month(),
            ),
        };

        Some(ScalingAdvice { term, metric, days: days_left, text, arithmetic, per_month })
    }

    /// The load at which a further broker is due.
    fn further_broker(&self, term: ScalingTerm, days_left: f64) -> Option<ScalingAdvice> {
        let Growth { metric, unit, limit, .. } = self.growth;
        let (now, then) = (unit.shown(self.trend.now), unit.shown((*limit)?));
        let more = format!("+{:.0} %", GROWTH_STEP * 100.0);
        let when = days(&self.until);
        let factor = 1.0 + GROWTH_STEP;
        let mut arithmetic = format!("{now} × {factor} = {then}");
        let mut text = format!("Plan a further broker: {} reach {more} {when}", metric.words());
        let mut per_month = self.broker_month();

        if let Some(brokers) = self.facts.usage.brokers {
            let needed = (brokers * factor).ceil();
            let each = brokers * factor / needed * 100.0;
            let (article, plural) = if needed - brokers > 1.0 { ("", "s") } else { ("a ", "") };
            let further = needed - brokers;
            text = format!(
                "Plan {article}further broker{plural} ({brokers:.0} → {needed:.0} brokers): {} reach \
                 {more} {when}",
                metric.words()
            );
            arithmetic = format!(
                "{arithmetic}; {brokers:.0} brokers × {factor} = {} → {needed:.0} brokers, each \
                 of which then carries {each:.0} % of what one carries now",
                short(brokers * factor)
            );
            per_month = per_month.map(|it| it * further);
        }

        let days = days_left;

        Some(ScalingAdvice { term, metric: *metric, days, text, arithmetic, per_month })
    }

    /// How the days follow from the line.
    fn line(&self) -> Option<String> {
        let Trend { now, per_day, .. } = self.trend;
        let unit = self.growth.unit;
        let expected = self.until.expected?;

        Some(format!(
            "({} − {}) ÷ {} a day = {expected:.0} days",
            self.limit()?,
            unit.shown(now),
            unit.shown(per_day)
        ))
    }

    fn limit(&self) -> Option<String> {
        Some(self.growth.unit.shown(self.growth.limit?))
    }

    /// One broker more for a month.
    fn broker_month(&self) -> Option<f64> {
        broker_month(self.facts.prices.as_ref())
    }

    /// 30 % more disk for a month.
    fn more_disk(&self) -> Option<f64> {
        let price = self.facts.prices.as_ref()?.disk_gb_month?;
        Some(self.facts.usage.disk_bytes? / 1e9 * GROWTH_STEP * price)
    }
}

fn broker_month(prices: Option<&Prices>) -> Option<f64> {
    Some(prices?.broker_hour? * MONTH_HOURS)
}

/// `in 20 days (18 to 25)`.
pub(super) fn days(until: &DaysUntil) -> String {
    let DaysUntil { earliest, expected, latest } = until;
    match (expected, latest) {
        (Some(expected), _) if *expected < 0.5 => "now".to_owned(),
        (Some(expected), Some(latest)) => {
            let (from, to) = (format!("{earliest:.0}"), format!("{latest:.0}"));
            let bounds = if from == to { String::new() } else { format!(" ({from} to {to} days)") };
            format!("in {expected:.0} days{bounds}")
        }
        (Some(expected), None) => {
            format!("in {expected:.0} days ({earliest:.0} days at the earliest, perhaps never)")
        }
        (None, _) => format!("in {earliest:.0} days at the earliest, perhaps never"),
    }
}

/// What ten times the load needs of what grows with it. `None` if no such thing is known.
pub(super) fn tenfold(facts: &ClusterFacts) -> Option<Tenfold> {
    let brokers = facts.usage.brokers?;
    let mut needed: f64 = 0.0;
    let mut arithmetic = Vec::new();

    for growth in &facts.growth {
        let Some(Busiest { share, at_most, what }) = busiest(growth) else { continue };
        let exactly = TENFOLD * share * brokers / at_most;
        let whole = exactly.ceil().max(1.0);
        arithmetic.push(format!(
            "{what}: {TENFOLD} × {:.0} % × {brokers:.0} brokers ÷ {:.0} % = {} → {whole:.0} \
             brokers",
            share * 100.0,
            at_most * 100.0,
            short(exactly)
        ));
        needed = needed.max(whole);
    }

    (!arithmetic.is_empty()).then(|| Tenfold {
        brokers: needed,
        arithmetic,
        per_month: broker_month(facts.prices.as_ref()).map(|it| it * needed),
    })
}

/// How much of a resource the busiest broker uses at its daily peak, and how much it should at
/// most.
struct Busiest {
    share: f64,
    at_most: f64,
    what: &'static str,
}

fn busiest(growth: &Growth) -> Option<Busiest> {
    let now = growth.trend?.now;
    let found = match growth.metric {
        GrowthMetric::Cpu => {
            let at_most = thresholds::CPU.warning?.0;
            Busiest { share: now, at_most, what: "CPU" }
        }
        GrowthMetric::Disk => {
            let at_most = thresholds::DISK_USAGE.critical?.0;
            Busiest { share: now, at_most, what: "disk, with the same retention and disks" }
        }
        GrowthMetric::Network => {
            let share = now / growth.limit? * NETWORK_SHARE_MAX;
            Busiest { share, at_most: NETWORK_SHARE_MAX, what: "network" }
        }
        GrowthMetric::BytesIn
        | GrowthMetric::BytesOut
        | GrowthMetric::RecordsIn
        | GrowthMetric::Partitions => return None,
    };

    (found.share.is_finite() && found.share > 0.0).then_some(found)
}
