//! Leaders of partitions: a batch of preferred elections.

use std::collections::BTreeMap;

use super::{super::context::Context, Observed};
use crate::{
    kafka::KafkaError,
    model::{BrokerId, TopicName, TopicPartition, TopicPartitions, Topology, WriteMode},
    optimizers::elect_leaders,
    store::StepRow,
};

pub(super) async fn observe(context: &Context, step: &StepRow) -> Result<Observed, KafkaError> {
    let topology = context.kafka.topology().await?;
    let all = wanted(step).iter().all(|it| is_done(&topology, it));
    Ok(if all { Observed::Desired } else { Observed::Prior })
}

fn wanted(step: &StepRow) -> Vec<(TopicPartition, BrokerId)> {
    step.to.as_deref().map(elect_leaders::read).unwrap_or_default()
}

/// Whether the partition is led as wanted, or gone: then there is nothing left to elect.
fn is_done(topology: &Topology, (wanted, leader): &(TopicPartition, BrokerId)) -> bool {
    let topic = topology.topics.iter().find(|it| it.name == wanted.topic);
    let mut partitions = topic.iter().flat_map(|it| &it.partitions);
    let found = partitions.find(|it| it.index == wanted.partition);
    found.is_none_or(|it| it.leader == Some(*leader))
}

/// Kafka has no rehearsal of an election; what may be elected was looked at a moment ago. That one
/// is not needed or not possible any more is no failure: the look afterwards decides.
pub(super) async fn apply(
    context: &Context,
    step: &StepRow,
    mode: WriteMode,
) -> Result<(), KafkaError> {
    if mode == WriteMode::ValidateOnly {
        return Ok(());
    }
    let mut by_topic = BTreeMap::<TopicName, Vec<i32>>::new();
    for (partition, _) in wanted(step) {
        by_topic.entry(partition.topic).or_default().push(partition.partition);
    }
    let partitions: Vec<TopicPartitions> = by_topic
        .into_iter()
        .map(|(topic, partitions)| TopicPartitions { topic, partitions })
        .collect();
    context.kafka.elect_preferred_leaders(&partitions).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Partition, Topic};

    #[test]
    fn a_partition_without_a_leader_is_not_elected_and_one_that_is_gone_has_nothing_to_elect() {
        let broker = |id| BrokerId::from_wire(id).unwrap();
        let name = TopicName::new("t");
        let led_by = |index, leader| Partition {
            index,
            leader,
            replicas: vec![broker(1), broker(2)],
            isr: vec![broker(1)],
        };
        let partitions =
            vec![led_by(0, Some(broker(1))), led_by(1, Some(broker(2))), led_by(2, None)];
        let topic = Topic { name: name.clone(), id: 0, internal: false, partitions };
        let topology = Topology { topics: vec![topic], ..Topology::default() };
        let done = |topic: &TopicName, partition| {
            let wanted = TopicPartition { topic: topic.clone(), partition };
            is_done(&topology, &(wanted, broker(1)))
        };
        assert_eq!([0, 1, 2, 3].map(|it| done(&name, it)), [true, false, false, true]);
        assert!(done(&TopicName::new("gone"), 0));
    }
}
