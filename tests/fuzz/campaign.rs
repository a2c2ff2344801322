//! A campaign of inputs. Each depends only on the seed and its number, and has a bound on memory.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use allocation_counter::measure;
use rand::rngs::StdRng;

use crate::fake_broker::chance;

/// Interval of progress output: a process that runs out of memory cannot report its input.
const REPORT_EVERY: u64 = 10_000;

/// Bound on the memory of one input at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// Per byte of input.
    pub(crate) per_byte: u64,
    pub(crate) beside: u64,
}

impl Bound {
    fn of(self, bytes: u64) -> u64 {
        self.beside + self.per_byte * bytes
    }
}

#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) target: &'static str,
    pub(crate) usual: u64,
    /// A long campaign divides its number of inputs by this, because some are expensive.
    pub(crate) weight: u64,
    pub(crate) bound: Bound,
}

#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|it| it.parse().ok())
}

impl Campaign {
    /// Runs `input` with its random numbers, once per input. It returns its number of bytes.
    pub(crate) fn run(&self, mut input: impl FnMut(&mut StdRng) -> usize) {
        let seed = number("SEED").unwrap_or(1);
        let count = number("INPUTS").map_or(self.usual, |it| it.div_ceil(self.weight));
        let inputs = number("INPUT").map_or(0..count, |it| it..it + 1);
        let (mut bytes, mut most, mut share) = (0, 0, 0);

        for index in inputs.clone() {
            let (taken, size) = self.one(seed, index, &mut input);
            bytes += size;
            most = most.max(taken);
            share = share.max(100 * taken / self.bound.of(size));

            if index % REPORT_EVERY == REPORT_EVERY - 1 {
                println!("{}: {} inputs of seed {seed}", self.target, index + 1);
            }
        }

        println!(
            "{}: {} inputs of seed {seed}, {bytes} bytes; one took {} KiB at most, and {share} % \
             of its bound",
            self.target,
            inputs.count(),
            most >> 10,
        );
    }

    /// Peak memory of one input, and its bytes.
    fn one(
        &self,
        seed: u64,
        index: u64,
        input: &mut impl FnMut(&mut StdRng) -> usize,
    ) -> (u64, u64) {
        let mut size = 0;
        let one = || measure(|| size = input(&mut chance(seed, index + 1)));
        let at = format!("{}: input {index} of seed {seed}", self.target);
        let taken = catch_unwind(AssertUnwindSafe(one)).unwrap_or_else(|panic| {
            println!("{at} panicked");
            resume_unwind(panic)
        });
        let size = u64::try_from(size).unwrap();
        let (taken, most) = (taken.bytes_max, self.bound.of(size));

        assert!(taken <= most, "{at} took {taken} bytes for {size}, and {most} is the bound");

        (taken, size)
    }
}
