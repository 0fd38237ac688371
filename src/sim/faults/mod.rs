//! What goes wrong: the catalogue of kinds, and what each does to network, brokers, client and names.
//!
//! Thread: the one that simulates. Locks: none.

mod kinds;
mod network;

pub(crate) use self::kinds::{FaultKind, Group};
pub(crate) use self::network::{ConnectFate, Direction, NetworkFaults, Room, Transit};

use std::time::Duration;

use super::scenario::Scenario;
use super::world::World;

/// One fault of a scenario: of a kind, as strong as drawn, for a while.
#[derive(Debug, Clone)]
pub(crate) struct FaultPlan {
    pub(crate) kind: FaultKind,
    /// All its draws come from here.
    pub(crate) seed: u64,
    /// 1 to 1000.
    pub(crate) strength: u32,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

/// All faults of a run, and when they begin and end.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) network: NetworkFaults,
}

impl Faults {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            network: NetworkFaults::new(&scenario.faults),
        }
    }

    /// When the next one begins, strikes or ends.
    pub(crate) fn next_event(&self) -> Option<Duration> {
        None
    }

    /// Until when the Sender thread gets no processor, if it gets none now.
    pub(crate) fn sender_is_stalled_until(&mut self, _now: Duration) -> Option<Duration> {
        None
    }

    /// How often each kind had an effect.
    pub(crate) fn fired(&self) -> std::collections::BTreeMap<FaultKind, u64> {
        std::collections::BTreeMap::new()
    }
}

impl World {
    /// What is due of the faults.
    pub(super) fn run_faults(&mut self, _now: Duration) {}

    /// Everything that can be repaired is; from now on nothing goes wrong.
    pub(super) fn heal(&mut self) {}
}
