//! `DescribeClientQuotas` and `AlterClientQuotas`.

use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasResponse,
    alter_client_quotas_response, describe_client_quotas_response,
};

use super::{
    super::{contents::FakeEntity, seen::SeenQuotaChange},
    ClusterContents, SeenChange, text,
};

pub(super) fn describe(cluster: &ClusterContents) -> DescribeClientQuotasResponse {
    let entries = cluster.quotas.iter().map(|(entity, values)| entry(entity, values)).collect();
    DescribeClientQuotasResponse::default().with_entries(Some(entries))
}

fn entry(
    entity: &FakeEntity,
    values: &[(&'static str, f64)],
) -> describe_client_quotas_response::EntryData {
    use describe_client_quotas_response::{EntityData, EntryData, ValueData};

    let part = |(kind, name): &(&str, Option<&str>)| {
        EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
    };
    let value =
        |(key, value): &(&str, f64)| ValueData::default().with_key(text(key)).with_value(*value);

    EntryData::default()
        .with_entity(entity.iter().map(part).collect())
        .with_values(values.iter().map(value).collect())
}

pub(super) fn alter(
    cluster: &ClusterContents,
    request: &AlterClientQuotasRequest,
    asked: &mut Option<SeenChange>,
) -> AlterClientQuotasResponse {
    use alter_client_quotas_response::{EntityData, EntryData};

    let [entry] = request.entries.as_slice() else { panic!("one entity at a time") };
    let [op] = entry.ops.as_slice() else { panic!("one quota at a time") };
    let part = |kind: &str, name: Option<&str>| (kind.to_owned(), name.map(str::to_owned));
    let parts = entry.entity.iter().map(|it| part(&it.entity_type, it.entity_name.as_deref()));
    *asked = Some(SeenChange::Quota(SeenQuotaChange {
        validate_only: request.validate_only,
        entity: parts.collect(),
        key: op.key.to_string(),
        value: (!op.remove).then_some(op.value),
    }));
    let (code, message) = cluster.alter_refusal.unwrap_or((0, ""));
    let echo = entry.entity.iter().map(|it| {
        EntityData::default()
            .with_entity_type(it.entity_type.clone())
            .with_entity_name(it.entity_name.clone())
    });
    let entry = EntryData::default()
        .with_error_code(code)
        .with_error_message(Some(text(message)))
        .with_entity(echo.collect());

    AlterClientQuotasResponse::default().with_entries(vec![entry])
}
