//! A reader's view of an answer that believes no length.
//!
//! The codec reserves room for as many elements as an array claims, before it reads the first one.
//! In the versions that this adapter speaks, lengths are varints, which the codec reads byte by
//! byte; so a claim beyond what is left of the answer is seen here, before anything is reserved.
//!
//! Where a varint begins is not seen here: a byte before it may be a truth value, which the codec
//! reads in the same way. So each byte is taken for the last of the longest varint that can end
//! there: what that claims is never less than what the codec reads, and the same in an honest
//! answer, whose truth values are 0 and 1.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// The codec takes a fifth byte for the last of a varint, even if it says that more follow.
const VARINT_BYTES_MAX: u32 = 5;

/// Bits of a value in one byte of a varint.
const BITS: u32 = 7;

/// Nothing in an honest answer has more elements or more bytes: a group's member brings 1 MiB at
/// most, and so many partitions are several clusters. Bounds what a long answer can have reserved.
const CLAIM_MAX: u64 = 1 << 20;

/// What is left of an answer.
pub(super) struct LengthCheckedBuf {
    left: Bytes,
    varint: Varint,
}

/// The latest bytes that may be one varint.
#[derive(Default)]
struct Varint {
    value: u64,
    bytes: u32,
}

impl Varint {
    /// Takes a byte. The value, if a varint can end with it.
    fn take(&mut self, byte: u8) -> Option<u64> {
        if self.bytes == VARINT_BYTES_MAX {
            self.value >>= BITS;
            self.bytes -= 1;
        }
        self.value |= u64::from(byte & 0x7f) << (self.bytes * BITS);
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
    pub(super) fn new(answer: Bytes) -> Self {
        Self { left: answer, varint: Varint::default() }
    }

    /// Whether a length can be true. Lengths are written plus one, and an element takes a byte at
    /// least.
    fn check(&self, length: u64) -> Result<(), TryGetError> {
        let claimed = length.saturating_sub(1);
        let available = self.left.remaining();
        let requested = usize::try_from(claimed).unwrap_or(usize::MAX);
        if CLAIM_MAX < claimed || available < requested {
            return Err(TryGetError { requested, available });
        }
        Ok(())
    }
}

impl Buf for LengthCheckedBuf {
    fn remaining(&self) -> usize {
        self.left.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.left.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.left.advance(count);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.left.try_get_u8()?;
        if let Some(length) = self.varint.take(byte) {
            self.check(length)?;
        }
        Ok(byte)
    }
}

impl ByteBuf for LengthCheckedBuf {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.left.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.left.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &'static [u8], want_refused_at: Option<usize>) {
        let mut answer = LengthCheckedBuf::new(Bytes::from_static(bytes));
        let refused = (0..bytes.len()).find(|_| answer.try_get_u8().is_err());
        assert_eq!(refused, want_refused_at, "{bytes:?}");
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_where_it_stands() {
        check(&[1], None);
        check(&[3, 0, 0], None);
        check(&[4, 0, 0], Some(0));
        check(&[0x80, 1, 0], Some(1));
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], Some(4));
        check(&[0, 0, 2, 0], None);
    }

    #[test]
    fn a_fifth_byte_that_says_that_more_follow_hides_no_length() {
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0], Some(4));
        check(&[0x80, 0x80, 0x80, 0x80, 0xff, 0, 0], Some(4));
        check(&[0x83, 0x80, 0x80, 0x80, 0x00, 1, 1, 1], None);
    }

    #[test]
    fn a_truth_value_that_looks_like_a_varints_beginning_hides_no_length() {
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x0f, 0, 0], Some(5));
        check(&[0x80, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], Some(4));
    }

    #[test]
    fn varints_of_nothing_in_a_row_hide_no_length() {
        for nothings in 1..9 {
            let mut bytes = [0x80].repeat(nothings * 5);
            bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
            let refused = 4 + nothings * 5;
            let mut answer = LengthCheckedBuf::new(bytes.into());
            let read = (0..=refused).take_while(|_| answer.try_get_u8().is_ok()).count();
            assert!(read <= refused, "{read} bytes read after {nothings}");
        }
    }

    #[test]
    fn a_long_answer_is_no_licence_to_boast() {
        let answer = |length: u8| {
            let mut bytes = vec![0x80, 0x80, length];
            bytes.resize(16 << 20, 0);
            LengthCheckedBuf::new(bytes.into())
        };
        let mut honest = answer(0x40);
        assert_eq!([0; 3].map(|_| honest.try_get_u8().is_ok()), [true; 3]);
        let mut boasting = answer(0x41);
        assert_eq!([0; 3].map(|_| boasting.try_get_u8().is_ok()), [true, true, false]);
    }
}
