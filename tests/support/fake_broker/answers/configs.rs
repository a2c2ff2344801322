//! `DescribeConfigs` and `IncrementalAlterConfigs`.

use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    describe_configs_response::{
        DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
    },
    incremental_alter_configs_response::AlterConfigsResourceResponse,
};

use super::{
    super::{contents::FakeEntry, seen::SeenConfigChange},
    ClusterContents, SeenChange, UNKNOWN_TOPIC, text,
};

const BROKER: i8 = 4;

pub(super) fn describe(
    cluster: &ClusterContents,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|asked| {
        let answer = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        if asked.resource_type == BROKER {
            assert!(request.include_synonyms);

            let keys = asked.configuration_keys.unwrap();
            let entries = keys.iter().filter_map(|it| cluster.configs.get_key_value(it.as_str()));
            return answer.with_configs(entries.map(|(key, places)| entry(key, places)).collect());
        }

        if !cluster.topics.contains_key(asked.resource_name.as_str()) {
            return answer.with_error_code(UNKNOWN_TOPIC);
        }

        if let Some(error) = cluster.sealed_topics.get(asked.resource_name.as_str()) {
            return answer.with_error_code(*error);
        }

        let entry = DescribeConfigsResourceResult::default()
            .with_name(text("min.insync.replicas"))
            .with_value(Some(text("2")));
        answer.with_configs(vec![entry])
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn entry(key: &str, places: &FakeEntry) -> DescribeConfigsResourceResult {
    let synonym = |(source, value): &(i8, &str)| {
        DescribeConfigsSynonym::default()
            .with_name(text(key))
            .with_source(*source)
            .with_value(Some(text(value)))
    };
    DescribeConfigsResourceResult::default()
        .with_name(text(key))
        .with_value(places.first().map(|it| text(it.1)))
        .with_config_source(places.first().map_or(0, |it| it.0))
        .with_synonyms(places.iter().map(synonym).collect())
}

pub(super) fn alter(
    cluster: &ClusterContents,
    request: &IncrementalAlterConfigsRequest,
    asked: &mut Option<SeenChange>,
) -> IncrementalAlterConfigsResponse {
    let [resource] = request.resources.as_slice() else { panic!("one resource at a time") };
    assert_eq!(resource.resource_type, BROKER);

    let changes = resource.configs.iter().map(|it| {
        let value = it.value.as_ref().map(ToString::to_string);
        (it.name.to_string(), it.config_operation, value)
    });
    let changes = changes.collect();
    *asked = Some(SeenChange::Config(SeenConfigChange {
        validate_only: request.validate_only,
        changes,
    }));
    let (code, message) = cluster.alter_refusal.unwrap_or((0, ""));
    let response = AlterConfigsResourceResponse::default()
        .with_resource_type(BROKER)
        .with_resource_name(resource.resource_name.clone())
        .with_error_code(code)
        .with_error_message(Some(text(message)));

    IncrementalAlterConfigsResponse::default().with_responses(vec![response])
}
