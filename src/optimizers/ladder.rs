//! The rungs of a thread pool: a broker accepts a new size between half and double of the live one
//! (`DynamicThreadPool.validateReconfiguration`).

/// The values from `from` (not included) up to `to`, each at most double of the one before. Empty
/// when `to` is not above `from`.
pub(super) fn up(from: u32, to: u32) -> Vec<u32> {
    let mut rungs = Vec::new();
    let mut at = from.max(1);
    while at < to {
        at = at.saturating_mul(2).min(to);
        rungs.push(at);
    }
    rungs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i18_every_rung_lies_within_half_and_double_of_the_one_before() {
        assert_eq!(up(1, 16), [2, 4, 8, 16]);
        assert_eq!(up(3, 12), [6, 12]);
        assert_eq!(up(5, 16), [10, 16]);
        for from in 1..=64 {
            for to in 1..=64 {
                let mut at = from;
                for next in up(from, to) {
                    assert!(at < next && next <= at * 2, "{from} to {to}: {at} to {next}");
                    // The way back takes the same rungs; Kafka halves by integer division.
                    assert!(at >= next / 2, "{from} to {to}: {next} back to {at}");
                    at = next;
                }
                assert_eq!(at, from.max(to), "{from} to {to}");
            }
        }
    }
}
