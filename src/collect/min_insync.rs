//! Effective `min.insync.replicas` of topics: one request to any broker, for all topics every
//! fourth round and for new topics at once.
//!
//! Publishes `min_insync_replicas`.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    Collect, RoundPlan,
    cached::{ByTopic, Cached, Timestamps, topic_ids},
    in_flight::{Request, RequestKey},
};
use crate::{
    model::{MinInsync, TopicName, Topology, WallTime},
    snapshot::{Section, Snapshot},
    telemetry::CollectorName,
};

const KEY: RequestKey = RequestKey::to_any(CollectorName::MinInsync);

#[derive(Debug)]
pub(super) struct MinInsyncCollector {
    cadence: Duration,
    values: ByTopic<Cached<MinInsync>>,
    answered: WallTime,
}

impl MinInsyncCollector {
    pub(super) fn new(cadence: Duration) -> Self {
        Self { cadence, values: ByTopic::default(), answered: WallTime::default() }
    }

    /// Topics without any answer yet. A topic whose answer was an error waits for the next full
    /// reading.
    fn missing(&self, topology: &Topology) -> Vec<TopicName> {
        let topics = topology.topics.iter();
        let missing = topics.filter(|it| self.values.get_with_id(&it.name, it.id).is_none());
        missing.map(|it| it.name.clone()).collect()
    }

    fn store(&mut self, topology: &Topology, answer: Vec<(TopicName, MinInsync)>, at: Timestamps) {
        let ids: HashMap<&TopicName, u128> = topic_ids(topology);
        for (topic, value) in answer {
            if let Some(id) = ids.get(&topic) {
                self.values.insert(topic, *id, Cached::new(value, at.monotonic));
            }
        }

        self.answered = at.wall;
    }
}

impl Collect for MinInsyncCollector {
    fn retain(&mut self, topology: &Topology, now: Timestamps) {
        let cadence = self.cadence;
        self.values.retain(topology, |it| it.is_fresh(now, cadence));
    }

    fn plan(&mut self, plan: &mut RoundPlan<'_>) {
        let topics = if plan.is_due(KEY) {
            plan.topology.topics.iter().map(|it| it.name.clone()).collect()
        } else {
            self.missing(plan.topology)
        };

        if topics.is_empty() {
            return;
        }

        plan.send(Request::new(
            KEY,
            move |kafka| async move { kafka.min_insync_replicas(&topics).await },
            |state, round, answer, at| {
                if let Some(round) = round {
                    let failures = answer.iter().filter_map(|(_, it)| it.err());
                    round.report.count_missing(CollectorName::MinInsync, failures);
                }
                if let Some(topology) = state.topology.latest() {
                    state.min_insync.store(&topology, answer, at);
                }
            },
        ));
    }

    fn publish(&self, now: Timestamps, snapshot: &mut Snapshot) {
        let fresh = self.values.iter().filter(|(_, it)| it.is_fresh(now, self.cadence));
        let values = fresh.filter_map(|(topic, it)| Some((topic.clone(), (*it.value()).ok()?)));
        let values: BTreeMap<_, _> = values.collect();
        snapshot.min_insync_replicas =
            (!values.is_empty()).then(|| Section::new(values, self.answered));
    }
}
