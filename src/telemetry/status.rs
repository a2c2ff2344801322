//! The collectors' latest reports, for the landing page.

use std::time::Duration;

use super::{CollectorName, RemediationView, SeriesCount};
use crate::model::{ClusterName, ReadFailure, WallTime};

#[derive(Clone, Debug, PartialEq)]
pub struct ClusterStatus {
    pub cluster: ClusterName,
    /// When the cluster's metadata was last read.
    pub snapshot: Option<WallTime>,
    /// Number of series; `None` until metrics were encoded.
    pub series: Option<SeriesCount>,
    /// Collectors that have reported, in the order of [`CollectorName`].
    pub collectors: Vec<CollectorStatus>,
    /// `None` until the pipeline has reported.
    pub remediation: Option<RemediationView>,
}

impl ClusterStatus {
    /// Whether the latest round read the cluster's metadata; `None` before the first.
    pub fn up(&self) -> Option<bool> {
        let topology = self.collectors.iter().find(|it| it.collector == CollectorName::Topology);
        topology.map(|it| it.failure.is_none())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorStatus {
    pub collector: CollectorName,
    /// Why its latest round failed; `None` if all requests succeeded.
    pub failure: Option<String>,
    pub took: Duration,
    /// When a round last succeeded.
    pub last_success: Option<WallTime>,
    /// Number of values that could not be read, by reason; without zeros.
    pub unknown: Vec<(ReadFailure, u64)>,
}
