//! `ElectLeaders`, for preferred replicas only.

use std::{collections::BTreeMap, time::Duration};

use kafka_protocol::messages::{
    self, ElectLeadersRequest, ElectLeadersResponse, elect_leaders_request,
};

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, check_code, str_bytes, timeout_ms},
        error_codes,
    },
    model::{Api, ElectionFailure, TopicPartition, TopicPartitions},
};

/// `ElectionType.PREFERRED`: elects only in-sync replicas, so no record is lost.
const PREFERRED: i8 = 0;

/// Makes the preferred replicas of partitions their leaders.
pub(crate) struct ElectPreferredLeaders<'a> {
    pub(crate) partitions: &'a [TopicPartitions],
    /// How long the controller may take before it answers with an error.
    pub(crate) timeout: Duration,
}

impl ApiCall for ElectPreferredLeaders<'_> {
    const API: Api = Api::ElectLeaders;
    type Request = ElectLeadersRequest;
    type Output = Vec<(TopicPartition, Result<(), ElectionFailure>)>;

    fn request(&self, _version: i16) -> ElectLeadersRequest {
        let of_topic = |it: &TopicPartitions| {
            elect_leaders_request::TopicPartitions::default()
                .with_topic(messages::TopicName(str_bytes(it.topic.as_str())))
                .with_partitions(it.partitions.clone())
        };
        // An empty list means no partitions. `None` would mean all partitions of the cluster.
        let partitions = Some(self.partitions.iter().map(of_topic).collect());

        ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_topic_partitions(partitions)
            .with_timeout_ms(timeout_ms(self.timeout))
    }

    fn parse(&self, response: ElectLeadersResponse) -> Result<Self::Output, ResponseError> {
        check_code(response.error_code, None)?;

        let mut codes = BTreeMap::new();
        for topic in &response.replica_election_results {
            let results = topic.partition_result.iter();
            codes.extend(results.map(|it| ((&**topic.topic, it.partition_id), it.error_code)));
        }

        let mut outcomes = Vec::new();
        for TopicPartitions { topic, partitions } in self.partitions {
            for &partition in partitions {
                let Some(code) = codes.get(&(topic.as_str(), partition)) else {
                    let problem = format!("{topic}-{partition} is missing from the response");
                    return Err(ResponseError::Malformed(problem));
                };
                let outcome = error_codes::election_failure(*code).map_or(Ok(()), Err);
                outcomes.push((TopicPartition { topic: topic.clone(), partition }, outcome));
            }
        }

        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::elect_leaders_response::{
        PartitionResult, ReplicaElectionResult,
    };

    use super::*;
    use crate::model::TopicName;

    #[test]
    fn a_response_without_a_requested_partition_is_malformed() {
        let result = PartitionResult::default().with_partition_id(0);
        let results = ReplicaElectionResult::default()
            .with_topic(messages::TopicName(str_bytes("orders")))
            .with_partition_result(vec![result]);
        let response = ElectLeadersResponse::default().with_replica_election_results(vec![results]);
        let parse = |partitions: &[i32]| {
            let topic = TopicName::new("orders");
            let partitions = [TopicPartitions { topic, partitions: partitions.to_vec() }];
            let call = ElectPreferredLeaders { partitions: &partitions, timeout: Duration::ZERO };
            call.parse(response.clone()).map(|it| it.len())
        };

        assert_eq!(parse(&[0]).unwrap(), 1);
        let error = parse(&[0, 1]).unwrap_err();
        assert!(matches!(error, ResponseError::Malformed(it) if it.contains("orders-1")));
    }
}
