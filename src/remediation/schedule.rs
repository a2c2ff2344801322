//! From open episodes to runs: each attempt of each episode, for each playbook that answers it,
//! once (I4).

use std::collections::BTreeSet;

use super::context::Context;
use crate::{
    alert::Labels,
    model::{BrokerId, GroupName, HoldReason, Mode, RunState, Target, Trigger},
    playbook::{COOLDOWN_MAX, Optimizer, OptimizerKind, Playbook},
    store::{Episode, Extent, NewClaim, NewRun, StoreError, Urgency},
};

/// Episodes and playbooks of which was said that no run comes of them.
pub(super) type Told = BTreeSet<(i64, String)>;

/// The label that names a broker.
const BROKER_LABEL: &str = "broker_id";
/// The label that names a consumer group.
const GROUP_LABEL: &str = "consumergroup";
/// The value of `severity` that cannot wait.
const CRITICAL: &str = "critical";

/// Stores the runs that are due. Without `told` nothing is said of those that none comes of.
pub(super) async fn due(context: &Context, mut told: Option<&mut Told>) -> Result<(), StoreError> {
    let episodes = context.store.open_episodes(&context.cluster.name, context.now()).await?;
    if let Some(told) = &mut told {
        told.retain(|(id, _)| episodes.iter().any(|it| it.id == *id));
    }
    for episode in &episodes {
        for playbook in &context.remediation.playbooks {
            let Some(alert) = episode.alerts.iter().find(|it| playbook.matches.answers(it)) else {
                continue;
            };
            match target(alert, playbook.optimizer.kind()) {
                Ok(target) if context.remediation.mode != Mode::Observe => {
                    attempt(context, episode, (playbook, target)).await?;
                }
                refused => {
                    let reason = refused.map_or_else(|it| it, |_| HoldReason::ModeObserve);
                    let about = (episode.id, playbook.name.clone());
                    if told.as_mut().is_some_and(|it| it.insert(about)) {
                        context.telemetry.held(&context.cluster.name, &playbook.name, reason);
                    }
                }
            }
        }
    }
    Ok(())
}

/// What an alert names. A label that cannot be a broker's id is no target at all: it must not turn
/// into "every broker" (I8). Any text may name a group; whether there is one is asked of the
/// brokers.
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

async fn attempt(
    context: &Context,
    episode: &Episode,
    (playbook, target): (&Playbook, Target),
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
    let critical = |it: &Labels| it.get("severity").is_some_and(|it| it == CRITICAL);
    let urgency =
        if episode.alerts.iter().any(critical) { Urgency::Critical } else { Urgency::Usual };
    let new = NewRun {
        cluster: context.cluster.name.clone(),
        playbook: playbook.name.clone(),
        optimizer: playbook.optimizer.kind(),
        level,
        target,
        trigger: Trigger::Alert,
        cause: playbook.matches.labels.get("alertname").cloned().unwrap_or_default(),
        extent: Extent::AsConfigured,
        urgency,
        // The first attempt counts from the alert, a later one from our own timer.
        created: if attempt == 1 { episode.opened } else { context.now() },
    };
    context.store.add_run(new, Some(NewClaim { episode: episode.id, attempt })).await.map(|_| ())
}

fn next_attempt(
    context: &Context,
    last: Option<(u32, RunState, Option<crate::model::WallTime>)>,
    playbook: &Playbook,
) -> Option<u32> {
    let Some((number, state, ended)) = last else { return Some(1) };
    let more = number < playbook.attempts_max && state == RunState::RolledBack;
    // The guard knows how long the rest really is; this only keeps the run from waiting in the
    // queue.
    let rested = ended?.after(playbook.windows.cooldown.min(COOLDOWN_MAX)) <= context.now();
    (more && rested).then(|| number.saturating_add(1))
}
