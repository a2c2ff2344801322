//! `FindCoordinator`, `JoinGroup`, `SyncGroup`, `Heartbeat` and `LeaveGroup`: membership of a group
//! with the classic protocol.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
    SyncGroupResponse, join_group_request::JoinGroupRequestProtocol,
    leave_group_request::MemberIdentity, sync_group_request::SyncGroupRequestAssignment,
};

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, check_code, str_bytes, timeout_ms},
        error_codes::{ErrorCode, ParseResponseErrorCode},
    },
    model::{Api, BrokerId},
};

/// The value of Kafka's `CoordinatorType.GROUP`.
const GROUP_COORDINATOR: i8 = 0;

/// The first version of `FindCoordinator` that takes several keys (KIP-699).
const MANY_KEYS_SINCE: i16 = 4;

/// A group, and the only protocol of its members. All members must have the same type and share a
/// protocol name.
#[derive(Debug)]
pub(crate) struct GroupProtocol {
    pub(crate) group: &'static str,
    pub(crate) protocol_type: &'static str,
    pub(crate) name: &'static str,
}

impl GroupProtocol {
    fn id(&self) -> GroupId {
        GroupId(str_bytes(self.group))
    }
}

/// Asks any broker which one coordinates the group.
pub(crate) struct FindCoordinator<'a>(pub(crate) &'a GroupProtocol);

/// Joins the group. The coordinator answers once every member has joined again, or its rebalance
/// timeout has passed.
pub(crate) struct JoinGroup<'a> {
    pub(crate) protocol: &'a GroupProtocol,
    /// Empty at first: the coordinator then gives an id (KIP-394).
    pub(crate) member_id: &'a str,
    pub(crate) metadata: &'a [u8],
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
}

/// What a coordinator answers to [`JoinGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupJoined {
    /// Join again with this id.
    MemberId(String),
    Generation(GroupGeneration),
}

/// One membership of the group: it ends when a member comes or goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupGeneration {
    pub(crate) id: i32,
    pub(crate) member_id: String,
    pub(crate) leader_id: String,
    /// All members; only the leader gets them.
    pub(crate) members: Vec<String>,
}

impl GroupGeneration {
    pub(crate) fn is_led_by_this_member(&self) -> bool {
        self.leader_id == self.member_id
    }
}

/// The leader gives each member its assignment; the others wait for theirs.
pub(crate) struct SyncGroup<'a> {
    pub(crate) protocol: &'a GroupProtocol,
    pub(crate) generation: &'a GroupGeneration,
    /// What the leader assigns to every member.
    pub(crate) assignment: &'a [u8],
    /// The coordinator waits this long for the leader.
    pub(crate) rebalance_timeout: Duration,
}

pub(crate) struct Heartbeat<'a> {
    pub(crate) protocol: &'a GroupProtocol,
    pub(crate) generation: &'a GroupGeneration,
}

pub(crate) struct LeaveGroup<'a> {
    pub(crate) protocol: &'a GroupProtocol,
    pub(crate) member_id: &'a str,
}

impl ApiCall for FindCoordinator<'_> {
    const API: Api = Api::FindCoordinator;
    type Request = FindCoordinatorRequest;
    type Output = BrokerId;

    fn request(&self, version: i16) -> FindCoordinatorRequest {
        let request = FindCoordinatorRequest::default().with_key_type(GROUP_COORDINATOR);
        let key = str_bytes(self.0.group);

        if version < MANY_KEYS_SINCE {
            return request.with_key(key);
        }

        request.with_coordinator_keys(vec![key])
    }

    fn parse(&self, response: FindCoordinatorResponse) -> Result<BrokerId, ResponseError> {
        let node = if let Some(it) = response.coordinators.first() {
            check_code(it.error_code, it.error_message.as_ref())?;
            it.node_id
        } else {
            check_code(response.error_code, response.error_message.as_ref())?;
            response.node_id
        };
        BrokerId::from_wire(node.0)
            .ok_or_else(|| ResponseError::Malformed(format!("coordinator {}", node.0)))
    }
}

impl ApiCall for JoinGroup<'_> {
    const API: Api = Api::JoinGroup;
    type Request = JoinGroupRequest;
    type Output = GroupJoined;

    fn request(&self, _version: i16) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(str_bytes(self.protocol.name))
            .with_metadata(Bytes::copy_from_slice(self.metadata));

        JoinGroupRequest::default()
            .with_group_id(self.protocol.id())
            .with_session_timeout_ms(timeout_ms(self.session_timeout))
            .with_rebalance_timeout_ms(timeout_ms(self.rebalance_timeout))
            .with_member_id(str_bytes(self.member_id))
            .with_protocol_type(str_bytes(self.protocol.protocol_type))
            .with_protocols(vec![protocol])
    }

    fn parse(&self, response: JoinGroupResponse) -> Result<GroupJoined, ResponseError> {
        let member_id = response.member_id.to_string();
        if response.error_code.err() == Some(ErrorCode::MemberIdRequired) {
            return Ok(GroupJoined::MemberId(member_id));
        }

        check_code(response.error_code, None)?;

        Ok(GroupJoined::Generation(GroupGeneration {
            id: response.generation_id,
            member_id,
            leader_id: response.leader.to_string(),
            members: response.members.iter().map(|it| it.member_id.to_string()).collect(),
        }))
    }

    fn held_for(&self) -> Duration {
        self.rebalance_timeout
    }
}

impl ApiCall for SyncGroup<'_> {
    const API: Api = Api::SyncGroup;
    type Request = SyncGroupRequest;
    /// What the leader assigned to this member.
    type Output = Bytes;

    fn request(&self, _version: i16) -> SyncGroupRequest {
        let assign = |member: &String| {
            SyncGroupRequestAssignment::default()
                .with_member_id(str_bytes(member))
                .with_assignment(Bytes::copy_from_slice(self.assignment))
        };

        SyncGroupRequest::default()
            .with_group_id(self.protocol.id())
            .with_generation_id(self.generation.id)
            .with_member_id(str_bytes(&self.generation.member_id))
            .with_protocol_type(Some(str_bytes(self.protocol.protocol_type)))
            .with_protocol_name(Some(str_bytes(self.protocol.name)))
            .with_assignments(self.generation.members.iter().map(assign).collect())
    }

    fn parse(&self, response: SyncGroupResponse) -> Result<Bytes, ResponseError> {
        check_code(response.error_code, None)?;
        Ok(response.assignment)
    }

    fn held_for(&self) -> Duration {
        self.rebalance_timeout
    }
}

impl ApiCall for Heartbeat<'_> {
    const API: Api = Api::Heartbeat;
    type Request = HeartbeatRequest;
    type Output = ();

    fn request(&self, _version: i16) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(self.protocol.id())
            .with_generation_id(self.generation.id)
            .with_member_id(str_bytes(&self.generation.member_id))
    }

    fn parse(&self, response: HeartbeatResponse) -> Result<(), ResponseError> {
        check_code(response.error_code, None)
    }
}

impl ApiCall for LeaveGroup<'_> {
    const API: Api = Api::LeaveGroup;
    type Request = LeaveGroupRequest;
    type Output = ();

    fn request(&self, _version: i16) -> LeaveGroupRequest {
        let member = MemberIdentity::default().with_member_id(str_bytes(self.member_id));
        LeaveGroupRequest::default().with_group_id(self.protocol.id()).with_members(vec![member])
    }

    fn parse(&self, response: LeaveGroupResponse) -> Result<(), ResponseError> {
        check_code(response.error_code, None)
    }
}
