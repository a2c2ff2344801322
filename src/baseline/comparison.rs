//! Compares a window with a baseline, metric by metric, as a run is compared with the time before
//! its write.
//!
//! The baseline's bins take the place of the bins before a write, and the other window that of the
//! bins after it. The history is a third stretch of time, from which it is known how much two
//! windows differ by themselves, as far from each other as the two that are compared, or as far as
//! the history allows. Windows of different days differ by more than that: their verdict is also
//! about what has changed from day to day.
//!
//! What this can compare: the same brokers under a load that the history knows. It cannot tell
//! which of several changes between the two windows made a difference, although
//! [`BaselineComparison::notes`] names those that are known. Nor does it correct for another mix of
//! clients, of record sizes or of topics at the same number of requests.

use std::ops::Range;

use super::{
    BrokerSeries, ClusterSetting, MeasuredWindow, Metric,
    notes::notes,
    recorded::{BinnedValues, binned, median},
};
use crate::{
    model::{BrokerId, Verdict, closed_list},
    playbook::Better,
    verdict::{Bins, Difference, Evidence, Interim, Parameters, Scale, Series, VerdictCase},
};

/// Smallest relative change that is called one, 0–1. Half of what a run has to improve by: here
/// nothing is written or undone.
const AT_LEAST: f64 = 0.1;

/// Chance of a false `better` where nothing changed, and of a false `worse`. With three brokers
/// there are 36 comparisons: at one in a hundred, fewer than one of them is false on average.
const CHANCE: f64 = 0.01;

/// The windows of a placebo are at most this part of the history apart, two hours of two days, so
/// that enough placebos without a bin in common fit into it.
const DISTANCE_SHARE: usize = 24;

closed_list! {
    /// What a comparison comes to.
    pub enum Outcome {
        Better = "better",
        /// Surely changed by less than one tenth.
        Same = "same",
        Worse = "worse",
        Inconclusive = "inconclusive",
    }
}

impl Outcome {
    const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Improved => Self::Better,
            Verdict::Neutral => Self::Same,
            Verdict::Regressed => Self::Worse,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// A relative change of the value, less what the load explains: 0.1 is 10 % more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelativeChange {
    pub change: f64,
    /// With 95 % confidence the value changed by no less.
    pub low: f64,
    /// With 95 % confidence the value changed by no more.
    pub high: f64,
}

/// One metric of one broker, or of the whole cluster, in both windows.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedMetric {
    pub metric: Metric,
    /// `None` for the whole cluster.
    pub broker: Option<BrokerId>,
    /// Median of the baseline's bins.
    pub before: Option<f64>,
    /// Median of the bins of the other window.
    pub after: Option<f64>,
    /// `None` if too few bins are known.
    pub change: Option<RelativeChange>,
    /// `None` for the load, which is not judged.
    pub outcome: Option<Outcome>,
    /// The evidence in words. Empty for the load.
    pub sentence: String,
}

/// How a window differs from a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineComparison {
    /// What else is not the same, as text for people.
    pub notes: Vec<String>,
    /// Bins of the history that any metric is known in.
    pub history_bins: usize,
    /// By metric; the cluster first, then its brokers.
    pub metrics: Vec<ComparedMetric>,
}

/// A window and how the cluster was set up then.
#[derive(Clone, Copy, Debug)]
pub struct RecordedWindow<'a> {
    pub measured: &'a MeasuredWindow,
    pub setting: &'a ClusterSetting,
}

/// Compares `after` with `before`. `history` are bins of the same length of another time, oldest
/// first.
pub fn compare(
    before: RecordedWindow<'_>,
    after: RecordedWindow<'_>,
    history: &[BrokerSeries],
) -> BaselineComparison {
    let (first, second) = (before.measured, after.measured);
    let brokers = first.brokers().intersection(&second.brokers()).copied().collect::<Vec<_>>();
    let subjects = || std::iter::once(None).chain(brokers.iter().copied().map(Some));
    let compared = |metric: &Metric| {
        let metric = *metric;
        subjects().filter_map(move |it| MetricWindows::of(metric, it, first, second, history))
    };
    let metrics: Vec<ComparedMetric> =
        Metric::ALL.iter().flat_map(compared).map(|it| it.compare()).collect();

    let history_bins = history.iter().map(|it| known(&it.values).len()).max().unwrap_or(0);

    BaselineComparison {
        notes: notes(before, after, &metrics, history_bins),
        history_bins,
        metrics,
    }
}

/// From the first known bin on.
fn known(values: &[Option<f64>]) -> Range<usize> {
    let start = values.iter().take_while(|it| it.is_none()).count();
    start..values.len()
}

/// One metric of one subject, in three stretches of time.
struct MetricWindows {
    metric: Metric,
    broker: Option<BrokerId>,
    before: LoadedValues,
    after: LoadedValues,
    history: LoadedValues,
    /// Bins from the end of the earlier window to the start of the later one.
    apart: usize,
    bin: std::time::Duration,
}

/// Values with the load that they were measured under.
struct LoadedValues {
    values: Vec<Option<f64>>,
    load: Vec<Option<f64>>,
}

impl LoadedValues {
    /// A mean has its own load: the number of what it is the mean of. Idle time has none.
    fn of(series: &[BrokerSeries], metric: Metric, broker: Option<BrokerId>) -> Self {
        let BinnedValues { values, weights } = binned(series, metric, broker);
        let load = if matches!(metric, Metric::ProduceTime | Metric::FetchTime) {
            weights
        } else if metric.depends_on_load() {
            binned(series, Metric::Requests, broker).values
        } else {
            vec![Some(1.0); values.len()]
        };

        Self { values, load }
    }

    fn without_unknown_start(mut self) -> Self {
        let known = known(&self.values);
        self.values.drain(..known.start);
        self.load.drain(..known.start.min(self.load.len()));

        self
    }
}

impl MetricWindows {
    /// `None` if neither window has a value.
    fn of(
        metric: Metric,
        broker: Option<BrokerId>,
        before: &MeasuredWindow,
        after: &MeasuredWindow,
        history: &[BrokerSeries],
    ) -> Option<Self> {
        let [first, second] =
            [&before.series, &after.series].map(|it| LoadedValues::of(it, metric, broker));
        let is_known = |it: &LoadedValues| it.values.iter().any(Option::is_some);
        if !is_known(&first) && !is_known(&second) {
            return None;
        }

        let gap = after.start.since(before.end()).max(before.start.since(after.end()));
        let apart = gap.as_millis().checked_div(before.bin.as_millis()).unwrap_or_default();

        Some(Self {
            metric,
            broker,
            before: first,
            after: second,
            history: LoadedValues::of(history, metric, broker).without_unknown_start(),
            apart: usize::try_from(apart).unwrap_or(usize::MAX),
            bin: before.bin,
        })
    }

    fn compare(&self) -> ComparedMetric {
        let better = self.metric.better();
        let case = self.case(better.unwrap_or(Better::Lower));
        let conclusion = case.conclusion();
        let mut evidence: Evidence = conclusion.evidence;
        if !self.metric.depends_on_load() {
            evidence.load_change = None;
        }

        let is_judged = better.is_some();
        let change = evidence.difference.as_ref().map(|it| relative_change(it, case.better));
        let sentence = evidence.sentence(conclusion.verdict);

        ComparedMetric {
            metric: self.metric,
            broker: self.broker,
            before: median(&self.before.values),
            after: median(&self.after.values),
            change,
            outcome: is_judged.then(|| Outcome::of(conclusion.verdict)),
            sentence: if is_judged { sentence } else { String::new() },
        }
    }

    /// The comparison as that of a run: the history, then the baseline, then what is compared.
    fn case(&self, better: Better) -> VerdictCase {
        let (history, baseline) = (self.history.values.len(), self.before.values.len());
        let values = [self.history.values.as_slice(), &self.before.values].concat();
        let load = [padded(&self.history.load, history), padded(&self.before.load, baseline)];
        let load = load.concat();

        let scale = Scale::of(&values, better);
        let settle = self.apart.min(history / DISTANCE_SHARE);
        let later = |it: &[Option<f64>]| [vec![None; settle], it.to_vec()].concat();
        let bins = |values: &[Option<f64>], load: &[Option<f64>]| Bins {
            changed: series(values, load, scale, better),
            untouched: Vec::new(),
        };

        VerdictCase {
            parameters: Parameters {
                bin: self.bin,
                baseline,
                settle,
                looks: vec![Interim { bins: self.after.values.len(), chance: CHANCE }],
                at_least: AT_LEAST,
                regress_share: 1.0,
                against_last: false,
                ..Parameters::default()
            },
            has_reached: true,
            better,
            before: bins(&values, &load),
            after: bins(&later(&self.after.values), &later(&self.after.load)),
            excluded: std::iter::once(history..history.saturating_add(baseline)).collect(),
        }
    }
}

/// As many elements as there are values, the missing ones unknown.
fn padded(load: &[Option<f64>], number: usize) -> Vec<Option<f64>> {
    (0..number).map(|it| load.get(it).copied().flatten()).collect()
}

/// Where higher is better, levels fall as values rise, and the load is negated with them.
fn series(values: &[Option<f64>], load: &[Option<f64>], scale: Scale, better: Better) -> Series {
    let mut series = Series::of_values(values, load, scale);
    if better == Better::Higher {
        series.load.iter_mut().flatten().for_each(|it| *it = -*it);
    }

    series
}

/// Levels are logarithms, and negative ones where higher is better.
fn relative_change(difference: &Difference, better: Better) -> RelativeChange {
    let Difference { change, low, high, .. } = *difference;

    match better {
        Better::Lower => {
            RelativeChange { change: change.exp_m1(), low: low.exp_m1(), high: high.exp_m1() }
        }
        Better::Higher => RelativeChange {
            change: (-change).exp_m1(),
            low: (-high).exp_m1(),
            high: (-low).exp_m1(),
        },
    }
}
