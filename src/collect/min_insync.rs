//! `min.insync.replicas` of topics: all of them on a slow cadence, new ones at once.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::kept::Moment;
use crate::{
    model::{MinInsync as Answered, MonotonicTime, TopicName, Topology, WallTime},
    snapshot::Section,
};

#[derive(Debug)]
struct Known {
    /// A topic deleted and created again is another topic.
    id: u128,
    value: Answered,
    read: MonotonicTime,
}

#[derive(Debug, Default)]
pub(super) struct MinInsync {
    known: HashMap<TopicName, Known>,
    answered: WallTime,
}

impl MinInsync {
    /// Topics that no answer has been heard of. One that was refused waits for its turn.
    pub(super) fn missing(&self, topology: &Topology) -> Vec<TopicName> {
        let unknown =
            |name: &TopicName, id| self.known.get(name).is_none_or(|known| known.id != id);
        let topics = topology.topics.iter();
        topics.filter(|it| unknown(&it.name, it.id)).map(|it| it.name.clone()).collect()
    }

    pub(super) fn take(
        &mut self,
        topology: &Topology,
        values: Vec<(TopicName, Answered)>,
        at: Moment,
    ) {
        let ids: HashMap<&TopicName, u128> =
            topology.topics.iter().map(|it| (&it.name, it.id)).collect();
        for (topic, value) in values {
            if let Some(id) = ids.get(&topic) {
                self.known.insert(topic, Known { id: *id, value, read: at.uptime });
            }
        }
        self.answered = at.wall;
    }

    /// Drops what is past its life, and what belongs to a topic that is gone.
    pub(super) fn forget(&mut self, topology: &Topology, now: Moment, cadence: Duration) {
        let ids: HashMap<&TopicName, u128> =
            topology.topics.iter().map(|it| (&it.name, it.id)).collect();
        self.known
            .retain(|topic, it| ids.get(topic) == Some(&it.id) && now.shows(it.read, cadence));
    }

    pub(super) fn shown(
        &self,
        now: Moment,
        cadence: Duration,
    ) -> Option<Section<BTreeMap<TopicName, u32>>> {
        let alive = self.known.iter().filter(|(_, it)| now.shows(it.read, cadence));
        let values = alive.filter_map(|(topic, it)| Some((topic.clone(), it.value.ok()?)));
        let values: BTreeMap<_, _> = values.collect();
        (!values.is_empty()).then(|| Section::new(values, self.answered))
    }
}
