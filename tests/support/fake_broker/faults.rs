//! Faults of a broker, and mutations of its responses.

use std::time::Duration;

use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader};

use super::{
    answers::{api_keys, encode},
    contents::ClusterContents,
};

/// After the length and the correlation id.
pub(super) const BODY: usize = 8;

const UNSUPPORTED_VERSION: i16 = 35;

/// What a broker does instead of sending the right response.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BrokerFault {
    /// Reads it and never answers.
    Freeze,
    Delay(Duration),
    /// Answers in order once this many requests have been read on the connection.
    Together(usize),
    HangUp,
    /// Closes the connection in the middle of the response.
    MidFrame,
    /// Announces a response of this many bytes.
    Claim(i32),
    /// Answers with another correlation id.
    WrongCorrelation,
    /// Overwrites the body with the largest varint at this offset.
    Boast(usize),
    /// Truncates the body after this many bytes, with a correct length.
    Cut(usize),
    /// Answers `UNSUPPORTED_VERSION` in version 0, as Kafka does for `ApiVersions`.
    Unsupported,
    /// Mutates the response at random.
    Mutated(Mutation),
}

/// A random mutation; the same one each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation {
    pub(crate) seed: u64,
    /// Bytes at the start of the body that stay unchanged.
    pub(crate) keep: usize,
}

pub(super) fn relength(frame: &mut [u8]) {
    let length = i32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
}

pub(super) fn boast(frame: &mut [u8], after: usize) {
    let varint = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for (byte, boasted) in frame.iter_mut().skip(BODY + after).zip(varint) {
        *byte = boasted;
    }
}

pub(super) fn cut(frame: &mut Vec<u8>, after: usize) {
    frame.truncate(BODY + after);
    relength(frame);
}

pub(super) fn unsupported(header: &RequestHeader) -> Vec<u8> {
    let answer = ApiVersionsResponse::default();
    let code = if header.request_api_version == 0 { 0 } else { UNSUPPORTED_VERSION };
    let answer = answer.with_error_code(code).with_api_keys(api_keys(&ClusterContents::default()));

    encode::<ApiVersionsRequest>(header.correlation_id, 0, &answer)
}
