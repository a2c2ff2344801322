//! Random numbers by seed and place. The number for one call does not depend on the order of other
//! calls.

use rand::{Rng, SeedableRng, rngs::StdRng};

pub(crate) fn draw(seed: u64, place: &[u64]) -> u64 {
    let mix = |sum: u64, it: &u64| (sum ^ it).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    StdRng::seed_from_u64(place.iter().fold(seed.wrapping_add(1), mix)).next_u64()
}

/// A number between `from` and `to`, both inclusive.
pub(crate) fn between(from: u64, to: u64, drawn: u64) -> u64 {
    from + drawn % (to - from + 1)
}
