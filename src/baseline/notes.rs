//! What is not the same in two windows, beside what is measured.

use std::collections::BTreeSet;

use super::{ClusterSetting, ComparedMetric, Metric, comparison::RecordedWindow};
use crate::model::BrokerId;

/// A change of the load from which on it is named.
const LOAD_CHANGE: f64 = 0.2;

/// What a reader has to know before a difference is put down to one cause.
pub(super) fn notes(
    before: RecordedWindow<'_>,
    after: RecordedWindow<'_>,
    metrics: &[ComparedMetric],
    history_bins: usize,
) -> Vec<String> {
    let brokers = [before.measured.brokers(), after.measured.brokers()];
    let candidates = [
        brokers_differ(&brokers),
        configs_differ(before.setting, after.setting),
        differ(
            "Kafka",
            before.setting.kafka_version.as_ref(),
            after.setting.kafka_version.as_ref(),
        ),
        differ("kafka-optimizer", Some(&before.setting.version), Some(&after.setting.version)),
        (before.setting.program_config != after.setting.program_config)
            .then(|| "the configuration of kafka-optimizer is not the same".to_owned()),
        load_differs(metrics),
        (history_bins == 0).then(|| {
            "Prometheus has no history to compare with: only large differences can be told"
                .to_owned()
        }),
    ];

    candidates.into_iter().flatten().collect()
}

fn brokers_differ([before, after]: &[BTreeSet<BrokerId>; 2]) -> Option<String> {
    (before != after).then(|| {
        format!(
            "the brokers are not the same: {} then, {} in the other window; totals of the cluster \
             count all of them",
            list(before),
            list(after)
        )
    })
}

fn configs_differ(before: &ClusterSetting, after: &ClusterSetting) -> Option<String> {
    let differs = |it: &&BrokerId| {
        let [then, now] = [&before.broker_configs, &after.broker_configs].map(|all| all.get(it));
        then.is_some() && now.is_some() && then != now
    };
    let changed: BTreeSet<BrokerId> =
        before.broker_configs.keys().filter(differs).copied().collect();

    (!changed.is_empty())
        .then(|| format!("the configuration is not the same: broker {}", list(&changed)))
}

fn differ(what: &str, before: Option<&String>, after: Option<&String>) -> Option<String> {
    let (before, after) = (before?, after?);
    (before != after).then(|| format!("the version of {what} was {before}, and is {after}"))
}

fn load_differs(metrics: &[ComparedMetric]) -> Option<String> {
    let is_load = |it: &&ComparedMetric| it.metric == Metric::Requests && it.broker.is_none();
    let load = metrics.iter().find(is_load)?;
    let change = load.after? / load.before.filter(|it| *it > 0.0)? - 1.0;

    (change.abs() >= LOAD_CHANGE).then(|| {
        format!(
            "the load is {:+.0} %: what the history shows of such a load is taken off, and the rest \
             may still be its effect",
            change * 100.0
        )
    })
}

fn list(brokers: &BTreeSet<BrokerId>) -> String {
    if brokers.is_empty() {
        return "none".to_owned();
    }

    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
