//! From hostile responses to the exposition: every round ends, and its exposition can be parsed.

use std::collections::BTreeSet;

use kafka_optimizer::expose::{Format, make};
use kafka_protocol::messages::ApiKey;
use rand::{RngExt, rngs::StdRng};
use tokio::runtime::Builder;

use crate::{
    campaign::{Bound, Campaign},
    fake_broker::{BrokerFault, ClusterSize, FakeBroker, FakeCluster, Mutation},
    rounds::RoundRunner,
};

const SIZE: ClusterSize = ClusterSize { brokers: 2, topics: 4, partitions: 3, groups: 5 };

const APIS: &[ApiKey] = &[
    ApiKey::Metadata,
    ApiKey::ListOffsets,
    ApiKey::ListGroups,
    ApiKey::DescribeGroups,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::OffsetFetch,
    ApiKey::DescribeLogDirs,
    ApiKey::DescribeConfigs,
    ApiKey::DescribeQuorum,
    ApiKey::ListPartitionReassignments,
];

/// Tags, throttle time, number of brokers, and 20 bytes for each. They stay unchanged, because a
/// mutated address may belong to someone.
const METADATA_KEPT: usize = 6 + 20 * 2;

/// The cluster of all rounds of a campaign.
struct HostileCluster {
    cluster: FakeCluster,
    brokers: Vec<FakeBroker>,
}

impl HostileCluster {
    fn traffic(&self) -> usize {
        self.brokers.iter().map(FakeBroker::traffic).sum()
    }

    fn lie(&self, chance: &mut StdRng) {
        for _ in 0..chance.random_range(1..=3) {
            let api = APIS[chance.random_range(0..APIS.len())];
            let keep = if api == ApiKey::Metadata { METADATA_KEPT } else { 0 };
            let broker = &self.brokers[chance.random_range(0..self.brokers.len())];
            broker.fail(api, BrokerFault::Mutated(Mutation { seed: chance.random(), keep }));
        }
    }

    /// Two rounds of a new collector, and the exposition of each. Returns the bytes received.
    async fn rounds(self, chance: &mut StdRng) -> (Self, usize) {
        let before = self.traffic();
        self.lie(chance);
        let mut rounds = RoundRunner::of(self.cluster, self.brokers);
        rounds.ended().await;

        check_page(&page(&rounds));

        rounds.next().await;
        check_page(&page(&rounds));

        let (cluster, brokers) = rounds.end().await;
        cluster.take_seen();
        brokers.iter().for_each(FakeBroker::heal);
        let after = Self { cluster, brokers };
        let bytes = after.traffic() - before;

        (after, bytes)
    }
}

fn page(rounds: &RoundRunner) -> String {
    let snapshot = rounds.latest.borrow().clone().unwrap();
    let (page, _) = make(&[snapshot]);
    let pieces: Vec<_> = page.identity(Format::Text, "").map(Result::unwrap).collect();

    String::from_utf8(pieces.concat()).unwrap()
}

/// Checks that each series is unique and has a number, and that no counter is negative.
#[track_caller]
fn check_page(page: &str) {
    let mut seen = BTreeSet::new();
    for line in page.lines().filter(|it| !it.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let value: f64 = value.parse().unwrap_or_else(|it| panic!("{line:?}: {it}"));

        assert!(value.is_finite(), "{line:?}");
        assert!(0.0 <= value || !series.starts_with("kafka_consumergroup_lag"), "{line:?}");
        assert!(seen.insert(series), "twice: {line:?}");
    }

    assert!(page.contains("kafka_up{"), "{page}");
}

#[test]
fn no_broker_response_corrupts_the_exposition() {
    // One thread, so that every allocation is counted.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut liars = runtime.block_on(async {
        let RoundRunner { cluster, brokers, .. } = RoundRunner::new(SIZE).await;
        Some(HostileCluster { cluster, brokers })
    });
    let campaign = Campaign {
        target: "pages of rounds",
        usual: 150,
        weight: 20,
        bound: Bound { per_byte: 512, beside: 4 << 20 },
    };
    campaign.run(|chance| {
        let heard = liars.take().unwrap().rounds(chance);
        let (after, bytes) = runtime.block_on(heard);
        liars = Some(after);

        bytes
    });
}
