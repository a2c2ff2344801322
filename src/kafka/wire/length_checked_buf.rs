//! A read buffer that rejects impossible lengths before the codec allocates memory for them.
//!
//! The codec reserves capacity for as many elements as an array claims, before it reads the first
//! one. In the versions that this adapter uses, lengths are varints, which the codec reads byte by
//! byte. So a length beyond the end of the response is detected here, before anything is reserved.
//!
//! This buffer does not know where a varint starts: the byte before it may be a boolean, which the
//! codec reads in the same way. So each byte is treated as the last byte of the longest varint that
//! can end there. That value is never less than what the codec reads, and is equal to it in a valid
//! response, whose booleans are 0 and 1.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// The codec treats a fifth byte as the last one of a varint, even if its continuation bit is set.
const VARINT_BYTES_MAX: u32 = 5;

/// Bits of the value in each byte of a varint.
const VARINT_BITS: u32 = 7;

/// Largest plausible length. No valid response has an array, string or byte field that is longer:
/// a group member's metadata is at most 1 MiB, and a million partitions are more than a cluster can
/// have. Limits what the codec reserves while it reads a long response.
const LENGTH_MAX: u64 = 1 << 20;

/// The unread part of a response.
pub(super) struct LengthCheckedBuf {
    unread: Bytes,
    varint: VarintDecoder,
}

/// Collects the latest bytes that can belong to one varint.
#[derive(Default)]
struct VarintDecoder {
    value: u64,
    bytes: u32,
}

impl VarintDecoder {
    /// Adds a byte. Returns the value if a varint can end with it.
    fn push(&mut self, byte: u8) -> Option<u64> {
        if self.bytes == VARINT_BYTES_MAX {
            self.value >>= VARINT_BITS;
            self.bytes -= 1;
        }

        self.value |= u64::from(byte & 0x7f) << (self.bytes * VARINT_BITS);
        self.bytes += 1;
        let value = self.value;

        if byte < 0x80 {
            *self = Self::default();
            return Some(value);
        }

        (self.bytes == VARINT_BYTES_MAX).then_some(value)
    }
}

impl LengthCheckedBuf {
    pub(super) fn new(response: Bytes) -> Self {
        Self { unread: response, varint: VarintDecoder::default() }
    }

    /// Fails if `encoded`, a length plus one as compact arrays and strings encode it, is longer
    /// than the rest of the response: an element takes at least one byte.
    fn check_length(&self, encoded: u64) -> Result<(), TryGetError> {
        let length = encoded.saturating_sub(1);
        let available = self.unread.remaining();
        let requested = usize::try_from(length).unwrap_or(usize::MAX);

        if length > LENGTH_MAX || requested > available {
            return Err(TryGetError { requested, available });
        }

        Ok(())
    }
}

impl Buf for LengthCheckedBuf {
    fn remaining(&self) -> usize {
        self.unread.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.unread.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.unread.advance(count);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.unread.try_get_u8()?;
        if let Some(value) = self.varint.push(byte) {
            self.check_length(value)?;
        }
        Ok(byte)
    }
}

impl ByteBuf for LengthCheckedBuf {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.unread.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.unread.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &'static [u8], want_rejected_at: Option<usize>) {
        let mut buf = LengthCheckedBuf::new(Bytes::from_static(bytes));
        let rejected = (0..bytes.len()).find(|_| buf.try_get_u8().is_err());
        assert_eq!(rejected, want_rejected_at, "{bytes:?}");
    }

    #[test]
    fn a_length_beyond_the_end_is_rejected_at_its_last_byte() {
        check(&[1], None);
        check(&[3, 0, 0], None);
        check(&[4, 0, 0], Some(0));
        check(&[0x80, 1, 0], Some(1));
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], Some(4));
        check(&[0, 0, 2, 0], None);
    }

    #[test]
    fn a_continuation_bit_in_the_fifth_byte_hides_no_length() {
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0], Some(4));
        check(&[0x80, 0x80, 0x80, 0x80, 0xff, 0, 0], Some(4));
        check(&[0x83, 0x80, 0x80, 0x80, 0x00, 1, 1, 1], None);
    }

    #[test]
    fn a_boolean_that_looks_like_the_start_of_a_varint_hides_no_length() {
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x0f, 0, 0], Some(5));
        check(&[0x80, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], Some(4));
    }

    #[test]
    fn a_row_of_zero_varints_hides_no_length() {
        for zeros in 1..9 {
            let mut bytes = [0x80].repeat(zeros * 5);
            bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
            let rejected_at = 4 + zeros * 5;

            let mut buf = LengthCheckedBuf::new(bytes.into());
            let read = (0..=rejected_at).take_while(|_| buf.try_get_u8().is_ok()).count();

            assert!(read <= rejected_at, "{read} bytes read after {zeros}");
        }
    }

    #[test]
    fn a_length_over_the_maximum_is_rejected_even_in_a_long_response() {
        let response = |length: u8| {
            let mut bytes = vec![0x80, 0x80, length];
            bytes.resize(16 << 20, 0);
            LengthCheckedBuf::new(bytes.into())
        };

        let mut at_maximum = response(0x40);

        assert_eq!([0; 3].map(|_| at_maximum.try_get_u8().is_ok()), [true; 3]);
        let mut above_maximum = response(0x41);
        assert_eq!([0; 3].map(|_| above_maximum.try_get_u8().is_ok()), [true, true, false]);
    }
}
