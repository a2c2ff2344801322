//! Checks what a playbook improves, the load behind it, and its guards.

use super::{
    super::raw::{RawMean, RawObjective, RawSoftGuard, Scalar},
    CheckReport,
    key_path::KeyPath,
    playbook::{required, template},
};
use crate::playbook::{
    Guard, Objective, ObjectiveExpression, OptimizerKind, Playbook, Template, WithoutHistory,
};

/// Smaller differences are noise on a busy cluster.
const AT_LEAST_DEFAULT: f64 = 0.2;
const AT_LEAST: PercentageRange = PercentageRange { min: 1.0, max: 95.0 };
const RISES_BY_DEFAULT: f64 = 0.5;
const RISES_BY: PercentageRange = PercentageRange { min: 1.0, max: 10_000.0 };

/// Metrics that are 0 or 1 for each partition.
const FLAGS: [&str; 3] = [
    "kafka_topic_partition_under_min_isr",
    "kafka_topic_partition_offline",
    "kafka_topic_partition_under_replicated_partition",
];

const COUNTER: &str = "must be a counter, or a `sum` of counters, without a function: its increase \
                       from bin to bin is computed from it";

pub(super) fn objective(
    raw: Option<&RawObjective>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<Objective> {
    let path = path.key("objective");
    let Some(raw) = raw else {
        let advice = "is required, such as {gauge: '…', better: lower}";
        report.problem(path, advice);
        return None;
    };

    let measure = measure(raw, &path, report);
    let better = match &raw.better {
        None => {
            report.problem(path.key("better"), "is required: `lower` or `higher`");
            None
        }
        Some(written) => report.choice(path.key("better"), written),
    };
    let at_least = raw.at_least.as_ref();
    let at_least = at_least.map(|it| percentage(it, AT_LEAST, path.key("at_least"), report));

    Some(Objective {
        measure: measure?,
        better: better?,
        at_least: at_least.flatten().unwrap_or(AT_LEAST_DEFAULT),
    })
}

fn measure(
    raw: &RawObjective,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<ObjectiveExpression<Template>> {
    let written = [raw.mean.is_some(), raw.rate.is_some(), raw.gauge.is_some(), raw.lag.is_some()];
    if written.iter().filter(|it| **it).count() != 1 {
        let advice = "name what should improve by exactly one of `mean: {sum: …, count: …}`, \
                      `rate`, `gauge` and `lag`";
        report.problem(path, advice);
        return None;
    }

    if let Some(RawMean { sum, count }) = &raw.mean {
        let path = path.key("mean");
        let sum = counter(sum.clone(), path.key("sum"), "for the total", report);
        let count = counter(count.clone(), path.key("count"), "for the number", report);
        return Some(ObjectiveExpression::Mean { sum: sum?, count: count? });
    }
    if raw.rate.is_some() {
        return counter(raw.rate.clone(), path.key("rate"), "", report)
            .map(ObjectiveExpression::Rate);
    }
    if let Some(text) = &raw.gauge {
        return template(text, path.key("gauge"), report).map(ObjectiveExpression::Gauge);
    }

    raw.lag
        .as_ref()
        .and_then(|it| template(it, path.key("lag"), report))
        .map(ObjectiveExpression::Lag)
}

fn counter(
    text: Option<String>,
    path: KeyPath,
    what: &str,
    report: &mut CheckReport,
) -> Option<Template> {
    let template = required(text, path.clone(), what, report)?;
    if !template.is_counter() {
        report.problem(path, COUNTER);
    }

    Some(template)
}

pub(super) fn load(
    text: Option<String>,
    objective: Option<&Objective>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<Template> {
    let path = path.key("load");
    let is_counted =
        objective.is_none_or(|it| matches!(it.measure, ObjectiveExpression::Mean { .. }));
    if text.is_none() && is_counted {
        return None;
    }

    required(text, path, "for the load that the objective depends on", report)
}

pub(super) fn guards(
    counts: Option<Vec<String>>,
    soft: Option<Vec<RawSoftGuard>>,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Vec<Guard<Template>> {
    let mut guards = Vec::new();

    for (index, text) in counts.unwrap_or_default().iter().enumerate() {
        let path = path.key("guards").index(index);
        if text.trim_start().starts_with("max") && FLAGS.iter().any(|it| text.contains(it)) {
            report.warning(
                &path,
                "cannot rise while one partition is 1 already: count them with `sum`",
            );
        }
        guards.extend(template(text, path, report).map(Guard::Count));
    }

    for (index, raw) in soft.unwrap_or_default().into_iter().enumerate() {
        guards.extend(soft_guard(raw, &path.key("soft_guards").index(index), report));
    }

    let queries: usize = guards.iter().map(queries).sum();
    if queries > GUARD_QUERIES_MAX {
        let advice = format!(
            "guards take {queries} queries, more than {GUARD_QUERIES_MAX}: one each, and one more \
             for each `at_most`"
        );
        report.problem(path.key("guards"), advice);
    }

    guards
}

/// An objective that the change cannot touch proves nothing.
pub(super) fn check_reach(playbook: &Playbook, path: &KeyPath, report: &mut CheckReport) {
    let objective = &playbook.objective.measure;
    let names = |label: &str| {
        objective.expressions().into_iter().any(|it| it.needs().any(|name| name == label))
    };

    match playbook.optimizer.kind() {
        OptimizerKind::ScaleConsumers if !names("consumergroup") => report.problem(
            path.key("objective"),
            "is not about $consumergroup, and the run changes nothing else",
        ),
        OptimizerKind::TuneBrokers | OptimizerKind::Reapply => {
            let fixed = objective.expressions().into_iter().find_map(fixed_broker);
            if let Some(broker) = fixed {
                let advice = format!(
                    "is about broker {broker} only, which a run on another broker does not touch: \
                     write $broker_id"
                );
                report.problem(path.key("objective"), advice);
            }
        }
        OptimizerKind::ShedLoad if playbook.reached_when.is_none() => report.warning(
            path,
            "without `reached_when`, a run may be kept though no such client is connected, such as \
             `reached_when: 'sum(increase(kafka:produce_throttle_time:milliseconds_sum[5m])) > 0'`",
        ),
        OptimizerKind::ElectLeaders | OptimizerKind::ShedLoad | OptimizerKind::ScaleConsumers => (),
    }
}

/// The broker that an expression names by a number: `broker_id="2"`.
fn fixed_broker(template: &Template) -> Option<String> {
    let text = template.to_string();
    let (_, rest) = text.split_once("broker_id=\"")?;
    let (value, _) = rest.split_once('"')?;

    (!value.is_empty() && value.bytes().all(|it| it.is_ascii_digit())).then(|| value.to_owned())
}

/// A run asks Prometheus at most twelve range queries when it is judged: six for the objective and
/// the load of the changed and of the untouched brokers, and these.
const GUARD_QUERIES_MAX: usize = 6;

const fn queries(guard: &Guard<Template>) -> usize {
    match guard {
        Guard::Count(_) | Guard::Level { at_most: None, .. } => 1,
        Guard::Level { at_most: Some(_), .. } => 2,
    }
}

fn soft_guard(
    raw: RawSoftGuard,
    path: &KeyPath,
    report: &mut CheckReport,
) -> Option<Guard<Template>> {
    let query = required(raw.query, path.key("query"), "for what must not rise", report);
    let rises_by = raw.rises_by.as_ref();
    let rises_by = rises_by.map(|it| percentage(it, RISES_BY, path.key("rises_by"), report));
    let without_history = match raw.without_history {
        Some(written) => report.choice(path.key("without_history"), &written),
        None => Some(WithoutHistory::Warn),
    };

    Some(Guard::Level {
        query: query?,
        rises_by: rises_by.flatten().unwrap_or(RISES_BY_DEFAULT),
        at_most: raw.at_most,
        without_history: without_history?,
    })
}

/// The percentages that are allowed.
#[derive(Clone, Copy)]
struct PercentageRange {
    min: f64,
    max: f64,
}

/// The share, 0.2 for 20 %.
fn percentage(
    Scalar(text): &Scalar,
    range: PercentageRange,
    path: KeyPath,
    report: &mut CheckReport,
) -> Option<f64> {
    let PercentageRange { min, max } = range;

    match text.strip_suffix('%').and_then(|it| it.trim().parse::<f64>().ok()) {
        Some(percent) if (min..=max).contains(&percent) => return Some(percent / 100.0),
        Some(_) => report.problem(path, format!("`{text}` must be {min}% to {max}%")),
        None => report.problem(path, format!("`{text}` is not a percentage; write 20%")),
    }

    None
}
