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
use tracing::{debug, info, warn};

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
    model::{ActingLease, ActorIdentity, BrokerId, MonotonicTime},
};

/// After this time without a heartbeat the coordinator expires a member. Within Kafka's defaults of
/// `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// The group id is part of the documented ACLs. Its members commit no offsets.
const ACTORS: GroupProtocol = GroupProtocol {
    group: "kafka-optimizer-actor",
    protocol_type: "kafka-optimizer",
    name: "actor-1",
};

/// Heartbeats in one session timeout.
const HEARTBEATS_A_SESSION: u32 = 6;

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
        let now = self.state.now();
        let membership = self.state.lock();
        let age = now.0.saturating_sub(membership.confirmed.0);
        let problem = membership.problem.as_deref();

        match &membership.leader {
            Some(Leader::ThisProcess) if age < valid_for => ActingLease::Held,
            Some(Leader::ThisProcess) => ActingLease::Unconfirmed(format!(
                "the coordinator of the group `{}` has not answered for {} s: {}",
                ACTORS.group,
                age.as_secs(),
                problem.unwrap_or("no answer yet")
            )),
            Some(Leader::Other(other)) => ActingLease::HeldBy(other.clone()),
            None => ActingLease::Unconfirmed(format!(
                "this process is not yet a member of the group `{}`: {}",
                ACTORS.group,
                problem.unwrap_or("joining it")
            )),
        }
    }

    /// Leaves the group, so that another process may act at once.
    pub(super) async fn resign(&self) {
        self.state.resigned.cancel();
        self.state.left.cancelled().await;
    }
}

impl LeaseState {
    fn now(&self) -> MonotonicTime {
        self.context.clock.monotonic()
    }

    fn lock(&self) -> MutexGuard<'_, GroupMembership> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn confirm(&self, sent: MonotonicTime) {
        let mut membership = self.lock();
        membership.confirmed = sent;
        membership.problem = None;
    }

    fn set_leader(&self, sent: MonotonicTime, leader: Leader) {
        let previous = self.lock().leader.replace(leader.clone());
        self.confirm(sent);

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
            debug!(problem, "The acting lease is not confirmed.");
        }
        membership.problem = Some(problem);
    }
}

/// Why a member is not in the current generation.
enum MembershipError {
    /// The group rebalances: join again with the same id.
    Rebalance,
    /// The coordinator has expired this member: join again as a new one.
    Expired,
    /// The coordinator did not answer, or refused.
    Failed(KafkaError),
}

impl From<KafkaError> for MembershipError {
    fn from(error: KafkaError) -> Self {
        let KafkaError::Refused { code, .. } = &error else { return Self::Failed(error) };
        let is = |it: ErrorCode| it.code() == *code;

        if is(ErrorCode::RebalanceInProgress) {
            Self::Rebalance
        } else if is(ErrorCode::UnknownMemberId) || is(ErrorCode::IllegalGeneration) {
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
            match self.participate().await {
                MembershipError::Rebalance => self.generation = None,
                MembershipError::Expired => {
                    self.state.lose("the coordinator had expired this process");
                    self.generation = None;
                    self.assigned_id.clear();
                }
                MembershipError::Failed(error) => self.state.fail(with_cause(&error)),
            }

            self.state.context.clock.sleep(self.heartbeat_interval() / HEARTBEATS_A_SESSION).await;
        }
    }

    fn heartbeat_interval(&self) -> Duration {
        self.state.session_timeout / HEARTBEATS_A_SESSION
    }

    /// Joins the group unless this process is in it, and sends heartbeats. Returns when that fails.
    async fn participate(&mut self) -> MembershipError {
        let coordinator = match self.cluster.call_any(&FindCoordinator(&ACTORS)).await {
            Ok(coordinator) => coordinator,
            Err(error) => return error.into(),
        };

        loop {
            let step = match self.generation.clone() {
                None => self.join(coordinator).await,
                Some(generation) => self.beat(coordinator, &generation).await,
            };
            if let Err(error) = step {
                return error;
            }
        }
    }

    async fn join(&mut self, coordinator: BrokerId) -> Result<(), MembershipError> {
        let request = JoinGroup {
            protocol: &ACTORS,
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

        let sent = self.state.now();
        let request = SyncGroup {
            protocol: &ACTORS,
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

    async fn beat(
        &self,
        coordinator: BrokerId,
        generation: &GroupGeneration,
    ) -> Result<(), MembershipError> {
        self.state.context.clock.sleep(self.heartbeat_interval()).await;

        let sent = self.state.now();
        self.cluster.call(coordinator, &Heartbeat { protocol: &ACTORS, generation }).await?;
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
            let coordinator = cluster.call_any(&FindCoordinator(&ACTORS)).await?;
            let request = LeaveGroup { protocol: &ACTORS, member_id: &self.assigned_id };
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
