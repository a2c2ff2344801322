//! What the store says: pause, stuck runs, quarantine, cooldown, caps, and whose values stand
//! where.

use std::time::Duration;

use super::super::{context::Context, execute::said, hold::Hold};
use crate::{
    model::{BrokerConfig, ClientQuota, HoldReason, Subject, WallTime},
    playbook::{COOLDOWN_MAX, Playbook},
    store::{KeyAt, Past, RunRow, StoreError},
    telemetry::chain,
};

/// Rollbacks in a row that quarantine a target (I26).
pub(in crate::remediation) const QUARANTINE_AFTER: u32 = 3;

/// Whether the operator and the past let the run start.
pub(super) async fn allows(
    context: &Context,
    run: &RunRow,
    playbook: &Playbook,
) -> Result<(), Hold> {
    // The operator's stop comes first: nothing may hide that we were told to stop.
    Hold::unless(!context.pause.is_set(), HoldReason::Paused, || {
        "remediation is paused".to_owned()
    })?;
    if let Some(operator) = &context.cluster.managed_by {
        let note = format!("the cluster is managed by {operator}: change it there");
        return Err(Hold::new(HoldReason::AdviseOnly, note));
    }
    let target = (run.playbook.clone(), run.target.clone());
    let past =
        context.store.past(&context.cluster.name, target, context.now()).await.map_err(unread)?;
    judge(context, &past, (playbook, context.now()))
}

fn judge(
    context: &Context,
    past: &Past,
    (playbook, now): (&Playbook, WallTime),
) -> Result<(), Hold> {
    let limits = &context.remediation;
    Hold::unless(past.stuck == 0, HoldReason::Stuck, || {
        format!("{} run(s) of this cluster are stuck; see to them and acknowledge them", past.stuck)
    })?;
    let fallen = past.rollbacks_in_a_row();
    Hold::unless(fallen < QUARANTINE_AFTER, HoldReason::Quarantined, || {
        format!("{fallen} rollbacks in a row on this target; a person releases it")
    })?;
    let rest = past.cooldown_end(playbook.windows.cooldown, COOLDOWN_MAX);
    if let Some(end) = rest.filter(|it| now < *it) {
        let note = format!("{} s of rest are left after the last run", seconds(end.since(now)));
        return Err(Hold::new(HoldReason::Cooldown, note));
    }
    Hold::unless(past.wrote_last_hour < limits.runs_per_hour_max, HoldReason::CapHour, || {
        format!("{} runs wrote in the last hour, the most allowed", past.wrote_last_hour)
    })?;
    Hold::unless(past.wrote_last_day < limits.runs_per_day_max, HoldReason::CapDay, || {
        format!("{} runs wrote in the last day, the most allowed", past.wrote_last_day)
    })
}

/// What is left of a wait: never 0, which nobody would wait for.
fn seconds(left: Duration) -> u64 {
    left.as_secs().saturating_add(u64::from(left.subsec_nanos() != 0))
}

/// What this program wrote on the cluster, and what someone else changed after it.
pub(super) async fn known(context: &Context) -> Result<Vec<KeyAt>, Hold> {
    context.store.keys(&context.cluster.name).await.map_err(unread)
}

/// No key of the brokers was changed by someone else after this program wrote it (I12).
pub(super) async fn nobody_else_wrote(
    context: &Context,
    configs: &[BrokerConfig],
    known: &[KeyAt],
) -> Result<(), Hold> {
    for key in known {
        let of = |it: &&BrokerConfig| key.subject == Subject::Broker(it.broker);
        let Some(config) = configs.iter().find(of) else { continue };
        ours_still(context, key, config.get(&key.key).and_then(|it| it.stored())).await?;
    }
    Ok(())
}

pub(super) async fn nobody_else_set(
    context: &Context,
    set: &[ClientQuota],
    known: &[KeyAt],
) -> Result<(), Hold> {
    for key in known {
        let Subject::Quota(entity) = &key.subject else { continue };
        let found = set.iter().find(|it| it.entity == *entity && it.key.label() == key.key);
        let stored = found.map(|it| it.value.to_string());
        ours_still(context, key, stored.as_deref()).await?;
    }
    Ok(())
}

/// What is found changed is marked, so that it holds until a person releases it.
async fn ours_still(context: &Context, known: &KeyAt, stored: Option<&str>) -> Result<(), Hold> {
    let foreign = known.wrote.as_ref().is_some_and(|it| it.as_deref() != stored);
    if foreign && !known.hands_off {
        let key = (known.subject.clone(), known.key.clone());
        context
            .store
            .mark_changed(&context.cluster.name, key, context.now())
            .await
            .map_err(unread)?;
    }
    Hold::unless(!foreign && !known.hands_off, HoldReason::ExternallyChanged, || {
        format!(
            "{} of {} is {} and this program wrote {}: someone else changed it; release it when \
             that is settled",
            known.key,
            known.subject,
            stored.unwrap_or("not set"),
            known.wrote.as_ref().map_or("it earlier", |it| said(it.as_ref())),
        )
    })
}

/// No measure ended within the baseline, which would be half a measurement of that (I40).
pub(super) async fn no_measure_ended(context: &Context, baseline: Duration) -> Result<(), Hold> {
    let lifted = context.store.last_expired(&context.cluster.name).await.map_err(unread)?;
    let clear = lifted.map(|it| it.after(baseline)).filter(|it| context.now() < *it);
    Hold::unless(clear.is_none(), HoldReason::Overlap, || {
        let left = seconds(clear.unwrap_or_default().since(context.now()));
        format!("a measure was lifted within the baseline; {left} s until it is clear")
    })
}

/// Without its past a run may not start.
#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err` argument")]
fn unread(error: StoreError) -> Hold {
    Hold::new(HoldReason::EvidenceMissing, chain(&error))
}
