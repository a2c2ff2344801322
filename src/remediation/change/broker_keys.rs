//! Several keys of one broker, taken away in one request: while one entry is not in force, the
//! broker refuses every change that leaves it there.

use super::{super::context::Context, Observed};
use crate::{
    kafka::KafkaError,
    model::{BrokerId, ConfigChange, ConfigEntry, WriteMode},
    store::StepRow,
};

fn keys(step: &StepRow) -> Vec<&str> {
    step.key.split(' ').collect()
}

pub(super) async fn observe(
    context: &Context,
    broker: BrokerId,
    step: &StepRow,
) -> Result<Observed, KafkaError> {
    let keys = keys(step);
    let config = context.kafka.broker_config(broker, &keys).await?;
    let stored = |key: &&str| config.get(key).and_then(ConfigEntry::stored);
    let found: Vec<Option<&str>> = keys.iter().map(stored).collect();
    let before = step.from_stored.iter().flat_map(|it| it.split(' ')).map(Some);
    Ok(if found.iter().all(Option::is_none) {
        Observed::Desired
    } else if found.iter().copied().eq(before) {
        Observed::Prior
    } else {
        Observed::Diverged(format!("{} of {} are stored as {found:?}", step.key, step.subject))
    })
}

/// Takes them away; they are never set together.
pub(super) async fn apply(
    context: &Context,
    (broker, step): (BrokerId, &StepRow),
    mode: WriteMode,
) -> Result<(), KafkaError> {
    let gone = |key: &str| ConfigChange { key: key.to_owned(), value: None };
    let changes: Vec<ConfigChange> = keys(step).into_iter().map(gone).collect();
    context.kafka.alter_broker_config(broker, &changes, mode).await
}
