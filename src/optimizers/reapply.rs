//! `reapply`: walks up again what this program wrote and a broker lost at its restart.
//!
//! A broker checks stored values against the sizes of its file when it starts (KAFKA-20890): one
//! above twice of that, and none of its dynamic keys is in force any more. While it is so, the
//! broker refuses every change; so all of ours that are not in force are taken away in one request,
//! and then each goes up step by step.
//!
//! Invariant (I12, I18): only values that this program wrote, and that are stored still, are
//! touched.

use std::collections::BTreeMap;

use super::{Plan, PlannedStep, Unplannable, ladder};
use crate::model::{BrokerConfig, BrokerId, ConfigEntry, OnUndo, Subject};

/// What is known of one broker.
#[derive(Clone, Debug)]
pub struct BrokerFacts {
    /// The keys that this program wrote, read from the broker.
    pub config: BrokerConfig,
    /// What it wrote there last.
    pub wrote: BTreeMap<String, String>,
}

/// Plans for every broker in `facts`, side by side.
///
/// # Errors
///
/// When everything that this program wrote is in force, or someone else has changed it.
pub fn plan(facts: &[BrokerFacts]) -> Result<Plan, Unplannable> {
    let mut plan = Plan::default();
    for broker in facts {
        let (lost, foreign) = lost(broker)?;
        plan.remarks.extend(foreign);
        if !lost.is_empty() {
            plan.steps.extend(steps(broker.config.broker, &lost));
        }
    }
    plan.steps.sort_by_cached_key(|it| (it.wave, it.subject.clone(), it.key.clone()));
    if plan.steps.is_empty() {
        let mut text = "everything that this program wrote is in force".to_owned();
        for remark in &plan.remarks {
            text.push_str("; ");
            text.push_str(remark);
        }
        return Err(Unplannable(text));
    }
    Ok(plan)
}

struct Lost<'a> {
    key: &'a str,
    effective: u32,
    stored: u32,
}

fn lost(facts: &BrokerFacts) -> Result<(Vec<Lost<'_>>, Vec<String>), Unplannable> {
    let broker = facts.config.broker;
    let (mut lost, mut foreign) = (Vec::new(), Vec::new());
    for (key, wrote) in &facts.wrote {
        let Some(entry) = facts.config.get(key) else { continue };
        let Some(stored) = entry.stored().filter(|it| entry.effective.as_deref() != Some(*it))
        else {
            continue;
        };
        if stored == wrote {
            let effective = number(broker, entry, entry.effective.as_deref())?;
            lost.push(Lost { key, effective, stored: number(broker, entry, Some(stored))? });
        } else {
            foreign.push(format!(
                "broker {broker}: {key}={stored} is not what this program wrote ({wrote}): left alone"
            ));
        }
    }
    Ok((lost, foreign))
}

fn steps(broker: BrokerId, lost: &[Lost<'_>]) -> Vec<PlannedStep> {
    let all = |part: fn(&Lost<'_>) -> String| lost.iter().map(part).collect::<Vec<_>>().join(" ");
    let mut steps = vec![PlannedStep {
        stage: 0,
        wave: 0,
        subject: Subject::BrokerKeys(broker),
        key: all(|it| it.key.to_owned()),
        from: all(|it| it.effective.to_string()),
        from_stored: Some(all(|it| it.stored.to_string())),
        to: None,
        // The broker would refuse to store again what it does not run.
        on_undo: OnUndo::Leave,
    }];
    for it in lost {
        let (mut from, mut from_stored) = (it.effective, None);
        for (wave, to) in (1..).zip(ladder::up(it.effective, it.stored)) {
            steps.push(PlannedStep {
                stage: 0,
                wave,
                subject: Subject::Broker(broker),
                key: it.key.to_owned(),
                from: from.to_string(),
                from_stored: from_stored.take(),
                to: Some(to.to_string()),
                on_undo: OnUndo::Restore,
            });
            (from, from_stored) = (to, Some(to.to_string()));
        }
    }
    steps
}

fn number(broker: BrokerId, entry: &ConfigEntry, value: Option<&str>) -> Result<u32, Unplannable> {
    value.and_then(|it| it.parse().ok()).ok_or_else(|| {
        let value = value.unwrap_or("nothing");
        Unplannable(format!("broker {broker} reports {}={value}, which is no number", entry.key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConfigSource;

    fn entry(key: &str, stored: &str, effective: &str) -> ConfigEntry {
        ConfigEntry {
            key: key.to_owned(),
            effective: Some(effective.to_owned()),
            source: ConfigSource::DynamicBroker,
            read_only: false,
            synonyms: vec![
                (ConfigSource::DynamicBroker, Some(stored.to_owned())),
                (ConfigSource::Static, Some("4".to_owned())),
            ],
        }
    }

    fn facts(entries: Vec<ConfigEntry>, wrote: &[(&str, &str)]) -> BrokerFacts {
        let broker = BrokerId::from_wire(1).unwrap();
        let wrote = wrote.iter().map(|(key, it)| ((*key).to_owned(), (*it).to_owned())).collect();
        BrokerFacts { config: BrokerConfig { broker, entries }, wrote }
    }

    #[test]
    fn i18_what_was_lost_is_taken_away_at_once_and_walked_up_again() {
        let lost =
            vec![entry("num.io.threads", "16", "4"), entry("num.network.threads", "12", "4")];
        let wrote = [("num.io.threads", "16"), ("num.network.threads", "12")];
        let plan = plan(&[facts(lost, &wrote)]).unwrap();
        let shown = |it: &PlannedStep| {
            let stored = it.from_stored.as_deref().unwrap_or("-");
            let to = it.to.as_deref().unwrap_or("-");
            format!("{} {} {} {}({stored})>{to}", it.wave, it.subject, it.key, it.from)
        };
        assert_eq!(
            plan.steps.iter().map(shown).collect::<Vec<_>>(),
            [
                "0 broker-keys 1 num.io.threads num.network.threads 4 4(16 12)>-",
                "1 broker 1 num.io.threads 4(-)>8",
                "1 broker 1 num.network.threads 4(-)>8",
                "2 broker 1 num.io.threads 8(8)>16",
                "2 broker 1 num.network.threads 8(8)>12",
            ]
        );
    }

    #[test]
    fn i12_a_value_of_someone_else_is_left_alone() {
        let foreign = vec![entry("num.io.threads", "32", "4")];
        let why = plan(&[facts(foreign, &[("num.io.threads", "16")])]).unwrap_err().to_string();
        assert!(why.contains("is not what this program wrote (16)"), "{why}");
    }

    #[test]
    fn what_is_in_force_needs_nothing() {
        let fine = vec![entry("num.io.threads", "16", "16")];
        assert!(plan(&[facts(fine, &[("num.io.threads", "16")])]).is_err());
        assert!(plan(&[facts(Vec::new(), &[])]).is_err());
    }
}
