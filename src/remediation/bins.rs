//! The bins of a run, read from Prometheus: one value of the objective and of the load for each,
//! before and after the first write. Nothing is kept between two looks: the past does not change,
//! so that a restart during an observation loses nothing.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use futures_util::future::{OptionFuture, try_join3};

use super::hold::Hold;
use crate::{
    model::{HoldReason, WallTime},
    playbook::{Better, ObjectiveExpression, averaged},
    prometheus::{LabelSet, QueryRange, RangeSeries, SharedPrometheus},
    store::ObservationPlan,
    verdict::{Bins, Scale, Series},
};

/// One value per bin, oldest first; `None` where it is not known.
pub(super) type BinValues = Vec<Option<f64>>;

/// The Prometheus that bins are read from.
#[derive(Clone, Copy)]
pub(super) struct BinSource<'a> {
    pub(super) prometheus: &'a SharedPrometheus,
    /// The distance between two samples.
    pub(super) scrape: Duration,
}

/// Bins before and after the first write.
#[derive(Clone, Copy, Debug)]
pub(super) struct BinRange {
    /// When the first bin after the write begins.
    pub(super) written: WallTime,
    pub(super) bin: Duration,
    pub(super) before: u32,
    pub(super) after: u32,
}

impl BinRange {
    pub(super) fn start(self) -> WallTime {
        self.written.before(self.bin.saturating_mul(self.before))
    }

    /// The limits of the bins: one more than there are bins.
    fn limits(self) -> QueryRange {
        let end = self.written.after(self.bin.saturating_mul(self.after));
        QueryRange { start: self.start(), end, step: self.bin }
    }

    /// The end of each bin.
    fn ends(self) -> QueryRange {
        QueryRange { start: self.start().after(self.bin), ..self.limits() }
    }

    fn number(self) -> usize {
        to_usize(self.before.saturating_add(self.after))
    }
}

/// The bins that Prometheus has samples for.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorded {
    /// From the first bin of which the objective is known.
    pub(super) before: Bins,
    pub(super) after: Bins,
    /// Number of bins before that one.
    pub(super) unknown: usize,
}

/// Reads objective and load of the brokers that are compared.
///
/// # Errors
///
/// When Prometheus does not answer, or an expression has several series where one is needed.
pub(super) async fn read(
    source: BinSource<'_>,
    observation: &ObservationPlan,
    range: BinRange,
) -> Result<Recorded, Hold> {
    let changed = measure(source, &observation.objective, range);
    let load = OptionFuture::from(observation.load.as_ref().map(|it| gauge(source, it, range)));
    let untouched = others(source, observation, range);
    let (changed, load, untouched) =
        try_join3(changed, async { load.await.transpose() }, untouched).await?;

    let query = observation.objective.expressions().first().map_or("", |it| it.as_str());
    let changed = one(query, changed)?;
    let load = match (&observation.load, load) {
        (Some(query), Some(found)) => Some(one(query, found)?.unwrap_or_default()),
        _ => None,
    };

    let scale = BinScale { better: observation.better, bins: to_usize(range.before) };
    let untouched = untouched.iter().map(|(values, own)| {
        let load = own.as_deref().or(load.as_deref());
        scale.series(values, load)
    });
    let untouched: Vec<Series> = untouched.collect();
    let series = scale.series(&changed.unwrap_or_default(), load.as_deref());

    Ok(split(&series, &untouched, to_usize(range.before)))
}

/// The bins of a gauge, such as a soft guard.
pub(super) async fn read_gauge(
    source: BinSource<'_>,
    query: &str,
    range: BinRange,
) -> Result<Vec<Option<f64>>, Hold> {
    let found = gauge(source, query, range).await?;
    Ok(one(query, found)?.unwrap_or_else(|| vec![None; range.number()]))
}

/// The same, as series that can be compared. Its load is not asked for.
pub(super) fn of_gauge(values: &[Option<f64>], before: u32) -> Recorded {
    let scale = BinScale { better: Better::Lower, bins: to_usize(before) };
    let flat: BinValues = values.iter().map(|it| it.map(|_| 1.0)).collect();
    let series = scale.series(&BrokerValues::Single(values.to_vec()), Some(&flat));
    split(&series, &[], to_usize(before))
}

/// What is measured of one broker: increments of two counters, or one value.
#[derive(Clone, Debug)]
pub(super) enum BrokerValues {
    Mean { sums: BinValues, counts: BinValues },
    Single(BinValues),
}

impl Default for BrokerValues {
    fn default() -> Self {
        Self::Single(Vec::new())
    }
}

pub(super) type ByLabels<T> = BTreeMap<LabelSet, T>;

/// How values become levels, by those of the bins before the write.
struct BinScale {
    better: Better,
    bins: usize,
}

impl BinScale {
    /// Where higher is better, levels are negated, and a level that falls as the load rises would
    /// be none that the load explains: the load is negated too.
    fn series(&self, measured: &BrokerValues, load: Option<&[Option<f64>]>) -> Series {
        let mut series = match measured {
            BrokerValues::Mean { sums, counts } => Series::of_mean(sums, counts, load),
            BrokerValues::Single(values) => {
                let past = values.get(..self.bins).unwrap_or(values);
                Series::of_values(values, load.unwrap_or_default(), Scale::of(past, self.better))
            }
        };

        if self.better == Better::Higher {
            negate(&mut series.load);
            if matches!(measured, BrokerValues::Mean { .. }) {
                negate(&mut series.level);
            }
        }
        series
    }
}

fn negate(values: &mut BinValues) {
    for value in values.iter_mut().flatten() {
        *value = -*value;
    }
}

/// The objective of the brokers that the run does not touch, with their own loads.
async fn others(
    source: BinSource<'_>,
    observation: &ObservationPlan,
    range: BinRange,
) -> Result<Vec<(BrokerValues, Option<BinValues>)>, Hold> {
    let Some(objective) = &observation.untouched else { return Ok(Vec::new()) };
    let measured = measure(source, objective, range).await?;
    let loads = match &observation.untouched_load {
        Some(query) => gauge(source, query, range).await?,
        None => ByLabels::new(),
    };

    // Aggregated expressions have no labels in common: then the load of the run has to do.
    let with_load = measured.into_iter().map(|(labels, values)| {
        let load = loads.get(&labels).cloned();
        (values, load)
    });

    Ok(with_load.collect())
}

/// One expression by the labels of its series.
pub(super) async fn measure(
    source: BinSource<'_>,
    measure: &ObjectiveExpression<String>,
    range: BinRange,
) -> Result<ByLabels<BrokerValues>, Hold> {
    let single = |it: ByLabels<BinValues>| {
        it.into_iter().map(|(labels, values)| (labels, BrokerValues::Single(values))).collect()
    };

    match measure {
        ObjectiveExpression::Mean { sum, count } => {
            let sums = counter(source, sum, range).await?;
            let mut counts = counter(source, count, range).await?;
            let mean = |(labels, sums)| {
                let counts = counts.remove(&labels)?;
                Some((labels, BrokerValues::Mean { sums, counts }))
            };
            Ok(sums.into_iter().filter_map(mean).collect())
        }
        ObjectiveExpression::Rate(query) => Ok(single(counter(source, query, range).await?)),
        ObjectiveExpression::Gauge(query) | ObjectiveExpression::Lag(query) => {
            Ok(single(gauge(source, query, range).await?))
        }
    }
}

/// The increase of a counter in each bin. A bin in which it was reset is not known.
async fn counter(
    source: BinSource<'_>,
    query: &str,
    range: BinRange,
) -> Result<ByLabels<BinValues>, Hold> {
    let limits = range.limits();
    let series = source.prometheus.range(query, limits).await?;

    Ok(by_labels(&series, |it| {
        let at_limits = placed(it, limits.start, range.bin, range.number().saturating_add(1));
        let pairs = at_limits.windows(2).map(|pair| match pair {
            [Some(from), Some(to)] if from <= to => Some(to - from),
            _ => None,
        });
        pairs.collect()
    }))
}

/// The mean of a gauge over each bin.
async fn gauge(
    source: BinSource<'_>,
    query: &str,
    range: BinRange,
) -> Result<ByLabels<BinValues>, Hold> {
    let ends = range.ends();
    let mean = averaged(query, range.bin, source.scrape);
    let series = source.prometheus.range(&mean, ends).await?;

    Ok(by_labels(&series, |it| placed(it, ends.start, range.bin, range.number())))
}

fn by_labels(
    series: &[RangeSeries],
    values: impl Fn(&RangeSeries) -> BinValues,
) -> ByLabels<BinValues> {
    let labelled = series.iter().map(|it| {
        let mut labels = it.labels.clone();
        labels.remove("__name__");
        (labels, values(it))
    });

    labelled.collect()
}

/// The samples in their places: the first one is at `start`, each of the others a `step` later.
fn placed(series: &RangeSeries, start: WallTime, step: Duration, number: usize) -> BinValues {
    let mut values = vec![None; number];
    for sample in series.samples.iter().filter(|it| it.value.is_finite()) {
        let since = sample.at.since(start).as_millis();
        let place = since.checked_div(step.as_millis()).and_then(|it| usize::try_from(it).ok());
        if let Some(value) = place.and_then(|it| values.get_mut(it)) {
            *value = Some(sample.value);
        }
    }

    values
}

/// The only series; `None` if there is none.
fn one<T>(query: &str, mut found: ByLabels<T>) -> Result<Option<T>, Hold> {
    let number = found.len();
    Hold::unless(number <= 1, HoldReason::EvidenceMissing, || {
        format!("`{query}` has {number} series where one is needed: aggregate it")
    })?;

    Ok(found.pop_first().map(|it| it.1))
}

/// Splits the series at the first write, and leaves out the time before there were any samples.
fn split(changed: &Series, untouched: &[Series], at: usize) -> Recorded {
    let unknown = changed.level.iter().take(at).take_while(|it| it.is_none()).count();
    let part = |series: &Series, range: Range<usize>| {
        let part = |values: &BinValues| {
            let end = range.end.min(values.len());
            values.get(range.start.min(end)..end).unwrap_or_default().to_vec()
        };
        Series { level: part(&series.level), load: part(&series.load) }
    };
    let bins = |range: Range<usize>| Bins {
        changed: part(changed, range.clone()),
        untouched: untouched.iter().map(|it| part(it, range.clone())).collect(),
    };

    Recorded { before: bins(unknown..at), after: bins(at..usize::MAX), unknown }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
