//! Bytes on the wire: a length, a header, a body.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{length_checked_buf::LengthCheckedBuf, options::FRAME_BYTES_MAX};

/// Length prefix and correlation id.
const PREFIX_BYTES: usize = 4;

/// A first reading buffer; a longer frame grows as its bytes arrive, not as its length claims.
const READ_BYTES_FIRST: usize = 64 << 10;

/// Why no frame could be read.
pub(super) enum Unread {
    /// The stream ended or failed.
    Broken(io::Error),
    /// What came is not a frame.
    Malformed(String),
    /// What came is a TLS alert.
    SpeaksTls,
}

/// How a TLS alert begins: as a length it would be far beyond any frame.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// One request, ready to be written.
pub(super) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client_id: &str,
) -> Result<Bytes, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header
        .encode(&mut frame, R::header_version(version))
        .and_then(|()| request.encode(&mut frame, version))
        .map_err(|error| format!("encode version {version}: {error:#}"))?;
    let length = i32::try_from(frame.len().saturating_sub(PREFIX_BYTES))
        .map_err(|_| format!("a request of {} bytes", frame.len()))?;
    (&mut frame[..PREFIX_BYTES]).put_i32(length);
    Ok(frame.freeze())
}

/// The answer to a request of type `R`; `frame` begins at the correlation id.
pub(super) fn decode<R: Request>(frame: Bytes, version: i16) -> Result<R::Response, String> {
    let mut frame = LengthCheckedBuf::new(frame);
    let read = |frame: &mut LengthCheckedBuf| {
        ResponseHeader::decode(frame, R::Response::header_version(version))?;
        R::Response::decode(frame, version)
    };
    let answer =
        read(&mut frame).map_err(|error| format!("decode version {version}: {error:#}"))?;
    if frame.has_remaining() {
        return Err(format!("{} bytes too many in version {version}", frame.remaining()));
    }
    Ok(answer)
}

/// Reads one frame without its length.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, Unread> {
    let claimed = stream.read_i32().await.map_err(Unread::Broken)?;
    if claimed.to_be_bytes().starts_with(&TLS_ALERT) {
        return Err(Unread::SpeaksTls);
    }
    let length = usize::try_from(claimed)
        .ok()
        .filter(|it| (PREFIX_BYTES..=FRAME_BYTES_MAX).contains(it))
        .ok_or_else(|| Unread::Malformed(format!("a frame of {claimed} bytes")))?;
    let mut frame = BytesMut::with_capacity(length.min(READ_BYTES_FIRST));
    let mut rest = stream.take(u64::try_from(length).unwrap_or(u64::MAX));
    while frame.len() < length {
        if rest.read_buf(&mut frame).await.map_err(Unread::Broken)? == 0 {
            return Err(Unread::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(frame.freeze())
}

/// The correlation id at the beginning of a frame.
pub(super) fn correlation(frame: &Bytes) -> Option<i32> {
    frame.first_chunk().map(|it| i32::from_be_bytes(*it))
}
