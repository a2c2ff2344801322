//! Evidence from Prometheus, before and after a change. Windows are read as ranges of the past.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::{try_join_all, try_join3};

use super::{breach::Breach, context::Context, hold::Hold, verdict};
use crate::{
    model::{HoldReason, Target, WallTime},
    playbook::{Playbook, SAMPLES_MIN, Template, Values},
    prometheus::{InstantSeries, PrometheusError, QueryRange, SharedPrometheus},
    store::Measurement,
};

/// A sample of this age is fresh however short the scrape interval is, because a rule is evaluated
/// after the scrape that it reads.
const FRESH_MIN: Duration = Duration::from_secs(10);

/// A playbook's expressions, rendered for one target.
#[derive(Clone, Debug)]
pub(super) struct Expressions {
    pub(super) objective: String,
    pub(super) load: String,
    pub(super) guards: Vec<String>,
    pub(super) when: Option<String>,
    /// Every selector of the objective, the load and the guards.
    inputs: Vec<String>,
}

impl Expressions {
    /// Renders the playbook's expressions with `values`, which are those of `target`.
    pub(super) fn of(playbook: &Playbook, target: &Target, values: &Values) -> Result<Self, Hold> {
        for template in judged(playbook).chain(&playbook.when) {
            if let Some(missing) = template.needs().find(|it| !values.contains_key(it)) {
                return Err(Hold::new(
                    HoldReason::Unplannable,
                    format!("`{template}` needs ${missing}, and the target is {target}"),
                ));
            }
        }

        let render = |it: &Template| it.render(values);

        Ok(Self {
            objective: render(&playbook.objective.query),
            load: render(&playbook.load),
            guards: playbook.guards.iter().map(render).collect(),
            when: playbook.when.as_ref().map(render),
            inputs: judged(playbook).flat_map(|it| it.inputs(values)).collect(),
        })
    }

    /// The expressions with which the run was started, even if the playbook has changed since.
    pub(super) fn of_run(
        measured: &Measurement,
        playbook: Option<&Playbook>,
        values: &Values,
    ) -> Self {
        let inputs = playbook.map(|it| judged(it).flat_map(|it| it.inputs(values)).collect());
        Self {
            objective: measured.query.clone(),
            load: measured.load_query.clone(),
            guards: measured.guard_queries.clone(),
            when: None,
            inputs: inputs.unwrap_or_default(),
        }
    }
}

/// The templates by which a change is judged.
fn judged(playbook: &Playbook) -> impl Iterator<Item = &Template> {
    [&playbook.objective.query, &playbook.load].into_iter().chain(&playbook.guards)
}

/// The Prometheus of the cluster.
pub(super) fn prometheus(context: &Context) -> Result<&SharedPrometheus, Hold> {
    context.prometheus.as_ref().ok_or_else(|| {
        Hold::new(HoldReason::PrometheusUnavailable, "the cluster has no `prometheus` configured")
    })
}

/// Checks that every input has a sample younger than two scrape intervals by Prometheus's clock,
/// and that this clock agrees with ours (I13).
pub(super) async fn check_fresh(context: &Context, expressions: &Expressions) -> Result<(), Hold> {
    let prometheus = prometheus(context)?;
    let limit = context.scrape_interval().saturating_mul(2).max(FRESH_MIN);
    let checks = expressions.inputs.iter().map(|input| async move {
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
    expressions: &Expressions,
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

    let counts = expressions.inputs.iter().map(|input| async move {
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

/// The samples of `query` over a window, oldest first; NaN and infinite ones are left out. Holds
/// unless the query returns at most one series.
pub(super) async fn window(
    context: &Context,
    query: &str,
    range: QueryRange,
) -> Result<Vec<f64>, Hold> {
    let mut series = prometheus(context)?.range(query, range).await?;
    let found = series.len();
    let one = match (series.pop(), found) {
        (Some(one), 1) => one,
        (None, _) => return Ok(Vec::new()),
        _ => {
            return Err(Hold::new(
                HoldReason::EvidenceMissing,
                format!("`{query}` has {found} series where one is needed: aggregate it"),
            ));
        }
    };

    Ok(one.samples.iter().map(|it| it.value).filter(|it| it.is_finite()).collect())
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

/// The window before the write: objective, load, and the maximum of each guard.
pub(super) async fn baseline(
    context: &Context,
    expressions: &Expressions,
    length: Duration,
) -> Result<Measurement, Hold> {
    let to = context.now();
    let from = to.before(length);
    let prometheus = prometheus(context)?;
    let samples = count_samples(context, expressions, from, to).await?;
    let step = true_interval(context.scrape_interval(), length, samples);
    let range = QueryRange::new(from, to, step);

    let guards = async {
        let peaks = expressions.guards.iter().map(|it| peaks(prometheus, it, range));
        try_join_all(peaks).await.map_err(Hold::from)
    };
    let (objective, load, guards) = try_join3(
        window(context, &expressions.objective, range),
        window(context, &expressions.load, range),
        guards,
    )
    .await?;

    check_count(&expressions.objective, &objective)?;
    check_count(&expressions.load, &load)?;

    for (query, peaks) in expressions.guards.iter().zip(&guards) {
        check_count(query, peaks)?;
    }

    let maximum = |peaks: &Vec<f64>| peaks.iter().copied().fold(f64::MIN, f64::max);

    Ok(Measurement {
        query: expressions.objective.clone(),
        load_query: expressions.load.clone(),
        guard_queries: expressions.guards.clone(),
        guard_maxima: guards.iter().map(maximum).collect(),
        baseline_median: verdict::median(&objective),
        baseline_mad: verdict::deviation(&objective),
        baseline_load: verdict::median(&load),
        baseline: objective,
        interval_seconds: Some(step.as_secs_f64()),
        ..Measurement::default()
    })
}

fn check_count(query: &str, samples: &[f64]) -> Result<(), Hold> {
    let found = samples.len();
    Hold::unless(found >= usize::from(SAMPLES_MIN), HoldReason::EvidenceMissing, || {
        format!("`{query}` has {found} samples in the window, fewer than {SAMPLES_MIN}")
    })
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
