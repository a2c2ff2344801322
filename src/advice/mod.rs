//! What producers and consumers could set differently, from what is measured without decoding a
//! record: headers of sampled batches, request rates, and the progress of groups.
//!
//! Pure: one function for each rule. Each piece of advice has its estimated effect, the range in
//! which that lies, and the basis of the estimate. Where a number is not known, there is no advice
//! that rests on it.

mod compression;
mod consumers;
mod effect;
mod producers;
#[cfg(test)]
mod tests;
mod topic;

pub use compression::CompressionMeasure;
pub use consumers::{ClientVersion, ConsumerMeasure, GroupRate, RequestRates};
pub use effect::{
    Advice, AdviceEffect, AdviceRule, ClientSetting, EffectKind, RuleSpec, SettingValue,
};
pub use topic::{PartitionSpread, RateBasis, ScannedPartition, TopicMeasure, TopicSample};

use crate::{
    analysis::{ClusterSignals, NotSeen, Signal, Subject},
    model::WallTime,
};

/// What is known of one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdviceInputs {
    pub topics: Vec<TopicSample>,
    pub consumers: ConsumerMeasure,
    /// From Prometheus; empty where unknown.
    pub clients: Vec<ClientVersion>,
    /// What could not be sampled, and why.
    pub not_seen: Vec<NotSeen>,
}

/// What was measured in one cluster, and what follows from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterAdvice {
    pub at: WallTime,
    /// The topic with the most bytes per second comes first.
    pub topics: Vec<TopicMeasure>,
    pub requests: RequestRates,
    /// The version with the most connections comes first.
    pub clients: Vec<ClientVersion>,
    pub advice: Vec<Advice>,
    pub not_seen: Vec<NotSeen>,
}

/// What can be known neither from headers nor from brokers, and why.
const NEVER_KNOWN: &[(&str, &str)] = &[
    (
        "how large compressed batches were before compression",
        "the header of a batch does not have it, and records are not decoded",
    ),
    (
        "the settings of the clients",
        "clients tell them to nobody: compare what is advised with what a client has",
    ),
];

const NO_VERSIONS: (&str, &str) = (
    "the software versions of the clients",
    "no series kafka_server_socketservermetrics_connections: run the JMX exporter on the brokers \
     with prometheus/jmx",
);

impl ClusterAdvice {
    pub fn of(inputs: AdviceInputs, now: WallTime) -> Self {
        let AdviceInputs { topics: samples, consumers, mut clients, mut not_seen } = inputs;
        clients.sort_by(|one, other| other.connections.total_cmp(&one.connections));
        let unknown_versions = clients.is_empty().then_some(&NO_VERSIONS);
        let mut topics: Vec<TopicMeasure> =
            samples.iter().filter_map(|it| TopicMeasure::of(it, now)).collect();
        let rate = |it: &TopicMeasure| it.bytes_per_second().unwrap_or(0.0);
        topics.sort_by(|one, other| rate(other).total_cmp(&rate(one)));

        let mut advice: Vec<Advice> = topics.iter().flat_map(producers::advise).collect();
        advice.extend(consumers::advise(&consumers));
        let never_known = NEVER_KNOWN.iter().chain(unknown_versions);
        not_seen.extend(
            never_known.map(|(what, why)| NotSeen { what: (*what).into(), why: (*why).into() }),
        );

        Self { at: now, topics, requests: consumers.requests, clients, advice, not_seen }
    }

    fn advises_batching(&self, topic: &Subject) -> bool {
        self.advice.iter().any(|it| it.rule == AdviceRule::Batching && it.subject == *topic)
    }

    /// Adds what was sampled, for the findings of the sample.
    pub fn add_signals(&self, signals: &mut ClusterSignals) {
        for topic in &self.topics {
            let subject = || Subject::Topic(topic.topic.clone());
            signals.set(Signal::BatchBytes, subject(), topic.bytes_per_batch());

            // Where records come too seldom to share a batch, their number is nobody's mistake.
            let avoidable =
                topic.batches_per_second().filter(|_| self.advises_batching(&subject()));
            if let Some(rate) = avoidable {
                signals.set(Signal::Batches, subject(), rate);
            }

            if let Some(rate) = topic.bytes_per_second() {
                signals.set(Signal::TopicBytes, subject(), rate);
            }

            if let Some(measured) = &topic.compression {
                let saves = measured.uncompressed_share * (1.0 - measured.lz4);
                signals.set(Signal::CompressionSaves, subject(), saves);
            }
        }
    }
}
