//! `DescribeGroups`, `ConsumerGroupDescribe` and `ShareGroupDescribe`: state and members. Each
//! group type has its own request.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, ShareGroupDescribeRequest, ShareGroupDescribeResponse,
    consumer_group_describe_response as consumer, describe_groups_response as classic,
    share_group_describe_response as share,
};

use super::{
    consumer_protocol,
    groups::{id, state},
};
use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError},
        error_codes,
    },
    model::{Api, GroupDescription, GroupMembers, GroupName, TopicName},
};

pub(crate) struct DescribeClassicGroups<'a>(pub(crate) &'a [GroupName]);

/// Groups of the new consumer protocol (KIP-848).
pub(crate) struct DescribeConsumerGroups<'a>(pub(crate) &'a [GroupName]);

pub(crate) struct DescribeShareGroups<'a>(pub(crate) &'a [GroupName]);

/// The protocol type whose metadata and assignment are in the format of [`consumer_protocol`].
const CONSUMER_PROTOCOL: &str = "consumer";

impl ApiCall for DescribeClassicGroups<'_> {
    const API: Api = Api::DescribeGroups;
    type Request = DescribeGroupsRequest;
    type Output = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> DescribeGroupsRequest {
        DescribeGroupsRequest::default().with_groups(self.0.iter().map(id).collect())
    }

    fn parse(
        &self,
        response: DescribeGroupsResponse,
    ) -> Result<Vec<GroupDescription>, ResponseError> {
        let describe = |group: &classic::DescribedGroup| {
            let mut members = MemberCollector::default();
            for member in &group.members {
                members.add(&member.member_id, &member.member_assignment);
                members.count_static(member.group_instance_id.as_ref());
                if group.protocol_type.as_str() == CONSUMER_PROTOCOL {
                    members.add_partitions(consumer_protocol::subscribed(&member.member_metadata));
                    members.add_partitions(consumer_protocol::assigned(&member.member_assignment));
                } else {
                    members.assigned = None;
                }
            }
            members.assignor = group.protocol_data.to_string();
            members.finish(&group.group_id, group.error_code, &group.group_state)
        };
        Ok(response.groups.iter().map(describe).collect())
    }
}

impl ApiCall for DescribeConsumerGroups<'_> {
    const API: Api = Api::ConsumerGroupDescribe;
    type Request = ConsumerGroupDescribeRequest;
    type Output = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> ConsumerGroupDescribeRequest {
        ConsumerGroupDescribeRequest::default().with_group_ids(self.0.iter().map(id).collect())
    }

    fn parse(
        &self,
        response: ConsumerGroupDescribeResponse,
    ) -> Result<Vec<GroupDescription>, ResponseError> {
        let describe = |group: &consumer::DescribedGroup| {
            let mut members = MemberCollector::default();
            for member in &group.members {
                let assignment = member.assignment.topic_partitions.iter();
                let assignment: Vec<_> =
                    assignment.map(|it| (&it.topic_name.0, &it.partitions)).collect();
                members.add(&member.member_id, &assignment);
                members.count_static(member.instance_id.as_ref());

                let subscribed = member.subscribed_topic_names.iter();
                let subscribed = subscribed.map(|it| (TopicName::new(it.as_str()), 0));
                members.add_partitions(Some(subscribed.collect()));

                let assigned = assignment.iter();
                let assigned = assigned.map(|(it, of)| (TopicName::new(it.as_str()), of.len()));
                members.add_partitions(Some(assigned.collect()));
            }
            members.assignor = group.assignor_name.to_string();
            members.finish(&group.group_id, group.error_code, &group.group_state)
        };
        Ok(response.groups.iter().map(describe).collect())
    }
}

impl ApiCall for DescribeShareGroups<'_> {
    const API: Api = Api::ShareGroupDescribe;
    type Request = ShareGroupDescribeRequest;
    type Output = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> ShareGroupDescribeRequest {
        ShareGroupDescribeRequest::default().with_group_ids(self.0.iter().map(id).collect())
    }

    fn parse(
        &self,
        response: ShareGroupDescribeResponse,
    ) -> Result<Vec<GroupDescription>, ResponseError> {
        let describe = |group: &share::DescribedGroup| {
            // Several members read the same partition, so none of them owns it.
            let mut members = MemberCollector::without_partitions();
            for member in &group.members {
                members.add(&member.member_id, &member.member_epoch);
            }
            members.finish(&group.group_id, group.error_code, &group.group_state)
        };
        Ok(response.groups.iter().map(describe).collect())
    }
}

/// Summarizes the members of one group.
pub(super) struct MemberCollector {
    count: u32,
    /// Changes with the members and their assignments. Members come in any order, so it is the sum
    /// of their hashes.
    fingerprint: u64,
    static_members: u32,
    assignor: String,
    /// Partitions per topic, 0 if only subscribed. `None` if unknown.
    assigned: Option<BTreeMap<TopicName, u32>>,
}

impl Default for MemberCollector {
    fn default() -> Self {
        Self {
            count: 0,
            fingerprint: 0,
            static_members: 0,
            assignor: String::new(),
            assigned: Some(BTreeMap::new()),
        }
    }
}

impl MemberCollector {
    /// For group types whose members do not own partitions.
    pub(super) fn without_partitions() -> Self {
        Self { assigned: None, ..Self::default() }
    }

    /// Adds a member. `assignment` is anything that changes with its assignment.
    pub(super) fn add(&mut self, id: &str, assignment: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        (id, assignment).hash(&mut hasher);
        self.fingerprint = self.fingerprint.wrapping_add(hasher.finish());
        self.count = self.count.saturating_add(1);
    }

    /// Counts a static member (KIP-345): one with a `group.instance.id`.
    fn count_static<T>(&mut self, instance_id: Option<&T>) {
        self.static_members = self.static_members.saturating_add(u32::from(instance_id.is_some()));
    }

    /// Adds a member's partitions. Malformed ones (`None`) make those of the group unknown.
    fn add_partitions(&mut self, topics: Option<Vec<(TopicName, usize)>>) {
        let (Some(assigned), Some(topics)) = (&mut self.assigned, topics) else {
            self.assigned = None;
            return;
        };

        for (topic, partitions) in topics {
            let count = assigned.entry(topic).or_default();
            *count = count.saturating_add(u32::try_from(partitions).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn finish(self, group: &str, code: i16, state_name: &str) -> GroupDescription {
        let members = GroupMembers {
            state: state(state_name),
            count: self.count,
            fingerprint: self.fingerprint,
            static_members: self.static_members,
            assignor: self.assignor,
            assigned: self.assigned,
        };

        GroupDescription {
            group: GroupName::new(group),
            members: error_codes::read_failure(code).map_or(Ok(members), Err),
        }
    }
}
