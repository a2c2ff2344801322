//! `ListGroups`, `DescribeGroups`, `ConsumerGroupDescribe`, `OffsetFetch`.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        self, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, DescribeGroupsRequest,
        DescribeGroupsResponse, ListGroupsRequest, ListGroupsResponse, OffsetFetchRequest,
        OffsetFetchResponse, ShareGroupDescribeRequest, ShareGroupDescribeResponse,
        consumer_group_describe_response,
        consumer_protocol_assignment::TopicPartition,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
        list_groups_response::ListedGroup,
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
        share_group_describe_response,
    },
    protocol::Encodable,
};

use super::{super::contents::FakeGroup, ClusterContents, text, topic};

const GROUP_ID_NOT_FOUND: i16 = 69;

pub(super) fn list(
    cluster: &ClusterContents,
    id: i32,
    request: &ListGroupsRequest,
    version: i16,
) -> ListGroupsResponse {
    let ours = cluster.groups.iter().filter(|(_, it)| it.coordinator == id);
    let state = |it: &FakeGroup| if it.members == 0 { "Empty" } else { "Stable" };
    let wanted = |it: &FakeGroup| {
        let states = &request.states_filter;
        states.is_empty() || states.iter().any(|word| word.eq_ignore_ascii_case(state(it)))
    };
    let listed = ours.filter(|(_, it)| wanted(it)).map(|(name, it)| {
        let listed = ListedGroup::default()
            .with_group_id(messages::GroupId(text(name)))
            .with_protocol_type(text("consumer"));
        let state = state(it);
        let listed = if version < 4 { listed } else { listed.with_group_state(text(state)) };

        if version < 5 { listed } else { listed.with_group_type(text(it.kind)) }
    });

    ListGroupsResponse::default().with_groups(listed.collect())
}

pub(super) fn describe(
    cluster: &ClusterContents,
    request: DescribeGroupsRequest,
    version: i16,
) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|asked| {
        let found = cluster.groups.get(asked.as_str()).filter(|it| it.kind == "classic");
        let answer = DescribedGroup::default().with_group_id(asked);

        match found {
            None if 6 <= version => answer.with_error_code(GROUP_ID_NOT_FOUND),
            None => answer.with_group_state(text("Dead")),
            Some(it) => answer
                .with_group_state(text(if it.members == 0 { "Empty" } else { "Stable" }))
                .with_protocol_type(text("consumer"))
                .with_members((0..it.members).map(|at| member(it, at)).collect()),
        }
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

/// The first member owns all partitions with a commit; the others have none.
fn member(group: &FakeGroup, at: usize) -> DescribedGroupMember {
    let topics = by_topic(group);
    let names = topics.iter().map(|it| text(it.0)).collect();
    let subscription = ConsumerProtocolSubscription::default().with_topics(names);
    let held = topics.iter().filter(|_| at == 0).map(|(name, commits)| {
        let partitions = commits.iter().map(|it| it.0).collect();
        TopicPartition::default().with_topic(topic(name)).with_partitions(partitions)
    });
    let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(held.collect());

    DescribedGroupMember::default()
        .with_member_id(text(&format!("member-{at}")))
        .with_member_metadata(versioned(&subscription))
        .with_member_assignment(versioned(&assignment))
}

/// In the format of clients: the version, then the message.
fn versioned(message: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    message.encode(&mut bytes, 0).unwrap();

    bytes.freeze()
}

pub(super) fn describe_consumer(
    cluster: &ClusterContents,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|asked| {
        let found = cluster.groups.get(asked.as_str()).filter(|it| it.kind == "consumer");
        let answer = consumer_group_describe_response::DescribedGroup::default();
        let answer = answer.with_group_id(asked);

        match found {
            None => answer.with_error_code(GROUP_ID_NOT_FOUND),
            Some(it) => answer.with_group_state(text("Reconciling")).with_members(
                vec![consumer_group_describe_response::Member::default(); it.members],
            ),
        }
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

pub(super) fn describe_share(
    cluster: &ClusterContents,
    request: ShareGroupDescribeRequest,
) -> ShareGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|asked| {
        let found = cluster.groups.get(asked.as_str()).filter(|it| it.kind == "share");
        let answer = share_group_describe_response::DescribedGroup::default();
        let answer = answer.with_group_id(asked);

        match found {
            None => answer.with_error_code(GROUP_ID_NOT_FOUND),
            Some(it) => answer
                .with_group_state(text("Stable"))
                .with_members(vec![share_group_describe_response::Member::default(); it.members]),
        }
    });
    ShareGroupDescribeResponse::default().with_groups(groups.collect())
}

pub(super) fn offset_fetch(
    cluster: &ClusterContents,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    if version < 8 {
        assert!(request.topics.is_none());
        return of_one(cluster.groups.get(request.group_id.as_str()));
    }

    let groups = request.groups.into_iter().map(|asked| {
        assert!(asked.topics.is_none());

        // A group removed since it was listed has no commits.
        let found = cluster.groups.get(asked.group_id.as_str());
        let error = found.map_or(0, |it| it.error);
        let commits = found.filter(|_| error == 0).map(by_topic).unwrap_or_default();
        let topics = commits.into_iter().map(|(name, commits)| {
            let partition = |(index, offset): (i32, i64)| {
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_committed_offset(offset)
            };
            OffsetFetchResponseTopics::default()
                .with_name(topic(name))
                .with_partitions(commits.into_iter().map(partition).collect())
        });

        OffsetFetchResponseGroup::default()
            .with_group_id(asked.group_id)
            .with_error_code(error)
            .with_topics(topics.collect())
    });

    OffsetFetchResponse::default().with_groups(groups.collect())
}

/// In the format before version 8.
fn of_one(found: Option<&FakeGroup>) -> OffsetFetchResponse {
    let commits = found.map(by_topic).unwrap_or_default();
    let topics = commits.into_iter().map(|(name, commits)| {
        let partition = |(index, offset): (i32, i64)| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
        };
        OffsetFetchResponseTopic::default()
            .with_name(topic(name))
            .with_partitions(commits.into_iter().map(partition).collect())
    });

    OffsetFetchResponse::default()
        .with_error_code(found.map_or(0, |it| it.error))
        .with_topics(topics.collect())
}

/// (topic, (partition, offset)), grouped by topic as a broker does.
fn by_topic(group: &FakeGroup) -> Vec<(&str, Vec<(i32, i64)>)> {
    let neighbours = group.commits.chunk_by(|a, b| a.0 == b.0);
    let topic = |commits: &'_ [(String, i32, i64)]| {
        commits.iter().map(|(_, partition, offset)| (*partition, *offset)).collect()
    };
    neighbours.map(|it| (it[0].0.as_str(), topic(it))).collect()
}
