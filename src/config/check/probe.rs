//! Checks `probe` of a cluster. Because the probe creates a topic and writes records, it is off
//! unless it is configured.

use std::time::Duration;

use super::{CheckReport, key_path::KeyPath};
use crate::{
    config::{ProbeConfig, raw::RawProbe},
    model::TopicName,
};

/// The leading underscore marks an internal topic by convention.
const TOPIC_DEFAULT: &str = "_kafka_optimizer_probe";
const TOPIC_BYTES_MAX: usize = 249;
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// A shorter interval would be a load by itself.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// librdkafka checks for expired records once per second.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// A broker that takes longer is down for its clients.
const TIMEOUT_MAX: Duration = Duration::from_mins(1);
const RECORD_BYTES_DEFAULT: u32 = 100;
/// Must hold the number of the record.
const RECORD_BYTES_MIN: u32 = 16;
/// The probe measures latency, not throughput.
const RECORD_BYTES_MAX: u32 = 100_000;
/// More replicas than any cluster uses.
const REPLICATION_FACTOR_MAX: u32 = 16;

pub(super) fn probe(raw: RawProbe, path: &KeyPath, report: &mut CheckReport) -> ProbeConfig {
    let topic = raw.topic.unwrap_or_else(|| TOPIC_DEFAULT.to_owned());
    if !is_topic(&topic) {
        let advice = format!(
            "invalid topic `{topic}`: use up to {TOPIC_BYTES_MAX} letters, digits, `-`, `_` or `.`, not starting with \
             `__`"
        );
        report.problem(path.key("topic"), advice);
    }

    let interval_path = path.key("interval");
    let interval = report.duration(&interval_path, raw.interval.as_ref(), INTERVAL_DEFAULT);
    if interval < INTERVAL_MIN {
        report.problem(interval_path, "must be at least 1s");
    }

    let timeout_path = path.key("timeout");
    let timeout = report.duration(&timeout_path, raw.timeout.as_ref(), TIMEOUT_DEFAULT);
    if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
        report.problem(timeout_path, "must be 1s to 1m");
    }

    if raw.replication_factor.is_some_and(|it| !(1..=REPLICATION_FACTOR_MAX).contains(&it)) {
        let advice = format!("must be 1 to {REPLICATION_FACTOR_MAX}");
        report.problem(path.key("replication_factor"), advice);
    }

    let record_bytes = raw.record_bytes.unwrap_or(RECORD_BYTES_DEFAULT);
    if !(RECORD_BYTES_MIN..=RECORD_BYTES_MAX).contains(&record_bytes) {
        let advice = format!("must be {RECORD_BYTES_MIN} to {RECORD_BYTES_MAX}");
        report.problem(path.key("record_bytes"), advice);
    }

    ProbeConfig {
        topic: TopicName::new(topic),
        interval,
        timeout,
        replication_factor: raw.replication_factor,
        record_bytes,
    }
}

/// Whether the name is legal and not that of an internal topic of Kafka.
fn is_topic(name: &str) -> bool {
    let legal = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
    (1..=TOPIC_BYTES_MAX).contains(&name.len())
        && name.bytes().all(legal)
        && !name.starts_with("__")
        && ![".", ".."].contains(&name)
}
