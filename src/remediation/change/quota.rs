//! A quota of one client or user.

use super::{super::context::Context, Observed};
use crate::{
    kafka::KafkaError,
    model::{QuotaChange, QuotaEntity, QuotaKey, WriteMode},
    store::StepRow,
};

pub(super) async fn observe(
    context: &Context,
    entity: &QuotaEntity,
    step: &StepRow,
) -> Result<Observed, KafkaError> {
    let set = context.kafka.client_quotas().await?;
    let ours = set.iter().find(|it| it.entity == *entity && it.key.label() == step.key);
    let stored = ours.map(|it| it.value.to_string());
    Ok(if stored == step.to {
        Observed::Desired
    } else if stored == step.from_stored {
        Observed::Prior
    } else {
        let stored = stored.as_deref().unwrap_or("not set");
        Observed::Diverged(format!(
            "{} of {entity} is {stored}, not {} as planned from",
            step.key, step.from
        ))
    })
}

pub(super) async fn apply(
    context: &Context,
    (entity, key): (&QuotaEntity, &str),
    (value, mode): (Option<&str>, WriteMode),
) -> Result<(), KafkaError> {
    let value = value.map(str::parse).transpose();
    let (Some(key), Ok(value)) = (QuotaKey::from_label(key), value) else {
        let problem = format!("{key} is no quota that this program sets");
        return Err(KafkaError::Protocol {
            request: "AlterClientQuotas",
            peer: String::new(),
            problem,
        });
    };
    let change = QuotaChange { entity: entity.clone(), key, value };
    context.kafka.alter_client_quota(&change, mode).await
}
