//! States, events and reasons of a run of the remediation pipeline. Their labels are part of the
//! state file, the metrics and the API.

use super::closed_list;

closed_list! {
    /// What remediation may do.
    pub enum Mode {
        /// Count the alerts that match a playbook; plan nothing.
        Observe = "observe",
        /// Dry run: plan, and let the brokers validate the plan; change nothing.
        Rehearse = "rehearse",
        Act = "act",
    }
}

closed_list! {
    pub enum RunState {
        /// Stored; not checked yet, or waiting for its turn.
        Queued = "queued",
        /// May not start for now; checked again every 15 s.
        Held = "held",
        AwaitingApproval = "awaiting_approval",
        /// The brokers have validated the plan. A dry run ends here.
        Rehearsed = "rehearsed",
        /// Steps are being written and read back.
        Acting = "acting",
        /// All steps are effective; samples from before still affect the objective.
        Settling = "settling",
        /// The objective and the guards are watched.
        Observing = "observing",
        /// The verdict was to keep the change; a temporary one until it expires.
        Kept = "kept",
        /// A temporary change is being undone: its time to live has ended, or it is no longer
        /// needed.
        Expiring = "expiring",
        /// A temporary change that did its work is undone.
        Expired = "expired",
        /// Steps are being undone, last first.
        RollingBack = "rolling_back",
        /// Every prior value is restored.
        RolledBack = "rolled_back",
        /// An undo failed. It is tried again when it would be taken, or when a person asks for it.
        Stuck = "stuck",
        /// Ended before anything was written.
        Cancelled = "cancelled",
    }
}

closed_list! {
    /// What moves a run from one state to another.
    pub enum RunEvent {
        Hold = "hold",
        AskApproval = "ask_approval",
        /// A person approved the run, or it has to be planned again.
        Requeue = "requeue",
        /// All episodes of the run are closed, or a person's order cannot start.
        Cancel = "cancel",
        /// The brokers have validated the plan.
        Rehearse = "rehearse",
        /// The first step is about to be sent.
        Act = "act",
        /// The last step is effective.
        Apply = "apply",
        /// Samples from before no longer affect the objective.
        Settle = "settle",
        Keep = "keep",
        /// The canary is kept: the other brokers follow.
        Widen = "widen",
        /// The time to live of a temporary change has ended, or it is no longer needed.
        Expire = "expire",
        RollBack = "roll_back",
        /// Every step is undone.
        Undo = "undo",
        /// A step cannot be undone.
        Jam = "jam",
    }
}

/// The transition table does not allow the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` is not possible while {state}")]
pub struct InvalidTransition {
    pub state: RunState,
    pub event: RunEvent,
}

impl RunState {
    /// The whole transition table: the state after `event`. It names every state, so that a new
    /// state does not compile until it has its place.
    pub fn after(self, event: RunEvent) -> Result<Self, InvalidTransition> {
        use RunEvent as E;

        let next = match self {
            Self::Queued | Self::Held | Self::AwaitingApproval => match event {
                E::Hold => Some(Self::Held),
                E::AskApproval => Some(Self::AwaitingApproval),
                E::Requeue => Some(Self::Queued),
                E::Cancel => Some(Self::Cancelled),
                // The guard has just passed: a held run need not be queued first.
                E::Rehearse => Some(Self::Rehearsed),
                E::Act
                | E::Apply
                | E::Settle
                | E::Keep
                | E::Widen
                | E::Expire
                | E::RollBack
                | E::Undo
                | E::Jam => None,
            },
            Self::Rehearsed if event == E::Act => Some(Self::Acting),
            // A crash between the rehearsal and the first write: nothing was written.
            Self::Rehearsed => (event == E::Requeue).then_some(Self::Queued),
            // Only a person rolls back a kept run. The undo of a stuck one is tried again.
            Self::Acting | Self::Settling | Self::Observing | Self::Kept | Self::Stuck
                if event == E::RollBack =>
            {
                Some(Self::RollingBack)
            }
            Self::Acting => (event == E::Apply).then_some(Self::Settling),
            Self::Settling => (event == E::Settle).then_some(Self::Observing),
            Self::Observing if event == E::Widen => Some(Self::Acting),
            Self::Observing => (event == E::Keep).then_some(Self::Kept),
            Self::Kept | Self::Stuck if event == E::Expire => Some(Self::Expiring),
            Self::Expiring if event == E::Undo => Some(Self::Expired),
            Self::RollingBack if event == E::Undo => Some(Self::RolledBack),
            Self::Expiring | Self::RollingBack => (event == E::Jam).then_some(Self::Stuck),
            Self::Kept | Self::Expired | Self::RolledBack | Self::Stuck | Self::Cancelled => None,
        };

        next.ok_or(InvalidTransition { state: self, event })
    }

    /// Whether a run that ended in this state has shown that its change is bad, or could not be
    /// made. Only then is an attempt used up, the cooldown doubled, and the target on its way into
    /// quarantine.
    pub fn is_failure(self, rollback_reason: Option<RollbackReason>) -> bool {
        self == Self::RolledBack && rollback_reason.is_none_or(RollbackReason::is_failure)
    }

    /// Whether the run has ended, unless a person asks for more.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Kept
            | Self::Expired
            | Self::RolledBack
            | Self::Stuck
            | Self::Cancelled
            | Self::Rehearsed => true,
            Self::Queued
            | Self::Held
            | Self::AwaitingApproval
            | Self::Acting
            | Self::Settling
            | Self::Observing
            | Self::Expiring
            | Self::RollingBack => false,
        }
    }

    /// Whether the run may have changed the cluster and is not over.
    pub const fn is_active(self) -> bool {
        match self {
            Self::Acting
            | Self::Settling
            | Self::Observing
            | Self::Expiring
            | Self::RollingBack => true,
            Self::Queued
            | Self::Held
            | Self::AwaitingApproval
            | Self::Rehearsed
            | Self::Kept
            | Self::Expired
            | Self::RolledBack
            | Self::Stuck
            | Self::Cancelled => false,
        }
    }
}

closed_list! {
    /// Result of comparing baseline and observation.
    pub enum Verdict {
        /// The objective improved by at least the playbook's `at_least`, and by more than by
        /// itself.
        Improved = "improved",
        /// The objective surely changed by less than `at_least`, in either direction.
        Neutral = "neutral",
        /// The objective got worse, or a guard tripped.
        Regressed = "regressed",
        /// None of the others can be said: the evidence has the reason.
        Inconclusive = "inconclusive",
    }
}

closed_list! {
    /// Why a run does not start.
    pub enum HoldReason {
        Paused = "paused",
        ModeObserve = "mode_observe",
        /// The mode was `act` when the run began, and is not any longer.
        NotActing = "not_acting",
        /// 100 runs of this cluster wait already whose alerts Prometheus does not confirm.
        QueueFull = "queue_full",
        /// A run of this cluster is stuck, and no person has acknowledged it.
        Stuck = "stuck",
        /// The cooldown after the last run of this playbook on this target has not ended.
        Cooldown = "cooldown",
        /// The cluster has had its maximum number of runs in the last hour.
        CapHour = "cap_hour",
        /// The cluster has had its maximum number of runs in the last day.
        CapDay = "cap_day",
        /// Three rollbacks in a row on this target; a person releases it.
        Quarantined = "quarantined",
        /// The alert is not firing in Prometheus, or the playbook's `when` does not hold.
        NotConfirmed = "not_confirmed",
        /// Prometheus does not answer, rejects a query, or is not configured.
        PrometheusUnavailable = "prometheus_unavailable",
        /// The objective, the load or a guard has no fresh sample, or too few in the window.
        EvidenceMissing = "evidence_missing",
        /// The latest snapshot is older than two scrape intervals.
        EvidenceStale = "evidence_stale",
        /// A broker of the cluster has not answered for two collection intervals.
        BrokerNotReporting = "broker_not_reporting",
        /// The cluster's metadata has no such broker or group.
        UnknownTarget = "unknown_target",
        /// An operator manages the cluster and would undo the change.
        AdviseOnly = "advise_only",
        /// Partitions are being reassigned by someone else.
        ForeignReassignment = "foreign_reassignment",
        /// A broker came or went in the last 60 s, or this process has not watched them for that
        /// long.
        RollingRestart = "rolling_restart",
        /// The controller changed in the last 60 s.
        ControllerChanged = "controller_changed",
        /// The controller quorum has no leader.
        NoController = "no_controller",
        /// A partition has no leader.
        OfflinePartitions = "offline_partitions",
        /// More than one broker is missing.
        BrokersMissing = "brokers_missing",
        /// More than 40 % of the brokers are missing or named by firing alerts that no playbook
        /// answers.
        TooBroken = "too_broken",
        /// A partition could become unavailable to producers with acks=all.
        AvailabilityGate = "availability_gate",
        /// Someone changed a key after this program wrote it; a person releases it.
        ExternallyChanged = "externally_changed",
        /// The optimizer has nothing to plan; the note says why.
        Unplannable = "unplannable",
        /// A broker refused to validate the first step.
        RehearsalRefused = "rehearsal_refused",
        KafkaUnavailable = "kafka_unavailable",
        /// The Docker engine did not answer, or none is configured.
        DockerUnavailable = "docker_unavailable",
        /// The consumer group is rebalancing.
        GroupUnstable = "group_unstable",
        /// The group's committed offsets do not advance: its members are stuck, not too few.
        GroupNotMoving = "group_not_moving",
        /// A temporary change expired within the baseline.
        Overlap = "overlap",
        /// Another process acts on this Kafka cluster; the note names it.
        OtherActor = "other_actor",
        /// No broker has confirmed that this process is the one that acts.
        NoLease = "no_lease",
        /// An earlier name in the configuration stands for the same Kafka cluster.
        SameCluster = "same_cluster",
    }
}

closed_list! {
    /// Why a run was rolled back.
    pub enum RollbackReason {
        /// The verdict was not to keep the change.
        Verdict = "verdict",
        GuardTripped = "guard_tripped",
        /// A step was refused, or did not become effective.
        FailedToApply = "failed_to_apply",
        /// Someone else changed what this run had changed.
        ExternallyChanged = "externally_changed",
        /// The objective, the load or a guard had no fresh samples any longer.
        EvidenceLost = "evidence_lost",
        /// The process ended, or was paused, between two steps.
        Interrupted = "interrupted",
        Person = "person",
        /// A critical alert of another playbook was waiting.
        Preempted = "preempted",
        /// A temporary change had to expire within the observation.
        Overlap = "overlap",
    }
}

impl RollbackReason {
    const fn is_failure(self) -> bool {
        match self {
            Self::Verdict | Self::GuardTripped | Self::FailedToApply => true,
            Self::ExternallyChanged
            | Self::EvidenceLost
            | Self::Interrupted
            | Self::Person
            | Self::Preempted
            | Self::Overlap => false,
        }
    }
}

closed_list! {
    /// How one alert of a notification was handled.
    pub enum AlertOutcome {
        /// It opened an episode.
        New = "new",
        /// Its episode was open already.
        Repeated = "repeated",
        Resolved = "resolved",
        /// It was resolved, and no episode of it was open.
        ResolvedUnknown = "resolved_unknown",
        Unmatched = "unmatched",
        /// It cannot be used: it has no `alertname`, an unknown cluster, too many or too long
        /// labels, or not the form of an alert.
        Invalid = "invalid",
    }
}

closed_list! {
    /// Why an episode is closed.
    pub enum EpisodeEnd {
        Resolved = "resolved",
        /// Prometheus no longer reports the alert; a `resolved` did not come.
        NotFiring = "not_firing",
        /// No notification came for a day.
        Silent = "silent",
        /// The alert fires again, with a later start: a new episode has begun.
        Replaced = "replaced",
        /// No playbook matches it any more.
        Unmatched = "unmatched",
    }
}

closed_list! {
    pub enum Trigger {
        Alert = "alert",
        Person = "person",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_can_end_and_of_the_ended_only_a_kept_or_stuck_one_can_change() {
        for &state in RunState::ALL {
            let next: Vec<RunState> =
                RunEvent::ALL.iter().filter_map(|&event| state.after(event).ok()).collect();
            let ended = [RunState::Expired, RunState::RolledBack, RunState::Cancelled];

            if ended.contains(&state) {
                assert!(next.is_empty(), "{state}");
            } else if [RunState::Kept, RunState::Stuck].contains(&state) {
                assert_eq!(next, [RunState::Expiring, RunState::RollingBack]);
            } else {
                assert!(!next.is_empty(), "{state}");
            }
        }
    }

    #[test]
    fn nothing_reaches_acting_without_a_rehearsal_and_nothing_is_kept_without_an_observation() {
        let leads_to = |to: RunState| -> Vec<RunState> {
            let all = RunState::ALL.iter().copied();
            all.filter(|it| RunEvent::ALL.iter().any(|&event| it.after(event) == Ok(to))).collect()
        };
        // The second time for the brokers after a canary.
        assert_eq!(leads_to(RunState::Acting), [RunState::Rehearsed, RunState::Observing]);

        assert_eq!(leads_to(RunState::Kept), [RunState::Observing]);
    }
}
