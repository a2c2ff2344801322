//! Puts together what advice to clients rests on: samples of record batches, rates of requests, and
//! the progress of groups.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClusterReport, ClusterSource, from_prometheus, note};
use crate::{
    advice::{AdviceInputs, ClusterAdvice, ConsumerMeasure, GroupRate, RequestRates},
    analysis::{ClusterSignals, NotSeen, Signal, Subject},
    model::{BrokerId, GroupName, Topic, TopicName, WallTime, count},
    sampling::ClusterSample,
    snapshot::{Group, Snapshot},
};

impl ClusterSource {
    /// A report with advice. It reads a few record batches from the brokers, which takes some
    /// seconds.
    pub async fn advised_report(&self, now: WallTime) -> ClusterReport {
        let mut signals = self.signals(now).await;
        let snapshot = self.latest.as_ref().and_then(|it| it.borrow().clone());
        let sample = match (&self.sampler, &snapshot) {
            (Some(sampler), Some(snapshot)) => {
                sampler.sample(snapshot, &topic_rates(&signals)).await
            }
            (None, _) | (_, None) => not_sampled(),
        };

        let (mut requests, mut clients) = (RequestRates::default(), Vec::new());
        if let Some(prometheus) = &self.prometheus {
            requests = from_prometheus::request_rates(prometheus, &self.cluster).await;
            clients = from_prometheus::client_versions(prometheus, &self.cluster).await;
        }

        if requests.fetch_per_second.is_none() {
            note(
                &mut signals,
                "how many requests the clients send, and how much a fetch brings",
                "it takes a Prometheus with the JMX exporter of the brokers and prometheus/rules",
            );
        }

        let consumers = ConsumerMeasure {
            requests,
            fetchers: snapshot.as_ref().map_or(0.0, |it| fetchers(it)),
            groups: groups(&signals),
        };

        let ClusterSample { topics, not_seen } = sample;
        let advice = ClusterAdvice::of(AdviceInputs { topics, consumers, clients, not_seen }, now);
        advice.add_signals(&mut signals);

        ClusterReport { advice: Some(advice), ..self.analysed(signals, now) }
    }
}

fn not_sampled() -> ClusterSample {
    let what = "record batches of the topics".to_owned();
    let why = "the brokers are not read: ask a running server, or pass --kafka.server or \
               --config.file"
        .to_owned();

    ClusterSample { topics: Vec::new(), not_seen: vec![NotSeen { what, why }] }
}

/// Records per second of the topics of which that is known.
fn topic_rates(signals: &ClusterSignals) -> BTreeMap<TopicName, f64> {
    let known = signals.all(Signal::TopicRecords).filter_map(|(subject, rate)| match subject {
        Subject::Topic(topic) => Some((topic.clone(), rate)),
        Subject::Cluster
        | Subject::Broker(_)
        | Subject::Disk { .. }
        | Subject::Partition(_)
        | Subject::Group(_)
        | Subject::GroupTopic { .. } => None,
    });

    known.collect()
}

/// Members of all groups, each counted once for every broker that leads partitions of what the
/// group reads: a consumer sends its fetches to each of these.
fn fetchers(snapshot: &Snapshot) -> f64 {
    let (Some(topology), Some(groups)) = (&snapshot.topology, &snapshot.groups) else { return 0.0 };
    let topics: BTreeMap<&TopicName, &Topic> =
        topology.value.topics.iter().map(|it| (&it.name, it)).collect();
    let of_group = |group: &Group| {
        let read = group.topics.iter().filter_map(|it| Some((topics.get(&it.topic)?, it)));
        let leaders: Vec<BrokerId> = read
            .flat_map(|(topic, it)| {
                let partitions = it.partitions.iter().map(|it| it.partition);
                partitions.filter_map(|index| {
                    topic.partitions.iter().find(|it| it.index == index)?.leader
                })
            })
            .collect();
        let brokers: BTreeSet<BrokerId> = leaders.iter().copied().collect();
        let members = f64::from(group.members.unwrap_or(0));
        let at_broker = brokers
            .iter()
            .map(|broker| members.min(count(leaders.iter().filter(|it| *it == broker).count())));

        at_broker.sum::<f64>()
    };

    groups.value.iter().map(of_group).sum()
}

/// Groups of which members, rate and lag are known.
fn groups(signals: &ClusterSignals) -> Vec<GroupRate> {
    let mut lags: BTreeMap<&GroupName, f64> = BTreeMap::new();
    for (subject, lag) in signals.all(Signal::Lag) {
        if let Some(group) = subject.group() {
            *lags.entry(group).or_default() += lag;
        }
    }

    let known = lags.into_iter().filter_map(|(group, lag)| {
        Some(GroupRate {
            group: group.clone(),
            members: signals.of_group(Signal::Members, group)?,
            consumed: signals.of_group(Signal::Consumed, group)?,
            lag,
        })
    });

    known.collect()
}
