//! The number of requests of a round depends only on the number of brokers. Fake brokers count them
//! on real sockets.

use std::collections::BTreeMap;

use kafka_protocol::messages::ApiKey;

use crate::{
    fake_broker::{ClusterSize, FakeCluster},
    rounds::RoundRunner,
};

const BROKERS: i32 = 3;
/// Slow sections are read every fourth round.
const CADENCE: usize = 4;
const REQUESTS_PER_BROKER_MAX: usize = 8;
/// Metadata, quorum, reassignments and topic configuration: sent to one broker.
const OF_ANY_BROKER: usize = 4;

/// Requests since the last call, by API, without those that open connections.
fn requests(cluster: &FakeCluster) -> BTreeMap<&'static str, usize> {
    let mut count = BTreeMap::new();
    for seen in cluster.take_seen() {
        if seen.api != ApiKey::ApiVersions {
            *count.entry(name(seen.api)).or_default() += 1;
        }
    }

    count
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
fn name(api: ApiKey) -> &'static str {
    match api {
        ApiKey::Metadata => "Metadata",
        ApiKey::ListOffsets => "ListOffsets",
        ApiKey::ListGroups => "ListGroups",
        ApiKey::DescribeGroups => "DescribeGroups",
        ApiKey::ConsumerGroupDescribe => "ConsumerGroupDescribe",
        ApiKey::OffsetFetch => "OffsetFetch",
        ApiKey::DescribeLogDirs => "DescribeLogDirs",
        ApiKey::DescribeConfigs => "DescribeConfigs",
        ApiKey::ListPartitionReassignments => "ListPartitionReassignments",
        ApiKey::DescribeQuorum => "DescribeQuorum",
        _ => "other",
    }
}

/// The requests of two cadences of rounds, without the first round.
async fn rounds_of(size: ClusterSize) -> Vec<BTreeMap<&'static str, usize>> {
    let mut rounds = RoundRunner::new(size).await;
    rounds.ended().await;
    requests(&rounds.cluster);
    let mut counts = Vec::new();

    for _ in 0..2 * CADENCE {
        rounds.next().await;
        counts.push(requests(&rounds.cluster));
    }

    counts
}

#[tokio::test]
async fn requests_per_round_depend_only_on_the_number_of_brokers() {
    let few = ClusterSize { brokers: BROKERS, topics: 20, partitions: 6, groups: 12 };
    let many = ClusterSize { topics: few.topics * 10, groups: few.groups * 10, ..few };
    let rounds = rounds_of(few).await;

    assert_eq!(rounds, rounds_of(many).await, "ten times the topics and groups");

    let brokers = usize::try_from(BROKERS).unwrap();
    let totals: Vec<usize> = rounds.iter().map(|it| it.values().sum()).collect();
    let most = REQUESTS_PER_BROKER_MAX * brokers;

    for (total, round) in totals.iter().zip(&rounds) {
        assert!(*total <= most + OF_ANY_BROKER, "{total} requests: {round:?}");
    }

    let mean = totals.iter().sum::<usize>() / totals.len();
    assert!(mean <= most, "{mean} requests in a mean round: {totals:?}");
}
