//! Counters and histograms that events update.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{ConnectionLimit, Event, own, spec::Spec};
use crate::{
    model::{AlertOutcome, ClusterName, HoldReason, RunState, Verdict},
    playbook::OptimizerKind,
};

pub(super) type LabelPairs = Vec<(&'static str, String)>;
pub(super) type CounterFamily = Family<LabelPairs, Counter>;
pub(super) type HistogramFamily = Family<LabelPairs, Histogram, fn() -> Histogram>;

/// Status codes of the webhook whose series exist from the start. Others appear when first used.
const WEBHOOK_CODES: &[u16] = &[200, 400, 401, 413, 415, 503];
/// Label `playbook` of runs that a person starts without a playbook.
const MANUAL: &str = "manual";

/// Bucket bounds, densest around the target of 1 s.
const EFFECT_SECONDS: &[f64] =
    &[0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];
/// A broker applies a config change 4 ms (idle) to 2.3 s (under load) after it has accepted it.
const STEP_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// The median durable write takes 0.24 ms.
const STORE_SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

#[derive(Debug)]
pub(super) struct Counters {
    webhook: CounterFamily,
    connections: CounterFamily,
    alerts: CounterFamily,
    truncated: Counter,
    varying: CounterFamily,
    holds: CounterFamily,
    runs: CounterFamily,
    verdicts: CounterFamily,
    replacements: CounterFamily,
    alert_to_effect: HistogramFamily,
    step: HistogramFamily,
    store: Histogram,
}

impl Counters {
    pub(super) fn new(
        registry: &mut Registry,
        playbooks: &[String],
        clusters: &[ClusterName],
    ) -> Self {
        let counters = Self {
            webhook: family(registry, &own::WEBHOOK_REQUESTS),
            connections: family(registry, &own::CONNECTIONS_REFUSED),
            alerts: family(registry, &own::ALERTS),
            truncated: Counter::default(),
            varying: family(registry, &own::VARYING_LABELS),
            holds: family(registry, &own::HOLDS),
            runs: family(registry, &own::RUNS),
            verdicts: family(registry, &own::VERDICTS),
            replacements: family(registry, &own::CLUSTER_REPLACEMENTS),
            alert_to_effect: timed(registry, &own::ALERT_TO_EFFECT, || histogram(EFFECT_SECONDS)),
            step: timed(registry, &own::STEP_DURATION, || histogram(STEP_SECONDS)),
            store: histogram(STORE_SECONDS),
        };

        register(registry, &own::TRUNCATED_ALERTS, counters.truncated.clone());
        register(registry, &own::STORE_WRITE, counters.store.clone());
        counters.create_all();

        for cluster in clusters {
            counters.create_for(cluster, playbooks);
        }

        counters
    }

    /// Creates series at 0: otherwise `increase` would miss the first event.
    fn create_all(&self) {
        for code in WEBHOOK_CODES {
            touch(&self.webhook, &webhook(*code));
        }

        for limit in ConnectionLimit::ALL {
            touch(&self.connections, &connections(*limit));
        }

        for outcome in AlertOutcome::ALL {
            touch(&self.alerts, &alerts(*outcome));
        }
    }

    pub(super) fn create_for(&self, cluster: &ClusterName, playbooks: &[String]) {
        for playbook in playbooks {
            touch(&self.varying, &of_playbook(cluster, playbook));
        }

        for playbook in playbooks.iter().map(String::as_str).chain([MANUAL]) {
            for reason in HoldReason::ALL {
                touch(&self.holds, &holds(cluster, playbook, *reason));
            }
        }

        for optimizer in OptimizerKind::ALL {
            for state in RunState::ALL.iter().filter(|it| it.is_end()) {
                touch(&self.runs, &runs(cluster, *optimizer, *state));
            }

            for verdict in Verdict::ALL {
                touch(&self.verdicts, &verdicts(cluster, *optimizer, *verdict));
            }
        }

        touch(&self.replacements, &vec![cluster_label(cluster)]);
        for times in [&self.alert_to_effect, &self.step] {
            let _created = times.get_or_create(&vec![cluster_label(cluster)]);
        }
    }

    pub(super) fn count(&self, event: &Event<'_>) {
        match *event {
            Event::WebhookAnswered(code) => add(&self.webhook, &webhook(code), 1),
            Event::ConnectionRefused(limit) => add(&self.connections, &connections(limit), 1),
            Event::AlertsTaken(outcome, count) => add(&self.alerts, &alerts(outcome), count),
            Event::TruncatedAlerts(count) => {
                self.truncated.inc_by(count);
            }
            Event::LabelsVary(cluster, playbook, _) => {
                add(&self.varying, &of_playbook(cluster, playbook), 1);
            }
            Event::Held(cluster, playbook, reason) => {
                add(&self.holds, &holds(cluster, playbook, reason), 1);
            }
            Event::RunEnded(cluster, optimizer, state) => {
                add(&self.runs, &runs(cluster, optimizer, state), 1);
            }
            Event::VerdictGiven(cluster, optimizer, verdict) => {
                add(&self.verdicts, &verdicts(cluster, optimizer, verdict), 1);
            }
            Event::AlertToEffect(cluster, took) => observe(&self.alert_to_effect, cluster, took),
            Event::StepDone(cluster, took) => observe(&self.step, cluster, took),
            Event::ClusterReplaced(cluster, _) => {
                add(&self.replacements, &vec![cluster_label(cluster)], 1);
            }
            Event::StoreWritten(took) => self.store.observe(took.as_secs_f64()),
        }
    }
}

fn webhook(code: u16) -> LabelPairs {
    vec![("code", code.to_string())]
}

fn connections(limit: ConnectionLimit) -> LabelPairs {
    vec![("limit", limit.to_string())]
}

fn alerts(outcome: AlertOutcome) -> LabelPairs {
    vec![("outcome", outcome.to_string())]
}

pub(super) fn cluster_label(cluster: &ClusterName) -> (&'static str, String) {
    ("kafka_cluster", cluster.to_string())
}

fn of_playbook(cluster: &ClusterName, playbook: &str) -> LabelPairs {
    vec![cluster_label(cluster), ("playbook", playbook.to_owned())]
}

fn holds(cluster: &ClusterName, playbook: &str, reason: HoldReason) -> LabelPairs {
    vec![cluster_label(cluster), ("playbook", playbook.to_owned()), ("reason", reason.to_string())]
}

fn runs(cluster: &ClusterName, optimizer: OptimizerKind, state: RunState) -> LabelPairs {
    vec![
        cluster_label(cluster),
        ("optimizer", optimizer.to_string()),
        ("outcome", state.to_string()),
    ]
}

fn verdicts(cluster: &ClusterName, optimizer: OptimizerKind, verdict: Verdict) -> LabelPairs {
    vec![
        cluster_label(cluster),
        ("optimizer", optimizer.to_string()),
        ("verdict", verdict.to_string()),
    ]
}

pub(super) fn touch(family: &CounterFamily, labels: &LabelPairs) {
    let _created = family.get_or_create(labels);
}

pub(super) fn add(family: &CounterFamily, labels: &LabelPairs, count: u64) {
    family.get_or_create(labels).inc_by(count);
}

fn observe(times: &HistogramFamily, cluster: &ClusterName, took: Duration) {
    times.get_or_create(&vec![cluster_label(cluster)]).observe(took.as_secs_f64());
}

pub(super) fn family(registry: &mut Registry, spec: &Spec) -> CounterFamily {
    let family = CounterFamily::default();
    register(registry, spec, family.clone());
    family
}

pub(super) fn timed(
    registry: &mut Registry,
    spec: &Spec,
    histogram: fn() -> Histogram,
) -> HistogramFamily {
    let times = HistogramFamily::new_with_constructor(histogram);
    register(registry, spec, times.clone());
    times
}

pub(super) fn histogram(buckets: &[f64]) -> Histogram {
    Histogram::new(buckets.iter().copied())
}

/// Registers without the suffix `_total`, which the library appends to counters.
fn register(
    registry: &mut Registry,
    spec: &Spec,
    metric: impl prometheus_client::registry::Metric,
) {
    registry.register(spec.name.strip_suffix("_total").unwrap_or(spec.name), spec.help, metric);
}
