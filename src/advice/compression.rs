//! How much smaller sampled batches become: their records are compressed as bytes, as a producer
//! would, and never decoded.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::topic::ScannedPartition;
use crate::model::{Codec, RecordBatch};

/// The header of a batch, which is not compressed.
pub(super) const HEADER_BYTES: f64 = 61.0;

/// Batches whose payloads are compressed, of one topic.
const BATCHES_MAX: usize = 400;

/// The records of this many bytes are compressed together, to see what larger batches gain.
const LARGE_BATCH_BYTES: usize = 16 << 10;

/// The spread of the ratio: a tenth of the batches lie below, and a tenth above.
const TAIL: f64 = 0.1;

/// How the uncompressed batches of one topic compress. Ratios are bytes after over bytes before,
/// with the headers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompressionMeasure {
    /// Share of the topic's sampled bytes that is not compressed yet.
    pub uncompressed_share: f64,
    /// How many batches the ratios are from.
    pub batches: usize,
    /// With LZ4, batch by batch as they are now.
    pub lz4: f64,
    /// A tenth of the batches compress better.
    pub low: f64,
    /// A tenth of the batches compress worse.
    pub high: f64,
    /// With LZ4, if batches were of 16 KiB.
    pub large: f64,
}

impl CompressionMeasure {
    /// `None` if no uncompressed batch was sampled as a whole.
    pub(super) fn of(scans: &[ScannedPartition]) -> Option<Self> {
        let batches = || scans.iter().flat_map(|it| &it.scan.batches);
        let bytes_of = |is: fn(&RecordBatch) -> bool| -> f64 {
            batches().filter(|it| is(it)).map(|it| f64::from(it.bytes)).sum()
        };

        let all = bytes_of(|_| true);
        let uncompressed = bytes_of(|it| it.codec == Codec::Uncompressed);

        let payloads = || batches().filter_map(|it| it.payload.as_deref()).take(BATCHES_MAX);
        let (mut before, mut after, mut ratios) = (0.0, 0.0, Vec::new());
        for payload in payloads() {
            let whole = HEADER_BYTES + length(payload.len());
            // A producer keeps what compression would only make larger.
            let smaller = (HEADER_BYTES + length(lz4_length(payload)?)).min(whole);
            before += whole;
            after += smaller;
            ratios.push(smaller / whole);
        }

        if ratios.is_empty() || all <= 0.0 {
            return None;
        }

        ratios.sort_by(f64::total_cmp);
        Some(Self {
            uncompressed_share: uncompressed / all,
            batches: ratios.len(),
            lz4: after / before,
            low: quantile(&ratios, TAIL),
            high: quantile(&ratios, 1.0 - TAIL),
            large: large(scans)?,
        })
    }
}

/// The ratio to the bytes that batches take now, if each had 16 KiB of records before compression.
fn large(scans: &[ScannedPartition]) -> Option<f64> {
    let (mut before, mut after, mut taken) = (0.0, 0.0, 0);
    for partition in scans {
        let mut pending = Vec::new();

        for payload in partition.scan.batches.iter().filter_map(|it| it.payload.as_deref()) {
            if taken >= BATCHES_MAX {
                break;
            }
            taken += 1;
            before += HEADER_BYTES + length(payload.len());
            pending.extend_from_slice(payload);

            if pending.len() >= LARGE_BATCH_BYTES {
                after += HEADER_BYTES + length(lz4_length(&pending)?.min(pending.len()));
                pending.clear();
            }
        }

        if !pending.is_empty() {
            after += HEADER_BYTES + length(lz4_length(&pending)?.min(pending.len()));
        }
    }

    (before > 0.0).then(|| after / before)
}

/// The value below which this share of sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let mut at = 0.0;
    let last = length(sorted.len().saturating_sub(1));
    let found = sorted.iter().find(|_| {
        let is_there = at >= share * last;
        at += 1.0;

        is_there
    });

    found.or(sorted.last()).copied().unwrap_or(1.0)
}

fn length(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// As Kafka's producer writes it: the frame format, with independent blocks of 64 KiB. `None`
/// cannot happen: writing to memory does not fail.
fn lz4_length(payload: &[u8]) -> Option<usize> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(payload).ok()?;

    encoder.finish().ok().map(|it| it.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_compresses_and_noise_does_not() {
        let text = r#"{"user":"anna","action":"view","item":17}"#.repeat(100).into_bytes();
        let compressed = lz4_length(&text).unwrap();
        assert!(compressed * 5 < text.len(), "{compressed} of {}", text.len());

        // A generator of numbers that no byte repeats in.
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);

            state.to_be_bytes()[0]
        })
        .take(4_000)
        .collect();
        assert!(lz4_length(&noise).unwrap() >= noise.len());
    }

    #[test]
    fn quantiles_are_values_of_the_list() {
        let sorted: Vec<f64> = (0..=10).map(f64::from).collect();
        assert!((quantile(&sorted, 0.1) - 1.0).abs() < 1e-9);
        assert!((quantile(&sorted, 0.9) - 9.0).abs() < 1e-9);
        assert!((quantile(&sorted[..1], 0.9)).abs() < 1e-9);
    }
}
