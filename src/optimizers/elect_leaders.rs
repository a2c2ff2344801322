//! `elect-leaders`: elects preferred leaders. After a restart brokers do that by themselves only
//! every `leader.imbalance.check.interval.seconds` (300 s).
//!
//! Invariant (I30): only in-sync replicas are elected, never unclean, at most [`BATCH_MAX`]
//! partitions in one step.

use super::{Plan, PlannedStep, Unplannable};
use crate::model::{BrokerId, Change, LeaderChange, Partition, PreferredLeaderElection, Topology};

/// Maximum number of partitions in one step.
pub const BATCH_MAX: usize = 100;

/// Maximum number of steps in one run; the next run continues where this one stops.
pub const BATCHES_MAX: usize = 100;

/// Plans the election of every preferred replica that is in sync and does not lead, or of those on
/// the broker `only`.
///
/// # Errors
///
/// When there is none.
pub fn plan(topology: &Topology, only: Option<BrokerId>) -> Result<Plan, Unplannable> {
    let mut elections = Vec::new();
    let mut not_in_sync = 0_u64;
    for topic in topology.topics.iter().filter(|it| is_legal(it.name.as_str())) {
        for partition in &topic.partitions {
            let preferred = preferred_follower(topology, partition);

            match preferred.filter(|it| only.is_none_or(|only| only == *it)) {
                Some(leader) if partition.isr.contains(&leader) => elections.push(LeaderChange {
                    topic: topic.name.clone(),
                    partition: partition.index,
                    from: partition.leader,
                    to: leader,
                }),
                Some(_) => not_in_sync = not_in_sync.saturating_add(1),
                None => (),
            }
        }
    }

    let waiting = (not_in_sync > 0).then(|| {
        format!("{not_in_sync} partition(s) wait for their preferred replica to be in sync")
    });
    if elections.is_empty() {
        let why = waiting.map(|it| format!("; {it}")).unwrap_or_default();
        return Err(Unplannable(format!("every leader is the preferred one{why}")));
    }

    let left = elections.len().saturating_sub(BATCH_MAX.saturating_mul(BATCHES_MAX));
    let left = (left > 0).then(|| format!("{left} partition(s) are left to the next run"));
    let not_undone =
        "an election is not undone: the preferred leader is what the assignment asks for";
    let remarks = [waiting, left, Some(not_undone.to_owned())];

    let batches = (0..).zip(elections.chunks(BATCH_MAX).take(BATCHES_MAX));
    let steps = batches.map(|(wave, batch)| {
        let election = PreferredLeaderElection {
            batch: u32::saturating_add(wave, 1),
            partitions: batch.to_vec(),
        };
        PlannedStep { stage: 0, wave, change: Change::PreferredLeaders(election) }
    });
    Ok(Plan { steps: steps.collect(), remarks: remarks.into_iter().flatten().collect() })
}

/// Whether brokers accept the name (`Topic.LEGAL_CHARS`). Other names are not touched (I8).
fn is_legal(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it))
}

/// The preferred replica, if it is alive and another replica leads.
fn preferred_follower(topology: &Topology, partition: &Partition) -> Option<BrokerId> {
    let preferred = *partition.replicas.first()?;
    let is_alive = topology.brokers.iter().any(|it| it.id == preferred);
    let leads = partition.leader? == preferred;
    (is_alive && !leads).then_some(preferred)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Broker, Topic, TopicName};

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

    fn election(step: &PlannedStep) -> &PreferredLeaderElection {
        let Change::PreferredLeaders(election) = &step.change else { panic!("{step:?}") };
        election
    }

    /// The elections of a step, as `orders/0 2>1`.
    fn elections(step: &PlannedStep) -> Vec<String> {
        let text = |it: &LeaderChange| {
            format!("{}/{} {}>{}", it.topic, it.partition, it.from.unwrap(), it.to)
        };
        election(step).partitions.iter().map(text).collect()
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

        assert_eq!(elections(step), ["orders/0 2>1", "orders/4 3>2"]);
        assert!(!step.change.is_restored_on_undo());
        assert!(plan.remarks.first().unwrap().starts_with("1 partition(s) wait"), "{plan:?}");
    }

    #[test]
    fn i8_a_topic_with_an_illegal_name_is_not_touched() {
        let mut found = topology(&[(2, &[1, 2, 3], &[1, 2, 3])]);
        found.topics.first_mut().unwrap().name = TopicName::new("a b/0=1");
        assert!(plan(&found, None).is_err());
    }

    #[test]
    fn a_run_on_one_broker_elects_only_leaders_on_that_broker() {
        let found = topology(&[(2, &[1, 2], &[1, 2]), (1, &[2, 1], &[1, 2])]);
        let plan = plan(&found, BrokerId::from_wire(2)).unwrap();
        assert_eq!(elections(plan.steps.first().unwrap()), ["orders/1 1>2"]);
    }

    #[test]
    fn nothing_is_planned_when_every_leader_is_the_preferred_one() {
        let found = topology(&[(1, &[1, 2], &[1, 2]), (2, &[1, 2], &[2])]);
        let why = plan(&found, None).unwrap_err().to_string();
        assert!(why.contains("1 partition(s) wait"), "{why}");
    }

    #[test]
    fn i30_a_step_holds_at_most_100_partitions_and_a_run_at_most_100_steps() {
        let one: (i32, &[i32], &[i32]) = (2, &[1, 2], &[1, 2]);
        let planned = plan(&topology(&vec![one; 250]), None).unwrap();
        let sizes: Vec<usize> =
            planned.steps.iter().map(|it| election(it).partitions.len()).collect();

        assert_eq!(sizes, [100, 100, 50]);

        let planned = plan(&topology(&vec![one; 10_001]), None).unwrap();

        assert_eq!(planned.steps.len(), BATCHES_MAX);
        assert!(planned.remarks.iter().any(|it| it.starts_with("1 partition(s) are left")));
    }
}
