//! What is followed from day to day, and when it reaches its limit.

use serde::{Deserialize, Serialize};

use super::trend::{DailyPeak, DaysUntil, Trend};
use crate::{
    analysis::thresholds,
    baseline::Unit,
    model::{BrokerCapacity, ClusterName, as_label, closed_list},
    playbook::quoted,
};

/// Growth of the load at which a further broker is due beside three: four then carry about as much
/// each as three do now.
pub(super) const GROWTH_STEP: f64 = 0.3;

/// The share of a network that is used up for long before clients notice.
pub(super) const NETWORK_SHARE_MAX: f64 = 0.8;

closed_list! {
    /// What is followed from day to day.
    pub enum GrowthMetric {
        BytesIn = "bytes_in",
        BytesOut = "bytes_out",
        RecordsIn = "records_in",
        /// The busiest broker's share of its limit.
        Cpu = "cpu",
        /// Of the busiest broker, in its busier direction.
        Network = "network",
        /// Used share of the fullest log directory.
        Disk = "disk",
        /// Replicas of partitions on an average broker.
        Partitions = "partitions",
    }
}

impl GrowthMetric {
    pub const fn unit(self) -> Unit {
        match self {
            Self::BytesIn | Self::BytesOut | Self::Network => Unit::BytesPerSecond,
            Self::RecordsIn => Unit::PerSecond,
            Self::Cpu | Self::Disk => Unit::Ratio,
            Self::Partitions => Unit::Replicas,
        }
    }

    /// What it is, as people call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::BytesIn => "bytes in",
            Self::BytesOut => "bytes out",
            Self::RecordsIn => "records in",
            Self::Cpu => "CPU of the busiest broker",
            Self::Network => "network of the busiest broker",
            Self::Disk => "fullest disk",
            Self::Partitions => "partitions of a broker",
        }
    }

    /// Whether it is the load of the cluster, which has no limit of its own.
    pub const fn is_load(self) -> bool {
        matches!(self, Self::BytesIn | Self::BytesOut | Self::RecordsIn)
    }

    /// The query that reads the present value of a cluster.
    fn present(self, cluster: &ClusterName) -> String {
        let labels = format!("{{kafka_cluster={}}}", quoted(cluster.as_str()));
        let sum = |name: &str| format!("sum(kafka:{name}:rate{labels})");

        match self {
            Self::BytesIn => sum("bytes_in"),
            Self::BytesOut => sum("bytes_out"),
            Self::RecordsIn => sum("messages_in"),
            Self::Cpu => format!("max(kafka:broker_cpu:ratio{labels})"),
            Self::Network => {
                let rate = |way: &str| {
                    let name = format!("kafka_broker_container_network_{way}_bytes_total");
                    format!(
                        "label_replace(rate({name}{labels}[5m]), \"way\", \"{way}\", \"\", \"\")"
                    )
                };
                format!("max({} or {})", rate("receive"), rate("transmit"))
            }
            Self::Disk => format!("max(kafka:disk_usage:ratio{labels})"),
            Self::Partitions => format!(
                "sum(max by (topic, partition) (kafka_topic_partition_replicas{labels})) / \
                 max(kafka_brokers{labels})"
            ),
        }
    }

    /// The query that reads the highest value of an hour.
    pub fn query(self, cluster: &ClusterName) -> String {
        let present = self.present(cluster);

        // Of many partitions, and they do not come and go: the value at the end of the hour will
        // do.
        if self == Self::Partitions {
            present
        } else {
            format!("max_over_time(({present})[1h:5m])")
        }
    }

    /// The value at which it runs out; `None` for load, and for what the configuration does not
    /// say.
    fn limit(self, capacity: &BrokerCapacity) -> Option<f64> {
        match self {
            Self::BytesIn | Self::BytesOut | Self::RecordsIn => None,
            Self::Cpu => thresholds::CPU.critical.map(|it| it.0),
            Self::Network => capacity.network_per_broker.map(|it| it * NETWORK_SHARE_MAX),
            Self::Disk => Some(1.0),
            Self::Partitions => Some(capacity.partitions_per_broker),
        }
    }
}

/// How one value grows from day to day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    #[serde(with = "as_label")]
    pub metric: GrowthMetric,
    #[serde(with = "as_label")]
    pub unit: Unit,
    /// Oldest first; days of which little is known are missing.
    pub peaks: Vec<DailyPeak>,
    /// `None` for too few days.
    pub trend: Option<Trend>,
    /// The value at which it runs out, or the load at which a further broker is due.
    pub limit: Option<f64>,
    /// When it reaches that, if it goes on; `None` if not within ten years.
    pub until: Option<DaysUntil>,
}

impl Growth {
    /// Values that cannot be are left out.
    pub fn new(metric: GrowthMetric, peaks: Vec<DailyPeak>, capacity: &BrokerCapacity) -> Self {
        let mut peaks = peaks;
        peaks.retain(|it| it.value.is_finite() && it.value >= 0.0);
        let trend = Trend::of(&peaks);
        let limit = match trend {
            Some(trend) if metric.is_load() => {
                Some(trend.now * (1.0 + GROWTH_STEP)).filter(|_| trend.now > 0.0)
            }
            Some(_) | None => metric.limit(capacity),
        };
        let limit = limit.filter(|it| it.is_finite());
        let until = trend.zip(limit).and_then(|(trend, limit)| trend.days_until(limit));

        Self { metric, unit: metric.unit(), peaks, trend, limit, until }
    }

    /// Whether it grows with 95 % confidence.
    pub fn is_sure(&self) -> bool {
        self.trend.is_some_and(|it| it.is_growth())
    }
}
