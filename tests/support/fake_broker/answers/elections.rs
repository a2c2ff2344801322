//! `ElectLeaders`. The leaders in the contents do not change.

use kafka_protocol::messages::{
    ElectLeadersRequest, ElectLeadersResponse,
    elect_leaders_response::{PartitionResult, ReplicaElectionResult},
};

use super::{
    super::{contents::FakePartition, seen::SeenElection},
    ClusterContents, SeenChange, UNKNOWN_TOPIC,
};

const PREFERRED_LEADER_NOT_AVAILABLE: i16 = 80;
const ELECTION_NOT_NEEDED: i16 = 84;

pub(super) fn elect(
    cluster: &ClusterContents,
    request: &ElectLeadersRequest,
    asked: &mut Option<SeenChange>,
) -> ElectLeadersResponse {
    let named = request.topic_partitions.as_ref().map(|topics| {
        let each = topics.iter().flat_map(|at| at.partitions.iter().map(|it| (&at.topic, *it)));
        each.map(|(topic, partition)| (topic.to_string(), partition)).collect()
    });
    *asked = Some(SeenChange::Leaders(SeenElection {
        kind: request.election_type,
        partitions: named,
        timeout_ms: request.timeout_ms,
    }));

    // As in Kafka, a top-level error is repeated for each partition.
    let refused = cluster.alter_refusal.map(|it| it.0);
    let results = request.topic_partitions.iter().flatten().map(|at| {
        let topic = cluster.topics.get(at.topic.as_str());
        let result = |index: &i32| {
            let partition = usize::try_from(*index).ok().and_then(|it| topic?.get(it));
            let code = refused.unwrap_or_else(|| partition.map_or(UNKNOWN_TOPIC, outcome));
            PartitionResult::default().with_partition_id(*index).with_error_code(code)
        };
        ReplicaElectionResult::default()
            .with_topic(at.topic.clone())
            .with_partition_result(at.partitions.iter().map(result).collect())
    });

    ElectLeadersResponse::default()
        .with_error_code(refused.unwrap_or(0))
        .with_replica_election_results(results.collect())
}

fn outcome(of: &FakePartition) -> i16 {
    match of.replicas.first() {
        Some(preferred) if *preferred == of.leader => ELECTION_NOT_NEEDED,
        Some(preferred) if of.isr.contains(preferred) => 0,
        _ => PREFERRED_LEADER_NOT_AVAILABLE,
    }
}
