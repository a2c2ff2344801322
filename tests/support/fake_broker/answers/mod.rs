//! Turns requests into responses with the codec's broker side. Pure: the contents decide
//! everything.

mod configs;
mod controller;
mod elections;
mod fetch;
mod groups;
mod log_dirs;
mod membership;
mod metadata;
mod offsets;
mod quotas;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        self, ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeClientQuotasRequest,
        DescribeLogDirsRequest, DescribeQuorumRequest, FindCoordinatorRequest, ListGroupsRequest,
        ListPartitionReassignmentsRequest, OffsetFetchResponse, RequestHeader, ResponseHeader,
        api_versions_response::{ApiVersion, FinalizedFeatureKey},
    },
    protocol::{Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange},
};

use super::{contents::ClusterContents, faults::relength, seen::SeenChange};

const UNKNOWN_TOPIC: i16 = 3;

/// The APIs that a fake broker supports.
pub(super) const APIS: &[ApiKey] = &[
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::ListOffsets,
    ApiKey::Fetch,
    ApiKey::ListGroups,
    ApiKey::DescribeGroups,
    ApiKey::OffsetFetch,
    ApiKey::DescribeLogDirs,
    ApiKey::DescribeConfigs,
    ApiKey::ListPartitionReassignments,
    ApiKey::DescribeQuorum,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::ElectLeaders,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::ShareGroupDescribe,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SaslHandshake,
    ApiKey::SaslAuthenticate,
];

/// The response frame of broker `id`, and the change that was requested.
#[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
pub(super) fn answer(
    cluster: &mut ClusterContents,
    id: i32,
    header: &RequestHeader,
    body: Bytes,
) -> (Vec<u8>, Option<SeenChange>) {
    let version = header.request_api_version;
    let api = ApiKey::try_from(header.request_api_key).unwrap();
    let on = DecodedRequest { header, body };
    let mut change = None;
    let frame = match api {
        ApiKey::ApiVersions => on.answer(|_: ApiVersionsRequest| api_versions(cluster)),
        ApiKey::Metadata => on.answer(|it| metadata::metadata(cluster, &it)),
        ApiKey::ListOffsets => on.answer(|it| offsets::list(cluster, id, it)),
        ApiKey::Fetch => on.answer(|it| fetch::fetch(cluster, it)),
        ApiKey::ListGroups => {
            on.answer(|it: ListGroupsRequest| groups::list(cluster, id, &it, version))
        }
        ApiKey::DescribeGroups => on.answer(|it| groups::describe(cluster, it, version)),
        ApiKey::ConsumerGroupDescribe => on.answer(|it| groups::describe_consumer(cluster, it)),
        ApiKey::ShareGroupDescribe => on.answer(|it| groups::describe_share(cluster, it)),
        ApiKey::OffsetFetch => on.answer(|it| groups::offset_fetch(cluster, it, version)),
        ApiKey::DescribeLogDirs => {
            on.answer(|_: DescribeLogDirsRequest| log_dirs::describe(cluster, version))
        }
        ApiKey::DescribeConfigs => on.answer(|it| configs::describe(cluster, it)),
        ApiKey::IncrementalAlterConfigs => {
            on.answer(|it| configs::alter(cluster, &it, &mut change))
        }
        ApiKey::DescribeClientQuotas => on.answer(|it: DescribeClientQuotasRequest| {
            assert!(it.components.is_empty() && !it.strict, "all of them are asked for");
            quotas::describe(cluster)
        }),
        ApiKey::AlterClientQuotas => on.answer(|it| quotas::alter(cluster, &it, &mut change)),
        ApiKey::ElectLeaders => on.answer(|it| elections::elect(cluster, &it, &mut change)),
        ApiKey::ListPartitionReassignments => {
            on.answer(|_: ListPartitionReassignmentsRequest| controller::reassignments(cluster))
        }
        ApiKey::DescribeQuorum => on.answer(|_: DescribeQuorumRequest| controller::quorum()),
        ApiKey::FindCoordinator => {
            on.answer(|it: FindCoordinatorRequest| membership::find(cluster, &it, version))
        }
        ApiKey::JoinGroup => on.answer(|it| membership::join(&mut cluster.membership, &it)),
        ApiKey::SyncGroup => on.answer(|it| membership::sync(&mut cluster.membership, &it)),
        ApiKey::Heartbeat => on.answer(|it| membership::heartbeat(&cluster.membership, &it)),
        ApiKey::LeaveGroup => on.answer(|it| membership::leave(&mut cluster.membership, &it)),
        _ => panic!("this program does not send {api:?}"),
    };

    (frame, change)
}

/// A request, decoded and answered in its version.
pub(super) struct DecodedRequest<'a> {
    pub(super) header: &'a RequestHeader,
    pub(super) body: Bytes,
}

impl DecodedRequest<'_> {
    pub(super) fn answer<R: Request>(mut self, answer: impl FnOnce(R) -> R::Response) -> Vec<u8> {
        let version = self.header.request_api_version;
        let request = R::decode(&mut self.body, version).unwrap();

        assert!(self.body.is_empty(), "bytes behind the request");

        encode::<R>(self.header.correlation_id, version, &answer(request))
    }
}

pub(super) fn encode<R: Request>(correlation: i32, version: i16, answer: &R::Response) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, R::Response::header_version(version)).unwrap();
    answer.encode(&mut frame, version).unwrap();
    let mut frame = frame.to_vec();
    relength(&mut frame);

    frame
}

fn text(it: &str) -> StrBytes {
    StrBytes::from_string(it.to_owned())
}

fn topic(it: &str) -> messages::TopicName {
    messages::TopicName(text(it))
}

fn range(api: ApiKey) -> VersionRange {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
    match api {
        // The codec supports requests up to version 9 and responses up to 10.
        ApiKey::OffsetFetch => OffsetFetchResponse::VERSIONS,
        // Later versions name topics by an id, which the metadata here does not have.
        ApiKey::Fetch => VersionRange { min: 4, max: 12 },
        other => other.valid_versions(),
    }
}

pub(super) fn api_keys(cluster: &ClusterContents) -> Vec<ApiVersion> {
    let one = |api: &ApiKey| {
        let VersionRange { min, max } = range(*api);
        let (min, max) = *cluster.versions.get(&(*api as i16)).unwrap_or(&(min, max));
        ApiVersion::default().with_api_key(*api as i16).with_min_version(min).with_max_version(max)
    };
    APIS.iter().map(one).collect()
}

/// The finalized level of `metadata.version`: that of Kafka 4.0.
const METADATA_LEVEL: i16 = 25;

fn api_versions(cluster: &ClusterContents) -> ApiVersionsResponse {
    let feature = FinalizedFeatureKey::default()
        .with_name(StrBytes::from_static_str("metadata.version"))
        .with_max_version_level(METADATA_LEVEL)
        .with_min_version_level(METADATA_LEVEL);

    ApiVersionsResponse::default()
        .with_api_keys(api_keys(cluster))
        .with_finalized_features_epoch(3)
        .with_finalized_features(vec![feature])
}
