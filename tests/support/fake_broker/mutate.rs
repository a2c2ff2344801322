//! Seeded mutations of bytes, as from a broken or hostile sender.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::faults::{BODY, Mutation, relength};

/// Typical and extreme values of length fields, as varints and integers.
const LENGTHS: &[&[u8]] = &[
    &[0x00],
    &[0x01],
    &[0x7f],
    &[0xff, 0x01],
    &[0x80, 0x80, 0x04],
    &[0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    // A fifth byte with the continuation bit: decoders differ.
    &[0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0x80, 0x80, 0x80, 0x80],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0xff; 8],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0, 0, 0, 0, 0],
];

/// Bytes of small elements, and long varints.
const FILLERS: &[u8] = &[0x00, 0x01, 0x02, 0x7f, 0x80, 0xff];

/// Usual maximum growth of a message.
const GROWTH_MAX: usize = 256 << 10;

/// Whether the connection is usable after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Kept,
    /// The stream is out of sync; the connection is closed.
    Broken,
    Stuck,
}

/// Random numbers for one place of a campaign. They do not depend on those of other places.
pub(crate) fn chance(seed: u64, place: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ place.rotate_left(32))
}

/// Mutates a frame: usually only its body, sometimes its header too.
pub(super) fn answer(mutation: Mutation, frame: &mut Vec<u8>) -> Framing {
    let chance = &mut chance(mutation.seed, 0);
    let mut body = frame.split_off(frame.len().min(BODY + mutation.keep));
    mutate(chance, &mut body);
    frame.append(&mut body);
    relength(frame);

    match chance.random_range(0..20) {
        0 => {
            let claims = [i32::MAX, i32::MIN, -1, 0, 3, 4, (100 << 20) + 1, 100 << 20, 1 << 20];
            let claim = claims[chance.random_range(0..claims.len())];
            frame[..4].copy_from_slice(&claim.to_be_bytes());

            Framing::Broken
        }
        1 => {
            let bit = chance.random_range(0..BODY * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            Framing::Broken
        }
        2 => {
            frame.truncate(chance.random_range(0..frame.len()));
            Framing::Broken
        }
        _ => Framing::Kept,
    }
}

/// Changes bytes in one to four places.
pub(crate) fn mutate(chance: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..chance.random_range(1..=4) {
        change(chance, bytes);
    }
}

/// Changes a text in one to four places, with pieces of its language.
pub(crate) fn mutate_text(chance: &mut StdRng, bytes: &mut Vec<u8>, words: &[&str]) {
    for _ in 0..chance.random_range(1..=4) {
        if chance.random_bool(0.5) {
            let word = words[chance.random_range(0..words.len())];
            let times = if chance.random_bool(0.05) { chance.random_range(1..5_000) } else { 1 };
            let at = chance.random_range(0..=bytes.len());
            bytes.splice(at..at, word.repeat(times).into_bytes());
        } else {
            change(chance, bytes);
        }
    }
}

fn change(chance: &mut StdRng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.extend((0..chance.random_range(0..64)).map(|_| chance.random::<u8>()));
        return;
    }

    let at = chance.random_range(0..bytes.len());
    let to = chance.random_range(at..=bytes.len());

    match chance.random_range(0..10) {
        0 | 1 => bytes[at] ^= 1 << chance.random_range(0..8),
        2 => bytes[at] = chance.random(),
        3 | 4 => {
            let length = LENGTHS[chance.random_range(0..LENGTHS.len())];
            bytes.iter_mut().skip(at).zip(length).for_each(|(byte, it)| *byte = *it);
        }
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(at..to.min(at + 16))),
        7 => {
            let again = bytes[at..to].to_vec();
            bytes.splice(at..at, again);
        }
        8 => {
            let filler = FILLERS[chance.random_range(0..FILLERS.len())];
            bytes[at..to].fill(filler);
        }
        _ => grow(chance, bytes, at),
    }
}

/// Rarely by much: short messages find most errors.
fn grow(chance: &mut StdRng, bytes: &mut Vec<u8>, at: usize) {
    let most = if chance.random_bool(0.02) { GROWTH_MAX } else { 64 };
    let filler = FILLERS[chance.random_range(0..FILLERS.len())];
    let length = chance.random_range(0..most);
    bytes.splice(at..at, std::iter::repeat_n(filler, length));
}
