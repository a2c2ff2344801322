//! The states of a run, and the reasons of a rollback, in words for people.

use super::{RollbackReason, RunState};

impl RunState {
    /// What the state means, as a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Queued => "It waits for its turn; nothing has been changed.",
            Self::Held => "It does not start for now, and is checked again every 15 s.",
            Self::AwaitingApproval => "It waits for a person's approval; nothing has been changed.",
            Self::Rehearsed => "The brokers have validated the plan; nothing has been changed.",
            Self::Acting => "Its steps are being written and read back.",
            Self::Settling => {
                "Its steps are in effect. What was measured before them still counts, so nothing \
                 is compared yet."
            }
            Self::Observing => "Its steps are in effect, and are compared with the time before.",
            Self::Kept => "Its steps stay in effect.",
            Self::Expiring => "Its temporary change is being undone.",
            Self::Expired => "Its temporary change did its work, and is undone.",
            Self::RollingBack => "Its steps are being undone, the last one first.",
            Self::RolledBack => "Its steps are undone: every prior value is restored.",
            Self::Stuck => "Not every prior value could be restored. A person has to look at it.",
            Self::Cancelled => "It ended before anything was changed.",
        }
    }
}

impl RollbackReason {
    /// Completes "It was rolled back, because …".
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Verdict => "the verdict was not to keep the change",
            Self::GuardTripped => "a guard tripped: something else got worse",
            Self::FailedToApply => "a step was refused, or did not take effect",
            Self::ExternallyChanged => "someone else changed what this run had changed",
            Self::EvidenceLost => "the objective, the load or a guard had no fresh samples",
            Self::Interrupted => "the process ended, or was paused, between two steps",
            Self::Person => "a person asked for it",
            Self::Preempted => "a critical alert of another playbook was waiting",
            Self::Overlap => "a temporary change had to end within the observation",
        }
    }
}
