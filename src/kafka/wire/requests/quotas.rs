//! `DescribeClientQuotas`, for users and client ids, and `AlterClientQuotas`, for named ones.

use kafka_protocol::{
    messages::{
        AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
        DescribeClientQuotasResponse,
        alter_client_quotas_request::{EntityData, EntryData, OpData},
        alter_client_quotas_response,
    },
    protocol::StrBytes,
};

use crate::{
    kafka::wire::api_call::{ApiCall, ResponseError, check_code, dedup_by_key, str_bytes},
    model::{
        Api, ClientQuota, ClientQuotas, DefaultQuota, QuotaChange, QuotaEntity, QuotaKey,
        QuotaName, WriteMode,
    },
};

/// Entity types of the Java client's `ClientQuotaEntity`.
const USER: &str = "user";
const CLIENT_ID: &str = "client-id";

/// Quotas of users and client ids, named ones and defaults.
pub(crate) struct DescribeClientQuotas;

pub(crate) struct AlterClientQuota<'a> {
    pub(crate) change: &'a QuotaChange,
    pub(crate) mode: WriteMode,
}

impl ApiCall for DescribeClientQuotas {
    const API: Api = Api::DescribeClientQuotas;
    type Request = DescribeClientQuotasRequest;
    type Output = ClientQuotas;

    fn request(&self, _version: i16) -> DescribeClientQuotasRequest {
        // Without filter components, the response lists the quotas of all entities.
        DescribeClientQuotasRequest::default().with_strict(false)
    }

    fn parse(&self, response: DescribeClientQuotasResponse) -> Result<ClientQuotas, ResponseError> {
        check_code(response.error_code, response.error_message.as_ref())?;

        let Some(entries) = response.entries else {
            return Err(ResponseError::Malformed("entries are null".to_owned()));
        };

        let mut quotas = ClientQuotas::default();
        for entry in entries {
            let parts = entry.entity.iter().map(|it| (&it.entity_type, &it.entity_name));
            let Some(QuotaScope { user, client_id }) = scope(parts) else { continue };

            for quota in &entry.values {
                let Some(key) = QuotaKey::from_label(&quota.key) else { continue };
                let value = quota.value;

                if !value.is_finite() {
                    let of = named(user.as_ref(), client_id.as_ref());
                    let of = of.map_or("a default".to_owned(), |it| it.to_string());
                    let problem = format!("{key} of {of} is {value}");
                    return Err(ResponseError::Malformed(problem));
                }

                match named(user.as_ref(), client_id.as_ref()) {
                    Some(entity) => quotas.named.push(ClientQuota { entity, key, value }),
                    None => quotas.defaults.push(DefaultQuota {
                        user: user.clone(),
                        client_id: client_id.clone(),
                        key,
                        value,
                    }),
                }
            }
        }

        quotas.named = dedup_by_key(quotas.named, |it| (it.entity.clone(), it.key));
        quotas.named.sort_by(|a, b| (&a.entity, a.key).cmp(&(&b.entity, b.key)));

        Ok(quotas)
    }
}

impl ApiCall for AlterClientQuota<'_> {
    const API: Api = Api::AlterClientQuotas;
    type Request = AlterClientQuotasRequest;
    type Output = ();

    fn request(&self, _version: i16) -> AlterClientQuotasRequest {
        let QuotaChange { entity, key, value } = self.change;
        let part = |kind: &str, name: &str| {
            EntityData::default()
                .with_entity_type(str_bytes(kind))
                .with_entity_name(Some(str_bytes(name)))
        };

        let user = entity.user.as_deref().map(|it| part(USER, it));
        let client_id = entity.client_id.as_deref().map(|it| part(CLIENT_ID, it));
        let change = OpData::default()
            .with_key(str_bytes(key.label()))
            .with_value(value.unwrap_or_default())
            .with_remove(value.is_none());

        let entry = EntryData::default()
            .with_entity(user.into_iter().chain(client_id).collect())
            .with_ops(vec![change]);

        AlterClientQuotasRequest::default()
            .with_entries(vec![entry])
            .with_validate_only(self.mode == WriteMode::ValidateOnly)
    }

    fn parse(&self, response: AlterClientQuotasResponse) -> Result<(), ResponseError> {
        let entity = &self.change.entity;
        let is_ours = |it: &&alter_client_quotas_response::EntryData| {
            let parts = it.entity.iter().map(|it| (&it.entity_type, &it.entity_name));
            let found = scope(parts).and_then(|it| named(it.user.as_ref(), it.client_id.as_ref()));
            found.as_ref() == Some(entity)
        };
        let Some(entry) = response.entries.iter().find(is_ours) else {
            let problem = format!("{entity} is missing from the response");
            return Err(ResponseError::Malformed(problem));
        };

        check_code(entry.error_code, entry.error_message.as_ref())
    }
}

/// The user and the client id of an entity.
struct QuotaScope {
    user: Option<QuotaName>,
    client_id: Option<QuotaName>,
}

/// The user, the client id, or both, from the type and name of each part of an entity. The name of
/// a default is null. `None` for other types.
fn scope<'a>(
    parts: impl Iterator<Item = (&'a StrBytes, &'a Option<StrBytes>)>,
) -> Option<QuotaScope> {
    let mut scope = QuotaScope { user: None, client_id: None };
    for (kind, name) in parts {
        let name = name.as_ref();
        let name = name.map_or(QuotaName::Default, |it| QuotaName::Named(it.to_string()));
        match kind.as_str() {
            USER => scope.user = Some(name),
            CLIENT_ID => scope.client_id = Some(name),
            _ => return None,
        }
    }

    (scope.user.is_some() || scope.client_id.is_some()).then_some(scope)
}

/// The entity, unless a part of it is a default.
fn named(user: Option<&QuotaName>, client_id: Option<&QuotaName>) -> Option<QuotaEntity> {
    let name = |it: Option<&QuotaName>| match it {
        Some(QuotaName::Named(name)) => Some(Some(name.clone())),
        Some(QuotaName::Default) => None,
        None => Some(None),
    };
    Some(QuotaEntity { user: name(user)?, client_id: name(client_id)? })
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_client_quotas_response;

    use super::*;

    fn greedy() -> QuotaEntity {
        QuotaEntity { user: None, client_id: Some("greedy".to_owned()) }
    }

    fn listed(value: f64) -> describe_client_quotas_response::EntryData {
        let part = describe_client_quotas_response::EntityData::default()
            .with_entity_type(str_bytes(CLIENT_ID))
            .with_entity_name(Some(str_bytes("greedy")));
        let value = describe_client_quotas_response::ValueData::default()
            .with_key(str_bytes("producer_byte_rate"))
            .with_value(value);

        describe_client_quotas_response::EntryData::default()
            .with_entity(vec![part])
            .with_values(vec![value])
    }

    fn parse(
        entries: Option<Vec<describe_client_quotas_response::EntryData>>,
    ) -> Result<ClientQuotas, ResponseError> {
        DescribeClientQuotas.parse(DescribeClientQuotasResponse::default().with_entries(entries))
    }

    #[test]
    fn a_duplicate_quota_is_dropped() {
        let (entity, key) = (greedy(), QuotaKey::ProducerByteRate);
        let want = [ClientQuota { entity, key, value: 1.5 }];
        assert_eq!(parse(Some(vec![listed(1.5), listed(2.5)])).unwrap().named, want);
    }

    #[test]
    fn a_null_list_and_a_value_that_is_not_finite_are_malformed() {
        for entries in [None, Some(vec![listed(f64::NAN)]), Some(vec![listed(f64::INFINITY)])] {
            assert!(matches!(parse(entries), Err(ResponseError::Malformed(_))));
        }
        assert_eq!(parse(Some(Vec::new())).unwrap(), ClientQuotas::default());
    }

    #[test]
    fn a_response_for_another_entity_is_malformed() {
        let change =
            QuotaChange { entity: greedy(), key: QuotaKey::ProducerByteRate, value: Some(1.0) };
        let call = AlterClientQuota { change: &change, mode: WriteMode::Write };

        let about = |kind: &str, name: Option<&str>| {
            let part = alter_client_quotas_response::EntityData::default()
                .with_entity_type(str_bytes(kind))
                .with_entity_name(name.map(str_bytes));
            let entry = alter_client_quotas_response::EntryData::default().with_entity(vec![part]);
            call.parse(AlterClientQuotasResponse::default().with_entries(vec![entry]))
        };

        assert!(about(CLIENT_ID, Some("greedy")).is_ok());

        for (kind, name) in [(CLIENT_ID, Some("other")), (CLIENT_ID, None), (USER, Some("greedy"))]
        {
            assert!(
                matches!(about(kind, name), Err(ResponseError::Malformed(_))),
                "{kind} {name:?}"
            );
        }

        let empty = call.parse(AlterClientQuotasResponse::default());
        assert!(matches!(empty, Err(ResponseError::Malformed(_))));
    }
}
