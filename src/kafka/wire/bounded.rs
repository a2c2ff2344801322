//! A reader's view of an answer that believes no length.
//!
//! The codec reserves room for as many elements as an array claims, before it reads the first one.
//! In the versions that this adapter speaks, lengths are varints, which the codec reads byte by
//! byte; so a claim beyond what is left of the answer is seen here, before anything is reserved.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// What is left of an answer.
pub(super) struct Bounded {
    left: Bytes,
    /// The varint that is being read: its value so far, and how many bits that is.
    value: u64,
    bits: u32,
}

impl Bounded {
    pub(super) const fn new(answer: Bytes) -> Self {
        Self { left: answer, value: 0, bits: 0 }
    }
}

impl Buf for Bounded {
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
        self.value |= u64::from(byte & 0x7f).checked_shl(self.bits).unwrap_or(0);
        self.bits = self.bits.saturating_add(7);
        if byte < 0x80 {
            // Lengths are written plus one, and an element takes a byte at least.
            let claimed = usize::try_from(self.value.saturating_sub(1)).unwrap_or(usize::MAX);
            (self.value, self.bits) = (0, 0);
            if self.left.remaining() < claimed {
                return Err(TryGetError { requested: claimed, available: self.left.remaining() });
            }
        }
        Ok(byte)
    }
}

impl ByteBuf for Bounded {
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
        let mut answer = Bounded::new(Bytes::from_static(bytes));
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
}
