//! `DescribeClientQuotas` and `AlterClientQuotas`.

use kafka_protocol::{
    messages::{
        AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
        DescribeClientQuotasResponse,
        alter_client_quotas_request::{EntityData, EntryData, OpData},
        alter_client_quotas_response,
    },
    protocol::StrBytes,
};

use super::super::call::{Call, ResponseError, each_once, refuse, text};
use crate::{
    kafka::{Api, ClientQuota, QuotaChange, WriteMode},
    model::{QuotaEntity, QuotaKey},
};

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";

/// The quotas of users and client ids.
pub(in super::super) struct ClientQuotas;

/// A change of one quota.
pub(in super::super) struct AlterQuota<'a> {
    pub(in super::super) change: &'a QuotaChange,
    pub(in super::super) mode: WriteMode,
}

impl Call for ClientQuotas {
    const API: Api = Api::DescribeClientQuotas;
    type Wire = DescribeClientQuotasRequest;
    type Answer = Vec<ClientQuota>;

    fn request(&self, _version: i16) -> DescribeClientQuotasRequest {
        // Filters choose entities by their parts; without any, all are listed.
        DescribeClientQuotasRequest::default().with_strict(false)
    }

    fn read(
        &self,
        answer: DescribeClientQuotasResponse,
    ) -> Result<Vec<ClientQuota>, ResponseError> {
        refuse(answer.error_code, answer.error_message.as_ref())?;
        let Some(entries) = answer.entries else {
            return Err(ResponseError::Malformed("no list of quotas".to_owned()));
        };
        let mut quotas = Vec::new();
        for entry in entries {
            let parts = entry.entity.iter().map(|it| (&it.entity_type, &it.entity_name));
            let Some(entity) = named(parts) else { continue };
            for listed in &entry.values {
                let Some(key) = QuotaKey::from_label(&listed.key) else { continue };
                if !listed.value.is_finite() {
                    let problem = format!("{key} of {entity} is {}", listed.value);
                    return Err(ResponseError::Malformed(problem));
                }
                quotas.push(ClientQuota { entity: entity.clone(), key, value: listed.value });
            }
        }
        let mut quotas = each_once(quotas, |it| (it.entity.clone(), it.key));
        quotas.sort_by(|a, b| (&a.entity, a.key).cmp(&(&b.entity, b.key)));
        Ok(quotas)
    }
}

impl Call for AlterQuota<'_> {
    const API: Api = Api::AlterClientQuotas;
    type Wire = AlterClientQuotasRequest;
    type Answer = ();

    fn request(&self, _version: i16) -> AlterClientQuotasRequest {
        let QuotaChange { entity, key, value } = self.change;
        let part = |kind: &str, name: &str| {
            EntityData::default().with_entity_type(text(kind)).with_entity_name(Some(text(name)))
        };
        let user = entity.user.as_deref().map(|it| part(USER, it));
        let client_id = entity.client_id.as_deref().map(|it| part(CLIENT_ID, it));
        let change = OpData::default()
            .with_key(text(key.label()))
            .with_value(value.unwrap_or_default())
            .with_remove(value.is_none());
        let entry = EntryData::default()
            .with_entity(user.into_iter().chain(client_id).collect())
            .with_ops(vec![change]);
        AlterClientQuotasRequest::default()
            .with_entries(vec![entry])
            .with_validate_only(self.mode == WriteMode::ValidateOnly)
    }

    fn read(&self, answer: AlterClientQuotasResponse) -> Result<(), ResponseError> {
        let entity = &self.change.entity;
        let is_ours = |it: &&alter_client_quotas_response::EntryData| {
            let parts = it.entity.iter().map(|it| (&it.entity_type, &it.entity_name));
            named(parts).as_ref() == Some(entity)
        };
        let Some(entry) = answer.entries.iter().find(is_ours) else {
            return Err(ResponseError::Malformed(format!("no word about {entity}")));
        };
        refuse(entry.error_code, entry.error_message.as_ref())
    }
}

/// Whom a quota is for, by kind and name of each part, if that is a user or a client id by name, or
/// both. A part without a name stands for everybody who has no quota of his own.
fn named<'a>(
    parts: impl Iterator<Item = (&'a StrBytes, &'a Option<StrBytes>)>,
) -> Option<QuotaEntity> {
    let mut entity = QuotaEntity { user: None, client_id: None };
    for (kind, name) in parts {
        let name = Some(name.as_ref()?.to_string());
        match kind.as_str() {
            USER => entity.user = name,
            CLIENT_ID => entity.client_id = name,
            _ => return None,
        }
    }
    (entity.user.is_some() || entity.client_id.is_some()).then_some(entity)
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
            .with_entity_type(text(CLIENT_ID))
            .with_entity_name(Some(text("greedy")));
        let value = describe_client_quotas_response::ValueData::default()
            .with_key(text("producer_byte_rate"))
            .with_value(value);
        describe_client_quotas_response::EntryData::default()
            .with_entity(vec![part])
            .with_values(vec![value])
    }

    fn read(
        entries: Option<Vec<describe_client_quotas_response::EntryData>>,
    ) -> Result<Vec<ClientQuota>, ResponseError> {
        ClientQuotas.read(DescribeClientQuotasResponse::default().with_entries(entries))
    }

    #[test]
    fn what_is_listed_twice_is_one_quota() {
        let (entity, key) = (greedy(), QuotaKey::ProducerByteRate);
        let want = [ClientQuota { entity, key, value: 1.5 }];
        assert_eq!(read(Some(vec![listed(1.5), listed(2.5)])).unwrap(), want);
    }

    #[test]
    fn no_list_and_no_number_are_not_no_quota() {
        for entries in [None, Some(vec![listed(f64::NAN)]), Some(vec![listed(f64::INFINITY)])] {
            assert!(matches!(read(entries), Err(ResponseError::Malformed(_))));
        }
        assert_eq!(read(Some(Vec::new())).unwrap(), []);
    }

    #[test]
    fn an_answer_about_somebody_else_says_nothing() {
        let change =
            QuotaChange { entity: greedy(), key: QuotaKey::ProducerByteRate, value: Some(1.0) };
        let call = AlterQuota { change: &change, mode: WriteMode::Write };
        let about = |kind: &str, name: Option<&str>| {
            let part = alter_client_quotas_response::EntityData::default()
                .with_entity_type(text(kind))
                .with_entity_name(name.map(text));
            let entry = alter_client_quotas_response::EntryData::default().with_entity(vec![part]);
            call.read(AlterClientQuotasResponse::default().with_entries(vec![entry]))
        };
        assert!(about(CLIENT_ID, Some("greedy")).is_ok());
        for (kind, name) in [(CLIENT_ID, Some("other")), (CLIENT_ID, None), (USER, Some("greedy"))]
        {
            assert!(
                matches!(about(kind, name), Err(ResponseError::Malformed(_))),
                "{kind} {name:?}"
            );
        }
        let nobody = call.read(AlterClientQuotasResponse::default());
        assert!(matches!(nobody, Err(ResponseError::Malformed(_))));
    }
}
