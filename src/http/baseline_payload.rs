//! JSON bodies of `/api/v1/baselines…`, under the contract of [`payload`](super::payload).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::payload::rfc3339;
use crate::{
    baseline::{
        BaselineSummary, BrokerSeries, ClusterSetting, ComparedMetric, NamedBaseline,
        WindowSummary, median,
    },
    model::BrokerId,
    remediation::ComparedBaseline,
};

/// What `POST /api/v1/baselines` takes as its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordBaselinePayload {
    /// May be left out if there is only one cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub name: String,
    /// How much of the time that has just passed; 600 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Whether it takes the place of one with the same name.
    #[serde(default)]
    pub replace: bool,
}

/// Response to `GET /api/v1/baselines`: newest first, without what was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BaselinesPayload {
    pub baselines: Vec<BaselinePayload>,
}

/// One baseline, whole or without its bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BaselinePayload {
    pub cluster: String,
    pub name: String,
    pub recorded_at: String,
    /// Name of the token that recorded it.
    pub by: String,
    pub window: WindowPayload,
    /// What was measured; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<MeasuredPayload>,
}

/// A window, and how the cluster was set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowPayload {
    pub start: String,
    pub end: String,
    pub bin_seconds: f64,
    pub bins: u32,
    pub brokers: Vec<i32>,
    /// Median of the requests of clients per second; null if not known.
    pub requests_per_second: Option<f64>,
    /// The version of kafka-optimizer then.
    pub version: String,
    /// Of brokers up to 3.9 `inter.broker.protocol.version`, else `metadata.version`, such as
    /// `4.0-IV3`; null if neither is known.
    pub kafka_version: Option<String>,
    /// Digest of the effective configuration, by broker.
    pub broker_configs: BTreeMap<String, String>,
    /// Digest of kafka-optimizer's own configuration.
    pub program_config: String,
}

/// One metric of one broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasuredPayload {
    /// Such as `produce_time` and `bytes_in`.
    pub metric: String,
    /// Such as `seconds` and `bytes_per_second`.
    pub unit: String,
    pub broker: i32,
    pub median: Option<f64>,
    /// One for each bin, oldest first; null where it is not known.
    pub values: Vec<Option<f64>>,
}

/// The response to `GET /api/v1/baselines/{name}/comparison`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComparisonPayload {
    pub baseline: BaselinePayload,
    /// Name of the other baseline; null for the time that has just passed.
    pub with: Option<String>,
    pub window: WindowPayload,
    /// One-minute bins that show what two windows differ by themselves.
    pub history_bins: usize,
    /// What else is not the same, as text for people.
    pub notes: Vec<String>,
    pub metrics: Vec<ComparedPayload>,
}

/// One metric in both windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComparedPayload {
    pub metric: String,
    pub unit: String,
    /// Null for the whole cluster.
    pub broker: Option<i32>,
    /// The median of the baseline's bins.
    pub before: Option<f64>,
    /// The median of the other window's bins.
    pub after: Option<f64>,
    /// Relative change less what the load explains: 0.1 is 10 % more.
    pub change: Option<f64>,
    /// With 95 % confidence it changed by no less.
    pub change_low: Option<f64>,
    /// With 95 % confidence it changed by no more.
    pub change_high: Option<f64>,
    /// `better`, `same`, `worse` or `inconclusive`; null for the load.
    pub verdict: Option<String>,
    /// The evidence in words, for people.
    pub sentence: String,
}

impl BaselinePayload {
    /// The baseline without what was measured.
    pub(super) fn summary(baseline: &BaselineSummary) -> Self {
        Self {
            cluster: baseline.cluster.to_string(),
            name: baseline.name.to_string(),
            recorded_at: rfc3339(baseline.recorded_at),
            by: baseline.by.clone(),
            window: window(&baseline.window, &baseline.setting),
            measured: Vec::new(),
        }
    }

    pub(super) fn whole(baseline: &NamedBaseline) -> Self {
        let measured = baseline.measured.series.iter().map(MeasuredPayload::from).collect();
        Self { measured, ..Self::summary(&baseline.summary()) }
    }
}

fn window(measured: &WindowSummary, setting: &ClusterSetting) -> WindowPayload {
    let configs = &setting.broker_configs;

    WindowPayload {
        start: rfc3339(measured.start),
        end: rfc3339(measured.end()),
        bin_seconds: measured.bin.as_secs_f64(),
        bins: measured.bins,
        brokers: measured.brokers.iter().copied().map(BrokerId::to_wire).collect(),
        requests_per_second: measured.requests_per_second,
        version: setting.version.clone(),
        kafka_version: setting.kafka_version.clone(),
        broker_configs: configs.iter().map(|(id, it)| (id.to_string(), it.clone())).collect(),
        program_config: setting.program_config.clone(),
    }
}

impl From<&BrokerSeries> for MeasuredPayload {
    fn from(series: &BrokerSeries) -> Self {
        Self {
            metric: series.metric.to_string(),
            unit: series.metric.unit().to_string(),
            broker: series.broker.to_wire(),
            median: median(&series.values),
            values: series.values.clone(),
        }
    }
}

impl From<&ComparedBaseline> for ComparisonPayload {
    fn from(compared: &ComparedBaseline) -> Self {
        let comparison = &compared.comparison;

        Self {
            baseline: BaselinePayload::summary(&compared.baseline.summary()),
            with: compared.with.as_ref().map(ToString::to_string),
            window: window(&compared.window.summary(), &compared.setting),
            history_bins: comparison.history_bins,
            notes: comparison.notes.clone(),
            metrics: comparison.metrics.iter().map(ComparedPayload::from).collect(),
        }
    }
}

impl From<&ComparedMetric> for ComparedPayload {
    fn from(compared: &ComparedMetric) -> Self {
        Self {
            metric: compared.metric.to_string(),
            unit: compared.metric.unit().to_string(),
            broker: compared.broker.map(BrokerId::to_wire),
            before: compared.before,
            after: compared.after,
            change: compared.change.map(|it| it.change),
            change_low: compared.change.map(|it| it.low),
            change_high: compared.change.map(|it| it.high),
            verdict: compared.outcome.map(|it| it.to_string()),
            sentence: compared.sentence.clone(),
        }
    }
}
