//! `ElectLeaders`, of preferred replicas alone.

use std::{collections::BTreeMap, time::Duration};

use kafka_protocol::messages::{
    self, ElectLeadersRequest, ElectLeadersResponse, elect_leaders_request,
};

use super::super::{
    call::{Call, ResponseError, milliseconds, refuse, text},
    error_codes,
};
use crate::{
    kafka::{Api, ElectionFault, TopicPartitions},
    model::TopicPartition,
};

/// The kind of election that loses no record.
const PREFERRED: i8 = 0;

/// Makes the preferred replicas of partitions their leaders.
pub(in super::super) struct ElectPreferred<'a> {
    pub(in super::super) partitions: &'a [TopicPartitions],
    /// How long the controller may take.
    pub(in super::super) timeout: Duration,
}

impl Call for ElectPreferred<'_> {
    const API: Api = Api::ElectLeaders;
    type Wire = ElectLeadersRequest;
    type Answer = Vec<(TopicPartition, Result<(), ElectionFault>)>;

    fn request(&self, _version: i16) -> ElectLeadersRequest {
        let of_topic = |it: &TopicPartitions| {
            elect_leaders_request::TopicPartitions::default()
                .with_topic(messages::TopicName(text(it.topic.as_str())))
                .with_partitions(it.partitions.clone())
        };
        // An empty list is no partition. An absent one would be every partition of the cluster.
        let partitions = Some(self.partitions.iter().map(of_topic).collect());
        ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_topic_partitions(partitions)
            .with_timeout_ms(milliseconds(self.timeout))
    }

    fn read(&self, answer: ElectLeadersResponse) -> Result<Self::Answer, ResponseError> {
        refuse(answer.error_code, None)?;
        let mut codes = BTreeMap::new();
        for result in &answer.replica_election_results {
            let each = result.partition_result.iter();
            codes.extend(each.map(|it| ((&**result.topic, it.partition_id), it.error_code)));
        }
        let mut outcomes = Vec::new();
        for TopicPartitions { topic, partitions } in self.partitions {
            for &partition in partitions {
                let Some(code) = codes.get(&(topic.as_str(), partition)) else {
                    return Err(ResponseError::Malformed(format!(
                        "no word about {topic}-{partition}"
                    )));
                };
                let outcome = error_codes::election_fault(*code).map_or(Ok(()), Err);
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
    fn an_answer_that_leaves_a_partition_out_says_nothing() {
        let result = PartitionResult::default().with_partition_id(0);
        let results = ReplicaElectionResult::default()
            .with_topic(messages::TopicName(text("orders")))
            .with_partition_result(vec![result]);
        let answer = ElectLeadersResponse::default().with_replica_election_results(vec![results]);
        let asked = |partitions: &[i32]| {
            let topic = TopicName::new("orders");
            let partitions = [TopicPartitions { topic, partitions: partitions.to_vec() }];
            let call = ElectPreferred { partitions: &partitions, timeout: Duration::ZERO };
            call.read(answer.clone()).map(|it| it.len())
        };
        assert_eq!(asked(&[0]).unwrap(), 1);
        assert!(
            matches!(asked(&[0, 1]), Err(ResponseError::Malformed(it)) if it.contains("orders-1"))
        );
    }
}
