//! Version negotiation: which version of each request both sides support.

use std::collections::BTreeMap;

use kafka_protocol::{
    messages::{ApiVersionsResponse, api_versions_response::ApiVersion},
    protocol::{Request, VersionRange},
};

use super::error_codes::ParseResponseErrorCode;

/// The version ranges that a broker reported in its `ApiVersions` response, by API key.
#[derive(Debug, Default)]
pub(super) struct SupportedVersions(BTreeMap<i16, VersionRange>);

impl SupportedVersions {
    pub(super) fn from_response(response: &ApiVersionsResponse) -> Self {
        let range = |it: &ApiVersion| {
            (it.api_key, VersionRange { min: it.min_version, max: it.max_version })
        };
        Self(response.api_keys.iter().map(range).collect())
    }

    /// Parses a response in version 0: an error code, a count, and that many triples (key, min,
    /// max). Not with the codec, which would allocate whatever the count claims.
    pub(super) fn parse_version_0(body: &[u8]) -> Option<Self> {
        let (count, triples) = body.get(2..)?.split_first_chunk::<4>()?;
        let int16 = |it: &[u8]| Some(i16::from_be_bytes(*it.first_chunk()?));
        let range = |it: &[u8]| {
            let range = VersionRange { min: int16(it.get(2..)?)?, max: int16(it.get(4..)?)? };
            Some((int16(it)?, range))
        };
        let ranges: BTreeMap<_, _> = triples.chunks_exact(6).map(range).collect::<Option<_>>()?;

        let complete = u32::from_be_bytes(*count) == u32::try_from(triples.len() / 6).ok()?;

        (complete && int16(body)?.is_ok()).then_some(Self(ranges))
    }

    /// The highest version that both sides support, if any.
    ///
    /// The codec's range is an upper limit: its `OffsetFetch` ends at 9, the last version that uses
    /// topic names. Versions without tagged fields are not used: brokers since 3.9 support a newer
    /// one of every API, and [`super::length_checked_buf`] can check only those.
    pub(super) fn negotiate<R: Request>(&self) -> Option<i16> {
        let common = self.0.get(&R::KEY)?.intersect(&R::VERSIONS);
        // Told by the header of the request: that of a response to ApiVersions never has them.
        let has_tagged_fields = R::header_version(common.max) > 1;

        (!common.is_empty() && has_tagged_fields).then_some(common.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, OffsetFetchRequest};

    fn broker(key: i16, min: i16, max: i16) -> SupportedVersions {
        let range = ApiVersion::default().with_api_key(key).with_min_version(min);
        let response =
            ApiVersionsResponse::default().with_api_keys(vec![range.with_max_version(max)]);
        SupportedVersions::from_response(&response)
    }

    #[test]
    fn the_highest_common_version_is_negotiated() {
        assert_eq!(broker(3, 0, 12).negotiate::<MetadataRequest>(), Some(12));
        assert_eq!(broker(3, 0, 99).negotiate::<MetadataRequest>(), Some(13));
    }

    #[test]
    fn offset_fetch_stays_at_the_last_version_with_topic_names() {
        assert_eq!(broker(9, 1, 10).negotiate::<OffsetFetchRequest>(), Some(9));
    }

    #[test]
    fn api_versions_has_tagged_fields_behind_a_header_without_them() {
        assert_eq!(broker(18, 0, 3).negotiate::<ApiVersionsRequest>(), Some(3));
        assert_eq!(broker(18, 0, 2).negotiate::<ApiVersionsRequest>(), None);
    }

    #[test]
    fn disjoint_ranges_have_no_version() {
        assert_eq!(broker(3, 90, 99).negotiate::<MetadataRequest>(), None);
        assert_eq!(broker(4, 0, 12).negotiate::<MetadataRequest>(), None);
        assert_eq!(broker(3, 0, 8).negotiate::<MetadataRequest>(), None, "8 has no tagged fields");
    }

    #[test]
    fn a_truncated_response_in_version_0_is_rejected() {
        let complete = [0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 12];
        let versions = SupportedVersions::parse_version_0(&complete).unwrap();

        assert_eq!(versions.negotiate::<MetadataRequest>(), Some(12));

        for end in 0..complete.len() {
            assert!(SupportedVersions::parse_version_0(&complete[..end]).is_none(), "{end}");
        }

        let refused = [0, 35, 0, 0, 0, 0];
        assert!(SupportedVersions::parse_version_0(&refused).is_none());
    }
}
