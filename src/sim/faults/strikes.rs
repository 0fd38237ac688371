//! Faults that strike at drawn times: when, and what is repaired when.
//!
//! Thread: the one that simulates. Locks: none.

use std::time::Duration;

use kafka_test_support::Change;

use super::kinds::{FaultKind, Group};
use super::plan::{DrawTime, FaultPlan};
use crate::random::Random;
use crate::sim::network::LinkState;
use crate::sim::streams::{Draw, stream};
use crate::sim::trace::Happening;
use crate::sim::world::World;

/// One plan that strikes now and then.
#[derive(Debug)]
pub(super) struct Striker {
    pub(super) plan: FaultPlan,
    pub(super) random: Random,
    next: Duration,
    pub(super) strikes: u64,
}

/// What ends an outage.
#[derive(Debug)]
pub(super) enum Repair {
    Change(Change),
    Start(i32),
    Resume(i32),
    /// It is back, with the knowledge of before.
    StartStale(i32),
    /// Some partition of this topic moves.
    MoveSome(String, u64),
    /// A node stops; what comes back is in the list too.
    Stop(i32),
}

impl Repair {
    fn name(&self) -> &'static str {
        match self {
            Self::Change(_) => "repair: a change",
            Self::Start(_) => "repair: a broker is back",
            Self::Resume(_) => "repair: a broker goes on",
            Self::StartStale(_) => "repair: a broker is back with old knowledge",
            Self::MoveSome(..) => "repair: a partition moves",
            Self::Stop(_) => "repair: a broker stops",
        }
    }
}

impl Striker {
    /// None for a kind that does not strike by time.
    pub(super) fn new(plan: &FaultPlan) -> Option<Self> {
        strikes_in_window(plan)?;
        let mut striker = Self {
            plan: plan.clone(),
            random: stream(plan.seed, "strikes"),
            next: Duration::ZERO,
            strikes: 0,
        };
        // The first comes early: a short run shall see it.
        let gap = striker.gap() / 4;
        striker.next = plan.from + gap;
        Some(striker)
    }

    /// When it strikes next.
    pub(super) fn next(&self) -> Option<Duration> {
        (self.next < self.plan.until).then_some(self.next)
    }

    fn gap(&mut self) -> Duration {
        let strikes = strikes_in_window(&self.plan).unwrap_or(1).max(1);
        let window = self.plan.until.saturating_sub(self.plan.from);
        let mean = window / u32::try_from(strikes).unwrap_or(u32::MAX);
        let share = u32::try_from(self.random.between(100, 1900)).expect("small");
        (mean * share / 1000).max(Duration::from_micros(50))
    }

    /// How long what it breaks stays broken: log-uniform up to `longest` at full strength.
    pub(super) fn outage(&mut self, longest_ms: u64) -> Duration {
        let most = self.plan.scaled(500.min(longest_ms), longest_ms);
        self.random.ms(10, most)
    }
}

/// How often, if its kind is one that strikes by time.
fn strikes_in_window(plan: &FaultPlan) -> Option<u64> {
    use FaultKind as Kind;
    let (weak, strong) = match plan.kind {
        Kind::ResetOfIdle => (2, 60),
        Kind::ResetOfAll => (1, 12),
        Kind::SpuriousReadiness | Kind::SpuriousWakeups => (20, 2_000),
        Kind::SenderStall => (1, 8),
        Kind::WallClockJumps => (1, 20),
        Kind::AddressesChange | Kind::NodeReaddressed => (1, 5),
        Kind::LeaderPingPong => (10, 200),
        Kind::LeaderMoves => (1, 40),
        Kind::ConnectionsClosed => (1, 30),
        Kind::ProducersForgotten | Kind::RecordsDeleted => (1, 10),
        Kind::PartitionsAdded | Kind::BrokerAdded => (1, 3),
        Kind::TopicRecreated | Kind::TopicDeleted | Kind::RollingRestart => (1, 2),
        Kind::AllBrokersDown | Kind::BrokerCrash | Kind::StaleRestart => (1, 4),
        Kind::NoLeader
        | Kind::BrokerRestart
        | Kind::BrokerPause
        | Kind::ConnectionsRefused
        | Kind::AuthorizationWithdrawn
        | Kind::MessageLimitLowered
        | Kind::IsrShrinks
        | Kind::IsrShrinksAfterAppend
        | Kind::StaleMetadata
        | Kind::HiddenTopic
        | Kind::HiddenPartition
        | Kind::HiddenBroker
        | Kind::WrongLeaderHints
        | Kind::ConfusedNode => (1, 8),
        _ => return None,
    };
    Some(plan.scaled(weak, strong))
}

impl World {
    /// One strike; the next follows when this one is repaired.
    pub(super) fn strike(&mut self, striker: &mut Striker, now: Duration) {
        let kind = striker.plan.kind;
        striker.strikes += 1;
        let repaired = match kind.group() {
            Group::Network => self.strike_network(striker, now),
            Group::Client => self.strike_client(striker, now),
            Group::Names => self.move_node(striker, now),
            Group::Broker | Group::Cluster => self.strike_cluster(striker, now),
        };
        if let Some(repaired) = repaired {
            self.faults.counts.add(kind);
            let detail = i64::try_from(striker.strikes).expect("few");
            self.trace
                .event(now, Happening::FaultStrikes { kind, detail });
            striker.next = now.max(repaired) + striker.gap();
        } else {
            striker.next = now + striker.gap();
        }
    }

    pub(super) fn repair_at(&mut self, at: Duration, repair: Repair) {
        self.faults.repairs_made += 1;
        let key = (at, self.faults.repairs_made);
        self.faults.repairs.insert(key, repair);
    }

    pub(super) fn repair(&mut self, repair: Repair, now: Duration) {
        self.trace.event(now, Happening::Phase(repair.name()));
        match repair {
            Repair::Change(change) => self.cluster.apply(change),
            Repair::Start(node) => self.start_node(node),
            Repair::Stop(node) => self.stop_node(node),
            Repair::Resume(node) => self.resume(node),
            Repair::StartStale(node) => {
                self.start_node(node);
                self.cluster.apply(Change::FreezeMetadata(node));
            }
            Repair::MoveSome(topic, seed) => {
                self.move_leader(&topic, &mut Random::seeded(seed));
            }
        }
    }

    fn strike_network(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        let nodes = striker.plan.nodes();
        let is_quiet = |link: &crate::sim::network::Link| {
            link.state == LinkState::Connected
                && link.inbox.is_empty()
                && link.last_to_broker.max(link.last_to_client) <= now
        };
        let kind = striker.plan.kind;
        let chosen: Vec<_> = self
            .network
            .links
            .iter()
            .filter(|(_, link)| link.is_open && nodes.contains(link.node))
            .filter(|(_, link)| kind != FaultKind::ResetOfIdle || is_quiet(link))
            .map(|(id, _)| *id)
            .collect();
        if chosen.is_empty() {
            return None;
        }
        match kind {
            FaultKind::ResetOfAll => chosen.into_iter().for_each(|id| self.reset(id, now)),
            FaultKind::ResetOfIdle => self.reset(*striker.random.pick(&chosen), now),
            _ => {
                let id = *striker.random.pick(&chosen);
                self.network.spurious.insert(id);
            }
        }
        Some(now)
    }

    fn strike_client(&mut self, striker: &mut Striker, now: Duration) -> Option<Duration> {
        match striker.plan.kind {
            FaultKind::SenderStall => {
                let until = now + striker.outage(60_000);
                self.faults.stalled_until = self.faults.stalled_until.max(until);
                Some(until)
            }
            FaultKind::WallClockJumps => {
                // Every other time it is set right again.
                let by = match std::mem::take(&mut self.faults.wall_clock_is_off_by) {
                    0 => {
                        let most = striker.plan.scaled(1_000, 4_000_000_000);
                        let by = i64::try_from(striker.random.log_between(1, most)).expect("small");
                        self.faults.wall_clock_is_off_by =
                            if striker.random.chance(500) { by } else { -by };
                        self.faults.wall_clock_is_off_by
                    }
                    off_by => -off_by,
                };
                self.clock.jump_wall_clock(by);
                Some(now)
            }
            _ => {
                self.wake_client();
                if let Some(applications) = &mut self.applications {
                    applications.wake_all();
                }
                Some(now)
            }
        }
    }
}
