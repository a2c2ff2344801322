//! What the collectors last reported, as plain values for the landing page.

use std::time::Duration;

use super::{CollectorName, RemediationView, SeriesCount};
use crate::model::{ClusterName, ReadFailure, WallTime};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    pub cluster: ClusterName,
    /// When its metadata was last read, if ever.
    pub snapshot: Option<WallTime>,
    /// Its series on the page, once there is a page.
    pub series: Option<SeriesCount>,
    /// The collectors that have reported, in their order.
    pub collectors: Vec<CollectorStatus>,
    /// Remediation, once it has been reported.
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
    /// Why its latest round failed; `None` when all requests were answered.
    pub failure: Option<String>,
    pub took: Duration,
    /// When a round of it last succeeded, if ever.
    pub last_success: Option<WallTime>,
    /// Values that could not be read, by reason; none at 0.
    pub unknown: Vec<(ReadFailure, u64)>,
}
