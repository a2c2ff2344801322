//! Turns open episodes into runs: each attempt of an episode, for each playbook that matches it,
//! once (I4).

use std::{collections::BTreeSet, time::Duration};

use super::{breach::Breach, context::Context};
use crate::{
    alert::Labels,
    model::{BrokerId, GroupName, HoldReason, Mode, RollbackReason, RunState, Target, Trigger},
    playbook::{COOLDOWN_MAX, Optimizer, OptimizerKind, Playbook},
    store::{Episode, EpisodeAttempt, NewClaim, NewRun, Priority, StoreError},
};

/// (episode, playbook) pairs already reported as not producing a run.
pub(super) type Reported = BTreeSet<(i64, String)>;

pub(super) const BROKER_LABEL: &str = "broker_id";
pub(super) const GROUP_LABEL: &str = "consumergroup";
const SEVERITY_LABEL: &str = "severity";
const CRITICAL: &str = "critical";

/// Stores the runs that are due. Counts each pair of episode and playbook that produces no run
/// once.
pub(super) async fn add_runs(context: &Context, reported: &mut Reported) -> Result<(), StoreError> {
    let episodes = context.store.open_episodes(&context.cluster.name, context.now()).await?;
    let open: BTreeSet<i64> = episodes.iter().map(|it| it.id).collect();
    reported.retain(|(id, _)| open.contains(id));

    for episode in &episodes {
        for playbook in &context.remediation.playbooks {
            let mut alerts = episode.alerts.iter();
            let Some(alert) = alerts.find(|it| playbook.matcher.matches(it)) else { continue };

            let reason = match target(alert, playbook.optimizer.kind()) {
                Ok(target) if context.remediation.mode != Mode::Observe => {
                    add_attempt(context, episode, playbook, target).await?;
                    continue;
                }
                Ok(_) => HoldReason::ModeObserve,
                Err(reason) => reason,
            };
            let pair = (episode.id, playbook.name.clone());
            if reported.insert(pair) {
                context.telemetry.held(&context.cluster.name, &playbook.name, reason);
            }
        }
    }
    Ok(())
}

/// The target that an alert names. A label that cannot be a broker id is no target: it must not
/// become "every broker" (I8). Any text may name a group; the guard checks that the group exists.
fn target(alert: &Labels, optimizer: OptimizerKind) -> Result<Target, HoldReason> {
    if optimizer.is_about_a_group() {
        let group = alert.get(GROUP_LABEL).filter(|it| !it.is_empty());
        let group = group.map(|it| Target::Group(GroupName::new(it.as_str())));
        return group.ok_or(HoldReason::UnknownTarget);
    }

    match alert.get(BROKER_LABEL).filter(|it| !it.is_empty()) {
        None => Ok(Target::Cluster),
        Some(text) => BrokerId::parse(text).map(Target::Broker).ok_or(HoldReason::UnknownTarget),
    }
}

async fn add_attempt(
    context: &Context,
    episode: &Episode,
    playbook: &Playbook,
    target: Target,
) -> Result<(), StoreError> {
    let attempts = context.store.attempts(episode.id, playbook.name.clone()).await?;
    let Some(attempt) = next_attempt(context, &attempts, playbook) else { return Ok(()) };

    let level = match &playbook.optimizer {
        Optimizer::TuneBrokers(parameters) => Some(parameters.level),
        Optimizer::Reapply
        | Optimizer::ElectLeaders
        | Optimizer::ShedLoad(_)
        | Optimizer::ScaleConsumers(_) => None,
    };
    let is_critical = |it: &Labels| it.get(SEVERITY_LABEL).is_some_and(|it| it == CRITICAL);
    let priority =
        if episode.alerts.iter().any(is_critical) { Priority::Critical } else { Priority::Normal };
    let new = NewRun {
        cluster: context.cluster.name.clone(),
        playbook: playbook.name.clone(),
        optimizer: playbook.optimizer.kind(),
        level,
        parameters: format!("{:?}", playbook.optimizer),
        target,
        trigger: Trigger::Alert,
        cause: playbook.matcher.labels.get("alertname").cloned().unwrap_or_default(),
        dry_run: false,
        priority,
        by: None,
        // The first attempt counts from the alert, a later one from our own timer.
        created: if attempt == 1 { episode.opened } else { context.now() },
    };
    context.store.add_run(new, Some(NewClaim { episode: episode.id, attempt })).await?;

    Ok(())
}

/// Number of the attempt that is due. The guard knows the doubled cooldown; the check of the plain
/// one here keeps the run out of the queue until then.
fn next_attempt(
    context: &Context,
    attempts: &[EpisodeAttempt],
    playbook: &Playbook,
) -> Option<u32> {
    let Some(last) = attempts.first() else { return Some(1) };
    let used = attempts.iter().filter(|it| is_failure(it)).count();
    let is_left = used < usize::try_from(playbook.attempts_max).unwrap_or(usize::MAX);
    let is_allowed = match last.state {
        RunState::RolledBack => is_left,
        // The alert still fires after a change that was only for a while.
        RunState::Expired => true,
        // A rehearsal uses up nothing.
        RunState::Rehearsed => context.remediation.mode == Mode::Act,
        // One run elects a limited number of leaders.
        RunState::Kept => playbook.optimizer.kind() == OptimizerKind::ElectLeaders,
        RunState::Queued
        | RunState::Held
        | RunState::AwaitingApproval
        | RunState::Acting
        | RunState::Settling
        | RunState::Observing
        | RunState::Expiring
        | RunState::RollingBack
        | RunState::Stuck
        | RunState::Cancelled => false,
    } || Breach::I4AttemptsWithoutLimit.is_played() && last.state.is_end();

    let cooldown = match last.state {
        RunState::Rehearsed => Duration::ZERO,
        _ => playbook.windows.cooldown.min(COOLDOWN_MAX),
    };
    let is_due = context.now() >= last.ended?.after(cooldown);
    (is_allowed && is_due).then(|| last.number.saturating_add(1))
}

/// Whether the attempt is used up: a run that gave way to another one, or that a person ended, says
/// nothing about the change.
fn is_failure(attempt: &EpisodeAttempt) -> bool {
    attempt.state == RunState::RolledBack
        && attempt.rollback_reason.is_none_or(RollbackReason::is_failure)
}
