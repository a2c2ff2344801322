//! Hostile responses to each request that this program sends.

use std::{sync::Arc, time::Duration};

use kafka_optimizer::{
    clock::SystemClock,
    kafka::{
        Kafka, KafkaError,
        wire::{Wire, WireOptions},
    },
    model::{
        BrokerId, ConfigChange, GroupName, GroupType, LogPosition, OffsetSpec, QuotaChange,
        QuotaEntity, QuotaKey, TopicName, TopicPartitions, WriteMode,
    },
    security::Security,
    shutdown::Tasks,
};
use kafka_protocol::messages::ApiKey;
use rand::RngExt;
use tokio::runtime::{Builder, Runtime};

use crate::{
    campaign::{Bound, Campaign},
    fake_broker::{
        BrokerFault, ClusterSize, FakeBatch, FakeBroker, FakeCluster, FakeGroup, Mutation,
    },
};

/// A call that ends at its deadline has hung, because the broker always answers or closes the
/// connection.
const DEADLINE: Duration = Duration::from_secs(10);

/// A request, and the call that sends it.
const CALLS: &[(ApiKey, FuzzedCall)] = &[
    (ApiKey::ApiVersions, FuzzedCall::Topology),
    (ApiKey::Metadata, FuzzedCall::Topology),
    (ApiKey::Metadata, FuzzedCall::Topics),
    (ApiKey::ListOffsets, FuzzedCall::Offsets(OffsetSpec::Earliest)),
    (ApiKey::ListOffsets, FuzzedCall::Offsets(OffsetSpec::Latest)),
    (ApiKey::Fetch, FuzzedCall::Batches),
    (ApiKey::ListGroups, FuzzedCall::Groups),
    (ApiKey::DescribeGroups, FuzzedCall::Describe(GroupType::Classic)),
    (ApiKey::ConsumerGroupDescribe, FuzzedCall::Describe(GroupType::Consumer)),
    (ApiKey::ShareGroupDescribe, FuzzedCall::Describe(GroupType::Share)),
    (ApiKey::OffsetFetch, FuzzedCall::Committed),
    (ApiKey::DescribeLogDirs, FuzzedCall::LogDirs),
    (ApiKey::DescribeConfigs, FuzzedCall::BrokerConfig),
    (ApiKey::DescribeConfigs, FuzzedCall::MinInsync),
    (ApiKey::DescribeQuorum, FuzzedCall::Quorum),
    (ApiKey::ListPartitionReassignments, FuzzedCall::Reassignments),
    (ApiKey::IncrementalAlterConfigs, FuzzedCall::Alter),
    (ApiKey::DescribeClientQuotas, FuzzedCall::Quotas),
    (ApiKey::AlterClientQuotas, FuzzedCall::AlterQuota),
    (ApiKey::ElectLeaders, FuzzedCall::Elect),
];

#[derive(Clone, Copy, Debug)]
enum FuzzedCall {
    Topology,
    Topics,
    Offsets(OffsetSpec),
    Batches,
    Groups,
    Describe(GroupType),
    Committed,
    LogDirs,
    BrokerConfig,
    MinInsync,
    Quorum,
    Reassignments,
    Alter,
    Quotas,
    AlterQuota,
    Elect,
}

/// A hostile cluster of one broker, and its client.
struct ClientUnderTest {
    cluster: FakeCluster,
    broker: FakeBroker,
    wire: Wire,
    partitions: Vec<TopicPartitions>,
    topics: Vec<TopicName>,
    groups: Vec<GroupName>,
}

impl ClientUnderTest {
    async fn of(topics: i32, groups: i32) -> Self {
        let cluster = FakeCluster::default();
        let size = ClusterSize { brokers: 1, topics, partitions: 6, groups };
        {
            let mut contents = cluster.contents();
            contents.fill(size);
            contents.broken_topics.insert("half-made".to_owned(), 5);
            contents.moving.push(("topic-00000".to_owned(), 1));
            contents.configs.insert("num.io.threads", vec![(2, "16"), (3, "12"), (5, "8")]);
            let both = vec![("user", Some("batch")), ("client-id", Some("greedy"))];
            let values = vec![("producer_byte_rate", 1.0), ("consumer_byte_rate", 2.0)];
            contents.quotas.insert(both, values);
            contents.quotas.insert(vec![("user", None)], vec![("request_percentage", 50.0)]);

            let batch = |records, codec| FakeBatch {
                records,
                payload: &[b'x'; 300],
                at: 1_700_000_000_000,
                producer: 7,
                codec,
            };
            let log = [batch(3, 0), batch(1, 3), batch(9, 0)].map(|it| it.bytes()).concat();
            contents.logs.insert(("topic-00000".to_owned(), 1), log);

            let commits = vec![("topic-00000".to_owned(), 0, 7)];
            let modern =
                FakeGroup { coordinator: 1, kind: "consumer", members: 3, commits, error: 0 };
            contents.groups.insert("modern".to_owned(), modern);
        }

        let names: Vec<String> = cluster.contents().topics.keys().cloned().collect();
        let topics: Vec<TopicName> = names.iter().map(|it| TopicName::new(it.as_str())).collect();
        let all = |topic: &TopicName| {
            let topic = topic.clone();
            TopicPartitions { topic, partitions: (0..6).collect() }
        };
        let partitions = topics.iter().map(all).collect();
        let groups =
            cluster.contents().groups.keys().map(|it| GroupName::new(it.as_str())).collect();
        let broker = cluster.start(1).await;

        Self { wire: wire_to(&broker), cluster, broker, partitions, topics, groups }
    }

    async fn call(&self, call: FuzzedCall) -> Result<(), KafkaError> {
        let (wire, id) = (&self.wire, BrokerId::from_wire(1).unwrap());
        match call {
            FuzzedCall::Topology => wire.topology().await.map(drop),
            FuzzedCall::Topics => wire.topics(&self.topics).await.map(drop),
            FuzzedCall::Offsets(edge) => wire.offsets(id, edge, &self.partitions).await.map(drop),
            FuzzedCall::Batches => {
                let topic = self.topics[0].clone();
                let from = LogPosition { topic, topic_id: 0, partition: 1, offset: 500 };
                wire.batches(id, &from, 64 << 10).await.map(drop)
            }
            FuzzedCall::Groups => wire.groups(id, &[]).await.map(drop),
            FuzzedCall::Describe(kind) => {
                wire.describe_groups(id, kind, &self.groups).await.map(drop)
            }
            FuzzedCall::Committed => wire.committed(id, &self.groups).await.map(drop),
            FuzzedCall::LogDirs => wire.log_dirs(id).await.map(drop),
            FuzzedCall::BrokerConfig => wire.broker_config(id, &["num.io.threads"]).await.map(drop),
            FuzzedCall::MinInsync => wire.min_insync_replicas(&self.topics).await.map(drop),
            FuzzedCall::Quorum => wire.quorum().await.map(drop),
            FuzzedCall::Reassignments => wire.reassignments().await.map(drop),
            FuzzedCall::Alter => {
                let value = Some("16".to_owned());
                let change = ConfigChange { key: "num.io.threads".to_owned(), value };
                wire.alter_broker_config(id, &[change], WriteMode::ValidateOnly).await
            }
            FuzzedCall::Quotas => wire.client_quotas().await.map(drop),
            FuzzedCall::AlterQuota => {
                let entity = QuotaEntity { user: Some("batch".to_owned()), client_id: None };
                let key = QuotaKey::ProducerByteRate;
                let change = QuotaChange { entity, key, value: Some(1e6) };

                wire.alter_client_quota(&change, WriteMode::ValidateOnly).await
            }
            FuzzedCall::Elect => wire.elect_preferred_leaders(&self.partitions).await.map(drop),
        }
    }

    /// One hostile response. Returns its bytes.
    async fn hear(&mut self, api: ApiKey, call: FuzzedCall, seed: u64) -> usize {
        if api == ApiKey::ApiVersions {
            self.forget();
        }

        let before = self.broker.traffic();
        self.broker.fail(api, BrokerFault::Mutated(Mutation { seed, keep: 0 }));
        let outcome = self.call(call).await;
        self.broker.heal();
        let hung = matches!(outcome, Err(KafkaError::NoAnswer { .. }));

        assert!(!hung, "{api:?}: {outcome:?}");

        if let Err(error) = outcome {
            drop(error.to_string());
        }

        // A hostile response may have changed broker addresses or started a backoff.
        if [ApiKey::ApiVersions, ApiKey::Metadata].contains(&api) {
            self.forget();
        }

        // The broker's request log must not count for the next response.
        drop(self.cluster.take_seen());

        self.broker.traffic() - before
    }

    fn forget(&mut self) {
        self.wire = wire_to(&self.broker);
    }
}

fn wire_to(broker: &FakeBroker) -> Wire {
    let options = WireOptions {
        bootstrap: vec![broker.address.to_string()],
        request_timeout: DEADLINE,
        client_id: "tests".to_owned(),
        security: Security::default(),
    };
    Wire::new(options, Arc::new(SystemClock::new()), Tasks::default())
}

fn runtime() -> Runtime {
    // One thread, so that every allocation is counted.
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn no_broker_response_causes_a_panic_a_hang_or_much_memory() {
    let runtime = runtime();
    let mut victims = runtime
        .block_on(async { [ClientUnderTest::of(3, 4).await, ClientUnderTest::of(400, 200).await] });
    let campaign = Campaign {
        target: "answers of brokers",
        usual: 3_000,
        weight: 1,
        // Two levels of the largest elements of the codec, one for each byte that is left.
        bound: Bound { per_byte: 512, beside: 1 << 20 },
    };
    campaign.run(|chance| {
        let (api, call) = CALLS[chance.random_range(0..CALLS.len())];
        let victim = &mut victims[usize::from(chance.random_bool(0.02))];
        runtime.block_on(victim.hear(api, call, chance.random()))
    });

    // The client must still work afterwards.
    for victim in victims {
        for (api, call) in CALLS {
            runtime.block_on(victim.call(*call)).unwrap_or_else(|it| panic!("{api:?}: {it}"));
        }
    }
}
