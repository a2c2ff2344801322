//! What a baseline holds: the bins of a window, and how the cluster was set up then.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{BaselineName, Metric, metric::Total};
use crate::model::{BrokerId, ClusterName, WallTime, as_label, count};

/// One metric of one broker, or of the cluster: one element per bin, oldest first. `None` where a
/// bin is not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BinnedValues {
    pub(super) values: Vec<Option<f64>>,
    /// For a mean: how much there was to take the mean of.
    pub(super) weights: Vec<Option<f64>>,
}

/// One metric of one broker: its values, bin by bin, and what each counts for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrokerSeries {
    #[serde(with = "as_label")]
    pub metric: Metric,
    pub broker: BrokerId,
    pub values: Vec<Option<f64>>,
    /// For a mean: how much there was to take the mean of. Else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Option<f64>>,
}

/// The bins of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredWindow {
    pub start: WallTime,
    pub bin: Duration,
    pub bins: u32,
    /// Metrics that Prometheus has nothing of are not there.
    pub series: Vec<BrokerSeries>,
}

/// How a cluster was set up: what differs here may be why two windows differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSetting {
    /// The version of this program then.
    pub version: String,
    /// Of `inter.broker.protocol.version`, which brokers up to 3.9 have, else of the cluster's
    /// `metadata.version`. `None` if neither is known.
    pub kafka_version: Option<String>,
    /// A digest of the effective configuration of each broker that answered.
    pub broker_configs: BTreeMap<BrokerId, String>,
    /// A digest of this program's configuration of the cluster and of remediation.
    pub program_config: String,
}

/// A window with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedBaseline {
    pub cluster: ClusterName,
    pub name: BaselineName,
    pub recorded_at: WallTime,
    /// The principal who recorded it.
    pub by: String,
    pub measured: MeasuredWindow,
    pub setting: ClusterSetting,
}

/// A window with a name, without what was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineSummary {
    pub cluster: ClusterName,
    pub name: BaselineName,
    pub recorded_at: WallTime,
    /// The principal who recorded it.
    pub by: String,
    pub window: WindowSummary,
    pub setting: ClusterSetting,
}

/// When and of whom a window is, and the load in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowSummary {
    pub start: WallTime,
    pub bin: Duration,
    pub bins: u32,
    pub brokers: BTreeSet<BrokerId>,
    /// Median of the requests of clients to the cluster.
    pub requests_per_second: Option<f64>,
}

impl NamedBaseline {
    pub fn summary(&self) -> BaselineSummary {
        BaselineSummary {
            cluster: self.cluster.clone(),
            name: self.name.clone(),
            recorded_at: self.recorded_at,
            by: self.by.clone(),
            window: self.measured.summary(),
            setting: self.setting.clone(),
        }
    }
}

impl WindowSummary {
    pub fn end(&self) -> WallTime {
        self.start.after(self.bin.saturating_mul(self.bins))
    }
}

impl MeasuredWindow {
    pub fn summary(&self) -> WindowSummary {
        WindowSummary {
            start: self.start,
            bin: self.bin,
            bins: self.bins,
            brokers: self.brokers(),
            requests_per_second: self.median(Metric::Requests, None),
        }
    }

    pub fn end(&self) -> WallTime {
        self.start.after(self.length())
    }

    pub fn length(&self) -> Duration {
        self.bin.saturating_mul(self.bins)
    }

    pub fn brokers(&self) -> BTreeSet<BrokerId> {
        self.series.iter().map(|it| it.broker).collect()
    }

    /// Whether no bin of any series is known.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|it| it.values.iter().all(Option::is_none))
    }

    /// The median of the bins of a broker, or of the whole cluster. `None` if none is known.
    pub fn median(&self, metric: Metric, broker: Option<BrokerId>) -> Option<f64> {
        median(&binned(&self.series, metric, broker).values)
    }
}

/// The bins of one broker, or of the cluster. Empty if nothing was measured.
pub(super) fn binned(
    series: &[BrokerSeries],
    metric: Metric,
    broker: Option<BrokerId>,
) -> BinnedValues {
    let of_metric: Vec<&BrokerSeries> = series.iter().filter(|it| it.metric == metric).collect();
    let Some(broker) = broker else {
        let all: BTreeSet<BrokerId> = series.iter().map(|it| it.broker).collect();
        let is_complete = of_metric.len() == all.len();
        return if is_complete { total(metric, &of_metric) } else { BinnedValues::default() };
    };
    let found = of_metric.into_iter().find(|it| it.broker == broker);

    found.map_or_else(BinnedValues::default, |it| BinnedValues {
        values: it.values.clone(),
        weights: it.weights.clone(),
    })
}

/// The value of the cluster in each bin. Unknown where that of any broker is: a sum without one of
/// them would look like a fall.
fn total(metric: Metric, brokers: &[&BrokerSeries]) -> BinnedValues {
    let bins = brokers.iter().map(|it| it.values.len()).max().unwrap_or(0);
    let at = |values: &[Option<f64>], bin: usize| values.get(bin).copied().flatten();
    let sum = |bin: usize| -> Option<f64> { brokers.iter().map(|it| at(&it.values, bin)).sum() };

    match metric.total() {
        Total::Sum => BinnedValues { values: (0..bins).map(sum).collect(), weights: Vec::new() },
        Total::Mean => {
            let mean = |bin| Some(sum(bin)? / count(brokers.len()));
            BinnedValues { values: (0..bins).map(mean).collect(), weights: Vec::new() }
        }
        Total::Weighted => {
            let weight =
                |bin: usize| -> Option<f64> { brokers.iter().map(|it| at(&it.weights, bin)).sum() };

            // A broker without requests has no mean, and takes no part.
            let weighted = |it: &&BrokerSeries, bin: usize| match at(&it.weights, bin)? {
                weight if weight > 0.0 => Some(weight * at(&it.values, bin)?),
                _ => Some(0.0),
            };
            let mean = |bin: usize| {
                let sum: Option<f64> = brokers.iter().map(|it| weighted(it, bin)).sum();
                Some(sum? / weight(bin).filter(|it| *it > 0.0)?)
            };

            BinnedValues {
                values: (0..bins).map(mean).collect(),
                weights: (0..bins).map(weight).collect(),
            }
        }
    }
}

/// The middle value, or the mean of the two middle ones; `None` if none is known.
pub fn median(values: &[Option<f64>]) -> Option<f64> {
    let mut known: Vec<f64> =
        values.iter().copied().flatten().filter(|it| it.is_finite()).collect();
    known.sort_unstable_by(f64::total_cmp);
    let upper = *known.get(known.len() / 2)?;
    let lower = known.len().checked_sub(1).and_then(|it| known.get(it / 2)).copied()?;

    Some(f64::midpoint(lower, upper))
}
