//! Deliberate breaches of safety rules, which `make sim` plays: the simulated world has to detect
//! each of them.
//!
//! They exist only in a build with `--cfg breach`, which `make sim` makes in a target directory of
//! its own. In every other build [`Breach::is_played`] is the constant `false`, and the compiler
//! removes the code that depends on it. It still checks that code, so that a rename changes it too.

/// A rule that is broken, by its number in `docs/invariants.md`, and how.
#[derive(Clone, Copy, Debug)]
pub(super) enum Breach {
    /// An alert that keeps firing starts another run after the last attempt.
    I4AttemptsWithoutLimit,
    /// An undo overwrites a value that someone else has set.
    I12UndoOverwrites,
    /// What the first broker reports decides, though it may be cut off from the controllers.
    I12OneBrokerDecides,
    /// Samples that are too old are taken for new ones.
    I13OldEvidencePasses,
    /// The first steps are written instead of validated.
    I19DryRunWrites,
    /// A change counts as effective once the broker has accepted it.
    I21AnswerIsBelieved,
    /// A step that a crash interrupted counts as effective.
    I22InterruptedStepIsEffective,
    /// The request is sent before its intent is durable.
    I22IntentAfterRequest,
    /// An undo writes the prior value where there was no entry of its own.
    I23UndoLeavesEntry,
    /// A stuck undo is tried again without a look at what is there by then.
    I23RetryIsBlind,
    /// A guard that rises above its baseline is not seen.
    I24GuardIsIgnored,
    /// A temporary change does not expire by time.
    I27NeverExpires,
    /// Lag on a topic that no member subscribes to counts.
    I29UnreadLagCounts,
    /// The brokers after a canary are written without asking the guard.
    I41GateIsPassedBy,
    /// A run starts although another process acts on the cluster.
    I43OtherActorIsIgnored,
    /// State of a cluster is used on another one with the same name.
    I43ClusterIdIsIgnored,
    /// An undo does not see what other runs wrote to the same resource.
    I42StackIsLost,
}

impl Breach {
    #[cfg(not(breach))]
    #[expect(clippy::unused_self, reason = "a build of `make sim` reads it")]
    pub(super) const fn is_played(self) -> bool {
        false
    }

    /// One build has all breaches; the environment variable `BREACH` names the one to play.
    #[cfg(breach)]
    pub(super) fn is_played(self) -> bool {
        std::env::var("BREACH").is_ok_and(|played| played == format!("{self:?}"))
    }
}
