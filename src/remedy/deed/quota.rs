//! A quota of one client or user.

use super::{super::context::Context, Standing};
use crate::{
    kafka::{KafkaError, QuotaChange, WriteMode},
    model::{QuotaEntity, QuotaKey},
    store::StepRow,
};

pub(super) async fn observe(
    at: &Context,
    entity: &QuotaEntity,
    step: &StepRow,
) -> Result<Standing, KafkaError> {
    let set = at.kafka.client_quotas().await?;
    let ours = set.iter().find(|it| it.entity == *entity && it.key.label() == step.key);
    let stored = ours.map(|it| it.value.to_string());
    Ok(if stored == step.to {
        Standing::After
    } else if stored == step.from_stored {
        Standing::Before
    } else {
        let stored = stored.as_deref().unwrap_or("not set");
        Standing::Elsewhere(format!(
            "{} of {entity} is {stored}, not {} as planned from",
            step.key, step.from
        ))
    })
}

pub(super) async fn set(
    at: &Context,
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
    at.kafka.alter_client_quota(&change, mode).await
}
