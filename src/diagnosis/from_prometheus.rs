//! Signals from instant queries: one for each signal of the table that has a query.

use std::{collections::BTreeMap, time::Duration};

use futures_util::stream::{self, StreamExt};
use tokio::time::timeout;

use crate::{
    advice::{ClientVersion, RequestRates},
    analysis::{AlertSince, ClusterSignals, NotSeen, Signal, Subject, SubjectKind},
    model::{BrokerId, ClusterName, GroupName, TopicName, TopicPartition, WallTime},
    playbook::{Template, Values},
    prometheus::{InstantSeries, LabelSet, PrometheusError, SharedPrometheus},
};

/// Queries that Prometheus evaluates at the same time.
const QUERIES_AT_ONCE: usize = 8;

/// Longest time for all queries: a client of the API waits 30 s.
const GATHER_TIMEOUT: Duration = Duration::from_secs(20);

const CLUSTER_LABEL: &str = "kafka_cluster";
const ALERT_LABEL: &str = "alertname";

/// The alerts that are pending or fire: the value is the time since when.
const ALERTS: &str = r#"ALERTS_FOR_STATE{kafka_cluster="$kafka_cluster"}"#;

/// The names of all clusters that Prometheus knows.
///
/// # Errors
///
/// If Prometheus does not answer.
pub async fn cluster_names(
    prometheus: &SharedPrometheus,
) -> Result<Vec<ClusterName>, PrometheusError> {
    let series = prometheus.instant("group by (kafka_cluster) (kafka_up)").await?;
    let mut names: Vec<ClusterName> = series
        .into_iter()
        .filter_map(|mut it| it.labels.remove(CLUSTER_LABEL).map(ClusterName::from))
        .collect();
    names.sort();

    Ok(names)
}

/// Whether Prometheus knows how many records each topic receives.
pub(super) async fn knows_rates(prometheus: &SharedPrometheus, cluster: &ClusterName) -> bool {
    let query = rendered(&Signal::TopicRecords.template().unwrap_or_default(), cluster);
    prometheus.instant(&query).await.is_ok_and(|it| !it.is_empty())
}

/// Connections of clients by software and version, without the brokers' and controllers' own.
pub(super) async fn client_versions(
    prometheus: &SharedPrometheus,
    cluster: &ClusterName,
) -> Vec<ClientVersion> {
    let query = "sum by (software, version) (kafka_server_socketservermetrics_connections\
                 {kafka_cluster=\"$kafka_cluster\",broker_id!=\"\",listener!=\"CONTROLLER\"}) > 0";
    let series = prometheus.instant(&rendered(query, cluster)).await.unwrap_or_default();
    let clients = series.into_iter().filter_map(|mut it| {
        Some(ClientVersion {
            software: it.labels.remove("software")?,
            version: it.labels.remove("version")?,
            connections: it.sample.value,
        })
    });

    clients.collect()
}

/// Rates of requests, summed over the brokers.
pub(super) async fn request_rates(
    prometheus: &SharedPrometheus,
    cluster: &ClusterName,
) -> RequestRates {
    let sum = |series: &'static str| async move {
        let query = format!("sum({series}{{kafka_cluster=\"$kafka_cluster\"}})");
        let answer = prometheus.instant(&rendered(&query, cluster)).await.ok()?;
        answer.first().map(|it| it.sample.value).filter(|it| it.is_finite())
    };

    RequestRates {
        produce_per_second: sum("kafka:produce_requests:rate").await,
        fetch_per_second: sum("kafka:fetch_requests:rate").await,
        bytes_in_per_second: sum("kafka:bytes_in:rate").await,
        bytes_out_per_second: sum("kafka:bytes_out:rate").await,
    }
}

/// Adds every signal that Prometheus knows. Never fails: a query that does makes its signal
/// unknown, and is noted.
pub(super) async fn add(
    prometheus: &SharedPrometheus,
    cluster: &ClusterName,
    signals: &mut ClusterSignals,
) {
    // The first query alone: a server that does not answer is not asked fifty times.
    let first = ask(SharedPrometheus::clone(prometheus), cluster.clone(), Signal::Up).await;
    if let Err(error @ PrometheusError::Unavailable { .. }) = &first.series {
        let what = "everything that Prometheus knows".to_owned();
        signals.not_seen.insert(NotSeen { what, why: error.to_string() });
        return;
    }

    let mut answers = vec![first];
    let mut alerts = Vec::new();
    let is_complete = {
        let mut others = Signal::ALL.to_vec();
        others.retain(|it| *it != Signal::Up && it.spec().query.is_some());

        let ask_for = |it| ask(SharedPrometheus::clone(prometheus), cluster.clone(), it);
        let queries: Vec<_> = others.into_iter().map(ask_for).collect();
        let mut asked = stream::iter(queries).buffer_unordered(QUERIES_AT_ONCE);
        let gathering = async {
            while let Some(answer) = asked.next().await {
                answers.push(answer);
            }

            // Without the alerts only the times since when are unknown.
            alerts = prometheus.instant(&rendered(ALERTS, cluster)).await.unwrap_or_default();
        };

        timeout(GATHER_TIMEOUT, gathering).await.is_ok()
    };

    if !is_complete {
        let why = format!("Prometheus took more than {} s", GATHER_TIMEOUT.as_secs());
        signals.not_seen.insert(NotSeen { what: "some signals".to_owned(), why });
    }

    record(answers, signals);

    signals.alerts = alerts.iter().filter_map(alert).collect();
}

/// What Prometheus answered about one signal.
struct SignalAnswer {
    signal: Signal,
    series: Result<Vec<InstantSeries>, PrometheusError>,
}

async fn ask(prometheus: SharedPrometheus, cluster: ClusterName, signal: Signal) -> SignalAnswer {
    let query = rendered(&signal.template().unwrap_or_default(), &cluster);
    SignalAnswer { signal, series: prometheus.instant(&query).await }
}

/// The query about this cluster, whose name is escaped.
fn rendered(template: &str, cluster: &ClusterName) -> String {
    let values = Values::from([(CLUSTER_LABEL, cluster.to_string())]);

    // The table is constant, and a test parses each of its templates.
    Template::new(template).map(|it| it.render(&values)).unwrap_or_default()
}

fn record(answers: Vec<SignalAnswer>, signals: &mut ClusterSignals) {
    let mut failed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for SignalAnswer { signal, series } in answers {
        match series {
            Ok(series) => {
                for it in series {
                    if let Some(subject) = subject(signal.spec().kind, &it.labels) {
                        signals.set(signal, subject, it.sample.value);
                    }
                }
            }
            Err(error) => failed.entry(error.to_string()).or_default().push(signal.to_string()),
        }
    }

    for (why, what) in failed {
        signals.not_seen.insert(NotSeen { what: what.join(", "), why });
    }
}

fn topic(labels: &LabelSet) -> Option<TopicName> {
    labels.get("topic").map(|it| TopicName::new(it.as_str()))
}

fn group(labels: &LabelSet) -> Option<GroupName> {
    labels.get("consumergroup").map(|it| GroupName::new(it.as_str()))
}

/// What a series is about. `None` if it lacks a label.
fn subject(kind: SubjectKind, labels: &LabelSet) -> Option<Subject> {
    let text = |name: &str| labels.get(name).cloned();

    Some(match kind {
        SubjectKind::Cluster => Subject::Cluster,
        SubjectKind::Broker => Subject::Broker(BrokerId::parse(labels.get("broker_id")?)?),
        SubjectKind::Disk => Subject::Disk { instance: text("instance")?, device: text("device")? },
        SubjectKind::Topic => Subject::Topic(topic(labels)?),
        SubjectKind::Partition => {
            let partition = labels.get("partition")?.parse().ok()?;
            Subject::Partition(TopicPartition { topic: topic(labels)?, partition })
        }
        SubjectKind::Group => Subject::Group(group(labels)?),
        SubjectKind::GroupTopic => {
            Subject::GroupTopic { group: group(labels)?, topic: topic(labels)? }
        }
    })
}

/// An alert, with the most specific subject that its labels name.
fn alert(series: &InstantSeries) -> Option<AlertSince> {
    let kinds =
        [SubjectKind::GroupTopic, SubjectKind::Group, SubjectKind::Broker, SubjectKind::Disk];
    let found = kinds.into_iter().find_map(|it| subject(it, &series.labels));
    let since = Duration::try_from_secs_f64(series.sample.value).ok()?;

    Some(AlertSince {
        alert: series.labels.get(ALERT_LABEL)?.clone(),
        subject: found.unwrap_or(Subject::Cluster),
        since: WallTime::default().after(since),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_query_is_about_one_cluster_whose_name_is_escaped() {
        let cluster = ClusterName::new("a\"b");
        let templates = Signal::ALL.iter().filter_map(|it| it.template());
        let all: Vec<String> = templates.chain([ALERTS.to_owned()]).collect();
        assert!(all.len() > 40, "{all:?}");

        for template in all {
            let parsed = Template::new(&template);
            assert!(parsed.is_ok(), "{template}: {parsed:?}");
            let query = rendered(&template, &cluster);
            assert!(query.contains(r#"{kafka_cluster="a\"b""#), "{query}");
            assert!(!query.contains("{$"), "{query}");
        }
    }
}
