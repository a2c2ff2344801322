//! The thresholds for warnings and critical alerts, in one place.
//!
//! The rules under `prometheus/rules/` say the same in PromQL; a test compares the two. They are
//! the seeds' thresholds (`CPU 60/80 %`, …) and those of the saturation alerts.

/// Which side of a threshold is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

/// A signal with its thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The recorded series, one for each broker, or for each group and topic.
    pub series: &'static str,
    pub side: Side,
    /// The value at which the warning starts, and its alert.
    pub warning: Option<(f64, &'static str)>,
    /// The value at which it becomes critical, and its alert.
    pub critical: Option<(f64, &'static str)>,
}

/// Every threshold. Ratios are 0–1, times are seconds, lag is records.
pub const ALL: &[Threshold] = &[
    Threshold {
        series: "kafka:broker_cpu:ratio",
        side: Side::Above,
        warning: Some((0.6, "KafkaBrokerCpuHigh")),
        critical: Some((0.8, "KafkaBrokerCpuCritical")),
    },
    Threshold {
        series: "kafka:broker_memory:ratio",
        side: Side::Above,
        warning: Some((0.7, "KafkaBrokerMemoryHigh")),
        critical: Some((0.85, "KafkaBrokerMemoryCritical")),
    },
    Threshold {
        series: "kafka:disk_io:ratio",
        side: Side::Above,
        warning: Some((0.7, "KafkaBrokerDiskIoHigh")),
        critical: Some((0.85, "KafkaBrokerDiskIoCritical")),
    },
    Threshold {
        series: "kafka:disk_usage:ratio",
        side: Side::Above,
        warning: None,
        critical: Some((0.85, "KafkaBrokerDiskUsageCritical")),
    },
    Threshold {
        series: "kafka:gc_time:ratio",
        side: Side::Above,
        warning: Some((0.05, "KafkaGcTimeHigh")),
        critical: Some((0.1, "KafkaGcTimeHigh")),
    },
    Threshold {
        series: "kafka:consumergroup_topic_lag:sum",
        side: Side::Above,
        warning: Some((50_000.0, "KafkaConsumerLagHigh")),
        critical: Some((100_000.0, "KafkaConsumerLagCritical")),
    },
    Threshold {
        series: "kafka:request_handler_idle:ratio",
        side: Side::Below,
        warning: Some((0.3, "KafkaRequestHandlersSaturated")),
        critical: Some((0.1, "KafkaRequestHandlersSaturated")),
    },
    Threshold {
        series: "kafka:network_processor_idle:ratio",
        side: Side::Below,
        warning: Some((0.3, "KafkaNetworkProcessorsSaturated")),
        critical: Some((0.1, "KafkaNetworkProcessorsSaturated")),
    },
    Threshold {
        series: "kafka:produce_queue_time:mean_seconds",
        side: Side::Above,
        warning: Some((0.1, "KafkaRequestQueueFilling")),
        critical: Some((0.5, "KafkaRequestQueueFilling")),
    },
];

/// Lag at which a group is a finding without an alert.
pub const LAG_FINDING: f64 = 10_000.0;
