//! `DescribeConfigs` and `IncrementalAlterConfigs`.

use kafka_protocol::{
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult},
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    },
    protocol::StrBytes,
};

use super::super::{
    call::{Call, ResponseError, each_once, refuse, text},
    error_codes,
};
use crate::{
    kafka::{Api, BrokerConfig, ConfigChange, ConfigEntry, ConfigSource, MinInsync, WriteMode},
    model::{BrokerId, TopicName},
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const SET: i8 = 0;
const DELETE: i8 = 1;

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Some keys of one broker, or all where none is named, with every place that sets them.
pub(in super::super) struct BrokerConfiguration<'a> {
    pub(in super::super) broker: BrokerId,
    pub(in super::super) keys: &'a [&'a str],
}

/// Effective `min.insync.replicas` of topics.
pub(in super::super) struct MinInsyncReplicas<'a>(pub(in super::super) &'a [TopicName]);

/// Changes of one broker's dynamic configuration. All are stored, or none.
pub(in super::super) struct AlterBroker<'a> {
    pub(in super::super) broker: BrokerId,
    pub(in super::super) changes: &'a [ConfigChange],
    pub(in super::super) mode: WriteMode,
}

impl Call for BrokerConfiguration<'_> {
    const API: Api = Api::DescribeConfigs;
    type Wire = DescribeConfigsRequest;
    type Answer = BrokerConfig;

    fn request(&self, _version: i16) -> DescribeConfigsRequest {
        let keys: Vec<StrBytes> = self.keys.iter().map(|it| text(it)).collect();
        let keys = (!keys.is_empty()).then_some(keys);
        let broker = resource(BROKER, &self.broker.to_string()).with_configuration_keys(keys);
        DescribeConfigsRequest::default().with_resources(vec![broker]).with_include_synonyms(true)
    }

    fn read(&self, answer: DescribeConfigsResponse) -> Result<BrokerConfig, ResponseError> {
        let name = self.broker.to_string();
        let is_ours =
            |it: &&DescribeConfigsResult| it.resource_type == BROKER && *it.resource_name == *name;
        let Some(result) = answer.results.iter().find(is_ours) else {
            return Err(ResponseError::Malformed(format!("no configuration of broker {name}")));
        };
        refuse(result.error_code, result.error_message.as_ref())?;
        let entries = result.configs.iter().map(entry).collect();
        let entries = each_once(entries, |it: &ConfigEntry| it.key.clone());
        Ok(BrokerConfig { broker: self.broker, entries })
    }
}

impl Call for MinInsyncReplicas<'_> {
    const API: Api = Api::DescribeConfigs;
    type Wire = DescribeConfigsRequest;
    type Answer = Vec<(TopicName, MinInsync)>;

    fn request(&self, _version: i16) -> DescribeConfigsRequest {
        let topic = |it: &TopicName| {
            let keys = Some(vec![text(MIN_INSYNC_REPLICAS)]);
            resource(TOPIC, it.as_str()).with_configuration_keys(keys)
        };
        DescribeConfigsRequest::default().with_resources(self.0.iter().map(topic).collect())
    }

    fn read(&self, answer: DescribeConfigsResponse) -> Result<Self::Answer, ResponseError> {
        // Vanished since we saw it. Any other error must not look like that.
        let there = answer.results.iter();
        let there = there.filter(|it| it.error_code != error_codes::UNKNOWN_TOPIC_OR_PARTITION);
        there.map(|it| Ok((TopicName::new(it.resource_name.as_str()), min_insync(it)?))).collect()
    }
}

impl Call for AlterBroker<'_> {
    const API: Api = Api::IncrementalAlterConfigs;
    type Wire = IncrementalAlterConfigsRequest;
    type Answer = ();

    fn request(&self, _version: i16) -> IncrementalAlterConfigsRequest {
        let change = |it: &ConfigChange| {
            AlterableConfig::default()
                .with_name(text(&it.key))
                .with_config_operation(if it.value.is_some() { SET } else { DELETE })
                .with_value(it.value.as_deref().map(text))
        };
        let broker = AlterConfigsResource::default()
            .with_resource_type(BROKER)
            .with_resource_name(text(&self.broker.to_string()))
            .with_configs(self.changes.iter().map(change).collect());
        IncrementalAlterConfigsRequest::default()
            .with_resources(vec![broker])
            .with_validate_only(self.mode == WriteMode::ValidateOnly)
    }

    fn read(&self, answer: IncrementalAlterConfigsResponse) -> Result<(), ResponseError> {
        let name = self.broker.to_string();
        let ours = answer.responses.iter();
        let ours = ours.filter(|it| it.resource_type == BROKER && *it.resource_name == *name);
        let Some(response) = ours.last() else {
            return Err(ResponseError::Malformed(format!("no word about broker {name}")));
        };
        refuse(response.error_code, response.error_message.as_ref())
    }
}

fn min_insync(of: &DescribeConfigsResult) -> Result<MinInsync, ResponseError> {
    if let Some(fault) = error_codes::fault(of.error_code) {
        return Ok(Err(fault));
    }
    let value = of.configs.first().and_then(|it| it.value.as_ref()?.parse().ok());
    let nonsense = || format!("no {MIN_INSYNC_REPLICAS} of {}", of.resource_name);
    value.map(Ok).ok_or_else(|| ResponseError::Malformed(nonsense()))
}

fn resource(kind: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(text(name))
}

fn entry(listed: &DescribeConfigsResourceResult) -> ConfigEntry {
    let owned = |it: &Option<StrBytes>| it.as_ref().map(ToString::to_string);
    let synonyms = listed.synonyms.iter().map(|it| (source(it.source), owned(&it.value)));
    ConfigEntry {
        key: listed.name.to_string(),
        effective: owned(&listed.value),
        source: source(listed.config_source),
        read_only: listed.read_only,
        synonyms: synonyms.collect(),
    }
}

const fn source(code: i8) -> ConfigSource {
    match code {
        1 => ConfigSource::Topic,
        2 => ConfigSource::DynamicBroker,
        3 => ConfigSource::DynamicDefault,
        4 => ConfigSource::Static,
        5 => ConfigSource::Default,
        _ => ConfigSource::Unknown,
    }
}
