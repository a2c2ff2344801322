//! Which version of each request both ends know.

use std::collections::BTreeMap;

use kafka_protocol::{
    messages::{ApiVersionsResponse, api_versions_response::ApiVersion},
    protocol::{HeaderVersion, Request, VersionRange},
};

use super::error_codes;

/// What a broker said about itself when the connection was opened.
#[derive(Debug, Default)]
pub(super) struct Versions(BTreeMap<i16, VersionRange>);

impl Versions {
    pub(super) fn from_answer(answer: &ApiVersionsResponse) -> Self {
        let range = |it: &ApiVersion| {
            (it.api_key, VersionRange { min: it.min_version, max: it.max_version })
        };
        Self(answer.api_keys.iter().map(range).collect())
    }

    /// Reads an answer in version 0: the error, a count, and (key, oldest, newest) so many times.
    /// By hand, because the codec would reserve room for whatever the count claims.
    pub(super) fn from_version_0(body: &[u8]) -> Option<Self> {
        let (count, triples) = body.get(2..)?.split_first_chunk::<4>()?;
        let number = |it: &[u8]| Some(i16::from_be_bytes(*it.first_chunk()?));
        let range = |it: &[u8]| {
            let range = VersionRange { min: number(it.get(2..)?)?, max: number(it.get(4..)?)? };
            Some((number(it)?, range))
        };
        let ranges: BTreeMap<_, _> = triples.chunks_exact(6).map(range).collect::<Option<_>>()?;
        let whole = u32::from_be_bytes(*count) == u32::try_from(triples.len() / 6).ok()?;
        (whole && number(body)? == error_codes::NONE).then_some(Self(ranges))
    }

    /// The highest version that both ends know. The codec's own range caps it: `OffsetFetch` ends
    /// at 9, the last version that names topics. A version without tagged fields is none: brokers
    /// since 3.9 know a newer one of everything, and [`super::length_checked_buf`] can bound only those.
    pub(super) fn agree<R: Request>(&self) -> Option<i16> {
        let common = self.0.get(&R::KEY)?.intersect(&R::VERSIONS);
        let tagged = 0 < R::Response::header_version(common.max);
        (!common.is_empty() && tagged).then_some(common.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::{MetadataRequest, OffsetFetchRequest};

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
        assert_eq!(broker(3, 0, 8).agree::<MetadataRequest>(), None, "8 has no tagged fields");
    }

    #[test]
    fn an_answer_in_version_0_is_read_whole_or_not_at_all() {
        let whole = [0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 12];
        let read = Versions::from_version_0(&whole).unwrap();
        assert_eq!(read.agree::<MetadataRequest>(), Some(12));
        for end in 0..whole.len() {
            assert!(Versions::from_version_0(&whole[..end]).is_none(), "{end}");
        }
        let refused = [0, 35, 0, 0, 0, 0];
        assert!(Versions::from_version_0(&refused).is_none());
    }
}
