//! One key of one broker's dynamic configuration.

use async_trait::async_trait;

use super::{
    super::breach::Breach, super::context::Context, ApplyChange, ApplyError, Direction, Observed,
};
use crate::model::{BrokerConfig, BrokerConfigChange, ConfigChange, ConfigEntry, RunId, WriteMode};

#[async_trait]
impl ApplyChange for BrokerConfigChange {
    async fn observe(&self, context: &Context, _: RunId) -> Result<Observed, ApplyError> {
        let config = context.kafka.broker_config(self.broker, &[&self.key]).await?;
        Ok(compare(self, &config))
    }

    async fn apply(
        &self,
        context: &Context,
        _: RunId,
        direction: Direction,
        mode: WriteMode,
    ) -> Result<(), ApplyError> {
        let value = match direction {
            Direction::Desired => Some(self.to.clone()),
            Direction::Prior if Breach::I23UndoLeavesEntry.is_played() => Some(self.from.clone()),
            Direction::Prior => self.from_stored.clone(),
        };
        let change = ConfigChange { key: self.key.clone(), value };

        Ok(context.kafka.alter_broker_config(self.broker, &[change], mode).await?)
    }
}

/// Compares the stored entry and the effective value with the change: both count (I21).
fn compare(change: &BrokerConfigChange, config: &BrokerConfig) -> Observed {
    let BrokerConfigChange { broker, key, from, from_stored, to } = change;
    let entry = config.get(key);
    let effective = entry.and_then(|it| it.effective.as_deref());
    let stored = entry.and_then(ConfigEntry::stored);

    if stored == Some(to) {
        if effective == Some(to) { Observed::Desired } else { Observed::NotEffective }
    } else if stored == from_stored.as_deref() && effective == Some(from) {
        Observed::Prior
    } else if stored == from_stored.as_deref() && effective == Some(to) {
        Observed::PriorNotEffective
    } else {
        let effective = effective.unwrap_or("unknown");
        let stored = stored.unwrap_or("nothing");
        Observed::Diverged(format!(
            "{key} of broker {broker} is {effective} (stored: {stored}), expected {from}"
        ))
    }
}
