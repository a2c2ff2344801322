//! How much of a cluster is exported.

use super::closed_list;

closed_list! {
    /// The granularity of exported series.
    pub enum Granularity {
        /// One series per partition, and the sums.
        Partition = "partition",
        Topic = "topic",
    }
}

closed_list! {
    /// Whether lag is also computed in seconds, which takes memory for each partition that is read.
    pub enum LagSeconds {
        Followed = "followed",
        Left = "left",
    }
}

/// What of a cluster is exported, and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    pub topics: Granularity,
    pub groups: Granularity,
    pub lag_seconds: LagSeconds,
    /// Maximum number of series of the cluster. Families that do not fit are omitted whole.
    pub series_max: u64,
}

impl Export {
    /// Everything, up to a number of series that Prometheus still accepts from one target.
    pub const DEFAULT: Self = Self {
        topics: Granularity::Partition,
        groups: Granularity::Partition,
        lag_seconds: LagSeconds::Followed,
        series_max: 5_000_000,
    };
}
