//! The sizes of a thread pool on its way up: a broker accepts a new size between half and double of
//! the current one (`DynamicThreadPool.validateReconfiguration`).

/// The sizes from `from` (exclusive) up to `to` (inclusive), each at most double of the one before.
/// Empty unless `to` is above `from`.
pub(super) fn up(from: u32, to: u32) -> Vec<u32> {
    let mut sizes = Vec::new();
    let mut size = from.max(1);
    while size < to {
        size = size.saturating_mul(2).min(to);
        sizes.push(size);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i18_every_size_lies_within_half_and_double_of_the_one_before() {
        assert_eq!(up(1, 16), [2, 4, 8, 16]);
        assert_eq!(up(3, 12), [6, 12]);
        assert_eq!(up(5, 16), [10, 16]);

        for from in 1..=64 {
            for to in 1..=64 {
                let mut size = from;
                for next in up(from, to) {
                    assert!(next > size && next <= size * 2, "{from} to {to}: {size} to {next}");
                    // An undo takes the same sizes back; Kafka halves by integer division.
                    assert!(size >= next / 2, "{from} to {to}: {next} back to {size}");
                    size = next;
                }
                assert_eq!(size, from.max(to), "{from} to {to}");
            }
        }
    }
}
