//! A key of one broker's dynamic configuration.

use super::{super::context::Context, Observed};
use crate::{
    kafka::KafkaError,
    model::{BrokerConfig, BrokerId, ConfigChange, ConfigEntry, WriteMode},
    store::StepRow,
};

pub(super) async fn observe(
    context: &Context,
    broker: BrokerId,
    step: &StepRow,
) -> Result<Observed, KafkaError> {
    let config = context.kafka.broker_config(broker, &[&step.key]).await?;
    Ok(standing(&config, step))
}

/// Compares what a broker reports with a step: value in force, and entry stored.
fn standing(config: &BrokerConfig, step: &StepRow) -> Observed {
    let entry = config.get(&step.key);
    let effective = entry.and_then(|it| it.effective.as_deref());
    let stored = entry.and_then(ConfigEntry::stored);
    let (before, after) = (step.from_stored.as_deref(), step.to.as_deref());
    // An entry is taken away where what it says is not in force anyway.
    let wanted = after.unwrap_or(&step.from);
    if stored == after {
        if effective == Some(wanted) { Observed::Desired } else { Observed::NotEffective }
    } else if stored == before && effective == Some(&step.from) {
        Observed::Prior
    } else if stored == before && effective == after {
        Observed::PriorNotEffective
    } else {
        Observed::Diverged(format!(
            "{} of {} is {} (stored: {}), not {} as planned from",
            step.key,
            step.subject,
            effective.unwrap_or("not known"),
            stored.unwrap_or("nothing"),
            step.from
        ))
    }
}

pub(super) async fn apply(
    context: &Context,
    (broker, key): (BrokerId, &str),
    (value, mode): (Option<&str>, WriteMode),
) -> Result<(), KafkaError> {
    let change = ConfigChange { key: key.to_owned(), value: value.map(str::to_owned) };
    context.kafka.alter_broker_config(broker, &[change], mode).await
}
