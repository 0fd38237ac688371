//! How long to wait before trying again: exponential, capped, with jitter (Java's `ExponentialBackoff`).

use std::time::Duration;

use crate::random::Random;

/// `base * 2^attempts`, at most `max`, spread by ±20 % so that clients do not march in step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExponentialBackoff {
    base: Duration,
    max: Duration,
}

impl ExponentialBackoff {
    const JITTER: f64 = 0.2;

    /// A base above the maximum means the maximum, always (C8).
    pub(crate) fn new(base: Duration, max: Duration) -> Self {
        Self {
            base: base.min(max),
            max,
        }
    }

    /// The wait after `attempts` failures (0 is the first wait).
    pub(crate) fn backoff(&self, attempts: u32, random: &mut Random) -> Duration {
        let doubled = self
            .base
            .saturating_mul(1_u32.checked_shl(attempts.min(31)).unwrap_or(u32::MAX));
        let jitter = 1.0 + Self::JITTER * (2.0 * random.unit() - 1.0);
        doubled.min(self.max).mul_f64(jitter).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum_within_the_jitter() {
        let backoff =
            ExponentialBackoff::new(Duration::from_millis(100), Duration::from_millis(1000));
        let mut random = Random::seeded(1);
        for (attempts, expected) in [
            (0, 100.0),
            (1, 200.0),
            (2, 400.0),
            (3, 800.0),
            (4, 1000.0),
            (40, 1000.0),
        ] {
            for _ in 0..100 {
                let ms = backoff.backoff(attempts, &mut random).as_secs_f64() * 1000.0;
                assert!(
                    ms >= expected * 0.79 && ms <= (expected * 1.21_f64).min(1000.1),
                    "{attempts}: {ms}"
                );
            }
        }
    }

    #[test]
    fn base_above_maximum_means_maximum() {
        let backoff = ExponentialBackoff::new(Duration::from_secs(9), Duration::from_secs(1));
        assert!(backoff.backoff(0, &mut Random::seeded(1)) <= Duration::from_secs(1));
    }

    #[test]
    fn zero_base_waits_not_at_all() {
        let backoff = ExponentialBackoff::new(Duration::ZERO, Duration::from_secs(1));
        assert_eq!(backoff.backoff(5, &mut Random::seeded(1)), Duration::ZERO);
    }
}
