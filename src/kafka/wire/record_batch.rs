//! Reads the headers of record batches (magic 2). Records stay bytes.
//!
//! The layout is that of Kafka's `DefaultRecordBatch`: 12 bytes of offset and length, then the rest
//! of the header, 61 bytes in all. A response ends where its size limit is reached, usually in the
//! middle of a batch.

use crate::model::{BatchScan, Codec, RecordBatch};

/// Base offset and length, which every magic has.
const OVERHEAD_BYTES: usize = 12;
const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;

/// The header, up to the first record.
const HEADER_BYTES: usize = 61;

const LENGTH_AT: usize = 8;
const ATTRIBUTES_AT: usize = 21;
const FIRST_TIMESTAMP_AT: usize = 27;
const LAST_TIMESTAMP_AT: usize = 35;
const PRODUCER_AT: usize = 43;
const COUNT_AT: usize = 57;

/// Bits of the attributes, which are a 16-bit number.
const CODEC_BITS: u16 = 0b111;
const LOG_APPEND_TIME_BIT: u16 = 1 << 3;
const CONTROL_BIT: u16 = 1 << 5;

fn int16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|it| u16::from_be_bytes(*it))
}

fn int32(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|it| i32::from_be_bytes(*it))
}

fn int64(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..)?.first_chunk().map(|it| i64::from_be_bytes(*it))
}

enum Scanned {
    Batch(RecordBatch),
    /// A message set of magic 0 or 1.
    Older,
    Control,
}

/// Reads batch after batch. Ends before one whose header is not complete.
pub(super) fn scan(mut records: &[u8]) -> BatchScan {
    let mut found = BatchScan::default();

    while let (Some(length), Some(magic)) = (int32(records, LENGTH_AT), records.get(MAGIC_AT)) {
        let size = usize::try_from(length).ok().and_then(|it| it.checked_add(OVERHEAD_BYTES));
        let Some(size) = size.filter(|it| *it > MAGIC_AT) else {
            found.is_malformed = true;
            break;
        };

        if *magic >= MAGIC && records.len() < HEADER_BYTES {
            break;
        }

        match scan_one(records, *magic, size) {
            Some(Scanned::Batch(batch)) => found.batches.push(batch),
            Some(Scanned::Older) => found.older = found.older.saturating_add(1),
            Some(Scanned::Control) => found.control = found.control.saturating_add(1),
            None => {
                found.is_malformed = true;
                break;
            }
        }

        records = records.get(size..).unwrap_or_default();
    }

    found
}

/// `None` if it is no batch.
fn scan_one(bytes: &[u8], magic: u8, size: usize) -> Option<Scanned> {
    if magic < MAGIC {
        return Some(Scanned::Older);
    }

    if magic > MAGIC || size < HEADER_BYTES {
        return None;
    }

    let attributes = int16(bytes, ATTRIBUTES_AT)?;
    if attributes & CONTROL_BIT != 0 {
        return Some(Scanned::Control);
    }

    let codec = codec(attributes)?;
    let payload = bytes.get(HEADER_BYTES..size).filter(|_| codec == Codec::Uncompressed);

    Some(Scanned::Batch(RecordBatch {
        codec,
        records: u32::try_from(int32(bytes, COUNT_AT)?).ok()?,
        bytes: u32::try_from(size).ok()?,
        first_timestamp: int64(bytes, FIRST_TIMESTAMP_AT)?,
        last_timestamp: int64(bytes, LAST_TIMESTAMP_AT)?,
        has_create_time: attributes & LOG_APPEND_TIME_BIT == 0,
        producer: int64(bytes, PRODUCER_AT).filter(|it| *it >= 0),
        payload: payload.map(<[u8]>::to_vec),
    }))
}

const fn codec(attributes: u16) -> Option<Codec> {
    match attributes & CODEC_BITS {
        0 => Some(Codec::Uncompressed),
        1 => Some(Codec::Gzip),
        2 => Some(Codec::Snappy),
        3 => Some(Codec::Lz4),
        4 => Some(Codec::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::{
        Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    };

    use super::*;

    fn record(offset: i64, value: &'static [u8]) -> Record {
        Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id: 7,
            producer_epoch: 0,
            timestamp_type: TimestampType::Creation,
            offset,
            sequence: i32::try_from(offset).unwrap(),
            timestamp: 1_000 + offset,
            key: None,
            value: Some(value.into()),
            headers: indexmap_of_nothing(),
        }
    }

    fn indexmap_of_nothing<T: Default>() -> T {
        T::default()
    }

    /// A batch as the codec writes it.
    fn batch(offsets: std::ops::Range<i64>) -> Vec<u8> {
        let records: Vec<Record> = offsets.map(|it| record(it, b"a value")).collect();
        let mut bytes = bytes::BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();

        bytes.to_vec()
    }

    #[test]
    fn headers_are_read_as_the_codec_writes_them() {
        let (first, second) = (batch(0..3), batch(3..4));
        let found = scan(&[first.clone(), second].concat());

        assert_eq!((found.batches.len(), found.is_malformed), (2, false));
        let it = &found.batches[0];
        assert_eq!((it.codec, it.records, it.producer), (Codec::Uncompressed, 3, Some(7)));
        assert_eq!(usize::try_from(it.bytes).unwrap(), first.len());
        assert_eq!((it.first_timestamp, it.last_timestamp), (1_000, 1_002));
        assert!(it.has_create_time);
        assert_eq!(it.payload.as_deref(), Some(&first[HEADER_BYTES..]));
    }

    #[test]
    fn a_batch_that_is_cut_off_counts_once_its_header_is_whole() {
        let whole = batch(0..3);

        for end in 0..whole.len() {
            let found = scan(&whole[..end]);
            assert_eq!(found.batches.len(), usize::from(end >= HEADER_BYTES), "{end}");
            assert!(!found.is_malformed && found.batches.iter().all(|it| it.payload.is_none()));
        }
    }

    #[test]
    fn a_compressed_batch_has_no_payload_and_a_control_batch_is_only_counted() {
        let mut bytes = batch(0..3);
        bytes[ATTRIBUTES_AT + 1] = 4;
        let found = scan(&bytes);
        assert_eq!((found.batches[0].codec, &found.batches[0].payload), (Codec::Zstd, &None));

        bytes[ATTRIBUTES_AT + 1] = 0b10_0000;
        let found = scan(&bytes);
        assert_eq!((found.batches.len(), found.control), (0, 1));

        // A codec that does not exist.
        bytes[ATTRIBUTES_AT + 1] = 6;
        assert!(scan(&bytes).is_malformed);
    }

    #[test]
    fn an_older_magic_is_counted_and_malformed_bytes_end_the_scan() {
        let mut older = vec![0; 34];
        older[LENGTH_AT + 3] = 22;
        older[MAGIC_AT] = 1;
        let found = scan(&[older.clone(), batch(0..1), older].concat());
        assert_eq!((found.older, found.batches.len(), found.is_malformed), (2, 1, false));

        for length in [-1_i32, 0, 4] {
            let mut bytes = batch(0..3);
            bytes[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
            let found = scan(&bytes);
            assert!(found.is_malformed && found.batches.is_empty(), "{length}");
        }

        let mut bytes = batch(0..3);
        bytes[MAGIC_AT] = 3;
        assert!(scan(&bytes).is_malformed);
    }
}
