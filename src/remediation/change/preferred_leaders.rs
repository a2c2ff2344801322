//! A batch of preferred leader elections.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{super::context::Context, ApplyChange, ApplyError, Direction, Observed};
use crate::model::{
    LeaderChange, PreferredLeaderElection, RunId, Topic, TopicName, TopicPartitions, WriteMode,
};

#[async_trait]
impl ApplyChange for PreferredLeaderElection {
    async fn observe(&self, context: &Context, _: RunId) -> Result<Observed, ApplyError> {
        let mut names: Vec<TopicName> = self.partitions.iter().map(|it| it.topic.clone()).collect();
        names.dedup();
        let views = context.kafka.topics(&names).await?;

        Ok(Observed::of_views(views.iter().map(|topics| {
            let all_done = self.partitions.iter().all(|it| is_done(topics, it));
            if all_done { Observed::Desired } else { Observed::Prior }
        })))
    }

    /// An election cannot be validated, and it is never undone. A partition that no longer needs an
    /// election, or cannot have one, does not fail the step: `observe` decides afterwards.
    async fn apply(
        &self,
        context: &Context,
        _: RunId,
        direction: Direction,
        mode: WriteMode,
    ) -> Result<(), ApplyError> {
        if mode == WriteMode::ValidateOnly || direction == Direction::Prior {
            return Ok(());
        }

        let mut by_topic = BTreeMap::<TopicName, Vec<i32>>::new();

        for it in &self.partitions {
            by_topic.entry(it.topic.clone()).or_default().push(it.partition);
        }

        let partitions: Vec<TopicPartitions> = by_topic
            .into_iter()
            .map(|(topic, partitions)| TopicPartitions { topic, partitions })
            .collect();

        context.kafka.elect_preferred_leaders(&partitions).await?;

        Ok(())
    }
}

/// Whether the preferred replica leads. A deleted partition counts as done.
fn is_done(topics: &[Topic], wanted: &LeaderChange) -> bool {
    let topic = topics.iter().find(|it| it.name == wanted.topic);
    let mut partitions = topic.iter().flat_map(|it| &it.partitions);
    let found = partitions.find(|it| it.index == wanted.partition);

    found.is_none_or(|it| it.leader == Some(wanted.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BrokerId, Partition};

    #[test]
    fn an_election_is_done_when_the_preferred_replica_leads_or_the_partition_is_deleted() {
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

        let topics = [Topic { name: name.clone(), id: 0, internal: false, partitions }];

        let done = |topic: &TopicName, partition| {
            let topic = topic.clone();
            is_done(&topics, &LeaderChange { topic, partition, from: None, to: broker(1) })
        };
        assert_eq!([0, 1, 2, 3].map(|it| done(&name, it)), [true, false, false, true]);

        assert!(done(&TopicName::new("deleted"), 0));
    }
}
