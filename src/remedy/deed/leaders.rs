//! Leaders of partitions: a batch of preferred elections.

use std::collections::BTreeMap;

use super::{super::context::Context, Standing};
use crate::{
    kafka::{KafkaError, TopicPartitions, Topology, WriteMode},
    model::{BrokerId, TopicName, TopicPartition},
    optimizers::elect_leaders,
    store::StepRow,
};

pub(super) async fn observe(at: &Context, step: &StepRow) -> Result<Standing, KafkaError> {
    let topology = at.kafka.topology().await?;
    let wanted = wanted(step);
    let led = |(partition, leader): &(TopicPartition, BrokerId)| {
        leader_of(&topology, partition).is_none_or(|it| it == *leader)
    };
    Ok(if wanted.iter().all(led) { Standing::After } else { Standing::Before })
}

fn wanted(step: &StepRow) -> Vec<(TopicPartition, BrokerId)> {
    step.to.as_deref().map(elect_leaders::read).unwrap_or_default()
}

/// None for a partition that is gone: there is nothing left to elect.
fn leader_of(topology: &Topology, partition: &TopicPartition) -> Option<BrokerId> {
    let topic = topology.topics.iter().find(|it| it.name == partition.topic)?;
    topic.partitions.iter().find(|it| it.index == partition.partition)?.leader
}

/// Kafka has no rehearsal of an election; what may be elected was looked at a moment ago. That one
/// is not needed or not possible any more is no failure: the look afterwards decides.
pub(super) async fn set(at: &Context, step: &StepRow, mode: WriteMode) -> Result<(), KafkaError> {
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
    at.kafka.elect_preferred_leaders(&partitions).await.map(drop)
}
