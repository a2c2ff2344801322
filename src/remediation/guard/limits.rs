//! Limits from the store: pause, stuck runs, quarantine, cooldown, caps, and values that someone
//! else changed.

use std::time::Duration;

use super::super::{context::Context, hold::Hold};
use crate::{
    model::{BrokerConfig, ClientQuotas, ConfigEntry, HoldReason, ResourceKey, Written},
    playbook::{COOLDOWN_MAX, Playbook},
    store::{Ownership, RunHistory, RunRow, StoreError},
    telemetry::chain,
};

/// Rollbacks in a row that quarantine a target (I26).
const QUARANTINE_AFTER: u32 = 3;

pub(in crate::remediation) fn is_quarantined(history: &RunHistory) -> bool {
    history.rollbacks_in_a_row() >= QUARANTINE_AFTER
}

/// Checks that neither a person's order nor the past runs hold the run.
pub(super) async fn check(
    context: &Context,
    run: &RunRow,
    playbook: &Playbook,
) -> Result<(), Hold> {
    check_not_stopped(context)?;
    let history = history(context, run).await?;
    check_history(context, &history, playbook)
}

/// Checks that no person has stopped remediation, and that the cluster is not someone else's.
pub(super) fn check_not_stopped(context: &Context) -> Result<(), Hold> {
    // The pause comes first: no other reason may hide that a person stopped remediation.
    Hold::unless(!context.pause.is_set(), HoldReason::Paused, || {
        "remediation is paused".to_owned()
    })?;
    if let Some(operator) = &context.cluster.managed_by {
        let detail = format!("the cluster is managed by {operator}: change it there");
        return Err(Hold::new(HoldReason::AdviseOnly, detail));
    }

    Ok(())
}

async fn history(context: &Context, run: &RunRow) -> Result<RunHistory, Hold> {
    let (name, mode) = (&context.cluster.name, context.remediation.mode);
    let (playbook, target) = (run.playbook.clone(), run.target.clone());
    let history = context.store.history(name, playbook, target, mode, context.now()).await;

    history.map_err(unreadable)
}

/// Checks that no run of the cluster is stuck.
pub(super) async fn check_none_stuck(context: &Context, run: &RunRow) -> Result<(), Hold> {
    none_stuck(&history(context, run).await?)
}

fn none_stuck(history: &RunHistory) -> Result<(), Hold> {
    Hold::unless(history.stuck == 0, HoldReason::Stuck, || {
        format!("{} run(s) of this cluster are stuck: repair and acknowledge them", history.stuck)
    })
}

fn check_history(context: &Context, history: &RunHistory, playbook: &Playbook) -> Result<(), Hold> {
    none_stuck(history)?;

    Hold::unless(!is_quarantined(history), HoldReason::Quarantined, || {
        let rollbacks = history.rollbacks_in_a_row();
        format!("{rollbacks} rollbacks in a row on this target: release it when that is settled")
    })?;

    let cooldown_end = history.cooldown_end(playbook.windows.cooldown, COOLDOWN_MAX);
    if let Some(end) = cooldown_end.filter(|it| *it > context.now()) {
        let left = seconds_left(end.since(context.now()));
        let detail = format!("{left} s of the cooldown after the last run are left");
        return Err(Hold::new(HoldReason::Cooldown, detail));
    }

    let RunHistory { wrote_last_hour, wrote_last_day, .. } = history;
    let limits = &context.remediation;

    Hold::unless(*wrote_last_hour < limits.runs_per_hour_max, HoldReason::CapHour, || {
        format!("{wrote_last_hour} runs wrote in the last hour, the maximum")
    })?;
    Hold::unless(*wrote_last_day < limits.runs_per_day_max, HoldReason::CapDay, || {
        format!("{wrote_last_day} runs wrote in the last day, the maximum")
    })
}

/// Remaining whole seconds, rounded up so that it never shows 0.
fn seconds_left(left: Duration) -> u64 {
    left.as_secs().saturating_add(u64::from(left.subsec_nanos() != 0))
}

/// What this program wrote on the cluster, and what someone else changed after it.
pub(super) async fn ownership(context: &Context) -> Result<Vec<Ownership>, Hold> {
    context.store.ownership(&context.cluster.name).await.map_err(unreadable)
}

/// Checks that no one else changed an entry of the brokers after this program wrote it (I12).
pub(super) async fn check_broker_entries(
    context: &Context,
    configs: &[BrokerConfig],
    ownership: &[Ownership],
) -> Result<(), Hold> {
    for owned in ownership {
        let ResourceKey::BrokerConfig { broker, key } = &owned.resource else { continue };
        let Some(config) = configs.iter().find(|it| it.broker == *broker) else { continue };
        let stored = config.get(key).and_then(ConfigEntry::stored);

        check_unchanged(context, owned, stored).await?;
    }
    Ok(())
}

/// Checks that no one else changed a quota after this program wrote it (I12): none of the brokers
/// still reports what it wrote.
pub(super) async fn check_quotas(
    context: &Context,
    views: &[ClientQuotas],
    ownership: &[Ownership],
) -> Result<(), Hold> {
    for owned in ownership {
        let ResourceKey::ClientQuota { entity, key } = &owned.resource else { continue };
        let stored = views.iter().map(|it| it.get(entity, *key).map(|it| it.to_string()));
        let stored: Vec<Option<String>> = stored.collect();
        let known = stored.iter().find(|it| !is_changed(owned, it.as_deref()));
        let shown = known.or(stored.first()).and_then(Option::as_deref);

        check_unchanged(context, owned, shown).await?;
    }

    Ok(())
}

fn is_changed(owned: &Ownership, stored: Option<&str>) -> bool {
    match &owned.written {
        Some(Written::Value(value)) => stored != Some(value),
        Some(Written::Removed) => stored.is_some(),
        None => false,
    }
}

/// A changed resource is marked, so that it holds every run until a person releases it.
async fn check_unchanged(
    context: &Context,
    owned: &Ownership,
    stored: Option<&str>,
) -> Result<(), Hold> {
    let is_changed = is_changed(owned, stored);
    if is_changed && !owned.hands_off {
        let resource = owned.resource.clone();
        context
            .store
            .mark_hands_off(&context.cluster.name, resource, context.now())
            .await
            .map_err(unreadable)?;
    }

    Hold::unless(!is_changed && !owned.hands_off, HoldReason::ExternallyChanged, || {
        let stored = stored.unwrap_or("not set");
        let wrote = owned.written.as_ref().map_or("it earlier".to_owned(), Written::to_string);
        format!(
            "{} is {stored} and this program wrote {wrote}: someone else changed it; release it \
             when that is settled",
            owned.resource
        )
    })
}

/// Checks that no temporary change expired within the baseline, which would mix two states (I40).
pub(super) async fn check_no_overlap(context: &Context, baseline: Duration) -> Result<(), Hold> {
    let expired = context.store.last_expired(&context.cluster.name, context.now()).await;
    let expired = expired.map_err(unreadable)?;
    let clear = expired.map(|it| it.after(baseline)).filter(|it| *it > context.now());

    Hold::unless(clear.is_none(), HoldReason::Overlap, || {
        let left = seconds_left(clear.unwrap_or_default().since(context.now()));
        format!("a temporary change expired within the baseline; {left} s until it is clear")
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err` argument")]
fn unreadable(error: StoreError) -> Hold {
    Hold::new(HoldReason::EvidenceMissing, chain(&error))
}
