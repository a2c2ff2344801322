//! A simulated controller for changes of quotas and leaders. Requests reach it in order through any
//! broker, and brokers see the result a moment later.

use std::{collections::BTreeMap, time::Duration};

use kafka_optimizer::model::{
    ElectionFailure, Partition, QuotaChange, TopicPartition, TopicPartitions, WriteMode,
};

use super::kafka::SimulatedMetadata;

/// The result for each partition.
pub(crate) type ElectionOutcomes = Vec<(TopicPartition, Result<(), ElectionFailure>)>;

/// The response of the controller. It has no election results for a quota.
type ControllerAnswer = Result<ElectionOutcomes, String>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ControllerRequest {
    Quota(QuotaChange, WriteMode),
    Elect(Vec<TopicPartitions>),
}

impl ControllerRequest {
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Quota(_, mode) => *mode == WriteMode::Write,
            Self::Elect(_) => true,
        }
    }

    fn examined(&self, metadata: &SimulatedMetadata) -> ControllerAnswer {
        match self {
            Self::Quota(change, _) => match change.value {
                // The message of `ClientQuotaControlManager`.
                Some(value) if value <= 0.0 => {
                    Err(format!("Quota {} must be greater than 0", change.key))
                }
                Some(_) | None => Ok(Vec::new()),
            },
            Self::Elect(topics) => {
                let each =
                    topics.iter().flat_map(|it| it.partitions.iter().map(move |at| (it, *at)));
                let of = |(TopicPartitions { topic, .. }, partition): (&TopicPartitions, i32)| {
                    let at = TopicPartition { topic: topic.clone(), partition };
                    let outcome = elected(metadata.partition(&at));
                    (at, outcome)
                };
                Ok(each.map(of).collect())
            }
        }
    }

    fn carry_out(self, metadata: &mut SimulatedMetadata) {
        match self {
            Self::Quota(QuotaChange { entity, key, value }, _) => match value {
                Some(value) => drop(metadata.quotas.insert((entity, key), value)),
                None => drop(metadata.quotas.remove(&(entity, key))),
            },
            Self::Elect(topics) => {
                for TopicPartitions { topic, partitions } in topics {
                    let ours = metadata.topics.iter_mut().filter(|it| it.name == topic);
                    let ours = ours.flat_map(|it| &mut it.partitions);
                    for it in ours.filter(|it| partitions.contains(&it.index)) {
                        if elected(Some(it)).is_ok() {
                            it.leader = it.replicas.first().copied();
                        }
                    }
                }
            }
        }
    }
}

/// As `ReplicationControlManager.electLeader` does for the preferred replica.
fn elected(partition: Option<&Partition>) -> Result<(), ElectionFailure> {
    let partition = partition.ok_or(ElectionFailure::Unknown)?;
    let preferred = partition.replicas.first().ok_or(ElectionFailure::NotAvailable)?;

    if partition.leader == Some(*preferred) {
        Err(ElectionFailure::NotNeeded)
    } else if partition.isr.contains(preferred) {
        Ok(())
    } else {
        Err(ElectionFailure::NotAvailable)
    }
}

#[derive(Debug)]
enum ControllerEvent {
    /// A request is processed. Brokers see its result after `seen`, or never.
    Arrive {
        call: usize,
        order: ControllerRequest,
        seen: Option<Duration>,
    },
    Publish(ControllerRequest),
}

/// It is always up: a call that does not reach it fails in flight.
#[derive(Debug, Default)]
pub(crate) struct SimulatedController {
    due: BTreeMap<(Duration, u64), ControllerEvent>,
    number: u64,
    pub(crate) answers: BTreeMap<usize, ControllerAnswer>,
}

impl SimulatedController {
    /// Whether nothing is in flight.
    pub(crate) fn is_quiet(&self) -> bool {
        self.due.is_empty()
    }

    /// A request reaches the controller at `at`. Returns when it is processed.
    pub(crate) fn send(
        &mut self,
        at: Duration,
        call: usize,
        order: ControllerRequest,
        seen: Option<Duration>,
    ) -> Duration {
        self.plan(at, ControllerEvent::Arrive { call, order, seen })
    }

    /// A delayed request delays those behind it, because the metadata log is ordered.
    fn plan(&mut self, at: Duration, event: ControllerEvent) -> Duration {
        let same =
            |it: &ControllerEvent| std::mem::discriminant(it) == std::mem::discriminant(&event);
        let last = self.due.iter().filter(|it| same(it.1)).map(|it| it.0.0).max();
        let at = at.max(last.unwrap_or_default());
        self.number += 1;
        self.due.insert((at, self.number), event);

        at
    }

    /// Applies every event that is due by `now`.
    pub(crate) fn pump(&mut self, now: Duration, metadata: &mut SimulatedMetadata) {
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if now < at {
                return;
            }

            match entry.remove() {
                ControllerEvent::Arrive { call, order, seen } => {
                    let answer = order.examined(metadata);
                    if let Some(seen) = seen.filter(|_| answer.is_ok() && order.writes()) {
                        self.plan(at + seen, ControllerEvent::Publish(order));
                    }
                    self.answers.insert(call, answer);
                }
                ControllerEvent::Publish(order) => order.carry_out(metadata),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_optimizer::{
        kafka::{Kafka, KafkaError},
        model::{QuotaEntity, QuotaKey, RequestOutcome, TopicName},
    };

    use super::{
        super::{CallFault, CallKind, Effect, Setup, World, id, simulate},
        *,
    };

    /// Longer than brokers need to see a change.
    const SOON: Duration = Duration::from_secs(1);

    fn change(value: Option<f64>) -> QuotaChange {
        let entity = QuotaEntity { user: None, client_id: Some("greedy".to_owned()) };
        QuotaChange { entity, key: QuotaKey::ProducerByteRate, value }
    }

    fn world() -> World {
        World::new(Setup::new(1, Effect::Nothing))
    }

    async fn bound(world: &World, value: Option<f64>, mode: WriteMode) -> Result<(), KafkaError> {
        world.kafka.alter_client_quota(&change(value), mode).await
    }

    async fn quotas(world: &World) -> Vec<f64> {
        let quotas = world.kafka.client_quotas().await.unwrap();
        quotas[0].named.iter().map(|it| it.value).collect()
    }

    fn first_of_orders() -> [TopicPartitions; 1] {
        [TopicPartitions { topic: TopicName::new("orders"), partitions: vec![0] }]
    }

    #[test]
    fn a_quota_exists_once_written_and_is_gone_once_removed() {
        simulate(async {
            let world = world();
            bound(&world, Some(1e6), WriteMode::ValidateOnly).await.unwrap();
            let refused = bound(&world, Some(0.0), WriteMode::ValidateOnly).await.unwrap_err();

            assert!(refused.to_string().contains("must be greater than 0"), "{refused}");

            tokio::time::sleep(SOON).await;
            assert!(quotas(&world).await.is_empty());

            bound(&world, Some(1e6), WriteMode::Write).await.unwrap();
            tokio::time::sleep(SOON).await;

            assert_eq!(quotas(&world).await, [1e6]);

            bound(&world, None, WriteMode::Write).await.unwrap();
            tokio::time::sleep(SOON).await;

            assert!(quotas(&world).await.is_empty());
        });
    }

    #[test]
    fn a_request_takes_effect_whether_or_not_its_response_arrives() {
        let late = CallFault::Late(Duration::from_secs(20));
        for (fault, succeeds, happens) in [
            (CallFault::Refuse, false, false),
            (CallFault::LoseRequest, false, false),
            (CallFault::Unreachable, false, false),
            (CallFault::LoseAnswer, false, true),
            (CallFault::Break, false, true),
            (late, false, true),
            (CallFault::Slow(SOON), true, true),
            (CallFault::NeverApplied, true, false),
        ] {
            simulate(async {
                let world = world();
                world.kafka.state().metadata.topics[0].partitions[0].leader = Some(id(2));
                world.kafka.fail(move |_| Some(fault));
                let set = bound(&world, Some(1e6), WriteMode::Write).await;
                let elected = world.kafka.elect_preferred_leaders(&first_of_orders()).await;

                assert_eq!((set.is_ok(), elected.is_ok()), (succeeds, succeeds), "{fault:?}");

                for error in [set.err(), elected.err()].into_iter().flatten() {
                    assert!(
                        error.outcome() == RequestOutcome::Unknown || !happens,
                        "{fault:?}: {error}"
                    );
                }

                world.kafka.fail(|_| None);
                tokio::time::sleep(SOON * 60).await;

                assert_eq!(quotas(&world).await.len(), usize::from(happens), "{fault:?}");

                let leader = world.kafka.topology_now().topics[0].partitions[0].leader;
                assert_eq!(leader == Some(id(1)), happens, "{fault:?}");
            });
        }
    }

    #[test]
    fn an_in_sync_preferred_replica_becomes_leader() {
        simulate(async {
            let world = world();
            for (index, partition) in
                world.kafka.state().metadata.topics[0].partitions.iter_mut().enumerate()
            {
                partition.leader = Some(id(if index == 2 { 1 } else { 2 }));
                partition.isr.retain(|it| index != 1 || *it != id(1));
            }

            let orders = || TopicName::new("orders");
            let asked = [TopicPartitions { topic: orders(), partitions: vec![0, 1, 2, 9] }];
            let outcomes = world.kafka.elect_preferred_leaders(&asked).await.unwrap();
            let at = |partition| TopicPartition { topic: orders(), partition };
            let want = [
                (at(0), Ok(())),
                (at(1), Err(ElectionFailure::NotAvailable)),
                (at(2), Err(ElectionFailure::NotNeeded)),
                (at(9), Err(ElectionFailure::Unknown)),
            ];

            assert_eq!(outcomes, want);

            tokio::time::sleep(SOON).await;
            let topology = world.kafka.topology().await.unwrap();
            let leaders: Vec<_> =
                topology.topics[0].partitions.iter().map(|it| it.leader).collect();

            assert_eq!(leaders, [Some(id(1)), Some(id(2)), Some(id(1))]);
        });
    }

    #[test]
    fn i22_a_request_without_a_durable_step_is_found() {
        simulate(async {
            let world = world();
            bound(&world, Some(1e6), WriteMode::ValidateOnly).await.unwrap();

            assert!(world.checks.problems().is_empty());

            bound(&world, Some(1e6), WriteMode::Write).await.unwrap();
            world.kafka.elect_preferred_leaders(&first_of_orders()).await.unwrap();

            assert_eq!(world.checks.problems().len(), 2, "{:?}", world.checks.problems());

            let calls = [CallKind::WriteQuota, CallKind::Elect].map(|it| world.kafka.calls(it));
            let orders: Vec<_> = calls.concat().into_iter().filter_map(|it| it.order).collect();
            let written = ControllerRequest::Quota(change(Some(1e6)), WriteMode::Write);

            assert_eq!(orders, [written, ControllerRequest::Elect(first_of_orders().to_vec())]);
        });
    }
}
