//! Traffic that costs more than it must: batches that are small or not compressed.

use super::{Cause, CauseSpec};
use crate::analysis::{
    finding::{Finding, FindingEvidence},
    signal::Signal,
    signals::{ClusterSignals, Subject},
    thresholds::TrafficLight,
};

pub(super) const SMALL_BATCHES: CauseSpec = CauseSpec {
    title: "Producers send small batches",
    symptom: "producers send small batches",
    advice: "Each batch costs the broker, the network and the consumers a request or a part of \
             one, whatever its size. Raise linger.ms, and batch.size if it is the limit, in the \
             producers of the topic: docs/advice.md says by how much, and what that would change.",
    alert: None,
    optimizer: None,
    signals: &[
        Signal::BatchBytes,
        Signal::Batches,
        Signal::RecordsPerRequest,
        Signal::ProduceRequests,
    ],
    find: small_batches,
};

pub(super) const NO_COMPRESSION: CauseSpec = CauseSpec {
    title: "Producers do not compress what compresses well",
    symptom: "records are not compressed",
    advice: "Sampled batches were compressed here to measure how much smaller they become. Set \
             compression.type in the producers of the topic: that saves network, disk and page \
             cache on every broker, and costs CPU in the clients.",
    alert: None,
    optimizer: None,
    signals: &[Signal::CompressionSaves, Signal::TopicBytes],
    find: no_compression,
};

/// Produce requests per second of a broker below which their number is nobody's trouble.
const REQUESTS_MIN: f64 = 1_000.0;
/// Batches per second of a topic below which their number is nobody's trouble.
const BATCHES_MIN: f64 = 200.0;
/// Bytes per second of a topic below which there is little to save.
const TOPIC_BYTES_MIN: f64 = 100_000.0;

/// The command that says what to set, and the effect.
const ADVISE: &str = "kafka-optimizer analyze --advise";
const ADVISE_EFFECT: &str = "nothing: it reads a few batches of the busiest topics, and shows what to set and what that \
     would change";

/// One finding for each subject that is beyond a threshold and has at least so much traffic.
fn of_traffic(
    signals: &ClusterSignals,
    cause: Cause,
    beyond: Signal,
    traffic: Signal,
    least: f64,
) -> Vec<Finding> {
    let busy = signals
        .beyond(beyond)
        .map(|it| it.0)
        .filter(|subject| signals.get(traffic, subject).is_some_and(|it| it >= least));
    let found = busy.map(|subject: &Subject| {
        let evidence =
            [beyond, traffic].map(|signal| FindingEvidence::of(signals, signal, subject));
        Finding::new(cause, TrafficLight::Yellow, subject.clone(), evidence)
            .with_command(ADVISE.to_owned(), ADVISE_EFFECT)
    });

    found.collect()
}

fn small_batches(signals: &ClusterSignals) -> Vec<Finding> {
    let cause = Cause::SmallBatches;
    let mut found = of_traffic(signals, cause, Signal::BatchBytes, Signal::Batches, BATCHES_MIN);
    let of_brokers = of_traffic(
        signals,
        cause,
        Signal::RecordsPerRequest,
        Signal::ProduceRequests,
        REQUESTS_MIN,
    );
    found.extend(of_brokers);

    found
}

fn no_compression(signals: &ClusterSignals) -> Vec<Finding> {
    let cause = Cause::NoCompression;

    of_traffic(signals, cause, Signal::CompressionSaves, Signal::TopicBytes, TOPIC_BYTES_MIN)
}
