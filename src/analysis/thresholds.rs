//! The thresholds for warnings and critical alerts, in one place, and those of findings that have
//! no alert.
//!
//! The rules under `prometheus/rules/` say the same in PromQL; a test compares the two. They are
//! the seeds' thresholds (`CPU 60/80 %`, …) and those of the saturation alerts.

use crate::model::closed_list;

closed_list! {
    /// How bad a finding is, and how a cluster is as a whole.
    pub enum TrafficLight {
        /// There is nothing to do.
        Green = "green",
        /// Look at it in working hours.
        Yellow = "yellow",
        /// Clients notice it, or soon will.
        Red = "red",
    }
}

/// Which side of a threshold is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

impl Side {
    /// The word for it in the API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    pub const fn sign(self) -> char {
        match self {
            Self::Above => '>',
            Self::Below => '<',
        }
    }
}

/// A signal with its thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// What the rules compare: a recorded series, or an expression. Empty without an alert.
    pub series: &'static str,
    pub side: Side,
    /// The value at which a finding starts, if that is not the value of an alert.
    pub finding: Option<f64>,
    /// The value at which the warning starts, and its alert.
    pub warning: Option<(f64, &'static str)>,
    /// The value at which it becomes critical, and its alert.
    pub critical: Option<(f64, &'static str)>,
}

/// The limit that a value has passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassedLimit {
    pub light: TrafficLight,
    pub value: f64,
}

impl Threshold {
    const NONE: Self =
        Self { series: "", side: Side::Above, finding: None, warning: None, critical: None };

    const fn finding_above(limit: f64) -> Self {
        Self { finding: Some(limit), ..Self::NONE }
    }

    const fn finding_below(limit: f64) -> Self {
        Self { side: Side::Below, finding: Some(limit), ..Self::NONE }
    }

    /// Whether `value` is on the bad side of `limit`.
    pub fn is_beyond(&self, value: f64, limit: f64) -> bool {
        match self.side {
            Side::Above => value > limit,
            Side::Below => value < limit,
        }
    }

    /// The worst limit that `value` has passed; `None` if it is on the good side of all.
    pub fn passed(&self, value: f64) -> Option<PassedLimit> {
        let limits = [
            (TrafficLight::Red, self.critical.map(|it| it.0)),
            (TrafficLight::Yellow, self.warning.map(|it| it.0)),
            (TrafficLight::Yellow, self.finding),
        ];
        let mut passed = limits.into_iter().filter_map(|(light, limit)| {
            let value_at = limit.filter(|limit| self.is_beyond(value, *limit))?;
            Some(PassedLimit { light, value: value_at })
        });

        passed.next()
    }

    /// The limit at which a finding starts.
    pub fn first_limit(&self) -> Option<f64> {
        let (warning, critical) = (self.warning.map(|it| it.0), self.critical.map(|it| it.0));
        self.finding.or(warning).or(critical)
    }
}

/// Lag at which a group is a finding without an alert.
pub const LAG_FINDING: f64 = 10_000.0;

pub const CPU: Threshold = Threshold {
    series: "kafka:broker_cpu:ratio",
    warning: Some((0.6, "KafkaBrokerCpuHigh")),
    critical: Some((0.8, "KafkaBrokerCpuCritical")),
    ..Threshold::NONE
};
pub const MEMORY: Threshold = Threshold {
    series: "kafka:broker_memory:ratio",
    warning: Some((0.7, "KafkaBrokerMemoryHigh")),
    critical: Some((0.85, "KafkaBrokerMemoryCritical")),
    ..Threshold::NONE
};
pub const DISK_IO: Threshold = Threshold {
    series: "kafka:disk_io:ratio",
    warning: Some((0.7, "KafkaBrokerDiskIoHigh")),
    critical: Some((0.85, "KafkaBrokerDiskIoCritical")),
    ..Threshold::NONE
};
pub const DISK_USAGE: Threshold = Threshold {
    series: "kafka:disk_usage:ratio",
    critical: Some((0.85, "KafkaBrokerDiskUsageCritical")),
    ..Threshold::NONE
};
pub const GC_TIME: Threshold = Threshold {
    series: "kafka:gc_time:ratio",
    warning: Some((0.05, "KafkaGcTimeHigh")),
    critical: Some((0.1, "KafkaGcTimeHigh")),
    ..Threshold::NONE
};
pub const LAG: Threshold = Threshold {
    series: "kafka:consumergroup_topic_lag:sum",
    finding: Some(LAG_FINDING),
    warning: Some((50_000.0, "KafkaConsumerLagHigh")),
    critical: Some((100_000.0, "KafkaConsumerLagCritical")),
    ..Threshold::NONE
};
pub const HANDLER_IDLE: Threshold = Threshold {
    series: "kafka:request_handler_idle:ratio",
    side: Side::Below,
    warning: Some((0.3, "KafkaRequestHandlersSaturated")),
    critical: Some((0.1, "KafkaRequestHandlersSaturated")),
    ..Threshold::NONE
};
pub const NETWORK_IDLE: Threshold = Threshold {
    series: "kafka:network_processor_idle:ratio",
    side: Side::Below,
    warning: Some((0.3, "KafkaNetworkProcessorsSaturated")),
    critical: Some((0.1, "KafkaNetworkProcessorsSaturated")),
    ..Threshold::NONE
};
pub const PRODUCE_QUEUE_TIME: Threshold = Threshold {
    series: "kafka:produce_queue_time:mean_seconds",
    warning: Some((0.1, "KafkaRequestQueueFilling")),
    critical: Some((0.5, "KafkaRequestQueueFilling")),
    ..Threshold::NONE
};
pub const UNDER_REPLICATED: Threshold = Threshold {
    series: "kafka:under_replicated_partitions:count",
    warning: Some((0.0, "KafkaUnderReplicatedPartitions")),
    ..Threshold::NONE
};
pub const UNDER_MIN_ISR: Threshold = Threshold {
    series: "kafka:under_min_isr_partitions:count",
    critical: Some((0.0, "KafkaUnderMinIsrPartitions")),
    ..Threshold::NONE
};
pub const OFFLINE_PARTITIONS: Threshold = Threshold {
    series: "kafka:offline_partitions:count",
    critical: Some((0.0, "KafkaOfflinePartitions")),
    ..Threshold::NONE
};
pub const LEADERS_NOT_PREFERRED: Threshold = Threshold {
    series: "kafka:leaders_not_preferred:count",
    warning: Some((0.0, "KafkaLeadersNotPreferred")),
    ..Threshold::NONE
};
pub const ACTIVE_CONTROLLERS: Threshold = Threshold {
    series: "sum by (kafka_cluster) (kafka_controller_kafkacontroller_activecontrollercount)",
    side: Side::Below,
    critical: Some((1.0, "KafkaNoActiveController")),
    ..Threshold::NONE
};

/// The rule of the alert says `== 0`, which is the same for a value that is 0 or 1.
pub const UP: Threshold = Threshold {
    series: "max by (kafka_cluster) (kafka_up)",
    side: Side::Below,
    critical: Some((1.0, "KafkaClusterDown")),
    ..Threshold::NONE
};

/// Every threshold that an alert compares in these words. Ratios are 0–1, times are seconds, lag is
/// records.
pub const ALL: &[Threshold] = &[
    CPU,
    MEMORY,
    DISK_IO,
    DISK_USAGE,
    GC_TIME,
    LAG,
    HANDLER_IDLE,
    NETWORK_IDLE,
    PRODUCE_QUEUE_TIME,
    UNDER_REPLICATED,
    UNDER_MIN_ISR,
    OFFLINE_PARTITIONS,
    LEADERS_NOT_PREFERRED,
    ACTIVE_CONTROLLERS,
];

/// Local time of a produce request above which a saturated broker waits for its disk or for a lock.
/// An append to the page cache takes less than a millisecond, one that is flushed a few.
pub const LOCAL_TIME: Threshold = Threshold::finding_above(0.01);

/// A quota delays requests by whole seconds; the mean is over all requests, also those of clients
/// without a quota.
pub const THROTTLE_TIME: Threshold = Threshold::finding_above(0.001);

/// Scrapes of 30 minutes in which the ISR shrank. A restart of a broker is one or two of them,
/// however many partitions it has.
pub const ISR_SHRINKS: Threshold = Threshold::finding_above(5.0);

/// Controller changes in 30 minutes. A rolling restart of three controllers causes up to three.
pub const CONTROLLER_CHANGES: Threshold = Threshold::finding_above(3.0);

/// Hours until a log directory is full, at the growth of the last hour.
pub const DISK_HOURS_LEFT: Threshold = Threshold::finding_below(24.0);

/// Spans of two minutes with a rebalance, of the last five. A deployment rebalances a group once
/// for each member that it starts, but not for minutes on end.
pub const REBALANCES: Threshold = Threshold::finding_above(3.0);

/// Seconds without a commit that advances, for a group with lag: twenty rounds of collection.
pub const SINCE_PROGRESS: Threshold = Threshold::finding_above(300.0);

/// Records that retention deleted before the group read them.
pub const LOST_RECORDS: Threshold = Threshold::finding_above(0.0);

/// Where the commit stands between the log start (0) and the log end (1), while retention deletes.
pub const RETENTION_HEADROOM: Threshold = Threshold::finding_below(0.1);

/// Share of one partition in the records of its topic.
pub const TOPIC_SHARE: Threshold = Threshold::finding_above(0.5);

/// Share of one partition in the records that its broker receives.
pub const BROKER_SHARE: Threshold = Threshold::finding_above(0.5);

/// Records in a produce request. One that carries a few costs the broker nearly as much as one that
/// carries hundreds.
pub const RECORDS_PER_REQUEST: Threshold = Threshold::finding_below(5.0);

/// Bytes of a record batch. The default of `batch.size` is 16 KiB, and 61 bytes are the header.
pub const BATCH_BYTES: Threshold = Threshold::finding_below(1_024.0);

/// Share of a topic's bytes that compression would save.
pub const COMPRESSION_SAVES: Threshold = Threshold::finding_above(0.3);
