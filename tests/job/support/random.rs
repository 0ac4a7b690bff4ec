//! Random choices that can be made again. `TEST_SEED` begins elsewhere, `TEST_ROUNDS` goes on for so many times as long.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A number that looks random after the other: <https://prng.di.unimi.it/splitmix64.c>.
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn number(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to one less than this.
    pub(crate) fn below(&self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).unwrap()
    }

    pub(crate) fn one_in(&self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    pub(crate) fn of<'a, T: ?Sized>(&self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    pub(crate) fn bytes(&self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.number().to_le_bytes()[0]).collect()
    }

    /// So many of these, one behind the other.
    pub(crate) fn text(&self, most: usize, parts: &[&str]) -> String {
        (0..self.below(most + 1)).map(|_| self.of(parts)).collect()
    }
}

/// Tries something many times; where it fails, says with which seed.
pub(crate) fn many_times(rounds: u64, test: impl Fn(&Random)) {
    let variable = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let first = variable("TEST_SEED").unwrap_or(1);
    for seed in first..first + rounds * variable("TEST_ROUNDS").unwrap_or(1) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&Random(Cell::new(seed << 32))))) {
            println!("once more: TEST_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
