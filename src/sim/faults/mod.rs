//! What goes wrong: the catalogue of kinds, and what each does to network, brokers, client and names.
//!
//! Thread: the one that simulates. Locks: none, but for `client`'s, a leaf.
//! ```text
//! network.rs, sim/names.rs: asked at every decision, answer from the plans in force
//! requests.rs: a fault of the cluster is armed, strikes one request, and is armed again
//! strikes.rs, changes.rs, outages.rs: at drawn times the world changes, and is repaired later
//! client.rs: asked by the application's calls and callbacks
//! ```
//! `plan.rs` is what all share, `draw.rs` chooses the plans of a seed.

mod changes;
mod client;
mod draw;
mod kinds;
mod network;
mod outages;
mod plan;
mod requests;
mod strikes;
#[cfg(test)]
mod tests;

pub(crate) use self::client::{CallbackMood, ClientFaults};
pub(crate) use self::draw::{Parts, draw};
pub(crate) use self::kinds::{FaultKind, Group};
pub(crate) use self::network::{Break, ConnectFate, Direction, NetworkFaults};
pub(crate) use self::plan::{Counts, DrawTime, FaultPlan};

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use self::requests::Armed;
use self::strikes::{Repair, Striker};
use super::network::LinkState;
use super::scenario::Scenario;
use super::setup::bootstrap_addresses;
use super::world::World;
use crate::network::WireId;

/// All faults of a run, and when they begin and end.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) network: NetworkFaults,
    pub(crate) client: ClientFaults,
    armed: Vec<Armed>,
    strikers: Vec<Striker>,
    repairs: BTreeMap<(Duration, u64), Repair>,
    repairs_made: u64,
    counts: Counts,
    /// Nodes that are stopped.
    down: BTreeSet<i32>,
    /// The scenario's topics; what is deleted is not forgotten.
    topics: Vec<String>,
    /// What `bootstrap.servers` has, if it has no names.
    bootstrap_addresses: Vec<SocketAddr>,
    stalled_until: Duration,
    new_addresses: u8,
    wall_clock_is_off_by: i64,
}

impl Faults {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let plans = &scenario.faults;
        Self {
            network: NetworkFaults::new(plans),
            client: ClientFaults::new(plans),
            armed: plans.iter().filter_map(Armed::new).collect(),
            strikers: plans.iter().filter_map(Striker::new).collect(),
            repairs: BTreeMap::new(),
            repairs_made: 0,
            counts: Counts::default(),
            down: BTreeSet::new(),
            topics: scenario
                .cluster
                .topics
                .iter()
                .map(|topic| topic.name.clone())
                .collect(),
            bootstrap_addresses: bootstrap_addresses(&scenario.config),
            stalled_until: Duration::ZERO,
            new_addresses: 0,
            wall_clock_is_off_by: 0,
        }
    }

    /// When the next one begins, strikes or ends.
    pub(crate) fn next_event(&self) -> Option<Duration> {
        let strikes = self.strikers.iter().filter_map(Striker::next);
        let repairs = self.repairs.keys().next().map(|(at, _)| *at);
        let armed = self.armed.iter().filter_map(Armed::next_event);
        strikes.chain(armed).chain(repairs).min()
    }

    /// Until when the Sender thread gets no processor, if it gets none now.
    pub(crate) fn sender_is_stalled_until(&mut self, now: Duration) -> Option<Duration> {
        (self.stalled_until > now).then_some(self.stalled_until)
    }
}

impl World {
    /// What is due of the faults.
    pub(super) fn run_faults(&mut self, now: Duration) {
        self.arm_faults(now);
        while let Some(entry) = self.faults.repairs.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let repair = entry.remove();
            self.repair(repair, now);
        }
        if self
            .faults
            .strikers
            .iter()
            .filter_map(Striker::next)
            .all(|at| at > now)
        {
            return;
        }
        let mut strikers = std::mem::take(&mut self.faults.strikers);
        for striker in &mut strikers {
            if striker.next().is_some_and(|at| at <= now) {
                self.strike(striker, now);
            }
        }
        self.faults.strikers = strikers;
    }

    /// How often each kind had an effect.
    pub(super) fn fired(&self) -> BTreeMap<FaultKind, u64> {
        let mut fired = self.faults.counts.0.clone();
        let client = self.faults.client.counts();
        for counts in [self.faults.network.counts(), self.names.counts(), &client] {
            for (kind, times) in &counts.0 {
                *fired.entry(*kind).or_insert(0) += times;
            }
        }
        for kind in FaultKind::ALL {
            if let Some(times) = self.cluster.strikes().get(kind.name()) {
                *fired.entry(*kind).or_insert(0) += times;
            }
        }
        fired
    }

    /// Everything that can be repaired is; from now on nothing goes wrong.
    pub(super) fn heal(&mut self) {
        let now = self.now();
        self.faults.network.heal();
        self.faults.client.heal();
        self.faults.armed.clear();
        self.faults.strikers.clear();
        self.faults.stalled_until = Duration::ZERO;
        let off_by = std::mem::take(&mut self.faults.wall_clock_is_off_by);
        self.clock.jump_wall_clock(-off_by);
        self.names.heal(now);
        self.heal_endpoints();
        for repair in std::mem::take(&mut self.faults.repairs).into_values() {
            self.repair(repair, now);
        }
        self.faults.down.clear();
        self.cluster
            .apply(kafka_test_support::Change::HealEverything);
        for node in std::mem::take(&mut self.network.paused) {
            self.network.paused.insert(node);
            self.resume(node);
        }
        self.collect_answers(now);
        self.heal_links(now);
        self.wake_client();
    }

    /// A real network would have sent again what was lost, or given up: here it gives up.
    fn heal_links(&mut self, now: Duration) {
        let soon = now + Duration::from_secs(1);
        let mut broken: Vec<WireId> = Vec::new();
        let mut full: Vec<WireId> = Vec::new();
        for (id, link) in &mut self.network.links {
            let is_late = link.last_to_broker > soon || link.last_to_client > soon;
            let is_lost = link.lost_to_broker || link.lost_to_client;
            if link.is_open && (is_late || is_lost || link.state == LinkState::Connecting) {
                broken.push(*id);
            } else if link.full_until.take().is_some() {
                full.push(*id);
            }
        }
        for id in broken {
            self.reset(id, now);
        }
        for id in full {
            self.network.touch(id);
        }
    }
}
