//! `reapply`: restores what this program wrote and a broker lost at its restart.
//!
//! At its start a broker checks its stored dynamic values against the sizes in its properties file
//! (KAFKA-20890): when one is above twice that size, none of its dynamic keys is effective. Until
//! then the broker refuses every change. So all of our entries that are not effective are deleted
//! in one request, and each is then raised again step by step.
//!
//! Invariant (I12, I18): only values that this program wrote, and that are still stored, are
//! touched.

use std::collections::BTreeMap;

use super::{Plan, PlannedStep, Unplannable, ladder};
use crate::model::{
    BrokerConfig, BrokerConfigChange, BrokerConfigRemoval, BrokerId, Change, ConfigEntry,
    RemovedKey,
};

/// One broker, with what this program wrote there.
#[derive(Clone, Debug)]
pub struct WrittenConfig {
    /// The keys in `wrote`, read from the broker.
    pub config: BrokerConfig,
    /// What this program wrote last, by key.
    pub wrote: BTreeMap<String, String>,
}

/// Plans for all brokers in `facts` at the same time.
///
/// # Errors
///
/// When every value that this program wrote is effective, or was changed by someone else.
pub fn plan(facts: &[WrittenConfig]) -> Result<Plan, Unplannable> {
    let mut plan = Plan::default();
    for broker in facts {
        let (lost, foreign) = lost_entries(broker)?;
        plan.remarks.extend(foreign);
        if !lost.is_empty() {
            plan.steps.extend(steps(broker.config.broker, &lost));
        }
    }

    plan.sort();

    if plan.steps.is_empty() {
        let why = "every value that this program wrote is effective".to_owned();
        return Err(Unplannable::with_remarks(why, &plan.remarks));
    }

    Ok(plan)
}

/// An entry of ours that is stored and not effective.
struct LostEntry<'a> {
    key: &'a str,
    effective: u32,
    stored: u32,
}

/// The lost entries of one broker, and a remark for each entry of someone else.
fn lost_entries(facts: &WrittenConfig) -> Result<(Vec<LostEntry<'_>>, Vec<String>), Unplannable> {
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
            lost.push(LostEntry { key, effective, stored: number(broker, entry, Some(stored))? });
        } else {
            foreign.push(format!(
                "broker {broker}: {key}={stored} is not what this program wrote ({wrote}): not \
                 touched"
            ));
        }
    }

    Ok((lost, foreign))
}

fn steps(broker: BrokerId, lost: &[LostEntry<'_>]) -> Vec<PlannedStep> {
    let removed = lost.iter().map(|it| RemovedKey {
        key: it.key.to_owned(),
        from: it.effective.to_string(),
        from_stored: it.stored.to_string(),
    });
    let removal = BrokerConfigRemoval { broker, keys: removed.collect() };
    let mut steps =
        vec![PlannedStep { stage: 0, wave: 0, change: Change::RemoveBrokerConfig(removal) }];

    for it in lost {
        let (mut from, mut from_stored) = (it.effective, None);

        for (wave, to) in (1..).zip(ladder::up(it.effective, it.stored)) {
            let change = BrokerConfigChange {
                broker,
                key: it.key.to_owned(),
                from: from.to_string(),
                from_stored: from_stored.take(),
                to: to.to_string(),
            };
            steps.push(PlannedStep { stage: 0, wave, change: Change::BrokerConfig(change) });

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

    fn facts(entries: Vec<ConfigEntry>, wrote: &[(&str, &str)]) -> WrittenConfig {
        let broker = BrokerId::from_wire(1).unwrap();
        let wrote = wrote.iter().map(|(key, it)| ((*key).to_owned(), (*it).to_owned())).collect();
        WrittenConfig { config: BrokerConfig { broker, entries }, wrote }
    }

    #[test]
    fn i18_lost_entries_are_deleted_in_one_request_and_raised_again() {
        let lost =
            vec![entry("num.io.threads", "16", "4"), entry("num.network.threads", "12", "4")];
        let wrote = [("num.io.threads", "16"), ("num.network.threads", "12")];
        let plan = plan(&[facts(lost, &wrote)]).unwrap();
        let shown = |it: &PlannedStep| {
            let text = it.change.text();
            let stored = text.from_stored.as_deref().unwrap_or("-");
            let to = text.to.as_deref().unwrap_or("-");

            format!("{} {} {} {}({stored})>{to}", it.wave, text.subject, text.key, text.from)
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
    fn i12_a_value_of_someone_else_is_not_touched() {
        let foreign = vec![entry("num.io.threads", "32", "4")];
        let why = plan(&[facts(foreign, &[("num.io.threads", "16")])]).unwrap_err().to_string();
        assert!(why.contains("is not what this program wrote (16)"), "{why}");
    }

    #[test]
    fn nothing_is_planned_when_every_value_is_effective() {
        let fine = vec![entry("num.io.threads", "16", "16")];
        assert!(plan(&[facts(fine, &[("num.io.threads", "16")])]).is_err());
        assert!(plan(&[facts(Vec::new(), &[])]).is_err());
    }
}
