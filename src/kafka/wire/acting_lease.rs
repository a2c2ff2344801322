//! The right to change the cluster (I43): every process that acts on it is a member of one group,
//! and the group's leader is the one that acts. Kafka Connect and Schema Registry elect their
//! leaders in the same way.
//!
//! The coordinator expires a member that sends no heartbeat for [`SESSION_TIMEOUT`]. This process
//! counts from the time at which the last answered heartbeat was *sent*, and stops earlier, so that
//! a write it has just sent has ended before another process becomes the leader.

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::{
    AdapterContext,
    cluster::ClusterClient,
    error_codes::ErrorCode,
    requests::{
        FindCoordinator, GroupGeneration, GroupJoined, GroupProtocol, Heartbeat, JoinGroup,
        LeaveGroup, SyncGroup,
    },
};
use crate::{
    kafka::KafkaError,
    model::{ActingLease, ActorIdentity, BrokerId, MonotonicTime, WallTime},
};

/// After this time without a heartbeat the coordinator expires a member. Within Kafka's defaults of
/// `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// The group id is part of the documented ACLs. Its members commit no offsets.
const ACTOR_GROUP: GroupProtocol = GroupProtocol {
    group: "kafka-optimizer-actor",
    protocol_type: "kafka-optimizer",
    name: "actor-1",
};

/// Heartbeats in one session timeout.
const HEARTBEATS_PER_SESSION: u32 = 6;

/// How long the lease outlasts the stop of the process, if nobody gives it up.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// This process's membership of the group of actors.
#[derive(Debug)]
pub(super) struct LeaseHolder {
    state: Arc<LeaseState>,
    /// Ends the membership when the adapter is dropped.
    _leave_on_drop: DropGuard,
}

#[derive(Debug)]
struct LeaseState {
    context: Arc<AdapterContext>,
    session_timeout: Duration,
    membership: Mutex<GroupMembership>,
    /// Cancelled when this process gives the lease up.
    resigned: CancellationToken,
    /// Cancelled when the group has been left.
    left: CancellationToken,
}

/// What the coordinator last said.
#[derive(Debug, Default)]
struct GroupMembership {
    leader: Option<Leader>,
    /// When the last request that the coordinator answered was sent.
    confirmed: MonotonicTime,
    /// The same by the time of day, which goes on while the host is suspended.
    confirmed_wall: WallTime,
    /// The latest failure since then, if any.
    problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Leader {
    ThisProcess,
    Other(ActorIdentity),
}

impl LeaseHolder {
    /// Joins the group, and stays in it until the lease is given up.
    pub(super) fn start(
        context: &Arc<AdapterContext>,
        identity: &ActorIdentity,
        session_timeout: Duration,
    ) -> Self {
        let resigned = CancellationToken::new();
        let state = Arc::new(LeaseState {
            context: Arc::clone(context),
            session_timeout,
            membership: Mutex::default(),
            resigned: resigned.clone(),
            left: CancellationToken::new(),
        });

        let member = Member {
            // Its own connections: a coordinator answers nothing else while a JoinGroup waits.
            cluster: ClusterClient::new(Arc::clone(context)),
            metadata: serde_json::to_vec(identity).unwrap_or_default(),
            state: Arc::clone(&state),
            assigned_id: String::new(),
            generation: None,
        };
        context.tasks.start_short("acting lease", member.run());

        Self { state, _leave_on_drop: resigned.drop_guard() }
    }

    pub(super) fn current(&self) -> ActingLease {
        let valid_for = self.state.session_timeout.saturating_mul(2) / 3;
        let clock = &self.state.context.clock;
        let (now, wall) = (clock.monotonic(), clock.wall());
        let membership = self.state.lock();
        let age = now.since(membership.confirmed).max(wall.since(membership.confirmed_wall));
        let problem = membership.problem.as_deref();

        match &membership.leader {
            Some(Leader::ThisProcess) if age < valid_for => ActingLease::Held,
            Some(Leader::ThisProcess) => ActingLease::Unconfirmed(format!(
                "the coordinator of the group `{}` has not answered for {} s: {}",
                ACTOR_GROUP.group,
                age.as_secs(),
                problem.unwrap_or("no answer yet")
            )),
            Some(Leader::Other(other)) if age < self.state.session_timeout => {
                ActingLease::HeldBy(other.clone())
            }
            Some(Leader::Other(_)) | None => ActingLease::Unconfirmed(format!(
                "this process is not yet a member of the group `{}`: {}",
                ACTOR_GROUP.group,
                problem.unwrap_or("joining it")
            )),
        }
    }

    /// Leaves the group, so that another process may act within seconds. Waits for that at most two
    /// request timeouts: then the lease ends by itself.
    pub(super) async fn resign(&self) {
        let context = &self.state.context;
        self.state.resigned.cancel();
        tokio::select! {
            () = self.state.left.cancelled() => (),
            () = context.clock.sleep(context.options.request_timeout.saturating_mul(2)) => (),
        }
    }
}

/// When a request was sent.
#[derive(Clone, Copy, Debug)]
struct SendTime {
    at: MonotonicTime,
    wall: WallTime,
}

impl LeaseState {
    fn lock(&self) -> MutexGuard<'_, GroupMembership> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent_now(&self) -> SendTime {
        let clock = &self.context.clock;
        SendTime { at: clock.monotonic(), wall: clock.wall() }
    }

    fn confirm(&self, sent: SendTime) {
        let mut membership = self.lock();
        membership.confirmed = sent.at;
        membership.confirmed_wall = sent.wall;
        membership.problem = None;
    }

    fn set_leader(&self, sent: SendTime, leader: Leader) {
        self.confirm(sent);
        let previous = self.lock().leader.replace(leader.clone());

        if previous.as_ref() == Some(&leader) {
            return;
        }

        match leader {
            Leader::ThisProcess => info!("This process may act on the cluster."),
            Leader::Other(actor) => {
                warn!(%actor, "Another process acts on the cluster: this one changes nothing.");
            }
        }
    }

    /// Until the group has been joined again, nobody is known to be its leader.
    fn lose(&self, problem: &str) {
        let mut membership = self.lock();
        membership.leader = None;
        membership.problem = Some(problem.to_owned());
    }

    fn fail(&self, problem: String) {
        let mut membership = self.lock();
        if membership.problem.as_ref() != Some(&problem) {
            warn!(problem, "The acting lease is not confirmed.");
        }
        membership.problem = Some(problem);
    }
}

/// Why a member is not in the current generation.
enum MembershipError {
    /// The group rebalances: join again with the same id.
    Rebalance,
    /// The group has gone on without this member: join again with the same id.
    Outdated,
    /// The coordinator has expired this member: join again as a new one.
    Expired,
    /// Another broker names another coordinator: one of them is cut off from the controllers.
    Disputed,
    /// The coordinator did not answer, or refused.
    Failed(KafkaError),
}

impl From<KafkaError> for MembershipError {
    fn from(error: KafkaError) -> Self {
        let KafkaError::Refused { code, .. } = &error else { return Self::Failed(error) };
        let is = |it: ErrorCode| it.code() == *code;

        if is(ErrorCode::RebalanceInProgress) {
            Self::Rebalance
        } else if is(ErrorCode::IllegalGeneration) {
            Self::Outdated
        } else if is(ErrorCode::UnknownMemberId) {
            Self::Expired
        } else {
            Self::Failed(error)
        }
    }
}

struct Member {
    cluster: ClusterClient,
    metadata: Vec<u8>,
    state: Arc<LeaseState>,
    /// Empty until the coordinator has given one.
    assigned_id: String,
    /// `None` until the group has been joined.
    generation: Option<GroupGeneration>,
}

impl Member {
    async fn run(mut self) {
        let state = Arc::clone(&self.state);
        let stopping = state.context.tasks.stopping();
        let abandoned = async {
            stopping.cancelled().await;
            state.context.clock.sleep(STOP_GRACE).await;
        };

        tokio::select! {
            () = state.resigned.cancelled() => (),
            () = abandoned => (),
            () = self.stay() => (),
        }

        state.lose("the lease was given up");
        self.leave().await;
        state.left.cancel();
    }

    /// Stays in the group. Never returns.
    async fn stay(&mut self) {
        loop {
            let pause = match self.participate().await {
                MembershipError::Rebalance => {
                    self.generation = None;
                    self.retry_pause()
                }
                MembershipError::Outdated => {
                    self.state.lose("the group had gone on without this process");
                    self.generation = None;
                    self.retry_pause()
                }
                MembershipError::Expired => {
                    self.state.lose("the coordinator had expired this process");
                    self.generation = None;
                    self.assigned_id.clear();
                    self.retry_pause()
                }
                MembershipError::Disputed => {
                    self.state.fail("the brokers name different coordinators".to_owned());
                    self.heartbeat_interval()
                }
                MembershipError::Failed(error) => {
                    self.state.fail(with_cause(&error));
                    // The coordinator may come back under another address.
                    self.cluster = ClusterClient::new(Arc::clone(&self.state.context));
                    self.heartbeat_interval()
                }
            };

            self.state.context.clock.sleep(pause).await;
        }
    }

    /// Pause before the group is joined again.
    fn retry_pause(&self) -> Duration {
        self.heartbeat_interval() / HEARTBEATS_PER_SESSION
    }

    fn heartbeat_interval(&self) -> Duration {
        self.state.session_timeout / HEARTBEATS_PER_SESSION
    }

    /// Joins the group unless this process is in it, and sends heartbeats. Returns when that fails.
    async fn participate(&mut self) -> MembershipError {
        let coordinator = match self.cluster.call_any(&FindCoordinator(&ACTOR_GROUP)).await {
            Ok(coordinator) => coordinator,
            Err(error) => return error.into(),
        };

        loop {
            let step = match self.generation.clone() {
                None => self.join(coordinator).await,
                Some(generation) => self.heartbeat(coordinator, &generation).await,
            };
            if let Err(error) = step {
                return error;
            }
        }
    }

    async fn join(&mut self, coordinator: BrokerId) -> Result<(), MembershipError> {
        let request = JoinGroup {
            protocol: &ACTOR_GROUP,
            member_id: &self.assigned_id,
            metadata: &self.metadata,
            session_timeout: self.state.session_timeout,
            rebalance_timeout: self.state.session_timeout,
        };
        let generation = match self.cluster.call(coordinator, &request).await? {
            GroupJoined::MemberId(id) => {
                self.assigned_id = id;
                return Ok(());
            }
            GroupJoined::Generation(generation) => generation,
        };
        self.assigned_id.clone_from(&generation.member_id);

        let sent = self.state.sent_now();
        let request = SyncGroup {
            protocol: &ACTOR_GROUP,
            generation: &generation,
            assignment: &self.metadata,
            rebalance_timeout: self.state.session_timeout,
        };
        let leader = self.cluster.call(coordinator, &request).await?;
        let leader = if generation.is_led_by_this_member() {
            Leader::ThisProcess
        } else {
            Leader::Other(parse_identity(&leader, &generation.leader_id))
        };

        self.state.set_leader(sent, leader);
        self.generation = Some(generation);

        Ok(())
    }

    async fn heartbeat(
        &self,
        coordinator: BrokerId,
        generation: &GroupGeneration,
    ) -> Result<(), MembershipError> {
        self.state.context.clock.sleep(self.heartbeat_interval()).await;

        let sent = self.state.sent_now();
        // A coordinator that is cut off from the controllers would answer for ever, while the group
        // has moved to another broker.
        let named = self.cluster.call_two(&FindCoordinator(&ACTOR_GROUP)).await?;
        if named.iter().any(|it| *it != coordinator) {
            return Err(MembershipError::Disputed);
        }
        self.cluster.call(coordinator, &Heartbeat { protocol: &ACTOR_GROUP, generation }).await?;
        self.state.confirm(sent);

        Ok(())
    }

    /// Leaves the group. If that fails, the coordinator expires this member later.
    async fn leave(&self) {
        if self.assigned_id.is_empty() {
            return;
        }

        // The other connection may still wait for the answer to a JoinGroup.
        let cluster = ClusterClient::new(Arc::clone(&self.state.context));
        let left = async {
            let coordinator = cluster.call_any(&FindCoordinator(&ACTOR_GROUP)).await?;
            let request = LeaveGroup { protocol: &ACTOR_GROUP, member_id: &self.assigned_id };
            cluster.call(coordinator, &request).await
        };

        if let Err(error) = left.await {
            warn!(%error, "Cannot give up the acting lease: it ends by itself within 30 s.");
        }
    }
}

fn with_cause(error: &KafkaError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// The leader's identity, as it assigned it to every member.
fn parse_identity(assignment: &[u8], leader_id: &str) -> ActorIdentity {
    serde_json::from_slice(assignment).unwrap_or_else(|_| ActorIdentity {
        installation: "unknown".to_owned(),
        host: format!("member {leader_id}"),
    })
}
