//! `shed-load`: quotas on the clients that a playbook names, so that the others get through.
//!
//! Kafka has no quota on a topic, and measures a client's rate only while it has a quota; so who is
//! slowed down, and what it moves in usual times, is the operator's to say (I28).
//!
//! Invariant (I39): no step takes away more than half, and none goes below what the playbook leaves
//! a client with.

use super::{Plan, PlannedStep, Unplannable};
use crate::{
    model::{ClientQuota, OnUndo, Subject},
    playbook::{Shed, ShedLoad},
};

/// A value that no quota is.
pub const NO_QUOTA: &str = "no quota";

/// Plans from the quotas that are set. The clients go down side by side.
///
/// # Errors
///
/// When every client is at its rate, or below.
pub fn plan(set: &[ClientQuota], parameters: &ShedLoad) -> Result<Plan, Unplannable> {
    let mut plan = Plan::default();
    for shed in &parameters.clients {
        let ours = |it: &&ClientQuota| it.entity == shed.entity && it.key == shed.key;
        let stored = set.iter().find(ours).map(|it| it.value);
        let steps = steps(shed, stored);
        if let (true, Some(stored)) = (steps.is_empty(), stored) {
            plan.remarks.push(format!("{} has {} {stored} already", shed.entity, shed.key));
        }
        plan.steps.extend(steps);
    }
    plan.steps.sort_by_key(|it| it.wave);
    if plan.steps.is_empty() {
        return Err(Unplannable(format!(
            "nobody is left to slow down: {}",
            plan.remarks.join("; ")
        )));
    }
    plan.remarks.push(
        "a quota counts on each broker by itself; a client above it is made to wait, and sees no \
         error"
            .to_owned(),
    );
    Ok(plan)
}

fn steps(shed: &Shed, stored: Option<f64>) -> Vec<PlannedStep> {
    let rate = |text: &Option<String>| text.clone().unwrap_or_else(|| NO_QUOTA.to_owned());
    let mut before = stored.map(|it| it.to_string());
    let begin = stored.unwrap_or_else(|| whole(shed.usual));
    (0..)
        .zip(halvings(begin, whole(shed.to)))
        .map(|(wave, to)| {
            let step = PlannedStep {
                stage: 0,
                wave,
                subject: Subject::Quota(shed.entity.clone()),
                key: shed.key.label().to_owned(),
                from: rate(&before),
                from_stored: before.clone(),
                to: Some(to.to_string()),
                on_undo: OnUndo::Restore,
            };
            before.clone_from(&step.to);
            step
        })
        .collect()
}

/// From `begin` (not included) down to `end`, each at least half of the one before.
fn halvings(begin: f64, end: f64) -> Vec<f64> {
    let mut rates = Vec::new();
    let mut at = begin;
    while end < at {
        at = (at / 2.0).floor().max(end);
        rates.push(at);
    }
    rates
}

/// Rates are at most 2^40, which a double holds exactly.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "below 2^53 it is exact")]
const fn whole(rate: u64) -> f64 {
    rate as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{QuotaEntity, QuotaKey};
    use std::collections::BTreeSet;

    const MIB: u64 = 1 << 20;

    fn client(name: &str) -> QuotaEntity {
        QuotaEntity { user: None, client_id: Some(name.to_owned()) }
    }

    fn shed(name: &str, usual: u64, to: u64) -> Shed {
        let (entity, key) = (client(name), QuotaKey::ProducerByteRate);
        Shed { entity, key, usual, to, even_if: BTreeSet::new() }
    }

    #[track_caller]
    fn check(set: &[(&str, f64)], clients: Vec<Shed>, want: &[&str]) -> Plan {
        let key = QuotaKey::ProducerByteRate;
        let quota =
            |(name, value): &(&str, f64)| ClientQuota { entity: client(name), key, value: *value };
        let set: Vec<ClientQuota> = set.iter().map(quota).collect();
        let plan = plan(&set, &ShedLoad { clients }).unwrap();
        let shown = |it: &PlannedStep| {
            let stored = it.from_stored.as_deref().unwrap_or("-");
            format!("{} {} {stored}>{}", it.wave, it.subject, it.to.as_ref().unwrap())
        };
        assert_eq!(plan.steps.iter().map(shown).collect::<Vec<_>>(), want);
        plan
    }

    #[test]
    fn i39_no_step_takes_away_more_than_half_and_none_goes_below_the_rate() {
        let plan = check(
            &[],
            vec![shed("greedy", 6 * MIB, MIB)],
            &[
                "0 client greedy ->3145728",
                "1 client greedy 3145728>1572864",
                "2 client greedy 1572864>1048576",
            ],
        );
        assert_eq!(plan.steps.first().unwrap().from, NO_QUOTA);
        for (begin, end) in [(55.0, 1.0), (3.0, 2.0), (7.5, 1.0), (1024.0, 1023.0)] {
            let mut at = begin;
            for next in halvings(begin, end) {
                assert!(end <= next && next < at && (at / 2.0).floor() <= next, "{at} to {next}");
                at = next;
            }
            assert!((at - end).abs() < f64::EPSILON, "{begin} to {end} ended at {at}");
        }
    }

    #[test]
    fn i28_clients_go_down_side_by_side_in_the_order_of_the_playbook() {
        check(
            &[("calm", 2_097_152.0)],
            vec![shed("greedy", 4 * MIB, MIB), shed("calm", 8 * MIB, MIB)],
            &[
                "0 client greedy ->2097152",
                "0 client calm 2097152>1048576",
                "1 client greedy 2097152>1048576",
            ],
        );
    }

    #[test]
    fn a_client_with_less_already_is_left_alone() {
        let clients = vec![shed("greedy", 4 * MIB, 2 * MIB), shed("calm", 4 * MIB, 2 * MIB)];
        let plan = check(&[("greedy", 1000.5)], clients.clone(), &["0 client calm ->2097152"]);
        assert!(
            plan.remarks
                .first()
                .unwrap()
                .contains("client greedy has producer_byte_rate 1000.5 already")
        );
        let key = QuotaKey::ProducerByteRate;
        let quota = |name| ClientQuota { entity: client(name), key, value: 5.0 };
        let set = [quota("greedy"), quota("calm")];
        assert!(super::plan(&set, &ShedLoad { clients }).is_err());
    }
}
