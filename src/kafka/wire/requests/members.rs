//! `DescribeGroups` and its younger relatives: state and members, one request for each type of
//! group.

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
    super::{
        call::{Call, ResponseError},
        error_codes,
    },
    embedded,
    groups::{id, state},
};
use crate::{
    kafka::{Api, GroupDescription, GroupMembers},
    model::{GroupName, TopicName},
};

pub(in super::super) struct DescribeClassic<'a>(pub(in super::super) &'a [GroupName]);

/// KIP-848 groups.
pub(in super::super) struct DescribeConsumer<'a>(pub(in super::super) &'a [GroupName]);

pub(in super::super) struct DescribeShare<'a>(pub(in super::super) &'a [GroupName]);

/// The protocol whose members carry subscriptions and assignments that we can read.
const CONSUMER_PROTOCOL: &str = "consumer";

impl Call for DescribeClassic<'_> {
    const API: Api = Api::DescribeGroups;
    type Wire = DescribeGroupsRequest;
    type Answer = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> DescribeGroupsRequest {
        DescribeGroupsRequest::default().with_groups(self.0.iter().map(id).collect())
    }

    fn read(&self, answer: DescribeGroupsResponse) -> Result<Vec<GroupDescription>, ResponseError> {
        let read = |it: &classic::DescribedGroup| {
            let mut members = Members::default();
            for member in &it.members {
                members.add(&member.member_id, &member.member_assignment);
                members.count_static(member.group_instance_id.as_ref());
                if it.protocol_type.as_str() == CONSUMER_PROTOCOL {
                    members.hold(embedded::subscribed(&member.member_metadata));
                    members.hold(embedded::assigned(&member.member_assignment));
                } else {
                    members.assigned = None;
                }
            }
            members.assignor = it.protocol_data.to_string();
            members.described(&it.group_id, it.error_code, &it.group_state)
        };
        Ok(answer.groups.iter().map(read).collect())
    }
}

impl Call for DescribeConsumer<'_> {
    const API: Api = Api::ConsumerGroupDescribe;
    type Wire = ConsumerGroupDescribeRequest;
    type Answer = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> ConsumerGroupDescribeRequest {
        ConsumerGroupDescribeRequest::default().with_group_ids(self.0.iter().map(id).collect())
    }

    fn read(
        &self,
        answer: ConsumerGroupDescribeResponse,
    ) -> Result<Vec<GroupDescription>, ResponseError> {
        let read = |it: &consumer::DescribedGroup| {
            let mut members = Members::default();
            for member in &it.members {
                let held = &member.assignment.topic_partitions;
                let holds: Vec<_> =
                    held.iter().map(|it| (&it.topic_name.0, &it.partitions)).collect();
                members.add(&member.member_id, &holds);
                members.count_static(member.instance_id.as_ref());
                let subscribed = member.subscribed_topic_names.iter().map(|it| (it.as_str(), 0));
                members
                    .hold(Some(subscribed.map(|(it, none)| (TopicName::new(it), none)).collect()));
                let topics =
                    holds.iter().map(|(name, of)| (TopicName::new(name.as_str()), of.len()));
                members.hold(Some(topics.collect()));
            }
            members.assignor = it.assignor_name.to_string();
            members.described(&it.group_id, it.error_code, &it.group_state)
        };
        Ok(answer.groups.iter().map(read).collect())
    }
}

impl Call for DescribeShare<'_> {
    const API: Api = Api::ShareGroupDescribe;
    type Wire = ShareGroupDescribeRequest;
    type Answer = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> ShareGroupDescribeRequest {
        ShareGroupDescribeRequest::default().with_group_ids(self.0.iter().map(id).collect())
    }

    fn read(
        &self,
        answer: ShareGroupDescribeResponse,
    ) -> Result<Vec<GroupDescription>, ResponseError> {
        let read = |it: &share::DescribedGroup| {
            // Members share a partition, so none of them holds it.
            let mut members = Members::without_partitions();
            for member in &it.members {
                members.add(&member.member_id, &member.member_epoch);
            }
            members.described(&it.group_id, it.error_code, &it.group_state)
        };
        Ok(answer.groups.iter().map(read).collect())
    }
}

/// Members, as they are read one by one.
pub(super) struct Members {
    count: u32,
    /// Members come in any order, so their hashes are added up.
    fingerprint: u64,
    with_id: u32,
    assignor: String,
    assigned: Option<BTreeMap<TopicName, u32>>,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            count: 0,
            fingerprint: 0,
            with_id: 0,
            assignor: String::new(),
            assigned: Some(BTreeMap::new()),
        }
    }
}

impl Members {
    /// Of a type that hands out something else than partitions.
    pub(super) fn without_partitions() -> Self {
        Self { assigned: None, ..Self::default() }
    }

    pub(super) fn add(&mut self, id: &str, holds: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        (id, holds).hash(&mut hasher);
        self.fingerprint = self.fingerprint.wrapping_add(hasher.finish());
        self.count = self.count.saturating_add(1);
    }

    /// RequestCounters a member that has an id of its own.
    fn count_static<T>(&mut self, instance: Option<&T>) {
        self.with_id = self.with_id.saturating_add(u32::from(instance.is_some()));
    }

    /// Adds partitions of topics; what cannot be read makes the whole unknown.
    fn hold(&mut self, topics: Option<Vec<(TopicName, usize)>>) {
        let (Some(assigned), Some(topics)) = (&mut self.assigned, topics) else {
            self.assigned = None;
            return;
        };
        for (topic, partitions) in topics {
            let held = assigned.entry(topic).or_default();
            *held = held.saturating_add(u32::try_from(partitions).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn described(self, group: &str, code: i16, word: &str) -> GroupDescription {
        let known = GroupMembers {
            state: state(word),
            count: self.count,
            fingerprint: self.fingerprint,
            static_members: self.with_id,
            assignor: self.assignor,
            assigned: self.assigned,
        };
        GroupDescription {
            group: GroupName::new(group),
            members: error_codes::fault(code).map_or(Ok(known), Err),
        }
    }
}
