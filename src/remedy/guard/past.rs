//! What the store says: pause, stuck runs, quarantine, cooldown, caps, and whose values stand
//! where.

use std::time::Duration;

use super::super::{context::Context, execute::said, held::Held};
use crate::{
    kafka::{BrokerConfig, ClientQuota},
    model::{Hold, Subject, Wall},
    playbook::{COOLDOWN_MAX, Playbook},
    store::{KeyAt, Past, RunRow, StoreError},
    telemetry::chain,
};

/// Rollbacks in a row that quarantine a target (I26).
pub(in crate::remedy) const QUARANTINE_AFTER: u32 = 3;

/// Whether the operator and the past let the run start.
pub(super) async fn allows(at: &Context, run: &RunRow, playbook: &Playbook) -> Result<(), Held> {
    // The operator's stop comes first: nothing may hide that we were told to stop.
    Held::unless(!at.pause.is_set(), Hold::Paused, || "remediation is paused".to_owned())?;
    if let Some(operator) = &at.cluster.managed_by {
        let note = format!("the cluster is managed by {operator}: change it there");
        return Err(Held::new(Hold::AdviseOnly, note));
    }
    let target = (run.playbook.clone(), run.target.clone());
    let past = at.store.past(&at.cluster.name, target, at.now()).await.map_err(unread)?;
    judge(at, &past, (playbook, at.now()))
}

fn judge(at: &Context, past: &Past, (playbook, now): (&Playbook, Wall)) -> Result<(), Held> {
    let limits = &at.remediation;
    Held::unless(past.stuck == 0, Hold::Stuck, || {
        format!("{} run(s) of this cluster are stuck; see to them and acknowledge them", past.stuck)
    })?;
    let fallen = past.rollbacks_in_a_row();
    Held::unless(fallen < QUARANTINE_AFTER, Hold::Quarantined, || {
        format!("{fallen} rollbacks in a row on this target; a person releases it")
    })?;
    let rest = past.cooldown_end(playbook.windows.cooldown, COOLDOWN_MAX);
    if let Some(end) = rest.filter(|it| now < *it) {
        let note = format!("{} s of rest are left after the last run", seconds(end.since(now)));
        return Err(Held::new(Hold::Cooldown, note));
    }
    Held::unless(past.wrote_last_hour < limits.runs_per_hour_max, Hold::CapHour, || {
        format!("{} runs wrote in the last hour, the most allowed", past.wrote_last_hour)
    })?;
    Held::unless(past.wrote_last_day < limits.runs_per_day_max, Hold::CapDay, || {
        format!("{} runs wrote in the last day, the most allowed", past.wrote_last_day)
    })
}

/// What is left of a wait: never 0, which nobody would wait for.
fn seconds(left: Duration) -> u64 {
    left.as_secs().saturating_add(u64::from(left.subsec_nanos() != 0))
}

/// What this program wrote on the cluster, and what someone else changed after it.
pub(super) async fn known(at: &Context) -> Result<Vec<KeyAt>, Held> {
    at.store.keys(&at.cluster.name).await.map_err(unread)
}

/// No key of the brokers was changed by someone else after this program wrote it (I12).
pub(super) async fn nobody_else_wrote(
    at: &Context,
    configs: &[BrokerConfig],
    known: &[KeyAt],
) -> Result<(), Held> {
    for key in known {
        let of = |it: &&BrokerConfig| key.subject == Subject::Broker(it.broker);
        let Some(config) = configs.iter().find(of) else { continue };
        ours_still(at, key, config.get(&key.key).and_then(|it| it.stored())).await?;
    }
    Ok(())
}

/// The same of quotas.
pub(super) async fn nobody_else_set(
    at: &Context,
    set: &[ClientQuota],
    known: &[KeyAt],
) -> Result<(), Held> {
    for key in known {
        let Subject::Quota(entity) = &key.subject else { continue };
        let found = set.iter().find(|it| it.entity == *entity && it.key.label() == key.key);
        let stored = found.map(|it| it.value.to_string());
        ours_still(at, key, stored.as_deref()).await?;
    }
    Ok(())
}

/// What is found changed is marked, so that it holds until a person releases it.
async fn ours_still(at: &Context, known: &KeyAt, stored: Option<&str>) -> Result<(), Held> {
    let foreign = known.wrote.as_ref().is_some_and(|it| it.as_deref() != stored);
    if foreign && !known.hands_off {
        let key = (known.subject.clone(), known.key.clone());
        at.store.mark_changed(&at.cluster.name, key, at.now()).await.map_err(unread)?;
    }
    Held::unless(!foreign && !known.hands_off, Hold::ExternallyChanged, || {
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
pub(super) async fn no_measure_ended(at: &Context, baseline: Duration) -> Result<(), Held> {
    let lifted = at.store.last_lifted(&at.cluster.name).await.map_err(unread)?;
    let clear = lifted.map(|it| it.after(baseline)).filter(|it| at.now() < *it);
    Held::unless(clear.is_none(), Hold::Overlap, || {
        let left = seconds(clear.unwrap_or_default().since(at.now()));
        format!("a measure was lifted within the baseline; {left} s until it is clear")
    })
}

/// Without its past a run may not start.
#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err` argument")]
fn unread(error: StoreError) -> Held {
    Held::new(Hold::EvidenceMissing, chain(&error))
}
