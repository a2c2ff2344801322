//! What a report is made of, as JSON has it.

use serde::{Deserialize, Serialize};

use super::{
    cost::{self, RunningCost},
    growth::Growth,
    lessons::{self, Lesson},
    scaling::{self, ScalingAdvice, Tenfold},
};
use crate::{baseline::Unit, model::Prices};

/// One run of the time that is reported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportedRun {
    pub id: i64,
    pub playbook: String,
    pub optimizer: String,
    /// `cluster`, `broker 1` or `group orders`.
    pub target: String,
    /// Label of the run's state, such as `kept`.
    pub state: String,
    /// Whether a person has acknowledged that it is stuck.
    pub acknowledged: bool,
    pub verdict: Option<String>,
    pub rollback_reason: Option<String>,
    pub note: Option<String>,
    /// The objective in words; `None` for a run that wrote nothing.
    pub objective: Option<String>,
    /// The objective in the baseline.
    pub before: Option<f64>,
    /// The objective in the observation.
    pub after: Option<f64>,
    /// Relative improvement, less what load and noise explain; negative for the worse.
    pub effect: Option<f64>,
    /// The evidence in one sentence.
    pub sentence: Option<String>,
    /// Changes of the plan, in order. None for a run that wrote nothing.
    pub changes: Vec<ReportedChange>,
}

/// One change of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedChange {
    /// `producer`, `broker`, `consumer` or `infrastructure`.
    pub level: String,
    pub subject: String,
    pub key: String,
    pub from: String,
    /// `None` if it removes a stored value.
    pub to: Option<String>,
}

/// A window that was recorded under a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportedBaseline {
    pub name: String,
    pub recorded_at: String,
    pub requests_per_second: Option<f64>,
}

/// Two baselines, and how the later one differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportedComparison {
    pub before: ReportedBaseline,
    pub after: ReportedBaseline,
    /// Each is of the whole cluster.
    pub metrics: Vec<ReportedMetric>,
    /// What else is not the same, as text for people.
    pub notes: Vec<String>,
}

/// One metric of the whole cluster in both baselines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportedMetric {
    /// Label of the metric, such as `produce_time`.
    pub metric: String,
    /// Label of the unit, such as `seconds`.
    pub unit: String,
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Relative improvement less what the load explains; of the load, its change.
    pub improvement: Option<f64>,
    /// With 95 % confidence it is no less.
    pub improvement_low: Option<f64>,
    /// With 95 % confidence it is no more.
    pub improvement_high: Option<f64>,
    /// `better`, `same`, `worse`, `inconclusive` or `not judged`; `None` for the load.
    pub verdict: Option<String>,
}

/// Numbers that are none become unknown.
fn keep_finite<const N: usize>(numbers: [&mut Option<f64>; N]) {
    for number in numbers {
        *number = number.filter(|it| it.is_finite());
    }
}

impl ReportedRun {
    fn drop_impossible(&mut self) {
        keep_finite([&mut self.before, &mut self.after, &mut self.effect]);
    }
}

impl ReportedMetric {
    fn drop_impossible(&mut self) {
        keep_finite([&mut self.before, &mut self.after, &mut self.improvement]);
        keep_finite([&mut self.improvement_low, &mut self.improvement_high]);
    }

    /// The label of what [`ReportedMetric::probe_p99`] makes.
    pub(super) const PROBE_P99: &str = "probe_p99";

    /// The slowest one in a hundred records of the probe.
    pub fn probe_p99(before: Option<f64>, after: Option<f64>) -> Self {
        let improvement = before.zip(after).map(|(before, after)| (before - after) / before);

        Self {
            metric: Self::PROBE_P99.to_owned(),
            unit: Unit::Seconds.to_string(),
            before,
            after,
            improvement: improvement.filter(|it| it.is_finite()),
            improvement_low: None,
            improvement_high: None,
            verdict: Some("not judged".to_owned()),
        }
    }
}

/// Something that is wrong with the cluster now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedFinding {
    /// Either `yellow` or `red`, as `analyze` says.
    pub severity: String,
    pub title: String,
    pub subject: String,
    pub advice: String,
    pub command: Option<String>,
}

/// What a cluster uses, as means of the last week; and its brokers and disks now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterUsage {
    pub brokers: Option<f64>,
    pub records_per_second: Option<f64>,
    pub bytes_in_per_second: Option<f64>,
    pub bytes_out_per_second: Option<f64>,
    /// Size of all log directories together.
    pub disk_bytes: Option<f64>,
}

/// What is known of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterFacts {
    pub cluster: String,
    /// `green`, `yellow` or `red`; `None` if nothing could be seen.
    pub severity: Option<String>,
    /// The worst and most likely first.
    pub findings: Vec<ReportedFinding>,
    /// The newest run comes first.
    pub runs: Vec<ReportedRun>,
    /// The newest one comes first.
    pub baselines: Vec<ReportedBaseline>,
    pub comparison: Option<ReportedComparison>,
    pub growth: Vec<Growth>,
    pub usage: ClusterUsage,
    pub prices: Option<Prices>,
    /// What could not be read, as text for people.
    pub not_read: Vec<String>,
}

/// What is known of one cluster, and what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportedCluster {
    /// Its fields are in the same JSON object.
    #[serde(flatten)]
    pub facts: ClusterFacts,
    pub cost: Option<RunningCost>,
    /// The most urgent one comes first.
    pub scaling: Vec<ScalingAdvice>,
    pub tenfold: Option<Tenfold>,
    pub lessons: Vec<Lesson>,
}

/// Everything that a report says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of kafka-optimizer that made it.
    pub version: String,
    pub made_at: String,
    /// Runs and baselines since then.
    pub since: String,
    /// Days of history that the growth is computed from.
    pub days: u32,
    pub clusters: Vec<ReportedCluster>,
}

impl ReportedCluster {
    /// Draws the conclusions. Numbers that no measurement can give are left out.
    pub fn new(facts: ClusterFacts) -> Self {
        let mut facts = facts;
        facts.usage = facts.usage.plausible();
        facts.runs.iter_mut().for_each(ReportedRun::drop_impossible);
        let compared = facts.comparison.iter_mut().flat_map(|it| &mut it.metrics);
        compared.for_each(ReportedMetric::drop_impossible);

        let cost = facts.prices.as_ref().and_then(|it| cost::running(&facts.usage, it));

        Self {
            cost,
            scaling: scaling::advice(&facts),
            tenfold: scaling::tenfold(&facts),
            lessons: lessons::lessons(&facts.runs),
            facts,
        }
    }

    /// The runs that are in one of these states.
    pub(super) fn in_states<'a>(
        &'a self,
        states: &'a [&str],
    ) -> impl Iterator<Item = &'a ReportedRun> {
        self.facts.runs.iter().filter(move |it| states.contains(&it.state.as_str()))
    }
}

impl ClusterUsage {
    fn plausible(self) -> Self {
        let known = |it: Option<f64>| it.filter(|it| it.is_finite() && *it > 0.0);

        Self {
            brokers: known(self.brokers),
            records_per_second: known(self.records_per_second),
            bytes_in_per_second: known(self.bytes_in_per_second),
            bytes_out_per_second: known(self.bytes_out_per_second),
            disk_bytes: known(self.disk_bytes),
        }
    }
}

/// Where a change acts. This program changes nothing at hosts and networks.
pub fn change_level(optimizer: &str, key: &str) -> &'static str {
    match (optimizer, key) {
        ("shed_load", "consumer_byte_rate") | ("scale_consumers", _) => "consumer",
        ("shed_load", _) => "producer",
        _ => "broker",
    }
}
