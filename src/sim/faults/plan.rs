//! What all kinds share: a plan's window, strength and targets, and how effects are counted.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kinds::FaultKind;
use crate::random::Random;
use crate::sim::streams::{Draw, stream};

/// One fault of a scenario: of a kind, as strong as drawn, for a while.
#[derive(Debug, Clone)]
pub(crate) struct FaultPlan {
    pub(crate) kind: FaultKind,
    /// All its draws come from here.
    pub(crate) seed: u64,
    /// 1 to 1000. At 1000 it is everywhere.
    pub(crate) strength: u32,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl FaultPlan {
    pub(crate) fn is_in_force(&self, now: Duration) -> bool {
        self.from <= now && now < self.until
    }

    pub(crate) fn is_everywhere(&self) -> bool {
        self.strength >= FULL_STRENGTH
    }

    /// From `weak` to `strong` as the strength grows, by factors rather than by steps.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a strength need not be exact"
    )]
    pub(crate) fn scaled(&self, weak: u64, strong: u64) -> u64 {
        let share = f64::from(self.strength.clamp(1, FULL_STRENGTH)) / f64::from(FULL_STRENGTH);
        let (weak, strong) = (weak.max(1) as f64, strong.max(1) as f64);
        (weak * (strong / weak).powf(share)).round() as u64
    }

    /// The nodes it strikes: all, or a random part of them.
    pub(crate) fn nodes(&self) -> Nodes {
        let mut random = stream(self.seed, "nodes");
        let drawn = u8::try_from(random.between(1, 254)).expect("drawn so");
        if self.is_everywhere() || random.chance(400) {
            Nodes(u8::MAX)
        } else {
            Nodes(drawn)
        }
    }
}

pub(crate) const FULL_STRENGTH: u32 = 1000;

/// A set of nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nodes(u8);

impl Nodes {
    pub(crate) fn contains(self, node: i32) -> bool {
        self.0 & (1 << node.rem_euclid(8)) != 0
    }
}

/// How often each kind had an effect.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(pub(crate) BTreeMap<FaultKind, u64>);

impl Counts {
    pub(crate) fn add(&mut self, kind: FaultKind) {
        *self.0.entry(kind).or_insert(0) += 1;
    }

    pub(crate) fn of(&self, kind: FaultKind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }
}

/// Draws of durations and shares.
pub(crate) trait DrawTime: Draw {
    /// Milliseconds, log-uniform.
    fn ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.log_between(low, high.max(low)))
    }

    /// Microseconds, log-uniform.
    fn us(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.log_between(low, high.max(low)))
    }

    /// True in `per_mille` of 1000 cases.
    fn one_of(&mut self, per_mille: u64) -> bool {
        self.between(0, 999) < per_mille
    }

    /// 0 to `whole`, log-uniform.
    fn part_of(&mut self, whole: usize) -> usize {
        let whole = u64::try_from(whole).expect("64 bits");
        usize::try_from(self.log_between(0, whole)).expect("not more")
    }
}

impl DrawTime for Random {}
