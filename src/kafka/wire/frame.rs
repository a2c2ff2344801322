//! Frames of the Kafka protocol: a length prefix, a header, a body.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{length_checked_buf::LengthCheckedBuf, options::FRAME_BYTES_MAX};

/// Size of the length prefix, and of the correlation id.
const PREFIX_BYTES: usize = 4;

/// Initial capacity of the read buffer. A longer frame grows as its bytes arrive, not as its length
/// prefix claims.
const READ_BUFFER_INITIAL: usize = 64 << 10;

/// The first bytes of a TLS alert. As a length prefix they would be far beyond any frame.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// Why no frame could be read.
pub(super) enum FrameError {
    /// The stream ended or failed.
    Io(io::Error),
    /// The length prefix is out of range.
    Malformed(String),
    /// The peer sent a TLS alert.
    TlsAlert,
}

/// Encodes one request with its header and length prefix.
pub(super) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Bytes, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));

    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header
        .encode(&mut frame, R::header_version(version))
        .and_then(|()| request.encode(&mut frame, version))
        .map_err(|error| format!("cannot encode version {version}: {error:#}"))?;

    let length = i32::try_from(frame.len().saturating_sub(PREFIX_BYTES))
        .map_err(|_| format!("request of {} bytes is too long", frame.len()))?;
    (&mut frame[..PREFIX_BYTES]).put_i32(length);

    Ok(frame.freeze())
}

/// Decodes the response to a request of type `R`. `frame` starts at the correlation id.
pub(super) fn decode<R: Request>(frame: Bytes, version: i16) -> Result<R::Response, String> {
    let mut frame = LengthCheckedBuf::new(frame);
    let read = |frame: &mut LengthCheckedBuf| {
        ResponseHeader::decode(frame, R::Response::header_version(version))?;
        R::Response::decode(frame, version)
    };
    let response =
        read(&mut frame).map_err(|error| format!("cannot decode version {version}: {error:#}"))?;

    if frame.has_remaining() {
        let extra = frame.remaining();
        return Err(format!("{extra} bytes left after decoding version {version}"));
    }

    Ok(response)
}

/// Reads one frame, without its length prefix.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, FrameError> {
    let prefix = stream.read_i32().await.map_err(FrameError::Io)?;
    if prefix.to_be_bytes().starts_with(&TLS_ALERT) {
        return Err(FrameError::TlsAlert);
    }

    let length = usize::try_from(prefix)
        .ok()
        .filter(|it| (PREFIX_BYTES..=FRAME_BYTES_MAX).contains(it))
        .ok_or_else(|| FrameError::Malformed(format!("invalid frame length {prefix}")))?;

    let mut frame = BytesMut::with_capacity(length.min(READ_BUFFER_INITIAL));
    let mut rest = stream.take(u64::try_from(length).unwrap_or(u64::MAX));
    while frame.len() < length {
        if rest.read_buf(&mut frame).await.map_err(FrameError::Io)? == 0 {
            return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }

    Ok(frame.freeze())
}

/// The correlation id at the start of a frame.
pub(super) fn correlation_id(frame: &Bytes) -> Option<i32> {
    frame.first_chunk().map(|it| i32::from_be_bytes(*it))
}
