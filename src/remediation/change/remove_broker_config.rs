//! Several keys of one broker's dynamic configuration, deleted in one request.

use async_trait::async_trait;

use super::{super::context::Context, ApplyChange, ApplyError, Direction, Observed};
use crate::model::{BrokerConfigRemoval, ConfigChange, ConfigEntry, RunId, WriteMode};

#[async_trait]
impl ApplyChange for BrokerConfigRemoval {
    async fn observe(&self, context: &Context, _: RunId) -> Result<Observed, ApplyError> {
        let keys: Vec<&str> = self.keys.iter().map(|it| it.key.as_str()).collect();
        let config = context.kafka.broker_config(self.broker, &keys).await?;
        let stored = |key: &&str| config.get(key).and_then(ConfigEntry::stored);
        let found: Vec<Option<&str>> = keys.iter().map(stored).collect();
        let prior = self.keys.iter().map(|it| Some(it.from_stored.as_str()));

        Ok(if found.iter().all(Option::is_none) {
            Observed::Desired
        } else if found.iter().copied().eq(prior) {
            Observed::Prior
        } else {
            let (keys, broker) = (keys.join(", "), self.broker);
            Observed::Diverged(format!("{keys} of broker {broker} are stored as {found:?}"))
        })
    }

    async fn apply(
        &self,
        context: &Context,
        _: RunId,
        direction: Direction,
        mode: WriteMode,
    ) -> Result<(), ApplyError> {
        let changes = self.keys.iter().map(|it| ConfigChange {
            key: it.key.clone(),
            value: match direction {
                Direction::Desired => None,
                Direction::Prior => Some(it.from_stored.clone()),
            },
        });
        let changes: Vec<ConfigChange> = changes.collect();

        Ok(context.kafka.alter_broker_config(self.broker, &changes, mode).await?)
    }
}
