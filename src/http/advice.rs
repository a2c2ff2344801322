//! `GET /api/v1/advice`: its body, which the command line reads too, and its handler.
//!
//! A public contract, as `payload`: fields are added, never renamed or removed.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{
    Inner,
    error::ApiError,
    findings::{FindingsQuery, NotSeenPayload},
    payload::rfc3339,
};
use crate::{
    advice::{
        Advice, AdviceEffect, ClientVersion, ClusterAdvice, CompressionMeasure, RequestRates,
        TopicMeasure,
    },
    diagnosis::ClusterReport,
    model::ClusterName,
};

/// Response to `GET /api/v1/advice`: advice about each cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdviceListPayload {
    pub clusters: Vec<ClusterAdvicePayload>,
}

/// What was measured in one cluster, and what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterAdvicePayload {
    pub cluster: String,
    /// When the samples were read.
    pub at: String,
    pub advice: Vec<AdvicePayload>,
    /// The sampled topics, the busiest first.
    pub topics: Vec<TopicMeasurePayload>,
    pub requests: RequestRatesPayload,
    /// Connections by the software of the clients, from Prometheus; empty where unknown.
    pub clients: Vec<ClientVersionPayload>,
    pub not_seen: Vec<NotSeenPayload>,
}

/// What to set for one topic or group, and what that would change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdvicePayload {
    /// One of the rules, such as `batching` or `compression`.
    pub rule: String,
    /// `topic orders`, `group billing`, or `cluster` for all of its consumers.
    pub subject: String,
    pub title: String,
    /// Settings of the clients with the values that are advised.
    pub settings: BTreeMap<String, String>,
    /// The most important effect comes first.
    pub effects: Vec<EffectPayload>,
    /// The measured numbers that it rests on, as text for people.
    pub measured: String,
    /// How the estimate is computed.
    pub formula: String,
    /// What the formula rests on.
    pub source: String,
    /// What the estimate takes for granted, and what the setting costs.
    pub assumes: String,
}

/// One number before and after. The estimate lies between `low` and `high`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EffectPayload {
    /// The number with its unit, such as `batches_per_second`.
    pub what: String,
    pub now: f64,
    pub after: f64,
    pub low: f64,
    pub high: f64,
}

/// The numbers of one topic. Null where unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopicMeasurePayload {
    pub topic: String,
    pub partitions: usize,
    pub replicas: usize,
    pub sampled_partitions: usize,
    pub sampled_batches: usize,
    /// Message sets of clients before Kafka 0.11, which are left out.
    pub older: u32,
    /// Number of sampled batches by codec.
    pub codecs: BTreeMap<String, usize>,
    /// Different idempotent producers; null if others were sampled too.
    pub producers: Option<usize>,
    pub records_per_batch: f64,
    pub bytes_per_batch: f64,
    pub bytes_per_record: f64,
    pub records_per_second: Option<f64>,
    /// What the rate is from: `offsets` or `timestamps`.
    pub rate_from: String,
    pub batches_per_second: Option<f64>,
    pub bytes_per_second: Option<f64>,
    /// Null if every sampled batch is compressed.
    pub lz4: Option<CompressionPayload>,
}

/// Bytes after compression over bytes before, of the uncompressed batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompressionPayload {
    pub uncompressed_share: f64,
    pub batches: usize,
    pub ratio: f64,
    /// A tenth of the batches compress better.
    pub low: f64,
    /// A tenth of the batches compress worse.
    pub high: f64,
    /// If batches had 16 KiB of records.
    pub large: f64,
}

/// Connections of clients that say that they are one software in one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientVersionPayload {
    /// Such as `apache-kafka-java` or `librdkafka`.
    pub software: String,
    pub version: String,
    pub connections: f64,
}

/// Requests of all clients, from Prometheus. Null where unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRatesPayload {
    pub produce_per_second: Option<f64>,
    pub fetch_per_second: Option<f64>,
    pub bytes_per_produce: Option<f64>,
    pub bytes_per_fetch: Option<f64>,
}

impl ClusterAdvicePayload {
    /// `None` for a report without advice.
    pub fn of(report: &ClusterReport) -> Option<Self> {
        let ClusterAdvice { at, topics, requests, clients, advice, not_seen } =
            report.advice.as_ref()?;

        Some(Self {
            cluster: report.cluster.to_string(),
            at: rfc3339(*at),
            advice: advice.iter().map(AdvicePayload::from).collect(),
            topics: topics.iter().map(TopicMeasurePayload::from).collect(),
            requests: RequestRatesPayload::from(requests),
            clients: clients.iter().map(ClientVersionPayload::from).collect(),
            not_seen: not_seen.iter().map(NotSeenPayload::from).collect(),
        })
    }
}

impl From<&Advice> for AdvicePayload {
    fn from(advice: &Advice) -> Self {
        let spec = advice.rule.spec();
        let settings = advice.settings.iter();

        Self {
            rule: advice.rule.label().to_owned(),
            subject: advice.subject.to_string(),
            title: spec.title.to_owned(),
            settings: settings
                .map(|it| (it.setting.label().to_owned(), it.value.clone()))
                .collect(),
            effects: advice.effects.iter().map(EffectPayload::from).collect(),
            measured: advice.measured.clone(),
            formula: spec.formula.to_owned(),
            source: spec.source.to_owned(),
            assumes: spec.assumes.to_owned(),
        }
    }
}

impl From<&AdviceEffect> for EffectPayload {
    fn from(effect: &AdviceEffect) -> Self {
        let AdviceEffect { kind, now, after, low, high } = *effect;

        Self { what: kind.label().to_owned(), now, after, low, high }
    }
}

impl From<&TopicMeasure> for TopicMeasurePayload {
    fn from(topic: &TopicMeasure) -> Self {
        let codecs = topic.codecs.iter().map(|(codec, number)| (codec.to_string(), *number));

        Self {
            topic: topic.topic.to_string(),
            partitions: topic.partitions,
            replicas: topic.replicas,
            sampled_partitions: topic.sampled_partitions,
            sampled_batches: topic.batches,
            older: topic.older,
            codecs: codecs.collect(),
            producers: topic.producers,
            records_per_batch: topic.records_per_batch(),
            bytes_per_batch: topic.bytes_per_batch(),
            bytes_per_record: topic.bytes_per_record(),
            records_per_second: topic.records_per_second,
            rate_from: topic.rate_basis.label().to_owned(),
            batches_per_second: topic.batches_per_second(),
            bytes_per_second: topic.bytes_per_second(),
            lz4: topic.compression.as_ref().map(CompressionPayload::from),
        }
    }
}

impl From<&CompressionMeasure> for CompressionPayload {
    fn from(measured: &CompressionMeasure) -> Self {
        let CompressionMeasure { uncompressed_share, batches, lz4, low, high, large } = *measured;

        Self { uncompressed_share, batches, ratio: lz4, low, high, large }
    }
}

impl From<&ClientVersion> for ClientVersionPayload {
    fn from(client: &ClientVersion) -> Self {
        let ClientVersion { software, version, connections } = client.clone();

        Self { software, version, connections }
    }
}

impl From<&RequestRates> for RequestRatesPayload {
    fn from(requests: &RequestRates) -> Self {
        Self {
            produce_per_second: requests.produce_per_second,
            fetch_per_second: requests.fetch_per_second,
            bytes_per_produce: requests.bytes_per_produce(),
            bytes_per_fetch: requests.bytes_per_fetch(),
        }
    }
}

pub(super) async fn advice(
    State(inner): State<Arc<Inner>>,
    query: Result<Query<FindingsQuery>, QueryRejection>,
) -> Result<Json<AdviceListPayload>, ApiError> {
    let Ok(Query(query)) = query else {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "the query parameter is cluster"));
    };

    let wanted = query.cluster.map(ClusterName::new);
    let reports = inner.state.diagnosis.advised(wanted.as_ref()).await;

    if let Some(name) = wanted.filter(|_| reports.is_empty()) {
        let message = format!("there is no cluster {name}");
        return Err(ApiError::quoting(StatusCode::NOT_FOUND, message, "there is no such cluster"));
    }

    let clusters = reports.iter().filter_map(|it| ClusterAdvicePayload::of(it)).collect();

    Ok(Json(AdviceListPayload { clusters }))
}
