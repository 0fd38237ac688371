//! Randomness: jitter, the sticky partition, the start of a node scan. Seeded by the operating
//! system, or by a test, one stream per user so that one's draws never shift another's.

/// A small, fast, seedable generator; not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(fastrand::Rng);

impl Random {
    /// Seeded by the operating system.
    pub(crate) fn from_entropy() -> Self {
        Self(fastrand::Rng::new())
    }

    /// The same draws for the same seed.
    #[cfg(any(test, fuzzing, interleave))]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// An independent stream, decided by this one.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// A number in `0..bound`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            0
        } else {
            self.0.usize(0..bound)
        }
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_twice_draws_the_same() {
        let (mut a, mut b) = (Random::seeded(7), Random::seeded(7));
        assert!((0..100).all(|_| a.below(1000) == b.below(1000)));
        assert_eq!(Random::seeded(1).below(0), 0);
    }

    #[test]
    fn split_stream_does_not_shift_the_parent_by_its_own_draws() {
        let (mut a, mut b) = (Random::seeded(7), Random::seeded(7));
        let mut child = a.split();
        let _unused = b.split();
        child.unit();
        assert_eq!(a.below(1 << 20), b.below(1 << 20));
    }
}
