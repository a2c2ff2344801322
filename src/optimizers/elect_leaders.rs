//! `elect-leaders`: gives partitions back to their preferred replicas, which brokers do not do by
//! themselves for `leader.imbalance.check.interval.seconds` (300 s) after a restart.
//!
//! Invariant (I30): only replicas that are in sync are elected, never unclean, at most
//! [`BATCH_MAX`] partitions in one step.

use super::{Plan, PlannedStep, Unplannable};
use crate::model::{BrokerId, OnUndo, Partition, Subject, TopicName, TopicPartition, Topology};

pub const BATCH_MAX: usize = 100;
/// Steps in one run; the next run goes on where this one stops.
pub const BATCHES_MAX: usize = 100;

/// Plans the elections of every partition whose preferred replica is in sync and does not lead; of
/// those that prefer `only`, where one is given.
///
/// # Errors
///
/// When there is none.
pub fn plan(topology: &Topology, only: Option<BrokerId>) -> Result<Plan, Unplannable> {
    let mut wanted = Vec::new();
    let mut not_in_sync = 0_u64;
    // Other names would not survive the way into the plan and back; brokers make none.
    for topic in topology.topics.iter().filter(|it| is_legal(it.name.as_str())) {
        for partition in &topic.partitions {
            match away(topology, partition).filter(|it| only.is_none_or(|only| only == *it)) {
                Some(leader) if partition.isr.contains(&leader) => {
                    wanted.push((&topic.name, partition, leader));
                }
                Some(_) => not_in_sync = not_in_sync.saturating_add(1),
                None => (),
            }
        }
    }
    let waiting = (0 < not_in_sync).then(|| {
        format!("{not_in_sync} partition(s) wait for their preferred replica to be in sync")
    });
    if wanted.is_empty() {
        let why = waiting.map(|it| format!("; {it}")).unwrap_or_default();
        return Err(Unplannable(format!("every leader is the preferred one{why}")));
    }
    let beyond = wanted.len().saturating_sub(BATCH_MAX.saturating_mul(BATCHES_MAX));
    let more = (0 < beyond).then(|| format!("{beyond} partition(s) are left to the next run"));
    let steps = (0..).zip(wanted.chunks(BATCH_MAX).take(BATCHES_MAX)).map(|(wave, batch)| {
        let from = batch.iter().map(|(topic, it, _)| (*topic, it.index, it.leader));
        let to = batch.iter().map(|(topic, it, leader)| (*topic, it.index, Some(*leader)));
        PlannedStep {
            stage: 0,
            wave,
            subject: Subject::Leaders,
            key: format!("batch {}", wave.saturating_add(1)),
            from: write(from),
            from_stored: None,
            to: Some(write(to)),
            on_undo: OnUndo::Leave,
        }
    });
    let stays = "an election is not undone: the preferred leader is what the assignment asks for";
    let remarks = [waiting, more, Some(stays.to_owned())];
    Ok(Plan { steps: steps.collect(), remarks: remarks.into_iter().flatten().collect() })
}

/// `Topic.LEGAL_CHARS` of Kafka.
fn is_legal(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it))
}

/// The preferred replica, where it is alive and another one leads.
fn away(topology: &Topology, partition: &Partition) -> Option<BrokerId> {
    let preferred = *partition.replicas.first()?;
    let alive = topology.brokers.iter().any(|it| it.id == preferred);
    (alive && partition.leader.is_some_and(|it| it != preferred)).then_some(preferred)
}

/// Leaders as text: `orders/0=1 orders/1=-`. A legal name has no blank, slash or `=`.
fn write<'a>(leaders: impl Iterator<Item = (&'a TopicName, i32, Option<BrokerId>)>) -> String {
    let one = |(topic, index, leader): (&TopicName, i32, Option<BrokerId>)| match leader {
        Some(leader) => format!("{topic}/{index}={leader}"),
        None => format!("{topic}/{index}=-"),
    };
    leaders.map(one).collect::<Vec<_>>().join(" ")
}

/// Reads what a plan holds as `to`. What is not of that form is left out.
pub fn read(text: &str) -> Vec<(TopicPartition, BrokerId)> {
    let one = |part: &str| {
        let (partition, leader) = part.split_once('=')?;
        let (topic, index) = partition.rsplit_once('/')?;
        let partition =
            TopicPartition { topic: TopicName::new(topic), partition: index.parse().ok()? };
        Some((partition, BrokerId::parse(leader)?))
    };
    text.split(' ').filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Broker, Topic};

    fn ids(raw: &[i32]) -> Vec<BrokerId> {
        raw.iter().filter_map(|it| BrokerId::from_wire(*it)).collect()
    }

    fn topology(partitions: &[(i32, &[i32], &[i32])]) -> Topology {
        let partition = |(index, (leader, replicas, isr)): (i32, &(i32, &[i32], &[i32]))| {
            let leader = BrokerId::from_wire(*leader);
            Partition { index, leader, replicas: ids(replicas), isr: ids(isr) }
        };
        let partitions = (0..).zip(partitions).map(partition).collect();
        let topic = Topic { name: TopicName::new("orders"), id: 1, internal: false, partitions };
        let broker =
            |id: &BrokerId| Broker { id: *id, host: String::new(), port: 9092, rack: None };
        let brokers = ids(&[1, 2, 3]).iter().map(broker).collect();
        Topology { brokers, topics: vec![topic], ..Topology::default() }
    }

    #[test]
    fn i30_only_replicas_in_sync_are_elected() {
        let found = topology(&[
            (2, &[1, 2, 3], &[1, 2, 3]),
            (1, &[1, 2, 3], &[1, 2, 3]),
            (2, &[1, 2, 3], &[2, 3]),
            (-1, &[1, 2, 3], &[2]),
            (3, &[2, 3, 1], &[3, 2]),
            (3, &[4, 3, 1], &[3, 4]),
        ]);
        let plan = plan(&found, None).unwrap();
        assert_eq!(plan.steps.len(), 1);
        let step = plan.steps.first().unwrap();
        assert_eq!(step.from, "orders/0=2 orders/4=3");
        assert_eq!(step.to.as_deref(), Some("orders/0=1 orders/4=2"));
        assert_eq!(step.on_undo, OnUndo::Leave);
        assert!(plan.remarks.first().unwrap().starts_with("1 partition(s) wait"), "{plan:?}");
        let to: Vec<_> = read(step.to.as_ref().unwrap())
            .into_iter()
            .map(|(it, leader)| (it.topic.to_string(), it.partition, leader.to_wire()))
            .collect();
        assert_eq!(to, [("orders".to_owned(), 0, 1), ("orders".to_owned(), 4, 2)]);
    }

    #[test]
    fn i8_a_topic_without_a_legal_name_is_left_alone() {
        let mut found = topology(&[(2, &[1, 2, 3], &[1, 2, 3])]);
        found.topics.first_mut().unwrap().name = TopicName::new("a b/0=1");
        assert!(plan(&found, None).is_err());
    }

    #[test]
    fn of_one_broker_only_its_own_partitions_come_back() {
        let found = topology(&[(2, &[1, 2], &[1, 2]), (1, &[2, 1], &[1, 2])]);
        let plan = plan(&found, BrokerId::from_wire(2)).unwrap();
        assert_eq!(plan.steps.first().unwrap().to.as_deref(), Some("orders/1=2"));
    }

    #[test]
    fn where_every_leader_is_preferred_there_is_nothing_to_do() {
        let found = topology(&[(1, &[1, 2], &[1, 2]), (2, &[1, 2], &[2])]);
        let why = plan(&found, None).unwrap_err().to_string();
        assert!(why.contains("1 partition(s) wait"), "{why}");
    }

    #[test]
    fn i30_a_step_holds_at_most_a_hundred_partitions_and_a_run_has_an_end() {
        let one: (i32, &[i32], &[i32]) = (2, &[1, 2], &[1, 2]);
        let planned = plan(&topology(&vec![one; 250]), None).unwrap();
        let sizes: Vec<usize> =
            planned.steps.iter().map(|it| read(it.to.as_ref().unwrap()).len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        let planned = plan(&topology(&vec![one; 10_001]), None).unwrap();
        assert_eq!(planned.steps.len(), BATCHES_MAX);
        assert!(planned.remarks.iter().any(|it| it.starts_with("1 partition(s) are left")));
    }
}
