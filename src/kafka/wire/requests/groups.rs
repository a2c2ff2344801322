//! `ListGroups` and `OffsetFetch`: who consumes, and how far they are.

use kafka_protocol::messages::{
    self, ListGroupsRequest, ListGroupsResponse, OffsetFetchRequest, OffsetFetchResponse,
    list_groups_response::ListedGroup, offset_fetch_request::OffsetFetchRequestGroup,
    offset_fetch_response::OffsetFetchResponseGroup,
};

use super::super::{
    call::{Call, ResponseError, refuse, text},
    error_codes,
};
use crate::{
    kafka::{Api, GroupListing, GroupOffsets, PartitionFault, TopicOffsets},
    model::{GroupName, GroupState, GroupType, TopicName},
};

/// The groups of one coordinator that are in one of these states; no states means all.
pub(in super::super) struct Groups<'a>(pub(in super::super) &'a [GroupState]);

pub(in super::super) struct Committed<'a>(pub(in super::super) &'a [GroupName]);

impl Committed<'_> {
    /// Below it a request names one group (KIP-709).
    pub(in super::super) const MANY_GROUPS_SINCE: i16 = 8;
}

impl Call for Groups<'_> {
    const API: Api = Api::ListGroups;
    type Wire = ListGroupsRequest;
    type Answer = Vec<GroupListing>;

    fn request(&self, _version: i16) -> ListGroupsRequest {
        let states = self.0.iter().map(|it| text(&kafkas_word(*it))).collect();
        ListGroupsRequest::default().with_states_filter(states)
    }

    fn read(&self, answer: ListGroupsResponse) -> Result<Vec<GroupListing>, ResponseError> {
        refuse(answer.error_code, None)?;
        Ok(answer.groups.iter().map(listing).collect())
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

    fn read(&self, answer: OffsetFetchResponse) -> Result<Vec<GroupOffsets>, ResponseError> {
        let many: Vec<_> = answer.groups.iter().map(group_offsets).collect();
        match self.0 {
            // The form before version 8, which does not repeat the group's name.
            [group] if many.is_empty() => Ok(vec![single_offsets(group, &answer)]),
            _ => Ok(many),
        }
    }
}

pub(super) fn id(group: &GroupName) -> messages::GroupId {
    messages::GroupId(text(group.as_str()))
}

fn listing(listed: &ListedGroup) -> GroupListing {
    let word = listed.group_type.to_lowercase();
    GroupListing {
        group: GroupName::new(listed.group_id.as_str()),
        protocol_type: listed.protocol_type.to_string(),
        group_type: GroupType::from_label(&word).unwrap_or(GroupType::Unknown),
        state: state(&listed.group_state),
    }
}

/// Kafka writes states as `PreparingRebalance`.
pub(super) fn state(word: &str) -> GroupState {
    let same = |it: &GroupState| kafkas_word(*it).eq_ignore_ascii_case(word);
    GroupState::ALL.iter().copied().find(same).unwrap_or(GroupState::Unknown)
}

fn kafkas_word(state: GroupState) -> String {
    state.label().replace('_', "")
}

fn group_offsets(listed: &OffsetFetchResponseGroup) -> GroupOffsets {
    let offsets = || {
        let topics = listed.topics.iter().filter_map(|topic| {
            let parts = topic.partitions.iter();
            commits(
                &topic.name,
                parts.map(|it| (it.partition_index, it.error_code, it.committed_offset)),
            )
        });
        topics.collect()
    };
    GroupOffsets {
        group: GroupName::new(listed.group_id.as_str()),
        offsets: error_codes::fault(listed.error_code).map_or_else(|| Ok(offsets()), Err),
    }
}

/// The same, out of the form that holds one group.
fn single_offsets(group: &GroupName, answer: &OffsetFetchResponse) -> GroupOffsets {
    let offsets = || {
        let topics = answer.topics.iter().filter_map(|topic| {
            let parts = topic.partitions.iter();
            commits(
                &topic.name,
                parts.map(|it| (it.partition_index, it.error_code, it.committed_offset)),
            )
        });
        topics.collect()
    };
    let offsets = error_codes::fault(answer.error_code).map_or_else(|| Ok(offsets()), Err);
    GroupOffsets { group: group.clone(), offsets }
}

/// Commits of one topic, out of (partition, error, offset); `None` where there is none.
fn commits(topic: &str, parts: impl Iterator<Item = (i32, i16, i64)>) -> Option<TopicOffsets> {
    let commit = |(partition, code, offset)| Some((partition, commit(code, offset)?));
    let partitions: Vec<_> = parts.filter_map(commit).collect();
    (!partitions.is_empty()).then(|| TopicOffsets { topic: TopicName::new(topic), partitions })
}

/// `None` where the group never committed.
fn commit(code: i16, offset: i64) -> Option<Result<i64, PartitionFault>> {
    match error_codes::fault(code) {
        Some(fault) => Some(Err(fault)),
        None => (0 <= offset).then_some(Ok(offset)),
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
            ("NotReady", GroupState::NotReady),
            ("Lost", GroupState::Unknown),
            ("", GroupState::Unknown),
        ] {
            assert_eq!(state(word), want, "{word}");
        }
    }

    #[test]
    fn a_partition_never_committed_is_no_commit_of_0() {
        assert_eq!(commit(0, -1), None);
        assert_eq!(commit(0, 7), Some(Ok(7)));
        assert_eq!(commit(29, -1), Some(Err(PartitionFault::Unauthorized)));
    }
}
