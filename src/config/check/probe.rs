//! `probe` of a cluster: the one thing that writes records and makes a topic, so it is off unless
//! it is written.

use std::time::Duration;

use super::CheckReport;
use crate::{
    config::{ProbeConfig, raw::RawProbe},
    model::TopicName,
};

/// Kafka hides no topic from anyone; the leading underscore says that it is nobody's data.
const TOPIC_DEFAULT: &str = "_kafka_optimizer_probe";
const TOPIC_BYTES_MAX: usize = 249;
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// Below it the probe would be a load.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// librdkafka looks for records that are too old once a second.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// What takes longer is down for those who wait for it.
const TIMEOUT_MAX: Duration = Duration::from_mins(1);
const RECORD_BYTES_DEFAULT: u32 = 100;
/// The record's number must fit.
const RECORD_BYTES_MIN: u32 = 16;
/// A probe measures time, not throughput.
const RECORD_BYTES_MAX: u32 = 100_000;
/// More copies than anyone keeps.
const REPLICATION_FACTOR_MAX: u32 = 16;

pub(super) fn probe(raw: RawProbe, at: &str, report: &mut CheckReport) -> ProbeConfig {
    let topic = raw.topic.unwrap_or_else(|| TOPIC_DEFAULT.to_owned());
    if !is_topic(&topic) {
        let advice = format!(
            "`{topic}` is no topic of its own: up to {TOPIC_BYTES_MAX} of letters, digits, `-`, `_`, `.`, not starting with `__`"
        );
        report.problem(format!("{at}.topic"), advice);
    }
    let interval_at = format!("{at}.interval");
    let interval = report.duration(&interval_at, raw.interval.as_ref(), INTERVAL_DEFAULT);
    if interval < INTERVAL_MIN {
        report.problem(interval_at, "must be at least 1s");
    }
    let timeout_at = format!("{at}.timeout");
    let timeout = report.duration(&timeout_at, raw.timeout.as_ref(), TIMEOUT_DEFAULT);
    if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
        report.problem(timeout_at, "must be 1s to 1m");
    }
    if raw.replication_factor.is_some_and(|it| !(1..=REPLICATION_FACTOR_MAX).contains(&it)) {
        let advice = format!("must be 1 to {REPLICATION_FACTOR_MAX}");
        report.problem(format!("{at}.replication_factor"), advice);
    }
    let record_bytes = raw.record_bytes.unwrap_or(RECORD_BYTES_DEFAULT);
    if !(RECORD_BYTES_MIN..=RECORD_BYTES_MAX).contains(&record_bytes) {
        let advice = format!("must be {RECORD_BYTES_MIN} to {RECORD_BYTES_MAX}");
        report.problem(format!("{at}.record_bytes"), advice);
    }
    ProbeConfig {
        topic: TopicName::new(topic),
        interval,
        timeout,
        replication_factor: raw.replication_factor,
        record_bytes,
    }
}

/// A legal name that is not one of Kafka's own topics.
fn is_topic(name: &str) -> bool {
    let legal = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
    (1..=TOPIC_BYTES_MAX).contains(&name.len())
        && name.bytes().all(legal)
        && !name.starts_with("__")
        && ![".", ".."].contains(&name)
}
