//! Independent random streams: each part of a scenario draws from its own, so that removing one
//! fault, thread or topic does not shift the draws of the rest.
//!
//! Thread: any. Locks: none.

use crate::random::Random;

/// The stream of one purpose under one seed.
pub(crate) fn stream(seed: u64, purpose: &str) -> Random {
    Random::seeded(derive(seed, purpose, 0))
}

/// A seed for the `index`-th thing of a kind.
pub(crate) fn derive(seed: u64, purpose: &str, index: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let bytes = seed
        .to_le_bytes()
        .into_iter()
        .chain(purpose.bytes())
        .chain(index.to_le_bytes());
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    // Neighbouring seeds must not give neighbouring streams.
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

/// Small conveniences for drawing.
pub(crate) trait Draw {
    /// True in `per_mille` of 1000 cases.
    fn chance(&mut self, per_mille: u32) -> bool;
    /// A number from `low` to `high`, both included.
    fn between(&mut self, low: u64, high: u64) -> u64;
    /// A number from `low` to `high` whose logarithm is uniform: small ones are as likely as large.
    fn log_between(&mut self, low: u64, high: u64) -> u64;
    /// One of them.
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T;
}

impl Draw for Random {
    fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < usize::try_from(per_mille).expect("small")
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = usize::try_from(high.saturating_sub(low)).expect("64 bits");
        low + u64::try_from(self.below(span.saturating_add(1))).expect("64 bits")
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a draw need not be exact"
    )]
    fn log_between(&mut self, low: u64, high: u64) -> u64 {
        let (from, to) = ((low as f64 + 1.0).ln(), (high as f64 + 1.0).ln());
        let drawn = (from + self.unit() * (to - from)).exp() - 1.0;
        (drawn.round() as u64).clamp(low, high)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
