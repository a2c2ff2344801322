//! `shed-load`: sets quotas on the clients that a playbook names, so that others get their share.
//!
//! Kafka has no quota on a topic, and measures a client's rate only while the client has a quota.
//! So the operator names the clients, and the rate that each usually has (I28).
//!
//! Invariant (I39): no step takes more than half of a rate, and none goes below the rate that the
//! playbook leaves a client.

use super::{Plan, PlannedStep, Unplannable};
use crate::{
    model::{Change, ClientQuota, ClientQuotaChange},
    playbook::{Shed, ShedLoad},
};

/// Plans for all clients at the same time, from the quotas in `set`.
///
/// # Errors
///
/// When every client has its rate, or a lower one.
pub fn plan(set: &[ClientQuota], parameters: &ShedLoad) -> Result<Plan, Unplannable> {
    let mut plan = Plan::default();
    for shed in &parameters.clients {
        let same = |it: &&ClientQuota| it.entity == shed.entity && it.key == shed.key;
        let current = set.iter().find(same).map(|it| it.value);
        let steps = steps(shed, current);
        if let (true, Some(rate)) = (steps.is_empty(), current) {
            plan.remarks.push(format!("{} has {} {rate} already", shed.entity, shed.key));
        }
        plan.steps.extend(steps);
    }

    // Stable: the clients of a wave keep the order of the playbook.
    plan.steps.sort_by_key(|it| it.wave);

    if plan.steps.is_empty() {
        let remarks = plan.remarks.join("; ");
        return Err(Unplannable(format!("no client is left to slow down: {remarks}")));
    }

    plan.remarks.push(
        "a quota applies to each broker separately; a client above it is throttled and sees no \
         error"
            .to_owned(),
    );
    Ok(plan)
}

fn steps(shed: &Shed, current: Option<f64>) -> Vec<PlannedStep> {
    let mut from = current;
    let begin = current.unwrap_or_else(|| whole(shed.usual));
    let rates = (0..).zip(halvings(begin, whole(shed.to)));

    let steps = rates.map(|(wave, to)| {
        let change = ClientQuotaChange { entity: shed.entity.clone(), key: shed.key, from, to };
        from = Some(to);
        PlannedStep { stage: 0, wave, change: Change::ClientQuota(change) }
    });
    steps.collect()
}

/// From `begin` (exclusive) down to `end` (inclusive), each at least half of the one before.
fn halvings(begin: f64, end: f64) -> Vec<f64> {
    let mut rates = Vec::new();
    let mut rate = begin;
    while rate > end {
        rate = (rate / 2.0).floor().max(end);
        rates.push(rate);
    }
    rates
}

/// Rates are at most 2^40, which an `f64` holds exactly.
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
            let text = it.change.text();
            let from = text.from_stored.as_deref().unwrap_or("-");
            format!("{} {} {from}>{}", it.wave, text.subject, text.to.as_ref().unwrap())
        };
        assert_eq!(plan.steps.iter().map(shown).collect::<Vec<_>>(), want);

        plan
    }

    #[test]
    fn i39_no_step_takes_more_than_half_and_none_goes_below_the_playbooks_rate() {
        let plan = check(
            &[],
            vec![shed("greedy", 6 * MIB, MIB)],
            &[
                "0 client greedy ->3145728",
                "1 client greedy 3145728>1572864",
                "2 client greedy 1572864>1048576",
            ],
        );
        assert_eq!(plan.steps.first().unwrap().change.text().from, "no quota");

        for (begin, end) in [(55.0, 1.0), (3.0, 2.0), (7.5, 1.0), (1024.0, 1023.0)] {
            let mut rate = begin;
            for next in halvings(begin, end) {
                assert!(next >= end && next < rate, "{rate} to {next}");
                assert!(next >= (rate / 2.0).floor(), "{rate} to {next}");
                rate = next;
            }
            assert!((rate - end).abs() < f64::EPSILON, "{begin} to {end} ended at {rate}");
        }
    }

    #[test]
    fn i28_clients_are_slowed_down_together_in_the_order_of_the_playbook() {
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
    fn a_client_with_a_lower_quota_is_not_touched() {
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
