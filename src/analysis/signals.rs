//! What is known of a cluster at one moment, as plain values. An unknown value is absent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    signal::{Signal, SignalSource},
    thresholds::PassedLimit,
};
use crate::model::{BrokerId, GroupName, TopicName, TopicPartition, WallTime};

/// What a value or a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Cluster,
    Broker(BrokerId),
    /// A disk of a host: node-exporter does not know brokers.
    Disk {
        instance: String,
        device: String,
    },
    Topic(TopicName),
    Partition(TopicPartition),
    Group(GroupName),
    /// What a group has to do with one topic.
    GroupTopic {
        group: GroupName,
        topic: TopicName,
    },
}

impl Subject {
    /// The group, if the subject is one or a part of one.
    pub const fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Group(group) | Self::GroupTopic { group, .. } => Some(group),
            Self::Cluster
            | Self::Broker(_)
            | Self::Disk { .. }
            | Self::Topic(_)
            | Self::Partition(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Disk { instance, device } => write!(f, "disk {device} of {instance}"),
            Self::Topic(topic) => write!(f, "topic {topic}"),
            Self::Partition(it) => write!(f, "partition {} of topic {}", it.partition, it.topic),
            Self::Group(group) => write!(f, "group {group}"),
            Self::GroupTopic { group, topic } => write!(f, "group {group}, topic {topic}"),
        }
    }
}

/// A part of the cluster that could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotSeen {
    /// What is not known for that reason, as text for people.
    pub what: String,
    /// Why, and how to change that, as text for people.
    pub why: String,
}

/// An alert that is pending or fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSince {
    pub alert: String,
    pub subject: Subject,
    /// Since when its expression holds.
    pub since: WallTime,
}

/// The values of one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterSignals {
    values: BTreeMap<Signal, BTreeMap<Subject, f64>>,
    /// Alerts of the cluster, for the time since when a value is beyond its threshold.
    pub alerts: Vec<AlertSince>,
    /// What could not be read, and why.
    pub not_seen: BTreeSet<NotSeen>,
}

impl ClusterSignals {
    /// Sets a value that is not known yet: the first source that knows it counts. NaN and infinite
    /// values say nothing, and are left out.
    pub fn set(&mut self, signal: Signal, subject: Subject, value: f64) {
        if value.is_finite() {
            self.values.entry(signal).or_default().entry(subject).or_insert(value);
        }
    }

    pub fn get(&self, signal: Signal, subject: &Subject) -> Option<f64> {
        self.values.get(&signal)?.get(subject).copied()
    }

    pub fn of_broker(&self, signal: Signal, broker: BrokerId) -> Option<f64> {
        self.get(signal, &Subject::Broker(broker))
    }

    /// The value of a signal of the whole cluster.
    pub fn of_cluster(&self, signal: Signal) -> Option<f64> {
        self.get(signal, &Subject::Cluster)
    }

    pub fn of_group(&self, signal: Signal, group: &GroupName) -> Option<f64> {
        self.get(signal, &Subject::Group(group.clone()))
    }

    /// Every known value of a signal, by subject.
    pub fn all(&self, signal: Signal) -> impl Iterator<Item = (&Subject, f64)> {
        let known = self.values.get(&signal).into_iter().flatten();
        known.map(|(subject, value)| (subject, *value))
    }

    /// The subject with the highest value of a signal.
    pub fn highest(&self, signal: Signal) -> Option<(&Subject, f64)> {
        self.all(signal).max_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// The subject with the lowest value of a signal.
    pub fn lowest(&self, signal: Signal) -> Option<(&Subject, f64)> {
        self.all(signal).min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// The subjects whose value is beyond the signal's threshold, with the limit that it passed.
    pub fn beyond(&self, signal: Signal) -> impl Iterator<Item = (&Subject, PassedLimit)> {
        let threshold = signal.spec().threshold;
        self.all(signal).filter_map(move |(subject, value)| {
            let passed = threshold?.passed(value)?;
            Some((subject, passed))
        })
    }

    /// The limit that the value of one subject passed; `None` also if the value is unknown.
    pub fn passed(&self, signal: Signal, subject: &Subject) -> Option<PassedLimit> {
        signal.spec().threshold?.passed(self.get(signal, subject)?)
    }

    /// The broker that leads a partition.
    pub fn leader(&self, partition: &TopicPartition) -> Option<BrokerId> {
        let id = self.get(Signal::PartitionLeader, &Subject::Partition(partition.clone()))?;
        BrokerId::parse(&format!("{id:.0}"))
    }

    /// The broker that a subject stands for: itself, or the leader of a partition.
    pub fn broker_of(&self, subject: &Subject) -> Option<BrokerId> {
        match subject {
            Subject::Broker(id) => Some(*id),
            Subject::Partition(partition) => self.leader(partition),
            Subject::Cluster
            | Subject::Disk { .. }
            | Subject::Topic(_)
            | Subject::Group(_)
            | Subject::GroupTopic { .. } => None,
        }
    }

    /// Whether nothing at all is known.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds the shares of each partition, which are computed from other signals.
    pub(super) fn derive_shares(&mut self) {
        let mut shares = Vec::new();
        for (subject, records) in self.all(Signal::PartitionRecords) {
            let Subject::Partition(partition) = subject else { continue };
            let of_topic = self.get(Signal::TopicRecords, &Subject::Topic(partition.topic.clone()));
            let of_broker =
                self.leader(partition).and_then(|it| self.of_broker(Signal::MessagesIn, it));

            for (signal, whole) in
                [(Signal::TopicShare, of_topic), (Signal::BrokerShare, of_broker)]
            {
                if let Some(whole) = whole.filter(|it| *it > 0.0) {
                    shares.push((signal, subject.clone(), (records / whole).min(1.0)));
                }
            }
        }

        for (signal, subject, share) in shares {
            self.set(signal, subject, share);
        }
    }

    /// Adds to `not_seen` the sources that gave nothing.
    pub(super) fn note_silent_sources(&mut self) {
        for source in SignalSource::ALL {
            let sentinel = source.spec().sentinel;
            if self.all(sentinel).next().is_none() {
                let spec = source.spec();
                let (what, why) = (spec.what.to_owned(), spec.why.to_owned());
                self.not_seen.insert(NotSeen { what, why });
            }
        }
    }
}
