//! The features that a cluster has finalized: which version its metadata has.

use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, api_versions_response::FinalizedFeatureKey,
};

use crate::{
    kafka::wire::api_call::{ApiCall, ResponseError, check_code, str_bytes},
    model::Api,
};

const METADATA_VERSION: &str = "metadata.version";

/// The finalized level of `metadata.version`; `None` if the broker does not know it.
pub(crate) struct DescribeMetadataVersion;

impl ApiCall for DescribeMetadataVersion {
    const API: Api = Api::ApiVersions;
    type Request = ApiVersionsRequest;
    type Output = Option<i16>;

    fn request(&self, _version: i16) -> ApiVersionsRequest {
        ApiVersionsRequest::default()
            .with_client_software_name(str_bytes(env!("CARGO_PKG_NAME")))
            .with_client_software_version(str_bytes(env!("CARGO_PKG_VERSION")))
    }

    fn parse(&self, response: ApiVersionsResponse) -> Result<Option<i16>, ResponseError> {
        check_code(response.error_code, None)?;

        // Without an epoch the broker has not read the cluster's metadata yet.
        if response.finalized_features_epoch < 0 {
            return Ok(None);
        }

        let is_it = |it: &&FinalizedFeatureKey| &*it.name == METADATA_VERSION;
        let found = response.finalized_features.iter().find(is_it);

        Ok(found.map(|it| it.max_version_level).filter(|it| *it > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(epoch: i64, name: &str, level: i16) -> Option<i16> {
        let feature =
            FinalizedFeatureKey::default().with_name(str_bytes(name)).with_max_version_level(level);
        let response = ApiVersionsResponse::default()
            .with_finalized_features_epoch(epoch)
            .with_finalized_features(vec![feature]);

        DescribeMetadataVersion.parse(response).unwrap()
    }

    #[test]
    fn the_level_is_that_of_the_finalized_feature() {
        assert_eq!(level(7, "metadata.version", 25), Some(25));
        assert_eq!(level(7, "group.version", 1), None);
        assert_eq!(level(7, "metadata.version", 0), None);
        assert_eq!(level(-1, "metadata.version", 25), None, "nothing is finalized");
    }
}
