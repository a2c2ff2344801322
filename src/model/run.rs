//! The words for a run of the remediation pipeline. Their labels are kept in the store and shown in
//! metrics and in the API. The transition table is in `remediation::state`.

use super::closed_list;

closed_list! {
    /// How far this process may go.
    pub enum Mode {
        /// Count what would match; plan nothing.
        Observe = "observe",
        /// Plan, and let the brokers validate the plan; change nothing.
        Rehearse = "rehearse",
        Act = "act",
    }
}

closed_list! {
    /// Where a run stands.
    pub enum RunState {
        /// Stored; not looked at yet, or waiting for its turn.
        Queued = "queued",
        /// Something speaks against it for now; looked at again every 15 s.
        Held = "held",
        /// A person has to approve it.
        AwaitingApproval = "awaiting_approval",
        /// The brokers have validated the plan. The end of a run that may not act.
        Rehearsed = "rehearsed",
        /// Steps are being written and read back.
        Acting = "acting",
        /// All steps are in force; the windows of the objective still hold older samples.
        Settling = "settling",
        /// The objective and the guards are watched.
        Observing = "observing",
        /// Judged and kept; a measure, for a time.
        Kept = "kept",
        /// A measure is being taken back: its time is over, or it is no longer needed.
        Expiring = "expiring",
        /// A measure that did its work is taken back.
        Expired = "expired",
        /// Steps are being undone, last first.
        RollingBack = "rolling_back",
        /// Every value is back where it was.
        RolledBack = "rolled_back",
        /// An undo failed. Only a person may move it on.
        Stuck = "stuck",
        /// Ended before anything was written.
        Cancelled = "cancelled",
    }
}

closed_list! {
    /// What can happen to a run.
    pub enum RunEvent {
        Hold = "hold",
        /// A person has to approve it.
        AskApproval = "ask_approval",
        /// Nothing speaks against it any more, or a person approved it.
        Requeue = "requeue",
        /// Its episode is over, or an order cannot be followed.
        Cancel = "cancel",
        /// The brokers have validated the plan.
        Rehearse = "rehearse",
        /// The first step is about to be written.
        Act = "act",
        /// The last step is in force.
        Apply = "apply",
        /// No older sample is left in the windows.
        Settle = "settle",
        Keep = "keep",
        /// The canary was judged worth keeping: on to the others.
        Widen = "widen",
        /// A measure's time is over, or it is no longer needed.
        Expire = "expire",
        RollBack = "roll_back",
        Undo = "undo",
        Jam = "jam",
    }
}

/// `event` cannot happen in `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` is not possible while {state}")]
pub struct Impossible {
    /// Where the run stands.
    pub state: RunState,
    pub event: RunEvent,
}

impl RunState {
    /// The whole transition table. It names every state: a new one does not compile until it is
    /// placed.
    ///
    /// # Errors
    ///
    /// [`Impossible`] when the journal or the pipeline is wrong about the run.
    pub fn after(self, event: RunEvent) -> Result<Self, Impossible> {
        use RunEvent as E;
        let next = match self {
            Self::Queued | Self::Held | Self::AwaitingApproval => match event {
                E::Hold => Some(Self::Held),
                E::AskApproval => Some(Self::AwaitingApproval),
                E::Requeue => Some(Self::Queued),
                E::Cancel => Some(Self::Cancelled),
                // The guard has just been asked again: a held run that may start needs no detour.
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
            // Of a kept run, only a person asks for this.
            Self::Acting | Self::Settling | Self::Observing | Self::Kept
                if event == E::RollBack =>
            {
                Some(Self::RollingBack)
            }
            Self::Acting => (event == E::Apply).then_some(Self::Settling),
            Self::Settling => (event == E::Settle).then_some(Self::Observing),
            Self::Observing if event == E::Widen => Some(Self::Acting),
            Self::Observing => (event == E::Keep).then_some(Self::Kept),
            Self::Kept if event == E::Expire => Some(Self::Expiring),
            Self::Expiring if event == E::Undo => Some(Self::Expired),
            Self::RollingBack if event == E::Undo => Some(Self::RolledBack),
            Self::Expiring | Self::RollingBack => (event == E::Jam).then_some(Self::Stuck),
            Self::Kept | Self::Expired | Self::RolledBack | Self::Stuck | Self::Cancelled => None,
        };
        next.ok_or(Impossible { state: self, event })
    }

    /// Whether nothing more happens to the run by itself.
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
    /// What the comparison of before and after came to.
    pub enum Verdict {
        /// The objective got better by at least what the playbook asks.
        Improved = "improved",
        /// No difference that counts.
        Neutral = "neutral",
        /// The objective got worse, or a guard tripped.
        Regressed = "regressed",
        /// The samples do not tell: too few, the load alone explains the difference, or there was
        /// next to no load before.
        Inconclusive = "inconclusive",
    }
}

closed_list! {
    /// Why a run that could start does not.
    pub enum HoldReason {
        Paused = "paused",
        /// The mode is `observe`.
        ModeObserve = "mode_observe",
        /// 100 runs wait already on this cluster.
        QueueFull = "queue_full",
        /// A run of this cluster is stuck and not acknowledged.
        Stuck = "stuck",
        /// Too soon after the last run of this playbook on this target.
        Cooldown = "cooldown",
        /// The cluster has had its runs of this hour.
        CapHour = "cap_hour",
        /// The cluster has had its runs of this day.
        CapDay = "cap_day",
        /// Three rollbacks in a row on this target; a person releases it.
        Quarantined = "quarantined",
        /// The alert is not firing in Prometheus, or the playbook's `when` does not hold.
        NotConfirmed = "not_confirmed",
        /// Prometheus does not answer, or refuses a query.
        PrometheusUnavailable = "prometheus_unavailable",
        /// The objective, the load or a guard has no fresh sample, or too few in the window.
        EvidenceMissing = "evidence_missing",
        /// The latest snapshot is older than two scrape intervals.
        EvidenceStale = "evidence_stale",
        /// A broker of the cluster does not report.
        BrokerNotReporting = "broker_not_reporting",
        /// The alert's broker is not in the cluster's metadata.
        UnknownTarget = "unknown_target",
        /// The cluster belongs to an operator that would undo or fight the change.
        AdviseOnly = "advise_only",
        /// A reassignment of someone else is in flight.
        ForeignReassignment = "foreign_reassignment",
        /// A broker came back, or went, a moment ago.
        RollingRestart = "rolling_restart",
        /// The controller changed in the last 60 s.
        ControllerChanged = "controller_changed",
        /// Nobody answers for the controller.
        NoController = "no_controller",
        /// A partition has no leader.
        OfflinePartitions = "offline_partitions",
        /// More than one broker is missing.
        BrokersMissing = "brokers_missing",
        /// More than 40 % of the brokers are down or named by firing alerts.
        TooBroken = "too_broken",
        /// A partition could become unavailable.
        AvailabilityGate = "availability_gate",
        /// Someone changed a key after this program wrote it; a person releases it.
        ExternallyChanged = "externally_changed",
        /// There is nothing to plan; the text says why.
        Unplannable = "unplannable",
        /// A broker refused the plan's first step in rehearsal.
        RehearsalRefused = "rehearsal_refused",
        /// Kafka did not answer.
        KafkaUnavailable = "kafka_unavailable",
        /// The Docker engine did not answer, or there is none.
        DockerUnavailable = "docker_unavailable",
        /// The consumer group is rebalancing.
        GroupUnstable = "group_unstable",
        /// The group's committed offsets have not moved: its members are stuck, not too few.
        GroupNotMoving = "group_not_moving",
        /// A measure was lifted within the baseline.
        Overlap = "overlap",
    }
}

closed_list! {
    /// Why a run went back.
    pub enum RollbackReason {
        /// The verdict was not one to keep.
        Verdict = "verdict",
        GuardTripped = "guard_tripped",
        /// A step was refused or did not come into force.
        FailedToApply = "failed_to_apply",
        /// Someone else changed a key of this run.
        ExternallyChanged = "externally_changed",
        /// Samples of the objective or the guards stopped coming.
        EvidenceLost = "evidence_lost",
        /// The process ended, or was paused, between two steps.
        Interrupted = "interrupted",
        /// A person asked for it.
        Person = "person",
        /// A critical alert of another playbook needs the cluster.
        Preempted = "preempted",
        /// A measure had to end within the observation.
        Overlap = "overlap",
    }
}

closed_list! {
    /// What was done with one alert of a notification.
    pub enum AlertOutcome {
        /// First firing of an episode.
        New = "new",
        /// The episode was open already.
        Repeated = "repeated",
        Resolved = "resolved",
        /// Resolved without an open episode.
        ResolvedUnknown = "resolved_unknown",
        /// No playbook answers it.
        Unmatched = "unmatched",
        /// No `alertname`, an unknown cluster, or labels past the limits.
        Invalid = "invalid",
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
    fn every_run_can_end_and_no_ended_run_but_a_kept_one_moves_on() {
        for &state in RunState::ALL {
            let next: Vec<RunState> =
                RunEvent::ALL.iter().filter_map(|&event| state.after(event).ok()).collect();
            let ended =
                [RunState::Expired, RunState::RolledBack, RunState::Stuck, RunState::Cancelled];
            if ended.contains(&state) {
                assert!(next.is_empty(), "{state}");
            } else if state == RunState::Kept {
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
        // A canary that was judged goes on to the others.
        assert_eq!(leads_to(RunState::Acting), [RunState::Rehearsed, RunState::Observing]);
        assert_eq!(leads_to(RunState::Kept), [RunState::Observing]);
    }
}
