//! `shed-load`: sets quotas on the clients that a playbook names, so that others get their share.
//!
//! Kafka has no quota on a topic, and measures a client's rate only while the client has a quota.
//! So the operator names the clients, and the rate that each usually has (I28).
//!
//! Invariant (I39): no step takes more than half of a rate, and none goes below the rate that the
//! playbook leaves a client.

use super::{Plan, PlannedStep, Unplannable};
use crate::{
    model::{Change, ClientQuotaChange, ClientQuotas, DefaultQuota, QuotaEntity, QuotaName},
    playbook::{Shed, ShedLoad},
};

/// Plans for all clients at the same time, from the quotas that are set. A client whose quota would
/// have no effect is left out.
///
/// # Errors
///
/// When no client is left: each has its rate or a lower one, or is left out.
pub fn plan(quotas: &ClientQuotas, parameters: &ShedLoad) -> Result<Plan, Unplannable> {
    let mut plan = Plan::default();
    for shed in &parameters.clients {
        let Precedence { first, for_some } = Precedence::over(shed, quotas);
        if let Some(first) = first {
            let (entity, key) = (&shed.entity, shed.key);
            plan.remarks.push(format!(
                "a {key} of {entity} would have no effect: that of {first} comes before it"
            ));
            continue;
        }

        plan.remarks.extend(for_some.into_iter().map(|other| {
            let (entity, key) = (&shed.entity, shed.key);
            format!(
                "for clients that match both, the {key} of {other} comes before that of {entity}"
            )
        }));

        let current = quotas.get(&shed.entity, shed.key);
        let steps = steps(shed, current);

        if let (true, Some(rate)) = (steps.is_empty(), current) {
            plan.remarks.push(format!("{} has {} {rate} already", shed.entity, shed.key));
        }

        plan.steps.extend(steps);
    }

    // Stable: the clients of a wave keep the order of the playbook.
    plan.steps.sort_by_key(|it| it.wave);

    if plan.steps.is_empty() {
        let why = "no client is left to slow down".to_owned();
        return Err(Unplannable::with_remarks(why, &plan.remarks));
    }

    plan.remarks.push(
        "a quota applies to each broker separately; a client above it is throttled and sees no \
         error"
            .to_owned(),
    );
    Ok(plan)
}

/// Quotas of the same key that a broker prefers to that of a client or user that is slowed down
/// (`ClientQuotaManager`): the first of user and client, user and default client, user, default
/// user and client, default user and default client, default user, client, default client.
#[derive(Debug, Default)]
struct Precedence {
    /// One that comes before it for all of its clients, or is set for the same client id.
    first: Option<String>,
    /// Those that come before it for some of its clients.
    for_some: Vec<String>,
}

impl Precedence {
    fn over(shed: &Shed, quotas: &ClientQuotas) -> Self {
        let mut found = Self::default();
        for quota in quotas.named.iter().filter(|it| it.key == shed.key) {
            let other = &quota.entity;
            match (&shed.entity.user, &shed.entity.client_id) {
                (None, Some(client))
                    if other.user.is_some()
                        && other.client_id.as_ref().is_none_or(|it| it == client) =>
                {
                    found.add(other.to_string(), other.client_id.as_ref() == Some(client));
                }
                (Some(user), None)
                    if other.user.as_ref() == Some(user) && other.client_id.is_some() =>
                {
                    found.add(other.to_string(), false);
                }
                _ => (),
            }
        }

        for quota in quotas.defaults.iter().filter(|it| it.key == shed.key) {
            let QuotaEntity { user, client_id } = &shed.entity;
            let is_user = |name: &String| quota.user == Some(QuotaName::Named(name.clone()));

            match (user, client_id) {
                (None, Some(client)) => match (&quota.user, &quota.client_id) {
                    (Some(QuotaName::Default), Some(QuotaName::Named(it))) if it != client => (),
                    (Some(QuotaName::Default), _) => found.add(text(quota), true),
                    (Some(QuotaName::Named(_)), _) => found.add(text(quota), false),
                    (None, _) => (),
                },
                (Some(user), None) if is_user(user) => found.add(text(quota), true),
                _ => (),
            }
        }

        found
    }

    fn add(&mut self, other: String, covers_all: bool) {
        if !covers_all {
            self.for_some.push(other);
        } else if self.first.is_none() {
            self.first = Some(other);
        }
    }
}

/// As `QuotaEntity` is shown: `default user, client greedy`.
fn text(quota: &DefaultQuota) -> String {
    let part = |kind: &str, name: &QuotaName| match name {
        QuotaName::Default => format!("default {kind}"),
        QuotaName::Named(name) => format!("{kind} {name}"),
    };
    let parts = [("user", &quota.user), ("client", &quota.client_id)];
    let parts = parts.iter().filter_map(|(kind, name)| Some(part(kind, name.as_ref()?)));

    parts.collect::<Vec<_>>().join(", ")
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
    use crate::model::{ClientQuota, QuotaKey};
    use std::collections::BTreeSet;

    const MIB: u64 = 1 << 20;

    fn client(name: &str) -> QuotaEntity {
        QuotaEntity { user: None, client_id: Some(name.to_owned()) }
    }

    fn shed(name: &str, usual: u64, to: u64) -> Shed {
        let (entity, key) = (client(name), QuotaKey::ProducerByteRate);
        Shed { entity, key, usual, to, even_if: BTreeSet::new() }
    }

    fn named(named: Vec<ClientQuota>) -> ClientQuotas {
        ClientQuotas { named, defaults: Vec::new() }
    }

    #[track_caller]
    fn check(set: &[(&str, f64)], clients: Vec<Shed>, want: &[&str]) -> Plan {
        let key = QuotaKey::ProducerByteRate;
        let quota =
            |(name, value): &(&str, f64)| ClientQuota { entity: client(name), key, value: *value };
        let set = named(set.iter().map(quota).collect());
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
        let set = named(vec![quota("greedy"), quota("calm")]);

        assert!(super::plan(&set, &ShedLoad { clients }).is_err());
    }

    /// `+` is the default, `-` no part.
    fn scope(text: &str) -> Option<QuotaName> {
        match text {
            "-" => None,
            "+" => Some(QuotaName::Default),
            name => Some(QuotaName::Named(name.to_owned())),
        }
    }

    /// The quotas of these (user, client) entities, 1 GB/s each.
    fn quotas(key: QuotaKey, entities: &[[&str; 2]]) -> ClientQuotas {
        let mut quotas = ClientQuotas::default();
        for [user, client_id] in entities {
            let (user, client_id) = (scope(user), scope(client_id));
            let name = |it: &Option<QuotaName>| match it {
                Some(QuotaName::Named(name)) => Some(name.clone()),
                Some(QuotaName::Default) | None => None,
            };
            let is_default = [&user, &client_id].contains(&&Some(QuotaName::Default));

            if is_default {
                quotas.defaults.push(DefaultQuota { user, client_id, key, value: 1e9 });
            } else {
                let entity = QuotaEntity { user: name(&user), client_id: name(&client_id) };
                quotas.named.push(ClientQuota { entity, key, value: 1e9 });
            }
        }

        quotas
    }

    fn greedy(user: &str, client_id: &str) -> ShedLoad {
        let name = |it: &str| (it != "-").then(|| it.to_owned());
        let entity = QuotaEntity { user: name(user), client_id: name(client_id) };
        ShedLoad { clients: vec![Shed { entity, ..shed("greedy", 4 * MIB, MIB) }] }
    }

    #[test]
    fn a_quota_that_another_one_overrides_is_not_set() {
        let key = QuotaKey::ProducerByteRate;
        for (shed, other, words) in [
            (["-", "greedy"], ["+", "-"], "that of default user comes before it"),
            (["-", "greedy"], ["+", "greedy"], "default user, client greedy comes before it"),
            (["-", "greedy"], ["+", "+"], "default user, default client comes before it"),
            (["-", "greedy"], ["batch", "greedy"], "user batch, client greedy comes before it"),
            (["batch", "-"], ["batch", "+"], "user batch, default client comes before it"),
        ] {
            let [user, client_id] = shed;
            let why = plan(&quotas(key, &[other]), &greedy(user, client_id)).unwrap_err();
            assert!(why.to_string().contains(words), "{shed:?} {other:?}: {why}");
        }
    }

    #[test]
    fn a_quota_that_comes_first_for_some_of_the_clients_is_named() {
        let key = QuotaKey::ProducerByteRate;
        for (shed, other, named) in [
            (["-", "greedy"], ["batch", "-"], "user batch"),
            (["-", "greedy"], ["batch", "+"], "user batch, default client"),
            (["batch", "-"], ["batch", "other"], "user batch, client other"),
        ] {
            let [user, client_id] = shed;
            let plan = plan(&quotas(key, &[other]), &greedy(user, client_id)).unwrap();
            let words = format!("the producer_byte_rate of {named} comes before that of");

            assert!(plan.remarks.iter().any(|it| it.contains(&words)), "{plan:?}");
        }
    }

    #[test]
    fn a_quota_with_less_precedence_or_another_key_changes_nothing() {
        let (produce, consume) = (QuotaKey::ProducerByteRate, QuotaKey::ConsumerByteRate);
        for (shed, key, others) in [
            (["-", "greedy"], produce, &[["-", "+"], ["-", "other"], ["+", "other"]][..]),
            (["-", "greedy"], consume, &[["+", "-"], ["batch", "greedy"]]),
            (["batch", "-"], produce, &[["+", "-"], ["+", "greedy"], ["-", "+"], ["other", "+"]]),
            (["batch", "greedy"], produce, &[["batch", "+"], ["batch", "-"], ["+", "greedy"]]),
        ] {
            let [user, client_id] = shed;
            let plan = plan(&quotas(key, others), &greedy(user, client_id)).unwrap();
            assert_eq!(plan.remarks.len(), 1, "{shed:?}: {plan:?}");
        }
    }
}
