//! Evidence from Prometheus, before and after a change. Windows are read as ranges of the past.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::{try_join, try_join_all};

use super::{
    bins::{self, BinRange, BinSource},
    breach::Breach,
    context::Context,
    hold::Hold,
    observation::Expressions,
};
use crate::{
    model::{HoldReason, WallTime},
    playbook::{Better, Guard, ObjectiveExpression, SAMPLES_MIN, WithoutHistory},
    prometheus::{InstantSeries, PrometheusError, QueryRange, SharedPrometheus},
    store::{Measurement, ObservationPlan},
};

/// Bins of the past without which a soft guard cannot tell a rise from what its value does by
/// itself: an hour as shipped.
pub(super) const GUARD_HISTORY_MIN: usize = 60;

/// A sample of this age is fresh however short the scrape interval is, because a rule is evaluated
/// after the scrape that it reads.
const FRESH_MIN: Duration = Duration::from_secs(10);

/// The Prometheus of the cluster.
pub(super) fn prometheus(context: &Context) -> Result<&SharedPrometheus, Hold> {
    context.prometheus.as_ref().ok_or_else(|| {
        Hold::new(HoldReason::PrometheusUnavailable, "the cluster has no `prometheus` configured")
    })
}

/// Where the bins of the cluster's runs are read.
pub(super) fn source(context: &Context) -> Result<BinSource<'_>, Hold> {
    Ok(BinSource { prometheus: prometheus(context)?, scrape: context.scrape_interval() })
}

/// Checks that every input has a sample younger than two scrape intervals by Prometheus's clock,
/// and that this clock agrees with ours (I13).
pub(super) async fn check_fresh(context: &Context, inputs: &[String]) -> Result<(), Hold> {
    let prometheus = prometheus(context)?;
    let limit = context.scrape_interval().saturating_mul(2).max(FRESH_MIN);
    let checks = inputs.iter().map(|input| async move {
        let answer = prometheus.instant(&format!("min(timestamp({input}))")).await?;
        check_age(input, &answer, context.now(), limit)
    });
    try_join_all(checks).await?;

    Ok(())
}

fn check_age(
    input: &str,
    answer: &[InstantSeries],
    now: WallTime,
    limit: Duration,
) -> Result<(), Hold> {
    let Some(newest) = answer.first() else {
        return Err(Hold::new(HoldReason::EvidenceMissing, format!("`{input}` has no sample")));
    };

    let asked = newest.sample.at;
    let apart = asked.since(now).max(now.since(asked));
    Hold::unless(apart <= limit, HoldReason::EvidenceStale, || {
        format!("the clocks of Prometheus and of this process are {} apart", seconds(apart))
    })?;

    let age = asked.seconds() - newest.sample.value;
    let age = if Breach::I13OldEvidencePasses.is_played() { -age } else { age };

    Hold::unless(age <= limit.as_secs_f64(), HoldReason::EvidenceStale, || {
        format!("the newest sample of `{input}` is {age:.1} s old, more than {}", seconds(limit))
    })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Counts the samples that every input really has in a window (I13): a range query repeats the last
/// one for up to five minutes. Returns the least count.
///
/// # Errors
///
/// When an input has fewer than [`SAMPLES_MIN`].
pub(super) async fn count_samples(
    context: &Context,
    inputs: &[String],
    from: WallTime,
    to: WallTime,
) -> Result<u32, Hold> {
    let prometheus = prometheus(context)?;

    // Both ends included, as in a range query: one sample more than there are intervals.
    let span = to.since(from).saturating_add(context.scrape_interval());
    let since_end = context.now().since(to);
    let offset = &match since_end.as_secs() {
        0 => String::new(),
        seconds => format!(" offset {seconds}s"),
    };

    let counts = inputs.iter().map(|input| async move {
        let range = span.as_millis();

        // The longest series counts: one that began within the window, such as that of a new
        // topic, says nothing about the interval. What has ended is not fresh.
        let query = format!("max(count_over_time({input}[{range}ms]{offset}))");
        let answer = prometheus.instant(&query).await?;
        let count = answer.first().map_or(0.0, |it| it.sample.value);
        let enough = count >= f64::from(SAMPLES_MIN);
        Hold::unless(enough, HoldReason::EvidenceMissing, || {
            format!(
                "`{input}` has {count} samples in the window, fewer than {SAMPLES_MIN}: is it scraped \
                 or evaluated less often than `scrape_interval` says?"
            )
        })?;

        Ok::<u32, Hold>(whole(count))
    });

    Ok(try_join_all(counts).await?.into_iter().min().unwrap_or(u32::MAX))
}

/// A count as Prometheus returns it.
fn whole(count: f64) -> u32 {
    (0..=31).rev().fold(0, |found: u32, bit| {
        let more = found | 1_u32.wrapping_shl(bit);
        if f64::from(more) <= count { more } else { found }
    })
}

/// The distance between two samples of the inputs: as configured, or longer if there are clearly
/// fewer samples in the window.
fn true_interval(configured: Duration, window: Duration, samples: u32) -> Duration {
    let between = window.checked_div(samples.saturating_sub(1)).unwrap_or(configured);
    if between.saturating_mul(2) > configured.saturating_mul(3) { between } else { configured }
}

/// The distance between two samples when the run began.
pub(super) fn interval(context: &Context, measured: &Measurement) -> Duration {
    let stored = measured.interval_seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
    stored.unwrap_or(context.scrape_interval())
}

/// A value above the maximum of the baseline, by more than the rounding of a sum.
pub(super) fn exceeds(value: f64, limit: f64) -> bool {
    value - limit > 1e-9 * limit.abs().max(value.abs())
}

/// The maximum over all series of `query` at each time of a window, oldest first.
pub(super) async fn peaks(
    prometheus: &SharedPrometheus,
    query: &str,
    range: QueryRange,
) -> Result<Vec<f64>, PrometheusError> {
    let series = prometheus.range(query, range).await?;
    let mut by_time = BTreeMap::<WallTime, f64>::new();

    for sample in series.iter().flat_map(|it| &it.samples).filter(|it| it.value.is_finite()) {
        let peak = by_time.entry(sample.at).or_insert(sample.value);
        *peak = peak.max(sample.value);
    }

    Ok(by_time.into_values().collect())
}

/// What is known when a run begins: the baseline, and the guards before the write.
///
/// # Errors
///
/// When there is too little of it to judge a change by.
pub(super) async fn baseline(
    context: &Context,
    expressions: &Expressions,
) -> Result<Baseline, Hold> {
    let observation = &expressions.observation;
    let to = context.now();
    let from = to.before(observation.baseline);
    let samples = count_samples(context, expressions.inputs(), from, to).await?;
    let interval = true_interval(context.scrape_interval(), observation.baseline, samples);

    let wanted = bins_in(observation.baseline, observation.bin);
    let of = |before| BinRange { written: to, bin: observation.bin, before, after: 0 };
    let mut changed = bins::read(source(context)?, observation, of(wanted)).await?.before.changed;
    if changed.level.is_empty() && !observation.objective.is_of_counters() {
        // A gauge that is 0 now has its level by what it was earlier.
        let history = bins_in(observation.history, observation.bin).max(wanted);
        changed = bins::read(source(context)?, observation, of(history)).await?.before.changed;
    }
    let levels = last(&changed.level, wanted);
    check_known("the objective", levels, wanted)?;
    check_known("the load", last(&changed.load, wanted), wanted)?;

    let guards =
        try_join_all(observation.guards.iter().map(|it| level(context, it, from, interval)));
    let history =
        try_join_all(observation.guards.iter().map(|it| note_on_history(context, it, observation)));
    let (guards, notes) = try_join(guards, history).await?;

    let measured = Measurement {
        query: words(&observation.objective),
        observation: Some(observation.clone()),
        guard_levels: guards,
        before: typical(levels, observation.better),
        interval_seconds: Some(interval.as_secs_f64()),
        ..Measurement::default()
    };

    Ok(Baseline { measured, remarks: notes.into_iter().flatten().collect() })
}

/// What is known when a run begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    pub(super) measured: Measurement,
    pub(super) remarks: Vec<String>,
}

/// The objective, as people read it.
fn words(measure: &ObjectiveExpression<String>) -> String {
    match measure {
        ObjectiveExpression::Mean { sum, count } => format!("{sum} / {count}"),
        ObjectiveExpression::Rate(query) => format!("rate({query})"),
        ObjectiveExpression::Gauge(query) | ObjectiveExpression::Lag(query) => query.clone(),
    }
}

fn last(bins: &[Option<f64>], number: u32) -> &[Option<f64>] {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    bins.get(bins.len().saturating_sub(number)..).unwrap_or_default()
}

/// Whole bins in `time`, at least one.
pub(super) fn bins_in(time: Duration, bin: Duration) -> u32 {
    let bins = time.as_millis().checked_div(bin.as_millis()).unwrap_or(1);
    u32::try_from(bins).unwrap_or(u32::MAX).max(1)
}

/// The geometric mean of levels, as a value of the objective.
pub(super) fn typical(levels: &[Option<f64>], better: Better) -> Option<f64> {
    let known: Vec<f64> = levels.iter().flatten().copied().collect();
    let number = f64::from(u32::try_from(known.len()).ok()?);
    let mean = known.iter().sum::<f64>() / number;

    (!known.is_empty()).then(|| match better {
        Better::Lower => mean.exp(),
        Better::Higher => (-mean).exp(),
    })
}

fn check_known(what: &str, bins: &[Option<f64>], wanted: u32) -> Result<(), Hold> {
    let found = bins.iter().flatten().count();
    let enough = found.saturating_mul(2) >= usize::try_from(wanted).unwrap_or(usize::MAX);
    Hold::unless(enough, HoldReason::EvidenceMissing, || {
        format!("{what} is known in {found} of the {wanted} bins of the baseline")
    })
}

/// The value of a guard before the write: the maximum over its series at the last sample.
async fn level(
    context: &Context,
    guard: &Guard<String>,
    from: WallTime,
    interval: Duration,
) -> Result<Option<f64>, Hold> {
    let query = guard.query();
    let range = QueryRange::new(from, context.now(), interval);
    let peaks = peaks(prometheus(context)?, query, range).await?;
    Hold::unless(!peaks.is_empty(), HoldReason::EvidenceMissing, || {
        format!("the guard `{query}` has no sample in the baseline")
    })?;

    Ok(peaks.last().copied())
}

/// What to say of a soft guard of which too little is known to tell a rise.
///
/// # Errors
///
/// If it is to hold the run.
async fn note_on_history(
    context: &Context,
    guard: &Guard<String>,
    observation: &ObservationPlan,
) -> Result<Option<String>, Hold> {
    let Guard::Level { query, without_history, .. } = guard else { return Ok(None) };
    let before = bins_in(observation.history, observation.bin);
    let range = BinRange { written: context.now(), bin: observation.bin, before, after: 0 };
    let known = bins::read_gauge(source(context)?, query, range).await?.iter().flatten().count();
    if known >= GUARD_HISTORY_MIN {
        return Ok(None);
    }

    let text = format!(
        "the guard `{query}` is known in {known} bins of the past, too few to tell a rise from what \
         it does by itself ({GUARD_HISTORY_MIN})"
    );

    match without_history {
        WithoutHistory::Hold => Err(Hold::new(HoldReason::EvidenceMissing, text)),
        WithoutHistory::Warn => Ok(Some(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_was_rounded_tripped_a_guard() {
        assert!(!exceeds(0.1 + 0.2, 0.3));
        assert!(!exceeds(0.0, 0.0));
        assert!(exceeds(0.301, 0.3));
        assert!(exceeds(1.0, 0.0));
    }

    #[test]
    fn a_count_of_prometheus_becomes_a_whole_number() {
        for (count, want) in [(0.0, 0), (5.0, 5), (20.9, 20), (f64::NAN, 0), (-1.0, 0)] {
            assert_eq!(whole(count), want, "{count}");
        }
    }

    #[test]
    fn the_true_interval_is_the_configured_one_unless_samples_are_clearly_fewer() {
        let (configured, window) = (Duration::from_secs(15), Duration::from_mins(10));
        for (samples, seconds) in [(41, 15), (36, 15), (11, 60), (6, 120)] {
            let interval = true_interval(configured, window, samples);
            assert_eq!(interval.as_secs(), seconds, "{samples}");
        }
    }
}
