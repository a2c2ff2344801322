//! `ListGroups` and `OffsetFetch`: the groups of a coordinator, and their committed offsets.

use kafka_protocol::messages::{
    self, ListGroupsRequest, ListGroupsResponse, OffsetFetchRequest, OffsetFetchResponse,
    list_groups_response::ListedGroup, offset_fetch_request::OffsetFetchRequestGroup,
    offset_fetch_response::OffsetFetchResponseGroup,
};

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, check_code, str_bytes},
        error_codes,
    },
    model::{
        Api, GroupListing, GroupName, GroupOffsets, GroupState, GroupType, ReadFailure, TopicName,
        TopicOffsets,
    },
};

/// Groups of one coordinator in one of these states. No states means all.
pub(crate) struct ListGroups<'a>(pub(crate) &'a [GroupState]);

/// Committed offsets of groups that one broker coordinates.
pub(crate) struct FetchCommitted<'a>(pub(crate) &'a [GroupName]);

impl FetchCommitted<'_> {
    /// The first version whose request can list several groups (KIP-709).
    pub(crate) const MANY_GROUPS_SINCE: i16 = 8;
}

impl ApiCall for ListGroups<'_> {
    const API: Api = Api::ListGroups;
    type Request = ListGroupsRequest;
    type Output = Vec<GroupListing>;

    fn request(&self, _version: i16) -> ListGroupsRequest {
        let states = self.0.iter().map(|it| str_bytes(&kafka_name(*it))).collect();
        ListGroupsRequest::default().with_states_filter(states)
    }

    fn parse(&self, response: ListGroupsResponse) -> Result<Vec<GroupListing>, ResponseError> {
        check_code(response.error_code, None)?;
        Ok(response.groups.iter().map(listing).collect())
    }
}

impl ApiCall for FetchCommitted<'_> {
    const API: Api = Api::OffsetFetch;
    type Request = OffsetFetchRequest;
    type Output = Vec<GroupOffsets>;

    fn request(&self, version: i16) -> OffsetFetchRequest {
        let request = OffsetFetchRequest::default();
        // `None` means all topics, in every version.
        if version < Self::MANY_GROUPS_SINCE {
            let group = self.0.first().map(id).unwrap_or_default();
            return request.with_group_id(group).with_topics(None);
        }

        let group = |it| OffsetFetchRequestGroup::default().with_group_id(id(it)).with_topics(None);

        request.with_groups(self.0.iter().map(group).collect())
    }

    fn parse(&self, response: OffsetFetchResponse) -> Result<Vec<GroupOffsets>, ResponseError> {
        let groups: Vec<_> = response.groups.iter().map(group_offsets).collect();
        match self.0 {
            [group] if groups.is_empty() => Ok(vec![single_group_offsets(group, &response)]),
            _ => Ok(groups),
        }
    }
}

pub(super) fn id(group: &GroupName) -> messages::GroupId {
    messages::GroupId(str_bytes(group.as_str()))
}

fn listing(group: &ListedGroup) -> GroupListing {
    let group_type = group.group_type.to_lowercase();
    GroupListing {
        group: GroupName::new(group.group_id.as_str()),
        protocol_type: group.protocol_type.to_string(),
        group_type: GroupType::from_label(&group_type).unwrap_or(GroupType::Unknown),
        state: state(&group.group_state),
    }
}

/// Parses Kafka's name of a state, such as `PreparingRebalance`. Ignores case.
pub(super) fn state(name: &str) -> GroupState {
    let matches = |it: &GroupState| kafka_name(*it).eq_ignore_ascii_case(name);
    GroupState::ALL.iter().copied().find(matches).unwrap_or(GroupState::Unknown)
}

/// Kafka's name of a state: our label without underscores. Brokers ignore its case.
fn kafka_name(state: GroupState) -> String {
    state.label().replace('_', "")
}

fn group_offsets(group: &OffsetFetchResponseGroup) -> GroupOffsets {
    let offsets = || {
        let topics = group.topics.iter().filter_map(|topic| {
            let partitions = topic.partitions.iter();
            let committed =
                partitions.map(|it| (it.partition_index, it.error_code, it.committed_offset));
            topic_offsets(&topic.name, committed)
        });
        topics.collect()
    };

    let failure = error_codes::read_failure(group.error_code);

    GroupOffsets {
        group: GroupName::new(group.group_id.as_str()),
        offsets: failure.map_or_else(|| Ok(offsets()), Err),
    }
}

/// The offsets of a response before version 8, which holds one group without its name.
fn single_group_offsets(group: &GroupName, response: &OffsetFetchResponse) -> GroupOffsets {
    let offsets = || {
        let topics = response.topics.iter().filter_map(|topic| {
            let partitions = topic.partitions.iter();
            let committed =
                partitions.map(|it| (it.partition_index, it.error_code, it.committed_offset));
            topic_offsets(&topic.name, committed)
        });
        topics.collect()
    };

    let failure = error_codes::read_failure(response.error_code);

    GroupOffsets { group: group.clone(), offsets: failure.map_or_else(|| Ok(offsets()), Err) }
}

/// The committed offsets of one topic, from (partition, error code, offset). `None` if there are
/// none.
fn topic_offsets(
    topic: &str,
    committed: impl Iterator<Item = (i32, i16, i64)>,
) -> Option<TopicOffsets> {
    let offset = |(partition, code, offset)| Some((partition, committed_offset(code, offset)?));
    let partitions: Vec<_> = committed.filter_map(offset).collect();
    (!partitions.is_empty()).then(|| TopicOffsets { topic: TopicName::new(topic), partitions })
}

/// `None` if the group never committed: Kafka encodes that as offset -1.
fn committed_offset(code: i16, offset: i64) -> Option<Result<i64, ReadFailure>> {
    match error_codes::read_failure(code) {
        Some(failure) => Some(Err(failure)),
        None => (offset >= 0).then_some(Ok(offset)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafka_state_names_are_parsed() {
        for (name, want) in [
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
            assert_eq!(state(name), want, "{name}");
        }
    }

    #[test]
    fn a_partition_without_a_commit_is_not_offset_0() {
        assert_eq!(committed_offset(0, -1), None);
        assert_eq!(committed_offset(0, 7), Some(Ok(7)));
        assert_eq!(committed_offset(29, -1), Some(Err(ReadFailure::Unauthorized)));
    }
}
