//! `DescribeConfigs` and `IncrementalAlterConfigs`, for brokers and for `min.insync.replicas`.

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

use crate::{
    kafka::wire::{
        api_call::{ApiCall, ResponseError, check_code, dedup_by_key, str_bytes},
        error_codes::{self, ErrorCode},
    },
    model::{
        Api, BrokerConfig, BrokerId, ConfigChange, ConfigEntry, ConfigSource, MinInsync, TopicName,
        WriteMode,
    },
};

/// Values of the Java client's `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Values of the Java client's `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Configuration of one broker with its synonyms, asked of that broker. No keys means all.
pub(crate) struct DescribeBrokerConfig<'a> {
    pub(crate) broker: BrokerId,
    pub(crate) keys: &'a [&'a str],
}

/// The effective `min.insync.replicas` of topics, asked of any broker.
pub(crate) struct DescribeMinInsync<'a>(pub(crate) &'a [TopicName]);

/// Changes to one broker's dynamic configuration. The broker applies all of them or none.
pub(crate) struct AlterBrokerConfig<'a> {
    pub(crate) broker: BrokerId,
    pub(crate) changes: &'a [ConfigChange],
    pub(crate) mode: WriteMode,
}

impl ApiCall for DescribeBrokerConfig<'_> {
    const API: Api = Api::DescribeConfigs;
    type Request = DescribeConfigsRequest;
    type Output = BrokerConfig;

    fn request(&self, _version: i16) -> DescribeConfigsRequest {
        let keys: Vec<StrBytes> = self.keys.iter().map(|it| str_bytes(it)).collect();
        let keys = (!keys.is_empty()).then_some(keys);
        let broker = resource(BROKER, &self.broker.to_string()).with_configuration_keys(keys);

        DescribeConfigsRequest::default().with_resources(vec![broker]).with_include_synonyms(true)
    }

    fn parse(&self, response: DescribeConfigsResponse) -> Result<BrokerConfig, ResponseError> {
        let name = self.broker.to_string();
        let is_ours =
            |it: &&DescribeConfigsResult| it.resource_type == BROKER && *it.resource_name == *name;
        let Some(result) = response.results.iter().find(is_ours) else {
            let problem = format!("broker {name} is missing from the response");
            return Err(ResponseError::Malformed(problem));
        };
        check_code(result.error_code, result.error_message.as_ref())?;

        let entries = result.configs.iter().map(entry).collect();
        let entries = dedup_by_key(entries, |it: &ConfigEntry| it.key.clone());

        Ok(BrokerConfig { broker: self.broker, entries })
    }
}

impl ApiCall for DescribeMinInsync<'_> {
    const API: Api = Api::DescribeConfigs;
    type Request = DescribeConfigsRequest;
    type Output = Vec<(TopicName, MinInsync)>;

    fn request(&self, _version: i16) -> DescribeConfigsRequest {
        let topic = |it: &TopicName| {
            let keys = Some(vec![str_bytes(MIN_INSYNC_REPLICAS)]);
            resource(TOPIC, it.as_str()).with_configuration_keys(keys)
        };
        DescribeConfigsRequest::default().with_resources(self.0.iter().map(topic).collect())
    }

    fn parse(&self, response: DescribeConfigsResponse) -> Result<Self::Output, ResponseError> {
        // The topic was deleted since we listed it. Other errors are reported per topic.
        let deleted = |it: &&DescribeConfigsResult| {
            it.error_code == ErrorCode::UnknownTopicOrPartition.code()
        };
        let existing = response.results.iter().filter(|it| !deleted(it));

        existing
            .map(|it| Ok((TopicName::new(it.resource_name.as_str()), min_insync(it)?)))
            .collect()
    }
}

impl ApiCall for AlterBrokerConfig<'_> {
    const API: Api = Api::IncrementalAlterConfigs;
    type Request = IncrementalAlterConfigsRequest;
    type Output = ();

    fn request(&self, _version: i16) -> IncrementalAlterConfigsRequest {
        let change = |it: &ConfigChange| {
            AlterableConfig::default()
                .with_name(str_bytes(&it.key))
                .with_config_operation(if it.value.is_some() { SET } else { DELETE })
                .with_value(it.value.as_deref().map(str_bytes))
        };
        let broker = AlterConfigsResource::default()
            .with_resource_type(BROKER)
            .with_resource_name(str_bytes(&self.broker.to_string()))
            .with_configs(self.changes.iter().map(change).collect());

        IncrementalAlterConfigsRequest::default()
            .with_resources(vec![broker])
            .with_validate_only(self.mode == WriteMode::ValidateOnly)
    }

    fn parse(&self, response: IncrementalAlterConfigsResponse) -> Result<(), ResponseError> {
        let name = self.broker.to_string();
        let results = response.responses.iter();
        let ours = results.filter(|it| it.resource_type == BROKER && *it.resource_name == *name);
        let Some(result) = ours.last() else {
            let problem = format!("broker {name} is missing from the response");
            return Err(ResponseError::Malformed(problem));
        };

        check_code(result.error_code, result.error_message.as_ref())
    }
}

fn min_insync(result: &DescribeConfigsResult) -> Result<MinInsync, ResponseError> {
    if let Some(failure) = error_codes::read_failure(result.error_code) {
        return Ok(Err(failure));
    }

    let value = result.configs.first().and_then(|it| it.value.as_ref()?.parse().ok());
    let missing =
        || format!("no value of {MIN_INSYNC_REPLICAS} for topic {}", result.resource_name);

    value.map(Ok).ok_or_else(|| ResponseError::Malformed(missing()))
}

fn resource(kind: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(str_bytes(name))
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    let owned = |it: &Option<StrBytes>| it.as_ref().map(ToString::to_string);
    let synonyms = config.synonyms.iter().map(|it| (source(it.source), owned(&it.value)));

    ConfigEntry {
        key: config.name.to_string(),
        effective: owned(&config.value),
        source: source(config.config_source),
        read_only: config.read_only,
        synonyms: synonyms.collect(),
    }
}

/// `ConfigSource` of the Java client.
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
