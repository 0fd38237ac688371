//! What goes wrong between the client and the brokers: the network asks here at each of its decisions.
//!
//! Thread: the one that simulates. Locks: none. Without faults: 100 µs each way, everything in one piece.
//! Each plan draws from its own stream; what is drawn once for a connection is kept in its `Memory`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::kinds::{FaultKind, Group};
use super::plan::{Counts, DrawTime as _, FaultPlan, Nodes};
use crate::network::WireId;
use crate::random::Random;
use crate::sim::streams::{Draw, derive, stream};

/// What becomes of an attempt to connect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ConnectFate {
    /// Connected after that time, if the broker takes it then.
    After(Duration),
    /// Connected when the call returns.
    AtOnce,
    /// Connected after the first time, and reset after the second from then on.
    ThenReset(Duration, Duration),
    /// Refused after that time.
    Refused(Duration),
    /// Nothing ever comes back.
    Hang,
    /// The call itself fails.
    Fails(io::ErrorKind),
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Both sides are told at once.
    Reset,
    /// Both sides find the end of the stream.
    End,
    /// The client is told at once; what it wrote goes on travelling.
    ClientOnly,
}

/// What becomes of bytes that were handed to the network.
#[derive(Debug, Clone)]
pub(crate) struct Transit {
    /// How long the first piece takes; order is kept whatever is drawn.
    pub(crate) delay: Duration,
    /// The largest piece in which the first `cut_first` bytes arrive.
    pub(crate) piece: usize,
    pub(crate) cut_first: usize,
    /// The largest piece in which the others arrive.
    pub(crate) rest_piece: usize,
    /// How much later each next piece is.
    pub(crate) between_pieces: Duration,
    /// What follows so many of these bytes vanishes, and all later ones in this direction.
    pub(crate) lost_after: Option<usize>,
    /// The connection breaks once that many of these bytes have arrived.
    pub(crate) broken_after: Option<(usize, Break)>,
}

/// How much of a write is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    /// When fewer than offered are taken: how long the socket stays full.
    pub(crate) full_for: Duration,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToBroker,
    ToClient,
}

/// The network's faults that are in force.
#[derive(Debug)]
pub(crate) struct NetworkFaults {
    active: Vec<Active>,
    links: BTreeMap<WireId, Memory>,
    counts: Counts,
    /// A property of the platform, which does not heal.
    short_reads_leave_bytes: bool,
}

#[derive(Debug)]
struct Active {
    plan: FaultPlan,
    random: Random,
    nodes: Nodes,
}

/// What is known of an open connection.
#[derive(Debug, Default)]
struct Memory {
    to_broker: u64,
    to_client: u64,
    /// By index of the plan: at which byte or microsecond it strikes; `u64::MAX` is never.
    marks: BTreeMap<usize, u64>,
}

impl NetworkFaults {
    pub(crate) fn new(plans: &[FaultPlan]) -> Self {
        let active = plans
            .iter()
            .filter(|plan| plan.kind.group() == Group::Network)
            .map(|plan| Active {
                plan: plan.clone(),
                random: stream(plan.seed, "network"),
                nodes: plan.nodes(),
            });
        let active: Vec<Active> = active.collect();
        let leaves = |active: &Active| active.plan.kind == FaultKind::ShortReadsLeaveBytes;
        Self {
            short_reads_leave_bytes: active.iter().any(leaves),
            active,
            links: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Nothing goes wrong from now on.
    pub(super) fn heal(&mut self) {
        self.active.clear();
    }

    pub(crate) fn connect(&mut self, now: Duration, (id, node): (WireId, i32)) -> ConnectFate {
        self.links.insert(id, Memory::default());
        let mut after = SHORTEST;
        let mut fate = None;
        for active in in_force(&mut self.active, now, node) {
            let Active { plan, random, .. } = active;
            match plan.kind {
                FaultKind::ConnectSlow => {
                    after += random.ms(100, plan.scaled(2_000, 30_000));
                    self.counts.add(plan.kind);
                }
                FaultKind::SwizzleClog => {
                    if let Some(until) = clogged_until(plan, node, now) {
                        after = after.max(until - now);
                        self.counts.add(plan.kind);
                    }
                }
                FaultKind::IsolatedNode => {
                    if isolated_until(plan, now).is_some() {
                        fate.get_or_insert((plan.kind, ConnectFate::Hang));
                    }
                }
                kind => {
                    if let Some(drawn) = fate_of_connect(kind, plan, random) {
                        fate.get_or_insert((kind, drawn));
                    }
                }
            }
        }
        let Some((kind, fate)) = fate else {
            return ConnectFate::After(after);
        };
        self.counts.add(kind);
        fate
    }

    /// The client closed it.
    pub(crate) fn closed(&mut self, id: WireId) {
        self.links.remove(&id);
    }

    pub(crate) fn transit(
        &mut self,
        now: Duration,
        (id, node): (WireId, i32),
        direction: Direction,
        bytes: usize,
    ) -> Transit {
        let mut transit = Transit {
            delay: SHORTEST,
            piece: usize::MAX,
            cut_first: 0,
            rest_piece: usize::MAX,
            between_pieces: Duration::ZERO,
            lost_after: None,
            broken_after: None,
        };
        let mut memory = self.links.get_mut(&id);
        for (index, active) in self.active.iter_mut().enumerate() {
            if !active.plan.is_in_force(now) || !active.nodes.contains(node) {
                continue;
            }
            let Active { plan, random, .. } = active;
            let mut struck = travels(plan, random, (now, node), direction, &mut transit);
            if let Some(memory) = memory.as_deref_mut() {
                struck |= ends(
                    plan,
                    random,
                    (now, bytes, direction),
                    (index, memory),
                    &mut transit,
                );
            }
            if struck {
                self.counts.add(plan.kind);
            }
        }
        if let Some(memory) = memory {
            let total = match direction {
                Direction::ToBroker => &mut memory.to_broker,
                Direction::ToClient => &mut memory.to_client,
            };
            *total += u64::try_from(bytes).expect("64 bits");
        }
        transit
    }

    /// How much of what it offers the client's socket takes; `backlog` is how long what it has
    /// taken before still travels.
    pub(crate) fn room(
        &mut self,
        now: Duration,
        (_, node): (WireId, i32),
        offered: usize,
        backlog: Duration,
    ) -> Room {
        let mut room = Room {
            bytes: offered,
            full_for: Duration::ZERO,
        };
        for active in in_force(&mut self.active, now, node) {
            let Active { plan, random, .. } = active;
            let (bytes, full_for) = match plan.kind {
                FaultKind::SlowLink if backlog > LONGEST_BACKLOG => {
                    (random.part_of(offered), backlog / 2)
                }
                FaultKind::ShortWrites if random.one_of(plan.scaled(50, 700)) => {
                    let longest = plan.scaled(100, 50_000);
                    (random.part_of(offered), random.us(1, longest))
                }
                FaultKind::FullSendBuffer if random.one_of(plan.scaled(5, 200)) => {
                    let longest = plan.scaled(2_000, 60_000);
                    (random.part_of(offered), random.ms(100, longest))
                }
                _ => continue,
            };
            if bytes < offered {
                self.counts.add(plan.kind);
                room.bytes = room.bytes.min(bytes);
                room.full_for = room.full_for.max(full_for);
            }
        }
        room
    }

    /// How much of what has arrived one `read` gives, at least 1.
    pub(crate) fn readable(&mut self, now: Duration, node: i32, available: usize) -> usize {
        let mut most = available;
        for active in in_force(&mut self.active, now, node) {
            if active.plan.kind == FaultKind::ShortReadsLeaveBytes {
                most = active.random.part_of(available).clamp(1, most);
                if most < available {
                    self.counts.add(active.plan.kind);
                }
            }
        }
        most
    }

    /// Whether a call on a socket is interrupted: it shows nowhere, so it is no kind of its own.
    pub(crate) fn interrupts(&mut self, now: Duration, node: i32) -> bool {
        let mut any = false;
        for active in in_force(&mut self.active, now, node) {
            let plan = &active.plan;
            any |= plan.kind == FaultKind::ShortReadsLeaveBytes
                && active.random.one_of(plan.scaled(20, 500));
        }
        any
    }

    /// How long after its last byte the broker hears that the client closed.
    pub(crate) fn end_delay(&mut self, now: Duration, (_, node): (WireId, i32)) -> Duration {
        let mut delay = SHORTEST;
        for active in in_force(&mut self.active, now, node) {
            if active.plan.kind == FaultKind::LateEnd {
                delay += active.random.ms(1, active.plan.scaled(1_000, 60_000));
                self.counts.add(active.plan.kind);
            }
        }
        delay
    }

    /// As on Linux, or as elsewhere.
    pub(crate) fn short_read_empties(&self) -> bool {
        !self.short_reads_leave_bytes
    }
}

fn in_force(active: &mut [Active], now: Duration, node: i32) -> impl Iterator<Item = &mut Active> {
    active
        .iter_mut()
        .filter(move |active| active.plan.is_in_force(now) && active.nodes.contains(node))
}

fn fate_of_connect(kind: FaultKind, plan: &FaultPlan, random: &mut Random) -> Option<ConnectFate> {
    let (often, fate): (_, fn(&mut Random) -> ConnectFate) = match kind {
        FaultKind::ConnectFails => (plan.scaled(50, 600), |random| {
            ConnectFate::Fails(*random.pick(&[
                io::ErrorKind::NetworkUnreachable,
                io::ErrorKind::HostUnreachable,
                io::ErrorKind::AddrNotAvailable,
                io::ErrorKind::PermissionDenied,
                // No descriptor left has no kind of its own.
                io::ErrorKind::Other,
            ]))
        }),
        FaultKind::ConnectRefused => (plan.scaled(100, 700), |random| {
            ConnectFate::Refused(random.us(50, 50_000))
        }),
        FaultKind::ConnectHangs => (plan.scaled(50, 500), |_| ConnectFate::Hang),
        FaultKind::ConnectAtOnce => (plan.scaled(200, 1000), |_| ConnectFate::AtOnce),
        FaultKind::AcceptedThenReset => (plan.scaled(100, 600), |random| {
            ConnectFate::ThenReset(SHORTEST, random.us(0, 5_000))
        }),
        _ => return None,
    };
    random.one_of(often).then(|| fate(random))
}

/// The faults that make bytes travel otherwise; whether this one does.
fn travels(
    plan: &FaultPlan,
    random: &mut Random,
    (now, node): (Duration, i32),
    direction: Direction,
    transit: &mut Transit,
) -> bool {
    match plan.kind {
        FaultKind::Latency => {
            transit.delay += random.us(500, plan.scaled(5_000, 1_500_000));
        }
        FaultKind::SlowLink => {
            let bytes_a_second = plan.scaled(2_000_000, 20_000);
            let between = Duration::from_micros(PACKET * 1_000_000 / bytes_a_second);
            transit.rest_piece = PACKET_BYTES;
            transit.between_pieces = transit.between_pieces.max(between);
        }
        FaultKind::SmallPieces => {
            let most = random.log_between(1, plan.scaled(2_000, 4));
            let piece = usize::try_from(most).expect("small");
            transit.piece = transit.piece.min(piece);
            // A megabyte byte by byte shows no more than its beginning does.
            transit.cut_first = transit.cut_first.max(64 * piece);
            let between = random.us(2, plan.scaled(10, 2_000));
            transit.between_pieces = transit.between_pieces.max(between);
        }
        FaultKind::BunchedAnswers if direction == Direction::ToClient => {
            let period = Duration::from_millis(plan.scaled(5, 300));
            let arrives = now + transit.delay;
            let periods = arrives.as_nanos().div_ceil(period.as_nanos());
            let round = period * u32::try_from(periods).expect("runs are short");
            transit.delay = round - now;
        }
        FaultKind::SwizzleClog => {
            let Some(until) = clogged_until(plan, node, now) else {
                return false;
            };
            transit.delay = transit.delay.max(until - now);
        }
        FaultKind::IsolatedNode => {
            if isolated_until(plan, now).is_none() || transit.lost_after == Some(0) {
                return false;
            }
            transit.lost_after = Some(0);
        }
        _ => return false,
    }
    true
}

/// The faults that end a connection, told or untold; whether this one does now.
fn ends(
    plan: &FaultPlan,
    random: &mut Random,
    (now, bytes, direction): (Duration, usize, Direction),
    (index, memory): (usize, &mut Memory),
    transit: &mut Transit,
) -> bool {
    let (way, often) = match plan.kind {
        FaultKind::ResetAfterRequestBytes => (Direction::ToBroker, plan.scaled(200, 900)),
        FaultKind::LateOldConnection => (Direction::ToBroker, plan.scaled(200, 900)),
        FaultKind::LostRequests => (Direction::ToBroker, plan.scaled(100, 700)),
        FaultKind::ResetAfterAnswerBytes => (Direction::ToClient, plan.scaled(200, 900)),
        FaultKind::EndInAnswer => (Direction::ToClient, plan.scaled(200, 900)),
        FaultKind::LostAnswers => (Direction::ToClient, plan.scaled(100, 700)),
        FaultKind::HalfOpen => return falls_silent(plan, random, now, (index, memory), transit),
        _ => return false,
    };
    if way != direction {
        return false;
    }
    let before = match way {
        Direction::ToBroker => memory.to_broker,
        Direction::ToClient => memory.to_client,
    };
    let mark = memory.marks.entry(index).or_insert_with(|| {
        if random.one_of(often) {
            before + random.log_between(0, plan.scaled(200_000, 5_000))
        } else {
            u64::MAX
        }
    });
    let after = usize::try_from(mark.saturating_sub(before)).unwrap_or(usize::MAX);
    if after >= bytes {
        return false;
    }
    *mark = u64::MAX;
    match plan.kind {
        FaultKind::LostRequests | FaultKind::LostAnswers => {
            transit.lost_after = Some(transit.lost_after.map_or(after, |first| first.min(after)));
            return true;
        }
        FaultKind::LateOldConnection => {
            let late = random.ms(300, plan.scaled(2_000, 40_000));
            transit.delay = transit.delay.max(late);
            transit.broken_after.get_or_insert((0, Break::ClientOnly));
        }
        FaultKind::EndInAnswer => {
            transit.broken_after.get_or_insert((after, Break::End));
        }
        _ => {
            transit.broken_after.get_or_insert((after, Break::Reset));
        }
    }
    true
}

fn falls_silent(
    plan: &FaultPlan,
    random: &mut Random,
    now: Duration,
    (index, memory): (usize, &mut Memory),
    transit: &mut Transit,
) -> bool {
    let mark = memory.marks.entry(index).or_insert_with(|| {
        if random.one_of(plan.scaled(100, 500)) {
            micros(now + random.ms(1, 5_000))
        } else {
            u64::MAX
        }
    });
    if *mark > micros(now) {
        return false;
    }
    let is_first = transit.lost_after.is_none();
    transit.lost_after = Some(0);
    is_first
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).expect("runs are short")
}

/// In each period every node has a time in which its links are stopped, each another one: those that
/// stop first need not come back first.
fn clogged_until(plan: &FaultPlan, node: i32, now: Duration) -> Option<Duration> {
    let (begin, period, cycle) = cycle(plan, 40_000, now);
    let of_node = derive(plan.seed, "node", u64::from(node.unsigned_abs()));
    let mut random = stream(derive(of_node, "clog", cycle), "share");
    let from = begin + share(period, random.between(100, 400));
    let until = begin + share(period, random.between(450, 900));
    (from <= now && now < until).then_some(until)
}

/// The last third to two thirds of each period.
fn isolated_until(plan: &FaultPlan, now: Duration) -> Option<Duration> {
    let (begin, period, cycle) = cycle(plan, 60_000, now);
    let mut random = stream(derive(plan.seed, "isolated", cycle), "share");
    let from = begin + share(period, random.between(330, 660));
    (from <= now).then_some(begin + period)
}

/// When the period began that `now` lies in, how long it is, and which one it is. A window has some.
fn cycle(plan: &FaultPlan, longest_ms: u64, now: Duration) -> (Duration, Duration, u64) {
    let longest = Duration::from_millis(plan.scaled(2_000, longest_ms));
    let window = plan.until.saturating_sub(plan.from);
    let period = longest.min(window / 3).max(Duration::from_millis(1));
    let cycle = (now - plan.from).as_nanos() / period.as_nanos();
    let cycle = u32::try_from(cycle).expect("runs are short");
    (plan.from + period * cycle, period, u64::from(cycle))
}

fn share(period: Duration, per_mille: u64) -> Duration {
    period * u32::try_from(per_mille).expect("small") / 1000
}

const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST_BACKLOG: Duration = Duration::from_millis(300);
/// What a packet carries.
const PACKET: u64 = 1460;
const PACKET_BYTES: usize = 1460;
