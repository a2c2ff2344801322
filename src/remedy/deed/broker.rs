//! A key of one broker's dynamic configuration.

use super::{super::context::Context, Standing};
use crate::{
    kafka::{BrokerConfig, ConfigChange, ConfigEntry, KafkaError, WriteMode},
    model::BrokerId,
    store::StepRow,
};

pub(super) async fn observe(
    at: &Context,
    broker: BrokerId,
    step: &StepRow,
) -> Result<Standing, KafkaError> {
    let config = at.kafka.broker_config(broker, &[&step.key]).await?;
    Ok(standing(&config, step))
}

/// Compares what a broker reports with a step: value in force, and entry stored.
fn standing(config: &BrokerConfig, step: &StepRow) -> Standing {
    let entry = config.get(&step.key);
    let effective = entry.and_then(|it| it.effective.as_deref());
    let stored = entry.and_then(ConfigEntry::stored);
    let (before, after) = (step.from_stored.as_deref(), step.to.as_deref());
    // An entry is taken away where what it says is not in force anyway.
    let wanted = after.unwrap_or(&step.from);
    if stored == after {
        if effective == Some(wanted) { Standing::After } else { Standing::StoredOnly }
    } else if stored == before && effective == Some(&step.from) {
        Standing::Before
    } else if stored == before && effective == after {
        Standing::BeforeStoredOnly
    } else {
        Standing::Elsewhere(format!(
            "{} of {} is {} (stored: {}), not {} as planned from",
            step.key,
            step.subject,
            effective.unwrap_or("not known"),
            stored.unwrap_or("nothing"),
            step.from
        ))
    }
}

pub(super) async fn set(
    at: &Context,
    (broker, key): (BrokerId, &str),
    (value, mode): (Option<&str>, WriteMode),
) -> Result<(), KafkaError> {
    let change = ConfigChange { key: key.to_owned(), value: value.map(str::to_owned) };
    at.kafka.alter_broker_config(broker, &[change], mode).await
}
