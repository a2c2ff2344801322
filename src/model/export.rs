//! How much of a cluster is put on the page.

use super::closed_list;

closed_list! {
    /// How finely a thing is shown.
    pub enum Granularity {
        /// A series for each partition, and the sums.
        Partition = "partition",
        Topic = "topic",
    }
}

closed_list! {
    /// Whether lag is followed in time too, which takes memory for each partition that is read.
    pub enum LagSeconds {
        Followed = "followed",
        /// It is not.
        Left = "left",
    }
}

/// What of a cluster is shown, and how much at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// How finely topics are shown.
    pub topics: Granularity,
    /// How finely groups are shown.
    pub groups: Granularity,
    /// Whether lag is shown in seconds.
    pub lag_seconds: LagSeconds,
    /// Most series of the cluster on one page. Whole families are left out beyond it.
    pub series_max: u64,
}

impl Export {
    /// Everything, up to a page that a Prometheus of a large cluster still takes.
    pub const DEFAULT: Self = Self {
        topics: Granularity::Partition,
        groups: Granularity::Partition,
        lag_seconds: LagSeconds::Followed,
        series_max: 5_000_000,
    };
}
