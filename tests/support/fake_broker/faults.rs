//! What a broker does instead of answering, and what it makes of an answer's bytes.

use std::time::Duration;

use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader};

use super::{
    answers::{api_keys, encode},
    contents::ClusterContents,
};

/// Behind the length and the correlation id.
pub(super) const BODY: usize = 8;

const UNSUPPORTED_VERSION: i16 = 35;

/// What a broker does with a request instead of answering it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BrokerFault {
    /// Reads it and never answers.
    Freeze,
    Delay(Duration),
    /// Answers when so many have been read on the connection, in order.
    Together(usize),
    HangUp,
    /// Closes it in the middle of the answer.
    MidFrame,
    /// Claims that an answer of so many bytes follows.
    Claim(i32),
    /// Answers under another request's id.
    WrongCorrelation,
    /// Writes the largest varint over the body, so many bytes in.
    Boast(usize),
    /// Cuts the body after so many bytes, under a right length.
    Cut(usize),
    /// Answers that it does not know the version, in version 0, as Kafka does to its greeting.
    Unsupported,
    /// Changes the answer by chance.
    Mutated(Mutation),
}

/// One change by chance; the same one each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation {
    pub(crate) seed: u64,
    /// Bytes of the body, from its beginning, that stay as they are.
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
