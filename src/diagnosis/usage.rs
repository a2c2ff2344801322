//! What a cluster used in the last days, hour by hour, for the report.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::ClusterSource;
use crate::{
    model::{ClusterName, WallTime},
    playbook::quoted,
    prometheus::{PrometheusError, QueryRange, SharedPrometheus},
    report::{ClusterUsage, GrowthMetric, HourlyValue},
};

const HOUR: Duration = Duration::from_hours(1);

/// Longest time for all queries of one cluster: a client of the API waits 30 s.
const GATHER_TIMEOUT: Duration = Duration::from_secs(20);

/// Of fewer records, the slowest one in a hundred is one or two.
const PROBE_RECORDS_MIN: f64 = 200.0;

/// One value of a cluster, hour by hour.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredHours {
    pub metric: GrowthMetric,
    /// Oldest first; empty if Prometheus has nothing of it.
    pub hours: Vec<HourlyValue>,
}

/// What Prometheus knows of the use of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredUsage {
    pub hours: Vec<MeasuredHours>,
    pub usage: ClusterUsage,
    /// What could not be read and why, as text for people.
    pub not_read: Vec<String>,
}

impl ClusterSource {
    /// Reads the last `days` days. Never fails: what cannot be read is noted.
    pub async fn usage(&self, days: u32, now: WallTime) -> MeasuredUsage {
        let Some(prometheus) = &self.prometheus else {
            let note = "growth and cost: the cluster has no `prometheus` in the configuration";
            return MeasuredUsage { not_read: vec![note.to_owned()], ..MeasuredUsage::default() };
        };

        let reading = read(prometheus, &self.cluster, days, now);
        let Ok(measured) = timeout(GATHER_TIMEOUT, reading).await else {
            let seconds = GATHER_TIMEOUT.as_secs();
            let note = format!("growth and cost: Prometheus took more than {seconds} s");
            return MeasuredUsage { not_read: vec![note], ..MeasuredUsage::default() };
        };

        measured.unwrap_or_else(|error| MeasuredUsage {
            not_read: vec![format!("growth and cost: {error}")],
            ..MeasuredUsage::default()
        })
    }
}

/// A stretch of the past, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastWindow {
    pub start: WallTime,
    pub end: WallTime,
}

impl ClusterSource {
    /// The time that 99 of 100 records of the probe took at most, through all brokers and back.
    /// `None` without a probe, or with too few records to say it.
    pub async fn probe_p99(&self, window: PastWindow, now: WallTime) -> Option<f64> {
        let prometheus = self.prometheus.as_ref()?;
        let labels = format!("{{kafka_cluster={}}}", quoted(self.cluster.as_str()));
        let (length, offset) =
            (window.end.since(window.start).as_secs(), now.since(window.end).as_secs());
        let increase = |name: &str| {
            let series = format!("kafka_probe_round_trip_seconds_{name}{labels}");
            format!("increase({series}[{length}s] offset {offset}s)")
        };
        let value = async |query: String| {
            let found = prometheus.instant(&query).await.ok()?;
            found.first().map(|it| it.sample.value).filter(|it| it.is_finite())
        };

        let records = value(format!("sum({})", increase("count"))).await?;
        if records < PROBE_RECORDS_MIN {
            return None;
        }

        let buckets = format!("sum by (le) ({})", increase("bucket"));
        value(format!("histogram_quantile(0.99, {buckets})")).await
    }
}

async fn read(
    prometheus: &SharedPrometheus,
    cluster: &ClusterName,
    days: u32,
    now: WallTime,
) -> Result<MeasuredUsage, PrometheusError> {
    // Alone: a server that does not answer is not asked a dozen times.
    let usage = usage(prometheus, cluster).await?;
    let hours = days.saturating_mul(24).saturating_sub(1);
    let range = QueryRange { start: now.before(HOUR.saturating_mul(hours)), end: now, step: HOUR };
    let read = |metric: &GrowthMetric| read_metric(prometheus, cluster, *metric, range);
    let mut measured = MeasuredUsage { usage, ..MeasuredUsage::default() };

    for (metric, found) in
        GrowthMetric::ALL.iter().zip(join_all(GrowthMetric::ALL.iter().map(read)).await)
    {
        match found {
            Ok(hours) => measured.hours.push(MeasuredHours { metric: *metric, hours }),
            Err(error) => measured.not_read.push(format!("growth of {}: {error}", metric.words())),
        }
    }

    Ok(measured)
}

async fn read_metric(
    prometheus: &SharedPrometheus,
    cluster: &ClusterName,
    metric: GrowthMetric,
    range: QueryRange,
) -> Result<Vec<HourlyValue>, PrometheusError> {
    let found = prometheus.range(&metric.query(cluster), range).await?;
    let samples = found.into_iter().next().map(|it| it.samples).unwrap_or_default();

    Ok(samples.into_iter().map(|it| HourlyValue { at: it.at, value: it.value }).collect())
}

/// The means of the last week, and the brokers and disks that there are now.
async fn usage(
    prometheus: &SharedPrometheus,
    cluster: &ClusterName,
) -> Result<ClusterUsage, PrometheusError> {
    let labels = format!("{{kafka_cluster={}}}", quoted(cluster.as_str()));
    let week = |name: &str| format!("sum(avg_over_time(kafka:{name}:rate{labels}[7d]))");
    let value = async |query: String| {
        let found = prometheus.instant(&query).await?;
        Ok::<_, PrometheusError>(found.first().map(|it| it.sample.value))
    };
    let disk = format!("sum(max by (broker_id, path) (kafka_broker_log_dir_total_bytes{labels}))");

    Ok(ClusterUsage {
        brokers: value(format!("max(kafka_brokers{labels})")).await?,
        records_per_second: value(week("messages_in")).await?,
        bytes_in_per_second: value(week("bytes_in")).await?,
        bytes_out_per_second: value(week("bytes_out")).await?,
        disk_bytes: value(disk).await?,
    })
}
