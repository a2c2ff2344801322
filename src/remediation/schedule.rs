//! Turns open episodes into runs: each attempt of an episode once (I4). Episodes follow what
//! Prometheus reports, because a `resolved` may never come.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tracing::{info, warn};

use super::{
    breach::Breach,
    context::Context,
    firing::{Firing, Reported},
};
use crate::{
    alert::Labels,
    config::RemediationConfig,
    model::{BrokerId, GroupName, HoldReason, Mode, MonotonicTime, RunState, Target, Trigger},
    playbook::{COOLDOWN_MAX, Optimizer, OptimizerKind, Playbook},
    store::{
        Episode, EpisodeAttempt, EpisodeSubject, FiringUpdate, GAP_MIN, NewAttempt, NewClaim,
        NewRun, StoreError,
    },
};

pub(super) const BROKER_LABEL: &str = "broker_id";
pub(super) const GROUP_LABEL: &str = "consumergroup";
const ALERT_LABEL: &str = "alertname";

/// How often Prometheus is asked which alerts fire.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(15);

/// An episode that Prometheus does not report for so long is closed.
const ABSENT_MAX: Duration = Duration::from_mins(10);

/// How often an episode that Prometheus reports is marked as seen, if no notification comes.
const SEEN_INTERVAL: Duration = Duration::from_hours(1);

/// How often silent episodes are closed, and old ones deleted.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);

/// Number of episodes without a target that are described in the log in one pass.
const UNKNOWN_TARGETS_SHOWN: usize = 10;

/// Maximum number of runs of a cluster that wait although Prometheus does not confirm their alerts.
/// Anyone may be able to write to Alertmanager: the episodes of other such alerts get a run when
/// Prometheus confirms them (I2, I34).
const UNCONFIRMED_MAX: usize = 100;

/// Maximum number of runs that are stored in one transaction. More only after a flood: it must not
/// keep Alertmanager's notifications waiting.
const ADDED_MAX: usize = 5_000;

/// What the schedule keeps between passes. Losing it costs a repeated line in the log, and time
/// until an episode is closed.
#[derive(Debug, Default)]
pub(super) struct ScheduleState {
    /// Episodes already reported as not producing a run.
    reported: BTreeSet<i64>,
    /// When Prometheus was last asked which alerts fire.
    asked: Option<MonotonicTime>,
    firing: Option<Firing>,
    /// The latest episode that was open then.
    asked_about: i64,
    /// Since when Prometheus has answered about each playbook without a failure.
    answered_since: BTreeMap<String, MonotonicTime>,
    swept: Option<MonotonicTime>,
    /// The configuration whose playbooks the open alerts were last matched with.
    matched: Option<Arc<RemediationConfig>>,
}

/// Stores the runs that are due. Episodes follow what Prometheus reports, and each one that
/// produces no run is counted once.
pub(super) async fn add_runs(
    context: &Context,
    state: &mut ScheduleState,
) -> Result<(), StoreError> {
    let cluster = &context.cluster.name;
    let configured = &context.remediation;

    if !state.matched.as_ref().is_some_and(|it| Arc::ptr_eq(it, configured)) {
        rematch(context).await?;
        state.matched = Some(Arc::clone(configured));
    }

    let mut episodes = context.store.open_episodes(cluster).await?;
    let now = context.clock.monotonic();
    let is_new = |it: &Episode| it.id > state.asked_about;
    let asks = is_due(state.asked, now, FOLLOW_INTERVAL) || episodes.iter().any(is_new);

    if asks && context.remediation.mode != Mode::Observe {
        follow(context, state, &mut episodes).await?;
    }

    if is_due(state.swept, now, SWEEP_INTERVAL) {
        sweep(context, state).await?;
        state.swept = Some(now);
    }

    add_due(context, state, &episodes).await?;
    report_idle(context, state, &episodes).await
}

fn is_due(last: Option<MonotonicTime>, now: MonotonicTime, interval: Duration) -> bool {
    last.is_none_or(|it| now.0.saturating_sub(it.0) >= interval)
}

/// The playbooks that match an alert, each with the target that the alert names.
pub(super) fn subjects(playbooks: &[Playbook], alert: &Labels) -> Vec<EpisodeSubject> {
    let matching = playbooks.iter().filter(|it| it.matcher.matches(alert));
    let subject = |it: &Playbook| EpisodeSubject {
        playbook: it.name.clone(),
        target: target(alert, it.optimizer.kind()),
    };
    matching.map(subject).collect()
}

/// The target that an alert names. A label that cannot be a broker id is no target: it must not
/// become "every broker" (I8). Any text may name a group; the guard checks that the group exists.
fn target(alert: &Labels, optimizer: OptimizerKind) -> Option<Target> {
    if optimizer.is_about_a_group() {
        let group = alert.get(GROUP_LABEL).filter(|it| !it.is_empty());
        return group.map(|it| Target::Group(GroupName::new(it.as_str())));
    }

    match alert.get(BROKER_LABEL).filter(|it| !it.is_empty()) {
        None => Some(Target::Cluster),
        Some(text) => BrokerId::parse(text).map(Target::Broker),
    }
}

/// Playbooks may have changed since the alerts were stored.
async fn rematch(context: &Context) -> Result<(), StoreError> {
    let remediation = Arc::clone(&context.remediation);
    let subjects = move |it: &Labels| subjects(&remediation.playbooks, it);
    context.store.rematch_episodes(&context.cluster.name, subjects, context.now()).await
}

/// Asks Prometheus which alerts fire, stores what changed, and removes episodes that are over.
async fn follow(
    context: &Context,
    state: &mut ScheduleState,
    episodes: &mut Vec<Episode>,
) -> Result<(), StoreError> {
    let asked = context.clock.monotonic();
    state.asked = Some(asked);
    let firing = Firing::query(context).await;
    let (now, clock) = (context.now(), context.clock.monotonic());

    let playbooks = context.remediation.playbooks.iter();
    for playbook in playbooks {
        if firing.has_answered(playbook) {
            state.answered_since.entry(playbook.name.clone()).or_insert(asked);
        } else {
            state.answered_since.remove(&playbook.name);
        }
    }

    let mut update = FiringUpdate::default();
    for episode in episodes.iter() {
        let Some(playbook) = playbook(context, episode) else { continue };
        let Some(target) = &episode.target else { continue };
        let answered = state.answered_since.get(&playbook.name);
        let answered = answered.map_or(Duration::ZERO, |it| clock.0.saturating_sub(it.0));
        let absent = episode.not_firing_since.map(|it| now.since(it).min(answered));

        match (firing.reported(playbook, target), absent) {
            (Ok(Reported::Firing), Some(absent)) if absent >= GAP_MIN => {
                update.again_after_gap.push(episode.id);
            }
            (Ok(Reported::Firing), Some(_)) => update.again.push(episode.id),
            (Ok(Reported::Firing), None) if now.since(episode.seen) >= SEEN_INTERVAL => {
                update.silent.push(episode.id);
            }
            (Ok(Reported::Absent), None) => update.absent.push(episode.id),
            (Ok(Reported::Absent), Some(absent)) if absent >= ABSENT_MAX => {
                info!(episode = episode.id, playbook = playbook.name, %target,
                      "Episode closed: Prometheus does not report the alert.");
                update.gone.push(episode.id);
            }
            (Ok(_) | Err(_), _) => (),
        }
    }

    state.asked_about = episodes.iter().map(|it| it.id).max().unwrap_or(state.asked_about);
    state.firing = Some(firing);

    let gone: BTreeSet<i64> = update.gone.iter().copied().collect();
    context.store.follow_episodes(update, now).await?;
    episodes.retain(|it| !gone.contains(&it.id));

    Ok(())
}

/// Closes silent episodes and deletes old ones. Where Prometheus is asked, an episode is silent
/// only if Prometheus answers and does not report it.
async fn sweep(context: &Context, state: &ScheduleState) -> Result<(), StoreError> {
    let playbooks = &context.remediation.playbooks;
    let is_asked = context.prometheus.is_some() && context.remediation.mode != Mode::Observe;
    let has_answered =
        |it: &Playbook| !is_asked || state.answered_since.contains_key(it.name.as_str());
    let is_answered = playbooks.iter().all(has_answered);

    context.store.sweep_episodes(&context.cluster.name, is_answered, context.now()).await
}

fn playbook<'a>(context: &'a Context, episode: &Episode) -> Option<&'a Playbook> {
    context.remediation.playbooks.iter().find(|it| it.name == episode.playbook)
}

/// Stores the attempts that are due; of those that Prometheus does not confirm, a limited number.
async fn add_due(
    context: &Context,
    state: &mut ScheduleState,
    episodes: &[Episode],
) -> Result<(), StoreError> {
    if context.remediation.mode == Mode::Observe {
        return Ok(());
    }

    let fires = |it: &Episode| {
        let firing = state.firing.as_ref();
        let known = firing.zip(playbook(context, it)).zip(it.target.as_ref());
        known.is_some_and(|((firing, playbook), target)| {
            firing.reported(playbook, target) == Ok(Reported::Firing)
        })
    };
    let waits = |it: &&Episode| it.attempts.first().is_some_and(|it| is_waiting(it.state));
    let waiting = episodes.iter().filter(waits).filter(|it| !fires(it)).count();
    let mut places = UNCONFIRMED_MAX.saturating_sub(waiting);

    let (mut due, mut passed_over) = (Vec::new(), Vec::new());
    for episode in episodes {
        let Some(attempt) = attempt(context, episode) else { continue };
        if fires(episode) {
            due.push(attempt);
        } else if places > 0 {
            places = places.saturating_sub(1);
            due.push(attempt);
        } else {
            passed_over.push(episode);
        }
    }

    for episode in passed_over {
        if state.reported.insert(episode.id) {
            let name = &context.cluster.name;
            context.telemetry.held(name, &episode.playbook, HoldReason::QueueFull);
        }
    }

    for some in due.chunks(ADDED_MAX) {
        context.store.add_runs(some.to_vec()).await?;
    }

    Ok(())
}

const fn is_waiting(state: RunState) -> bool {
    matches!(state, RunState::Queued | RunState::Held | RunState::AwaitingApproval)
}

/// The next attempt of an episode, if it is due.
fn attempt(context: &Context, episode: &Episode) -> Option<NewAttempt> {
    let playbook = playbook(context, episode)?;
    let target = episode.target.clone()?;
    let attempt = next_attempt(context, &episode.attempts, playbook)?;

    let level = match &playbook.optimizer {
        Optimizer::TuneBrokers(parameters) => Some(parameters.level),
        Optimizer::Reapply
        | Optimizer::ElectLeaders
        | Optimizer::ShedLoad(_)
        | Optimizer::ScaleConsumers(_) => None,
    };
    let run = NewRun {
        cluster: context.cluster.name.clone(),
        playbook: playbook.name.clone(),
        optimizer: playbook.optimizer.kind(),
        level,
        parameters: format!("{:?}", playbook.optimizer),
        target,
        trigger: Trigger::Alert,
        cause: playbook.matcher.labels.get(ALERT_LABEL).cloned().unwrap_or_default(),
        dry_run: false,
        priority: episode.priority,
        by: None,
        // The first attempt counts from the alert, a later one from our own timer.
        created: if attempt == 1 { episode.opened } else { context.now() },
    };

    Some(NewAttempt { run, claim: NewClaim { episode: episode.id, attempt } })
}

/// Number of the attempt that is due. The guard knows the doubled cooldown; the check of the plain
/// one here keeps the run out of the queue until then.
fn next_attempt(
    context: &Context,
    attempts: &[EpisodeAttempt],
    playbook: &Playbook,
) -> Option<u32> {
    let Some(last) = attempts.first() else { return Some(1) };
    let used = attempts.iter().filter(|it| it.state.is_failure(it.rollback_reason)).count();
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

    let cooldown = if last.state == RunState::Rehearsed {
        Duration::ZERO
    } else {
        playbook.windows.cooldown.min(COOLDOWN_MAX)
    };
    let is_due = context.now() >= last.ended?.after(cooldown);
    (is_allowed && is_due).then(|| last.number.saturating_add(1))
}

/// Counts each episode that produces no run once, and says which alerts name no target.
async fn report_idle(
    context: &Context,
    state: &mut ScheduleState,
    episodes: &[Episode],
) -> Result<(), StoreError> {
    let open: BTreeSet<i64> = episodes.iter().map(|it| it.id).collect();
    state.reported.retain(|id| open.contains(id));

    let mut without_target = Vec::new();
    for episode in episodes {
        let reason = match &episode.target {
            None => HoldReason::UnknownTarget,
            Some(_) if context.remediation.mode == Mode::Observe => HoldReason::ModeObserve,
            Some(_) => continue,
        };
        if state.reported.insert(episode.id) {
            context.telemetry.held(&context.cluster.name, &episode.playbook, reason);
            if reason == HoldReason::UnknownTarget {
                without_target.push(episode);
            }
        }
    }

    without_target.truncate(UNKNOWN_TARGETS_SHOWN);
    let ids = without_target.iter().map(|it| it.id).collect();
    let labels = context.store.episode_labels(ids).await?;

    for (episode, labels) in without_target.into_iter().zip(labels) {
        let is_about_a_group =
            playbook(context, episode).is_some_and(|it| it.optimizer.kind().is_about_a_group());
        let label = if is_about_a_group { GROUP_LABEL } else { BROKER_LABEL };
        let alert = labels.get(ALERT_LABEL).map_or("", String::as_str);
        let value = labels.get(label).map_or("", String::as_str);
        warn!(playbook = episode.playbook, alert, label, value, "Alert names no target.");
    }

    Ok(())
}
