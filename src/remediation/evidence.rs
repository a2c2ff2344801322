//! Evidence: what Prometheus says before and after. Windows are read back, never waited for.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::{context::Context, hold::Hold};
use crate::{
    model::{HoldReason, Target, WallTime},
    playbook::{Playbook, SAMPLES_MIN, Template, Values, quoted},
    prometheus::{InstantSeries, PrometheusError, QueryRange, SharedPrometheus},
    store::Measurement,
};

/// However short the scrape interval, a sample this young is fresh: a rule is evaluated after the
/// scrape it reads.
const FRESH_MIN: Duration = Duration::from_secs(10);

/// A playbook's expressions for one target.
#[derive(Clone, Debug)]
pub(super) struct Questions {
    pub(super) objective: String,
    pub(super) load: String,
    pub(super) guards: Vec<String>,
    pub(super) when: Option<String>,
    /// Every selector of the objective, the load and the guards.
    inputs: Vec<String>,
}

impl Questions {
    /// Puts the target's values in.
    pub(super) fn of(
        playbook: &Playbook,
        (target, values): (&Target, &Values),
    ) -> Result<Self, Hold> {
        let fixed = [&playbook.objective.query, &playbook.load];
        let all = || fixed.into_iter().chain(&playbook.guards).chain(&playbook.when);
        for template in all() {
            if let Some(missing) = template.needs().find(|it| !values.contains_key(it)) {
                return Err(Hold::new(
                    HoldReason::Unplannable,
                    format!("`{template}` needs ${missing}, and the target is {target}"),
                ));
            }
        }
        let render = |it: &Template| it.render(values);
        let judged = fixed.into_iter().chain(&playbook.guards);
        Ok(Self {
            objective: render(&playbook.objective.query),
            load: render(&playbook.load),
            guards: playbook.guards.iter().map(render).collect(),
            when: playbook.when.as_ref().map(render),
            inputs: judged.flat_map(|it| it.inputs(values)).collect(),
        })
    }

    /// The questions of a run that has begun, even if the playbook has changed meanwhile.
    pub(super) fn of_run(
        measured: &Measurement,
        playbook: Option<&Playbook>,
        values: &Values,
    ) -> Self {
        let inputs = playbook.map(|it| {
            let judged = [&it.objective.query, &it.load].into_iter().chain(&it.guards);
            judged.flat_map(|it| it.inputs(values)).collect()
        });
        Self {
            objective: measured.query.clone(),
            load: measured.load_query.clone(),
            guards: measured.guard_queries.clone(),
            when: None,
            inputs: inputs.unwrap_or_default(),
        }
    }
}

/// The Prometheus of the cluster, or why nothing can be judged.
pub(super) fn prometheus(context: &Context) -> Result<&SharedPrometheus, Hold> {
    context.prometheus.as_ref().ok_or_else(|| {
        Hold::new(HoldReason::PrometheusUnavailable, "the cluster has no `prometheus` configured")
    })
}

/// Every input has a sample younger than two scrape intervals, by Prometheus's own clock, and that
/// clock agrees with ours (I13).
pub(super) async fn fresh(context: &Context, questions: &Questions) -> Result<(), Hold> {
    let prometheus = prometheus(context)?;
    let limit = context.scrape_interval().saturating_mul(2).max(FRESH_MIN);
    let ages = questions.inputs.iter().map(|input| async move {
        let query = format!("min(timestamp({input}))");
        let answer = prometheus.instant(&query).await?;
        check_age(input, &answer, (context.now(), limit))
    });
    try_join_all(ages).await.map(|_| ())
}

fn check_age(
    input: &str,
    answer: &[InstantSeries],
    (now, limit): (WallTime, Duration),
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
    Hold::unless(age <= limit.as_secs_f64(), HoldReason::EvidenceStale, || {
        format!("the newest sample of `{input}` is {age:.1} s old, more than {}", seconds(limit))
    })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The one series of `query` over a window; samples that are no number are left out.
pub(super) async fn window(
    context: &Context,
    query: &str,
    (from, to): (WallTime, WallTime),
) -> Result<Vec<f64>, Hold> {
    let span = QueryRange { start: from, end: to, step: context.scrape_interval() };
    let mut series = prometheus(context)?.range(query, span).await?;
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

/// The largest value of `query` at each time of a window, oldest first.
pub(super) async fn peaks(
    prometheus: &SharedPrometheus,
    query: &str,
    span: QueryRange,
) -> Result<Vec<f64>, PrometheusError> {
    let series = prometheus.range(query, span).await?;
    let mut at_time = std::collections::BTreeMap::<WallTime, f64>::new();
    for sample in series.iter().flat_map(|it| &it.samples).filter(|it| it.value.is_finite()) {
        let peak = at_time.entry(sample.at).or_insert(sample.value);
        *peak = peak.max(sample.value);
    }
    Ok(at_time.into_values().collect())
}

/// The window before the write: objective, load, and the most that each guard showed.
pub(super) async fn baseline(
    context: &Context,
    questions: &Questions,
    length: Duration,
) -> Result<Measurement, Hold> {
    let to = context.now();
    let times = (to.before(length), to);
    let prometheus = prometheus(context)?;
    let span = QueryRange { start: times.0, end: to, step: context.scrape_interval() };
    let guards = async {
        let asked = questions.guards.iter().map(|it| peaks(prometheus, it, span));
        try_join_all(asked).await.map_err(Hold::from)
    };
    let (objective, load, guards) = futures_util::future::try_join3(
        window(context, &questions.objective, times),
        window(context, &questions.load, times),
        guards,
    )
    .await?;
    enough(&questions.objective, &objective)?;
    enough(&questions.load, &load)?;
    for (query, peaks) in questions.guards.iter().zip(&guards) {
        enough(query, peaks)?;
    }
    let median = super::verdict::median(&objective);
    Ok(Measurement {
        query: questions.objective.clone(),
        load_query: questions.load.clone(),
        guard_queries: questions.guards.clone(),
        guard_maxima: guards.iter().map(|it| it.iter().copied().fold(f64::MIN, f64::max)).collect(),
        baseline_median: median,
        baseline_mad: super::verdict::deviation(&objective),
        baseline_load: super::verdict::median(&load),
        baseline: objective,
        ..Measurement::default()
    })
}

fn enough(query: &str, samples: &[f64]) -> Result<(), Hold> {
    Hold::unless(usize::from(SAMPLES_MIN) <= samples.len(), HoldReason::EvidenceMissing, || {
        format!("`{query}` has {} samples in the window, fewer than {SAMPLES_MIN}", samples.len())
    })
}

/// The selector that confirms an alert: its name from the playbook, its target from live metadata
/// (I34).
pub(super) fn firing(playbook: &Playbook, cluster: &str, target: &Target) -> String {
    let mut matchers = vec![r#"alertstate="firing""#.to_owned()];
    for (label, value) in &playbook.matches.labels {
        // Alertmanager's routes may add labels that Prometheus does not know; a rule's own labels
        // and the name are the same on both sides.
        matchers.push(format!("{label}={}", quoted(value)));
    }
    if !playbook.matches.labels.contains_key("kafka_cluster") {
        matchers.push(format!("kafka_cluster={}", quoted(cluster)));
    }
    match target {
        Target::Cluster => (),
        Target::Broker(id) => matchers.push(format!(r#"broker_id="{id}""#)),
        Target::Group(name) => {
            matchers.push(format!("consumergroup={}", quoted(name.as_str())));
        }
    }
    format!("ALERTS{{{}}}", matchers.join(","))
}
