//! Turns open episodes into runs: each attempt of an episode, for each playbook that matches it,
//! once (I4).

use std::collections::BTreeSet;

use super::{breach::Breach, context::Context};
use crate::{
    alert::Labels,
    model::{BrokerId, GroupName, HoldReason, Mode, RunState, Target, Trigger},
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
/// once, if `reported` is given.
pub(super) async fn add_runs(
    context: &Context,
    mut reported: Option<&mut Reported>,
) -> Result<(), StoreError> {
    let episodes = context.store.open_episodes(&context.cluster.name, context.now()).await?;
    if let Some(reported) = &mut reported {
        reported.retain(|(id, _)| episodes.iter().any(|it| it.id == *id));
    }

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
            if reported.as_mut().is_some_and(|it| it.insert(pair)) {
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
    let last = context.store.last_attempt(episode.id, playbook.name.clone()).await?;
    let Some(attempt) = next_attempt(context, last, playbook) else { return Ok(()) };

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
        target,
        trigger: Trigger::Alert,
        cause: playbook.matcher.labels.get("alertname").cloned().unwrap_or_default(),
        dry_run: false,
        priority,
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
    last: Option<EpisodeAttempt>,
    playbook: &Playbook,
) -> Option<u32> {
    let Some(last) = last else { return Some(1) };
    let is_allowed = last.number < playbook.attempts_max && last.state == RunState::RolledBack
        || Breach::I4AttemptsWithoutLimit.is_played() && last.state.is_end();
    let cooldown = playbook.windows.cooldown.min(COOLDOWN_MAX);
    let is_due = context.now() >= last.ended?.after(cooldown);
    (is_allowed && is_due).then(|| last.number.saturating_add(1))
}
