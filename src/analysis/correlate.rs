//! Which finding explains which: what a cause explains is listed under it, not beside it.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    causes::Cause,
    finding::Finding,
    signal::Signal,
    signals::{ClusterSignals, Subject},
    thresholds::TrafficLight,
};

/// What two findings must have in common so that one explains the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    SameBroker,
    /// The same broker, and the cause is red there: its warning alone explains nothing.
    SameBrokerRed,
    /// The broker leads more partitions than the others.
    BusiestLeader,
    /// The broker has replicas out of sync, or it is not known which broker has; and no broker is
    /// missing.
    BrokerBehind,
    AllBrokersPresent,
    SamePartition,
    /// The group reads the topic of the partition, and has lag in few partitions only.
    ReadsHotPartition,
    SameGroup,
}

impl Relation {
    /// As it is in `docs/analyze.md`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SameBroker => "on the same broker",
            Self::SameBrokerRed => "on the same broker, if the cause is red",
            Self::BusiestLeader => "on a broker that leads more partitions than the others",
            Self::BrokerBehind => {
                "if no broker is missing, and the broker has replicas out of sync"
            }
            Self::AllBrokersPresent => "if no broker is missing",
            Self::SamePartition => "of the same partition",
            Self::ReadsHotPartition => "of a group that has lag in few partitions of that topic",
            Self::SameGroup => "of the same group",
        }
    }

    fn holds(self, cause: &Finding, symptom: &Finding, signals: &ClusterSignals) -> bool {
        match self {
            Self::SameBroker => is_same_broker(cause, symptom, signals),
            Self::SameBrokerRed => {
                cause.light == TrafficLight::Red && is_same_broker(cause, symptom, signals)
            }
            Self::BusiestLeader => leads_more_than_others(symptom, signals),
            Self::BrokerBehind => all_present(signals) && is_behind(cause, signals),
            Self::AllBrokersPresent => all_present(signals),
            Self::SamePartition => cause.subject == symptom.subject,
            Self::ReadsHotPartition => reads_hot_partition(cause, symptom, signals),
            Self::SameGroup => {
                let (one, other) = (cause.subject.group(), symptom.subject.group());
                one.is_some() && one == other
            }
        }
    }
}

/// One cause, and what it explains.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    pub cause: Cause,
    pub relation: Relation,
    pub symptoms: &'static [Cause],
}

/// Saturation of a broker, by whatever it is found.
const SATURATION: &[Cause] =
    &[Cause::CpuBound, Cause::SlowDisk, Cause::TooFewHandlers, Cause::TooFewNetworkThreads];

/// What a broker that is short of CPU or time also shows.
const WAITING: &[Cause] =
    &[Cause::SlowDisk, Cause::PartitionLock, Cause::TooFewHandlers, Cause::TooFewNetworkThreads];

/// What many requests with little in each do to a broker.
const BY_REQUESTS: &[Cause] =
    &[Cause::CpuBound, Cause::TooFewHandlers, Cause::TooFewNetworkThreads];

const REPLICATION: &[Cause] = &[Cause::ReplicationLagging, Cause::IsrFlapping];

const BEHIND: &[Cause] =
    &[Cause::StuckConsumer, Cause::TooFewConsumers, Cause::SlowConsumer, Cause::RetentionRisk];

const fn explains(cause: Cause, relation: Relation, symptoms: &'static [Cause]) -> Explanation {
    Explanation { cause, relation, symptoms }
}

/// The first line that fits counts.
pub const EXPLANATIONS: &[Explanation] = &[
    explains(Cause::SkewedLeaders, Relation::BusiestLeader, SATURATION),
    explains(Cause::GcPressure, Relation::SameBrokerRed, &[Cause::CpuBound]),
    explains(Cause::GcPressure, Relation::SameBrokerRed, WAITING),
    explains(Cause::CpuBound, Relation::SameBrokerRed, WAITING),
    explains(Cause::SmallBatches, Relation::SameBroker, BY_REQUESTS),
    explains(
        Cause::HotPartition,
        Relation::SameBroker,
        &[Cause::TooFewHandlers, Cause::TooFewNetworkThreads],
    ),
    explains(Cause::PartitionLock, Relation::SamePartition, &[Cause::HotPartition]),
    explains(Cause::IsrFlapping, Relation::AllBrokersPresent, &[Cause::ReplicationLagging]),
    explains(Cause::ControllerTrouble, Relation::AllBrokersPresent, REPLICATION),
    explains(Cause::CpuBound, Relation::BrokerBehind, REPLICATION),
    explains(Cause::GcPressure, Relation::BrokerBehind, REPLICATION),
    explains(Cause::SlowDisk, Relation::BrokerBehind, REPLICATION),
    explains(Cause::TooFewHandlers, Relation::BrokerBehind, REPLICATION),
    explains(Cause::TooFewNetworkThreads, Relation::BrokerBehind, REPLICATION),
    explains(Cause::RebalanceStorm, Relation::SameGroup, BEHIND),
    explains(
        Cause::HotPartition,
        Relation::ReadsHotPartition,
        &[Cause::TooFewConsumers, Cause::SlowConsumer],
    ),
    explains(Cause::StuckConsumer, Relation::SameGroup, &[Cause::RetentionRisk]),
    explains(Cause::TooFewConsumers, Relation::SameGroup, &[Cause::RetentionRisk]),
    explains(Cause::SlowConsumer, Relation::SameGroup, &[Cause::RetentionRisk]),
];

/// How many times the partitions of an average broker the busiest leader has.
const LEADS_MORE_BY: f64 = 1.2;

/// Partitions with lag, at most, of a group that waits for a hot partition.
const LAGGING_FEW: f64 = 2.0;

fn is_same_broker(cause: &Finding, symptom: &Finding, signals: &ClusterSignals) -> bool {
    let broker = signals.broker_of(&cause.subject);
    broker.is_some() && broker == signals.broker_of(&symptom.subject)
}

fn leads_more_than_others(symptom: &Finding, signals: &ClusterSignals) -> bool {
    let Some(broker) = signals.broker_of(&symptom.subject) else { return false };
    let leaders: Vec<f64> = signals.all(Signal::Leaders).map(|it| it.1).collect();
    let brokers = u32::try_from(leaders.len()).unwrap_or(u32::MAX);
    let mean = leaders.iter().sum::<f64>() / f64::from(brokers.max(1));

    signals.of_broker(Signal::Leaders, broker).is_some_and(|it| it > LEADS_MORE_BY * mean)
}

fn all_present(signals: &ClusterSignals) -> bool {
    signals.of_cluster(Signal::MissingBrokers).is_none_or(|it| it <= 0.0)
}

/// Whether replicas on the broker of the finding are out of sync; also if nothing is known of that.
fn is_behind(cause: &Finding, signals: &ClusterSignals) -> bool {
    let is_unknown = signals.all(Signal::OutOfSyncReplicas).next().is_none();
    let out_of_sync = signals
        .broker_of(&cause.subject)
        .and_then(|it| signals.of_broker(Signal::OutOfSyncReplicas, it));

    is_unknown || out_of_sync.is_some_and(|it| it > 0.0)
}

fn reads_hot_partition(cause: &Finding, symptom: &Finding, signals: &ClusterSignals) -> bool {
    let Subject::Partition(hot) = &cause.subject else { return false };
    let Some(group) = symptom.subject.group() else { return false };
    let lags = symptom.evidence.iter().filter(|it| it.signal == Signal::Lag);
    let reads_topic = lags.map(|it| &it.subject).any(|it| match it {
        Subject::GroupTopic { topic, .. } => *topic == hot.topic,
        Subject::Cluster
        | Subject::Broker(_)
        | Subject::Disk { .. }
        | Subject::Topic(_)
        | Subject::Partition(_)
        | Subject::Group(_) => false,
    });
    let partitions = signals.of_group(Signal::PartitionsWithLag, group);

    reads_topic && partitions.is_some_and(|it| it <= LAGGING_FEW)
}

/// The position of the finding that explains the one at `at`.
fn cause_of(found: &[Finding], at: usize, signals: &ClusterSignals) -> Option<usize> {
    let symptom = found.get(at)?;
    let mut fitting = EXPLANATIONS.iter().filter(|it| it.symptoms.contains(&symptom.cause));

    fitting.find_map(|line| {
        found
            .iter()
            .position(|it| it.cause == line.cause && line.relation.holds(it, symptom, signals))
    })
}

/// The position of the last cause behind the finding at `at`: itself, if nothing explains it.
fn root(causes: &[Option<usize>], at: usize) -> usize {
    let mut root = at;

    // The table has no circle; if it had, this would still end.
    for _ in causes {
        match causes.get(root).copied().flatten() {
            Some(next) => root = next,
            None => break,
        }
    }

    root
}

/// Puts each finding under the one that explains it, and the worst and most likely first.
pub(super) fn correlate(found: Vec<Finding>, signals: &ClusterSignals) -> Vec<Finding> {
    let causes: Vec<Option<usize>> =
        (0..found.len()).map(|at| cause_of(&found, at, signals)).collect();
    let mut roots: BTreeMap<usize, Finding> = BTreeMap::new();
    let mut explained = Vec::new();

    for (at, finding) in found.into_iter().enumerate() {
        match root(&causes, at) {
            itself if itself == at => {
                roots.insert(at, finding);
            }
            root => explained.push((root, finding)),
        }
    }

    for (root, finding) in explained {
        if let Some(cause) = roots.get_mut(&root) {
            cause.light = cause.light.max(finding.light);
            cause.symptoms.push(finding);
        }
    }

    let mut sorted: Vec<Finding> = roots.into_values().collect();
    for it in &mut sorted {
        it.symptoms.sort_by_key(|symptom| Reverse(symptom.light));
    }
    sorted.sort_by_key(|it| (Reverse(it.light), Reverse(it.symptoms.len()), it.cause));

    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_explains_itself_by_way_of_others() {
        fn reaches(from: Cause, to: Cause, depth: usize) -> bool {
            let mut next = EXPLANATIONS.iter().filter(|it| it.cause == from);
            depth > 0
                && next.any(|it| {
                    it.symptoms.iter().any(|one| *one == to || reaches(*one, to, depth - 1))
                })
        }

        for cause in Cause::ALL {
            assert!(!reaches(*cause, *cause, 6), "{cause} explains itself");
        }
    }
}
