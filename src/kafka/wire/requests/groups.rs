//! `ListGroups`, `DescribeGroups`, `OffsetFetch`: who consumes, and how far they are.

use kafka_protocol::messages::{
    self, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, ListGroupsRequest, ListGroupsResponse, OffsetFetchRequest,
    OffsetFetchResponse, consumer_group_describe_response, describe_groups_response,
    list_groups_response::ListedGroup, offset_fetch_request::OffsetFetchRequestGroup,
    offset_fetch_response::OffsetFetchResponseGroup,
};

use super::super::{
    call::{Call, Objection, refuse, text},
    codes,
};
use crate::{
    kafka::{
        Api, CommittedOffset, GroupDescription, GroupListing, GroupOffsets, GroupState,
        PartitionFault,
    },
    model::{GroupName, TopicName, TopicPartition},
};

/// All groups of one coordinator.
pub(in super::super) struct Groups;

/// State and members of classic groups. Version 6 says `GROUP_ID_NOT_FOUND` of others (KIP-1043);
/// before it, a group of another type looks `Dead`.
pub(in super::super) struct DescribeGroups<'a>(pub(in super::super) &'a [GroupName]);

/// State and members of KIP-848 groups.
pub(in super::super) struct DescribeConsumerGroups<'a>(pub(in super::super) &'a [GroupName]);

/// What groups have committed.
pub(in super::super) struct Committed<'a>(pub(in super::super) &'a [GroupName]);

impl Committed<'_> {
    /// Below it a request names one group (KIP-709).
    pub(in super::super) const MANY_GROUPS_SINCE: i16 = 8;
}

impl Call for Groups {
    const API: Api = Api::ListGroups;
    type Wire = ListGroupsRequest;
    type Answer = Vec<GroupListing>;

    fn request(&self, _version: i16) -> ListGroupsRequest {
        ListGroupsRequest::default()
    }

    fn read(&self, answer: ListGroupsResponse) -> Result<Vec<GroupListing>, Objection> {
        refuse(answer.error_code, None)?;
        Ok(answer.groups.iter().map(listing).collect())
    }
}

impl Call for DescribeGroups<'_> {
    const API: Api = Api::DescribeGroups;
    type Wire = DescribeGroupsRequest;
    type Answer = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> DescribeGroupsRequest {
        DescribeGroupsRequest::default().with_groups(self.0.iter().map(id).collect())
    }

    fn read(&self, answer: DescribeGroupsResponse) -> Result<Vec<GroupDescription>, Objection> {
        let read = |it: &describe_groups_response::DescribedGroup| {
            members(&it.group_id, it.error_code, &it.group_state, it.members.len())
        };
        Ok(answer.groups.iter().map(read).collect())
    }
}

impl DescribeGroups<'_> {
    /// Groups that may be of another type than classic.
    pub(in super::super) fn others(described: &[GroupDescription]) -> Vec<GroupName> {
        let is_other = |it: &&GroupDescription| {
            matches!(it.members, Err(PartitionFault::Unknown) | Ok((GroupState::Dead, _)))
        };
        described.iter().filter(is_other).map(|it| it.group.clone()).collect()
    }
}

impl Call for DescribeConsumerGroups<'_> {
    const API: Api = Api::ConsumerGroupDescribe;
    type Wire = ConsumerGroupDescribeRequest;
    type Answer = Vec<GroupDescription>;

    fn request(&self, _version: i16) -> ConsumerGroupDescribeRequest {
        ConsumerGroupDescribeRequest::default().with_group_ids(self.0.iter().map(id).collect())
    }

    fn read(
        &self,
        answer: ConsumerGroupDescribeResponse,
    ) -> Result<Vec<GroupDescription>, Objection> {
        let read = |it: &consumer_group_describe_response::DescribedGroup| {
            members(&it.group_id, it.error_code, &it.group_state, it.members.len())
        };
        Ok(answer.groups.iter().map(read).collect())
    }
}

impl Call for Committed<'_> {
    const API: Api = Api::OffsetFetch;
    type Wire = OffsetFetchRequest;
    type Answer = Vec<GroupOffsets>;

    fn request(&self, version: i16) -> OffsetFetchRequest {
        let request = OffsetFetchRequest::default();
        // No topics means all of them, in either form.
        if version < Self::MANY_GROUPS_SINCE {
            let group = self.0.first().map(id).unwrap_or_default();
            return request.with_group_id(group).with_topics(None);
        }
        let group = |it| OffsetFetchRequestGroup::default().with_group_id(id(it)).with_topics(None);
        request.with_groups(self.0.iter().map(group).collect())
    }

    fn read(&self, answer: OffsetFetchResponse) -> Result<Vec<GroupOffsets>, Objection> {
        let many: Vec<_> = answer.groups.iter().map(group_offsets).collect();
        match self.0 {
            // The form before version 8, which does not repeat the group's name.
            [group] if many.is_empty() => Ok(vec![single_offsets(group, &answer)]),
            _ => Ok(many),
        }
    }
}

fn id(group: &GroupName) -> messages::GroupId {
    messages::GroupId(text(group.as_str()))
}

fn listing(listed: &ListedGroup) -> GroupListing {
    GroupListing {
        group: GroupName::new(listed.group_id.as_str()),
        protocol_type: listed.protocol_type.to_string(),
        group_type: listed.group_type.to_lowercase(),
        state: state(&listed.group_state),
    }
}

fn members(group: &str, code: i16, word: &str, count: usize) -> GroupDescription {
    let known = (state(word), u32::try_from(count).unwrap_or(u32::MAX));
    GroupDescription {
        group: GroupName::new(group),
        members: codes::fault(code).map_or(Ok(known), Err),
    }
}

/// Kafka writes states as `PreparingRebalance`.
fn state(word: &str) -> GroupState {
    let same = |it: &GroupState| it.label().replace('_', "").eq_ignore_ascii_case(word);
    GroupState::ALL.iter().copied().find(same).unwrap_or(GroupState::Unknown)
}

fn group_offsets(listed: &OffsetFetchResponseGroup) -> GroupOffsets {
    let offsets = || {
        let topics = listed.topics.iter().map(|topic| {
            let parts = topic.partitions.iter();
            commits(
                &topic.name,
                parts.map(|it| (it.partition_index, it.error_code, it.committed_offset)),
            )
        });
        topics.flatten().collect()
    };
    GroupOffsets {
        group: GroupName::new(listed.group_id.as_str()),
        offsets: codes::fault(listed.error_code).map_or_else(|| Ok(offsets()), Err),
    }
}

/// The same, out of the form that holds one group.
fn single_offsets(group: &GroupName, answer: &OffsetFetchResponse) -> GroupOffsets {
    let offsets = || {
        let topics = answer.topics.iter().map(|topic| {
            let parts = topic.partitions.iter();
            commits(
                &topic.name,
                parts.map(|it| (it.partition_index, it.error_code, it.committed_offset)),
            )
        });
        topics.flatten().collect()
    };
    let offsets = codes::fault(answer.error_code).map_or_else(|| Ok(offsets()), Err);
    GroupOffsets { group: group.clone(), offsets }
}

/// Commits of one topic, out of (partition, error, offset).
fn commits(topic: &str, parts: impl Iterator<Item = (i32, i16, i64)>) -> Vec<CommittedOffset> {
    let topic = TopicName::new(topic);
    let commit = |(partition, code, offset)| {
        commit(TopicPartition { topic: topic.clone(), partition }, code, offset)
    };
    parts.filter_map(commit).collect()
}

/// `None` where the group never committed.
fn commit(at: TopicPartition, code: i16, offset: i64) -> Option<CommittedOffset> {
    match codes::fault(code) {
        Some(fault) => Some(CommittedOffset { at, offset: Err(fault) }),
        None => (0 <= offset).then_some(CommittedOffset { at, offset: Ok(offset) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_words_for_states_are_ours() {
        for (word, want) in [
            ("PreparingRebalance", GroupState::PreparingRebalance),
            ("CompletingRebalance", GroupState::CompletingRebalance),
            ("Stable", GroupState::Stable),
            ("Dead", GroupState::Dead),
            ("Empty", GroupState::Empty),
            ("Assigning", GroupState::Assigning),
            ("Reconciling", GroupState::Reconciling),
            ("NotReady", GroupState::Unknown),
            ("", GroupState::Unknown),
        ] {
            assert_eq!(state(word), want, "{word}");
        }
    }

    #[test]
    fn a_partition_never_committed_is_no_commit_of_0() {
        let at = TopicPartition { topic: TopicName::new("orders"), partition: 0 };
        assert_eq!(commit(at.clone(), 0, -1), None);
        assert_eq!(commit(at.clone(), 0, 7).unwrap().offset, Ok(7));
        assert_eq!(commit(at, 29, -1).unwrap().offset, Err(PartitionFault::Unauthorized));
    }
}
