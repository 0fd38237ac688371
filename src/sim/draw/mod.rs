//! From a seed to a scenario: workload, configuration and cluster; faults are drawn by `faults`.
//!
//! Thread: any. Locks: none. First comes the line of the guarantee table that the seed is about
//! (`line.rs`). Half of the seeds are near a configuration that somebody runs, most of these with
//! idempotence; the other half is wild.

mod cluster;
mod config;
mod contradiction;
mod extremes;
mod line;
mod threads;

pub(crate) use self::contradiction::Contradiction;

use std::time::Duration;

use super::faults::{self, FaultKind};
use super::pending;
use super::scenario::{Ending, Scenario};
use super::streams::{Draw, derive, stream};

/// What may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// What is to hold today.
    Default,
    /// And what `PENDING.md` lists.
    All,
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn draw(seed: u64, mix: Mix) -> Self {
        let mut random = stream(seed, "shape");
        let line = line::draw(seed);
        let is_wild = random.chance(if line::is_idempotent(line) { 200 } else { 700 });
        let config = config::draw(seed, line, is_wild);
        let cluster = cluster::draw(seed, line, mix);
        let safety = Duration::from_millis(random.log_between(1_000, 120_000));
        let at = |random: &mut crate::random::Random| {
            safety * u32::try_from(random.between(20, 700)).expect("small") / 1000
        };
        let ending = match random.below(100) {
            // While it only begins: connections, metadata, the producer id.
            0..2 => Ending::CloseEarly {
                at: Duration::from_millis(random.log_between(1, 2_000)),
                timeout: Duration::from_millis(random.log_between(1, 1_000) - 1),
            },
            2..5 => Ending::CloseEarly {
                at: at(&mut random),
                timeout: Duration::from_millis(match random.below(3) {
                    0 => 0,
                    1 => random.log_between(1, 1_000),
                    _ => random.log_between(1_000, 60_000),
                }),
            },
            5..7 => Ending::Drop {
                at: at(&mut random),
            },
            _ => Ending::Close,
        };
        let threads = threads::draw(seed, is_wild, safety);
        let mut plans = faults::draw(
            seed,
            &faults::Parts {
                cluster: &cluster,
                config: &config,
                threads: &threads,
                safety,
                kinds: pending::kinds(mix),
            },
        );
        let is_early = |at: &Duration| *at <= Duration::from_secs(2);
        if matches!(&ending, Ending::CloseEarly { at, .. } if is_early(at))
            && config.idempotence
            && random.chance(500)
        {
            plans.retain(|plan| plan.kind != FaultKind::InitProducerIdHangs);
            plans.push(faults::FaultPlan {
                kind: FaultKind::InitProducerIdHangs,
                seed: derive(seed, "no id before the close", 0),
                strength: 999,
                from: Duration::ZERO,
                until: safety,
            });
        }
        Self {
            seed,
            config,
            cluster,
            threads,
            faults: plans,
            safety,
            ending,
        }
    }
}

#[cfg(test)]
mod tests;
