//! What is in a record of an open-loop load: a stamp that says which record it is and when it was
//! due, then text. Pure.

use std::time::Duration;

use bytes::{Buf, BufMut};
use rand::RngExt;

use crate::model::MonotonicTime;

/// Bytes of a stamp, and so the smallest record.
pub(super) const STAMP_BYTES: usize = 28;

/// Index of a record that only opens connections, and is not counted.
pub(super) const WARM_UP: u64 = u64::MAX;

/// Length of the text that records are cut from.
const TEXT_BYTES: usize = 1 << 20;
/// From one record's text to the next, in bytes of the whole text: a prime, so that a batch holds
/// no text twice.
const TEXT_STEP: u64 = 4_099;

/// Identifies a record of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordStamp {
    /// The load that wrote it. Records of others are ignored.
    pub(super) run: u64,
    /// The producer that sent it.
    pub(super) sender: u32,
    /// The producer's records are numbered from 0.
    pub(super) index: u64,
    /// When it had to be sent, by the clock of this process.
    pub(super) due: MonotonicTime,
}

impl RecordStamp {
    pub(super) fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        let mut rest = bytes.as_mut_slice();
        rest.put_u64(self.run);
        rest.put_u32(self.sender);
        rest.put_u64(self.index);
        rest.put_u64(u64::try_from(self.due.0.as_nanos()).unwrap_or(u64::MAX));

        bytes
    }

    /// `None` if the record is too short to have a stamp.
    pub(super) fn parse(record: &[u8]) -> Option<Self> {
        let mut bytes = record.first_chunk::<STAMP_BYTES>()?.as_slice();

        Some(Self {
            run: bytes.get_u64(),
            sender: bytes.get_u32(),
            index: bytes.get_u64(),
            due: MonotonicTime(Duration::from_nanos(bytes.get_u64())),
        })
    }
}

/// Builds the records of one producer, one at a time, in the same memory.
pub(super) struct RecordBuilder {
    text: Vec<u8>,
    record: Vec<u8>,
}

impl RecordBuilder {
    /// `record_bytes` is at least [`STAMP_BYTES`].
    pub(super) fn new(record_bytes: usize) -> Self {
        let length = TEXT_BYTES + record_bytes;
        let mut rng = rand::rng();
        // Capital letters, as Kafka's own tool writes them: they compress as text does.
        let text = (0..length).map(|_| rng.random_range(b'A'..=b'Z')).collect();

        Self { text, record: vec![0; record_bytes.max(STAMP_BYTES)] }
    }

    pub(super) fn build(&mut self, stamp: RecordStamp) -> &[u8] {
        // Any place in the text will do, so the product may wrap around.
        let offset = stamp.index.wrapping_mul(TEXT_STEP);
        let offset = usize::try_from(offset).unwrap_or(0) % TEXT_BYTES;

        if let Some((head, body)) = self.record.split_first_chunk_mut::<STAMP_BYTES>() {
            *head = stamp.to_bytes();
            if let Some(text) = self.text.get(offset..offset + body.len()) {
                body.copy_from_slice(text);
            }
        }

        &self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(index: u64) -> RecordStamp {
        RecordStamp { run: 7, sender: 3, index, due: MonotonicTime(Duration::from_millis(1_234)) }
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        for index in [0, 1, 999_999_999, WARM_UP] {
            assert_eq!(RecordStamp::parse(&stamp(index).to_bytes()), Some(stamp(index)));
        }
        assert_eq!(RecordStamp::parse(&[0; STAMP_BYTES - 1]), None);
    }

    #[test]
    fn a_record_has_its_size_its_stamp_and_text_of_its_own() {
        let mut builder = RecordBuilder::new(100);
        let first = builder.build(stamp(0)).to_vec();
        let second = builder.build(stamp(1)).to_vec();

        assert_eq!((first.len(), second.len()), (100, 100));
        assert_eq!(RecordStamp::parse(&second), Some(stamp(1)));
        assert_ne!(first[STAMP_BYTES..], second[STAMP_BYTES..]);
        assert!(second[STAMP_BYTES..].iter().all(u8::is_ascii_uppercase));
    }
}
