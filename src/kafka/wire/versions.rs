//! Which version of each request both ends know.

use std::collections::BTreeMap;

use kafka_protocol::{
    messages::ApiVersionsResponse,
    protocol::{Request, VersionRange},
};

/// What a broker said about itself when the connection was opened.
#[derive(Debug, Default)]
pub(super) struct Versions(BTreeMap<i16, VersionRange>);

impl Versions {
    pub(super) fn from_answer(answer: &ApiVersionsResponse) -> Self {
        let range = |it: &kafka_protocol::messages::api_versions_response::ApiVersion| {
            (it.api_key, VersionRange { min: it.min_version, max: it.max_version })
        };
        Self(answer.api_keys.iter().map(range).collect())
    }

    /// The highest version that both ends know. The codec's own range caps it: `OffsetFetch` ends
    /// at 9, the last version that names topics.
    pub(super) fn agree<R: Request>(&self) -> Option<i16> {
        let common = self.0.get(&R::KEY)?.intersect(&R::VERSIONS);
        (!common.is_empty()).then_some(common.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::{
        MetadataRequest, OffsetFetchRequest, api_versions_response::ApiVersion,
    };

    fn broker(key: i16, min: i16, max: i16) -> Versions {
        let range = ApiVersion::default().with_api_key(key).with_min_version(min);
        let answer =
            ApiVersionsResponse::default().with_api_keys(vec![range.with_max_version(max)]);
        Versions::from_answer(&answer)
    }

    #[test]
    fn the_highest_version_both_know_is_taken() {
        assert_eq!(broker(3, 0, 12).agree::<MetadataRequest>(), Some(12));
        assert_eq!(broker(3, 0, 99).agree::<MetadataRequest>(), Some(13));
    }

    #[test]
    fn offset_fetch_stays_where_topics_have_names() {
        assert_eq!(broker(9, 1, 10).agree::<OffsetFetchRequest>(), Some(9));
    }

    #[test]
    fn ranges_that_do_not_meet_agree_on_nothing() {
        assert_eq!(broker(3, 90, 99).agree::<MetadataRequest>(), None);
        assert_eq!(broker(4, 0, 12).agree::<MetadataRequest>(), None);
    }
}
