//! `FindCoordinator`, `JoinGroup`, `SyncGroup`, `Heartbeat` and `LeaveGroup` of one group.
//!
//! Simpler than a real coordinator: no request waits. A member that joins starts a new generation
//! at once, and a follower that syncs before its leader is told that the group rebalances.

use bytes::Bytes;
use kafka_protocol::messages::{
    self, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
    SyncGroupResponse, find_coordinator_response::Coordinator,
    join_group_response::JoinGroupResponseMember,
};

use super::{super::contents::FakeMembership, ClusterContents, text};

const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const GROUP_AUTHORIZATION_FAILED: i16 = 30;
const MEMBER_ID_REQUIRED: i16 = 79;

pub(super) fn find(
    cluster: &ClusterContents,
    request: &FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let node = messages::BrokerId(cluster.brokers().keys().next().copied().unwrap_or(-1));
    let code = if cluster.membership.is_forbidden { GROUP_AUTHORIZATION_FAILED } else { 0 };
    let response = FindCoordinatorResponse::default();

    if version < 4 {
        return response.with_node_id(node).with_error_code(code);
    }

    let coordinator = Coordinator::default().with_node_id(node).with_error_code(code);
    let key = request.coordinator_keys[0].clone();
    response.with_coordinators(vec![coordinator.with_key(key)])
}

pub(super) fn join(group: &mut FakeMembership, request: &JoinGroupRequest) -> JoinGroupResponse {
    let response = JoinGroupResponse::default();
    if request.member_id.is_empty() {
        group.ids_given += 1;
        let id = format!("member-{}", group.ids_given);
        return response.with_error_code(MEMBER_ID_REQUIRED).with_member_id(text(&id));
    }

    let id = request.member_id.to_string();
    if !group.members.iter().any(|it| it.0 == id) {
        group.members.push((id.clone(), group.generation));
        group.generation += 1;
        group.assignment = None;
    }

    let generation = group.generation;
    for member in group.members.iter_mut().filter(|it| it.0 == id) {
        member.1 = generation;
    }

    let leader = group.members[0].0.clone();
    let members = group.members.iter().filter(|_| id == leader);
    let members =
        members.map(|it| JoinGroupResponseMember::default().with_member_id(text(&it.0))).collect();

    response
        .with_generation_id(generation)
        .with_leader(text(&leader))
        .with_member_id(request.member_id.clone())
        .with_protocol_type(Some(request.protocol_type.clone()))
        .with_protocol_name(Some(request.protocols[0].name.clone()))
        .with_members(members)
}

pub(super) fn sync(group: &mut FakeMembership, request: &SyncGroupRequest) -> SyncGroupResponse {
    let response = SyncGroupResponse::default();
    if let Some(code) = refusal(group, &request.member_id, request.generation_id) {
        return response.with_error_code(code);
    }

    let given = request.assignments.iter().find(|it| it.member_id == request.member_id);
    if let Some(given) = given {
        group.assignment = Some(given.assignment.to_vec());
    }

    match &group.assignment {
        Some(it) => response.with_assignment(Bytes::copy_from_slice(it)),
        None => response.with_error_code(REBALANCE_IN_PROGRESS),
    }
}

pub(super) fn heartbeat(group: &FakeMembership, request: &HeartbeatRequest) -> HeartbeatResponse {
    let code = refusal(group, &request.member_id, request.generation_id);
    HeartbeatResponse::default().with_error_code(code.unwrap_or(0))
}

pub(super) fn leave(group: &mut FakeMembership, request: &LeaveGroupRequest) -> LeaveGroupResponse {
    for left in &request.members {
        group.remove(&left.member_id);
    }
    LeaveGroupResponse::default()
}

fn refusal(group: &FakeMembership, id: &str, generation: i32) -> Option<i16> {
    if !group.members.iter().any(|it| it.0 == id) {
        return Some(UNKNOWN_MEMBER_ID);
    }
    (generation != group.generation).then_some(REBALANCE_IN_PROGRESS)
}
