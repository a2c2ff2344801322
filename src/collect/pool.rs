//! The requests under way. Each runs by itself, so a broker that does not answer holds up no other.
//!
//! Invariant: a question that still owes its answer is not asked again, however many rounds pass.

use std::{collections::BTreeSet, fmt};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{configs, kept::Moment};
use crate::{
    clock::SharedClock,
    kafka::{KafkaError, SharedKafka},
    model::{
        BrokerConfig, BrokerId, GroupDescription, GroupListing, GroupName, GroupOffsets,
        GroupState, GroupType, LogDir, MinInsync, OffsetSpec, Quorum, TopicName, TopicOffsets,
        TopicPartition, TopicPartitions,
    },
    telemetry::CollectorName,
};

/// What is asked, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    MinInsync,
    Quorum,
    Reassignments,
    Lasts(BrokerId),
    Firsts(BrokerId),
    Groups(BrokerId),
    Members(BrokerId, GroupType),
    Commits(BrokerId),
    LogDirs(BrokerId),
    Config(BrokerId),
}

impl Question {
    /// Whose part of the round it is.
    pub(super) const fn collector(self) -> CollectorName {
        match self {
            Self::MinInsync => CollectorName::MinInsync,
            Self::Quorum => CollectorName::Quorum,
            Self::Reassignments => CollectorName::Reassignments,
            Self::Lasts(_) | Self::Firsts(_) => CollectorName::Offsets,
            Self::Groups(_) | Self::Members(..) => CollectorName::Groups,
            Self::Commits(_) => CollectorName::Committed,
            Self::LogDirs(_) => CollectorName::LogDirs,
            Self::Config(_) => CollectorName::Configs,
        }
    }

    /// The broker that is asked; `None` for a question that any broker answers.
    const fn broker(self) -> Option<BrokerId> {
        match self {
            Self::MinInsync | Self::Quorum | Self::Reassignments => None,
            Self::Lasts(broker)
            | Self::Firsts(broker)
            | Self::Groups(broker)
            | Self::Members(broker, _)
            | Self::Commits(broker)
            | Self::LogDirs(broker)
            | Self::Config(broker) => Some(broker),
        }
    }

    /// Whether its answer is one reading, not one per partition or group.
    pub(super) const fn is_one_reading(self) -> bool {
        match self {
            Self::Lasts(_) | Self::Firsts(_) | Self::Members(..) | Self::Commits(_) => false,
            Self::MinInsync
            | Self::Quorum
            | Self::Reassignments
            | Self::Groups(_)
            | Self::LogDirs(_)
            | Self::Config(_) => true,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.broker() {
            Some(broker) => write!(f, "{} of broker {broker}", self.collector()),
            None => write!(f, "{} of any broker", self.collector()),
        }
    }
}

/// What is asked, with its details.
#[derive(Debug)]
pub(super) enum Request {
    MinInsync(Vec<TopicName>),
    Quorum,
    Reassignments,
    Lasts(BrokerId, Vec<TopicPartitions>),
    Firsts(BrokerId, Vec<TopicPartitions>),
    Groups(BrokerId, Vec<GroupState>),
    Members(BrokerId, GroupType, Vec<GroupName>),
    Commits(BrokerId, Vec<GroupName>),
    LogDirs(BrokerId),
    Config(BrokerId),
}

#[derive(Debug)]
pub(super) enum Answer {
    MinInsync(Vec<(TopicName, MinInsync)>),
    Quorum(Quorum),
    Reassignments(Vec<TopicPartition>),
    Lasts(Vec<TopicOffsets>),
    Firsts(Vec<TopicOffsets>),
    Groups(Vec<GroupListing>),
    Members(Vec<GroupDescription>),
    Commits(Vec<GroupOffsets>),
    LogDirs(Vec<LogDir>),
    Config(BrokerConfig),
}

impl Request {
    pub(super) const fn question(&self) -> Question {
        match self {
            Self::MinInsync(_) => Question::MinInsync,
            Self::Quorum => Question::Quorum,
            Self::Reassignments => Question::Reassignments,
            Self::Lasts(broker, _) => Question::Lasts(*broker),
            Self::Firsts(broker, _) => Question::Firsts(*broker),
            Self::Groups(broker, _) => Question::Groups(*broker),
            Self::Members(broker, kind, _) => Question::Members(*broker, *kind),
            Self::Commits(broker, _) => Question::Commits(*broker),
            Self::LogDirs(broker) => Question::LogDirs(*broker),
            Self::Config(broker) => Question::Config(*broker),
        }
    }

    async fn send(self, kafka: SharedKafka) -> Result<Answer, KafkaError> {
        match self {
            Self::MinInsync(topics) => {
                kafka.min_insync_replicas(&topics).await.map(Answer::MinInsync)
            }
            Self::Quorum => kafka.quorum().await.map(Answer::Quorum),
            Self::Reassignments => kafka.reassignments().await.map(Answer::Reassignments),
            Self::Lasts(broker, partitions) => {
                kafka.offsets(broker, OffsetSpec::Latest, &partitions).await.map(Answer::Lasts)
            }
            Self::Firsts(broker, partitions) => {
                kafka.offsets(broker, OffsetSpec::Earliest, &partitions).await.map(Answer::Firsts)
            }
            Self::Groups(broker, states) => kafka.groups(broker, &states).await.map(Answer::Groups),
            Self::Members(broker, kind, groups) => {
                kafka.describe_groups(broker, kind, &groups).await.map(Answer::Members)
            }
            Self::Commits(broker, groups) => {
                kafka.committed(broker, &groups).await.map(Answer::Commits)
            }
            Self::LogDirs(broker) => kafka.log_dirs(broker).await.map(Answer::LogDirs),
            Self::Config(broker) => {
                kafka.broker_config(broker, configs::TUNED_KEYS).await.map(Answer::Config)
            }
        }
    }
}

/// An answer, and what it answers.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) round: u64,
    pub(super) question: Question,
    pub(super) answer: Result<Answer, KafkaError>,
    pub(super) at: Moment,
}

/// Whether a request went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Sent,
    /// The same question still owes its answer.
    Busy,
}

pub(super) struct Pool {
    kafka: SharedKafka,
    clock: SharedClock,
    asking: FuturesUnordered<BoxFuture<'static, Answered>>,
    busy: BTreeSet<Question>,
}

impl Pool {
    pub(super) fn new(kafka: SharedKafka, clock: SharedClock) -> Self {
        Self { kafka, clock, asking: FuturesUnordered::new(), busy: BTreeSet::new() }
    }

    pub(super) fn ask(&mut self, round: u64, request: Request) -> Asked {
        let question = request.question();
        if !self.busy.insert(question) {
            return Asked::Busy;
        }
        let (kafka, clock) = (SharedKafka::clone(&self.kafka), SharedClock::clone(&self.clock));
        self.asking.push(Box::pin(async move {
            let answer = request.send(kafka).await;
            Answered { round, question, answer, at: Moment::now(&clock) }
        }));
        Asked::Sent
    }

    /// The next answer; `None` when none is owed.
    pub(super) async fn next(&mut self) -> Option<Answered> {
        let answered = self.asking.next().await?;
        self.busy.remove(&answered.question);
        Some(answered)
    }
}
