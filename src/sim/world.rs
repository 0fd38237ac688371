//! Everything around the producer, on one clock: the network, the brokers, the application, names.
//!
//! Thread: the one that simulates. Locks: held as a whole while the client asks it something, and
//! during `select`, in which time passes. Nothing in here waits; a turn of the loop costs a microsecond.
//! Order within one instant: faults, brokers, network, names, applications.

use std::sync::Arc;
use std::time::Duration;

use kafka_test_support::{Cluster, ConnState};

use super::application::Applications;
use super::faults::{Break, ConnectFate, Direction, Faults};
use super::names::Names;
use super::network::{Arrival, LinkState, Network};
use super::oracle::Oracle;
use super::probes::Probes;
use super::trace::{Happening, Trace};
use crate::network::{Wakeup, WireEvent, WireId};
use crate::time::MockTime;

/// The world of one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) clock: Arc<MockTime>,
    pub(super) cluster: Cluster,
    pub(super) network: Network,
    pub(super) names: Names,
    pub(super) faults: Faults,
    /// There from the moment the producer is.
    pub(super) applications: Option<Applications>,
    pub(super) probes: Probes,
    /// Who runs the simulation wants to decide something then.
    pub(super) horizon: Option<Duration>,
    pub(super) oracle: Oracle,
    pub(super) trace: Trace,
    pub(super) wakeup: Option<Wakeup>,
    pub(super) polls: u64,
}

impl World {
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(super) fn applications(&self) -> &Applications {
        self.applications.as_ref().expect("there until the end")
    }

    pub(super) fn applications_mut(&mut self) -> &mut Applications {
        self.applications.as_mut().expect("there until the end")
    }

    /// When something happens by itself.
    pub(super) fn next_event(&self) -> Option<Duration> {
        [
            self.faults.next_event(),
            self.cluster.next_event().map(from_cluster_ms),
            self.network.next_event(),
            self.names.next_event(),
            self.applications
                .as_ref()
                .and_then(Applications::next_event),
            self.probes.next_event(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does all that is due.
    pub(super) fn run_due(&mut self) {
        let now = self.now();
        self.run_faults(now);
        self.cluster.advance(cluster_ms(now));
        self.collect_answers(now);
        while let Some(arrival) = self.network.pop_due(now) {
            self.arrive(arrival, now);
            self.collect_answers(now);
        }
        if self.names.run_due(now) {
            self.wake_client();
        }
        if let Some(applications) = &mut self.applications {
            applications.run_due(now, &mut self.trace);
        }
        self.probes.run_due(now);
        let events = self.cluster.take_history();
        for event in &events {
            self.trace.event(now, Happening::Cluster(event));
        }
        self.oracle.on_cluster(now, &events);
    }

    pub(super) fn wake_client(&self) {
        if let Some(wakeup) = &self.wakeup {
            wakeup.wake();
        }
    }

    /// Time passes although the client does not run; what arrives waits for it.
    pub(super) fn pass(&mut self, until: Duration) {
        loop {
            self.run_due();
            let now = self.now();
            if now >= until {
                return;
            }
            self.advance_to(self.next_event().map_or(until, |event| event.min(until)));
        }
    }

    fn advance_to(&self, at: Duration) {
        let now = self.now();
        self.clock.advance(at.saturating_sub(now));
    }

    /// What the client's `poll` waits in.
    pub(super) fn select_until_ready(
        &mut self,
        timeout: Duration,
        wakeup: &Wakeup,
        events: &mut Vec<WireEvent>,
    ) {
        self.wakeup.get_or_insert_with(|| wakeup.clone());
        self.polls += 1;
        let began = self.now();
        let over = began.saturating_add(whole_milliseconds(timeout));
        // A turn that polls for ever shall come to its end, whoever wants to decide something.
        let horizon = self.horizon.filter(|_| !self.oracle.wants_to_stop());
        let deadline = horizon.map_or(over, |horizon| over.min(horizon.max(began)));
        self.clock.advance(TURN);
        loop {
            self.run_due();
            let now = self.now();
            if self.network.has_events() || wakeup.is_called() || now >= deadline {
                break;
            }
            self.advance_to(
                self.next_event()
                    .map_or(deadline, |at| at.clamp(now, deadline)),
            );
        }
        self.take_edges(events);
        let progress = !events.is_empty() || wakeup.is_called();
        let now = self.now();
        self.oracle.on_poll(now, timeout, progress);
    }

    fn take_edges(&mut self, events: &mut Vec<WireEvent>) {
        for id in std::mem::take(&mut self.network.spurious) {
            let link = self.network.links.get(&id);
            if let Some((token, interest)) = link.and_then(|link| link.registered) {
                events.push(WireEvent {
                    token,
                    is_readable: interest.read,
                    is_writable: interest.write,
                    has_ended: false,
                });
            }
        }
        for id in std::mem::take(&mut self.network.edges) {
            let Some(link) = self.network.links.get(&id) else {
                continue;
            };
            let Some((token, interest)) = link.registered else {
                continue;
            };
            let failed = matches!(link.state, LinkState::Failed(_));
            let event = WireEvent {
                token,
                is_readable: interest.read && link.is_readable(),
                is_writable: interest.write && link.is_writable(),
                has_ended: failed || link.has_ended,
            };
            if event.is_readable || event.is_writable || event.has_ended {
                events.push(event);
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival, now: Duration) {
        match arrival {
            Arrival::Connect(id) => self.arrive_connect(id, now),
            Arrival::Refused(id) => self.break_link(id, std::io::ErrorKind::ConnectionRefused),
            Arrival::ToBroker(id, bytes) => self.arrive_at_broker(id, &bytes, now),
            Arrival::ToClient(id, bytes) => {
                if let Some(link) = self.network.links.get_mut(&id) {
                    if link.is_open && link.state == LinkState::Connected {
                        link.inbox.extend(bytes.iter());
                        self.network.touch(id);
                    }
                }
            }
            Arrival::EndToClient(id) => {
                if let Some(link) = self.network.links.get_mut(&id) {
                    link.has_ended = true;
                    self.network.touch(id);
                    self.network.forget_dead(id);
                }
            }
            Arrival::Reset(id) => self.reset(id, now),
            Arrival::ResetClient(id) => self.break_link(id, std::io::ErrorKind::ConnectionReset),
            Arrival::EndToBroker(id) => self.arrive_end_at_broker(id, now),
            Arrival::Writable(id) => {
                if let Some(link) = self.network.links.get_mut(&id) {
                    if link.full_until.is_some_and(|until| until <= now) {
                        link.full_until = None;
                        self.network.touch(id);
                    }
                }
            }
        }
    }

    fn arrive_connect(&mut self, id: WireId, now: Duration) {
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        if !link.is_open {
            self.network.links.remove(&id);
            return;
        }
        if link.state != LinkState::Connecting {
            return;
        }
        let node = link.node;
        // The system of a node that stands still takes connections all the same.
        if !self.network.paused.contains(&node) {
            match self.cluster.connect(node, cluster_ms(now)) {
                Some(connection) => {
                    link.connection = Some(connection);
                    self.network.by_connection.insert(connection, id);
                }
                None => return self.break_link(id, std::io::ErrorKind::ConnectionRefused),
            }
        }
        if let Some(link) = self.network.links.get_mut(&id) {
            link.state = LinkState::Connected;
        }
        self.trace
            .event(now, Happening::Connected { link: id, node });
        self.network.touch(id);
    }

    fn arrive_at_broker(&mut self, id: WireId, bytes: &bytes::Bytes, now: Duration) {
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        if self.network.paused.contains(&link.node) {
            link.held.push_back(bytes.clone());
        } else if let Some(connection) = link.connection {
            self.cluster.receive(connection, bytes, cluster_ms(now));
        }
    }

    fn arrive_end_at_broker(&mut self, id: WireId, now: Duration) {
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        if self.network.paused.contains(&link.node) {
            link.end_held = true;
            return;
        }
        if let Some(connection) = link.connection.take() {
            self.network.by_connection.remove(&connection);
            self.cluster.disconnect(connection, cluster_ms(now));
        }
        self.network.forget_dead(id);
    }

    /// Both sides lose the connection, and what was on its way.
    pub(super) fn reset(&mut self, id: WireId, now: Duration) {
        if let Some(link) = self.network.links.get_mut(&id) {
            link.held.clear();
            if let Some(connection) = link.connection.take() {
                self.network.by_connection.remove(&connection);
                self.cluster.disconnect(connection, cluster_ms(now));
            }
        }
        self.break_link(id, std::io::ErrorKind::ConnectionReset);
    }

    fn break_link(&mut self, id: WireId, why: std::io::ErrorKind) {
        let now = self.now();
        if let Some(link) = self.network.links.get_mut(&id) {
            link.state = LinkState::Failed(why);
            let (link, node) = (id, link.node);
            self.trace.event(now, Happening::Breaks { link, node, why });
            self.network.touch(id);
            self.network.forget_dead(id);
        }
    }

    /// A node stands still: nothing reaches it, nothing leaves it.
    pub(super) fn pause(&mut self, node: i32) {
        self.network.paused.insert(node);
    }

    /// It goes on, and finds what has come meanwhile in its sockets.
    pub(super) fn resume(&mut self, node: i32) {
        let now = self.now();
        if !self.network.paused.remove(&node) {
            return;
        }
        let ids: Vec<WireId> = self
            .network
            .links
            .iter()
            .filter(|(_, link)| link.node == node)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let Some(link) = self.network.links.get_mut(&id) else {
                continue;
            };
            if link.state == LinkState::Connected && link.connection.is_none() && !link.has_ended {
                if let Some(connection) = self.cluster.connect(node, cluster_ms(now)) {
                    link.connection = Some(connection);
                    self.network.by_connection.insert(connection, id);
                } else {
                    self.reset(id, now);
                    continue;
                }
            }
            let Some(link) = self.network.links.get_mut(&id) else {
                continue;
            };
            let held = std::mem::take(&mut link.held);
            let ends = std::mem::take(&mut link.end_held);
            for bytes in held {
                self.arrive_at_broker(id, &bytes, now);
            }
            if ends {
                self.arrive_end_at_broker(id, now);
            }
        }
        self.collect_answers(now);
    }

    /// Puts what brokers have to say on its way to the client.
    pub(super) fn collect_answers(&mut self, now: Duration) {
        let ready: Vec<_> = self
            .cluster
            .with_output()
            .filter_map(|connection| {
                let id = self.network.by_connection.get(&connection).copied();
                Some((connection, id?))
            })
            .filter(|(_, id)| {
                let node = self.network.links.get(id).map(|link| link.node);
                node.is_none_or(|node| !self.network.paused.contains(&node))
            })
            .collect();
        for (connection, id) in ready {
            let mut bytes = Vec::new();
            let state = self.cluster.output(connection, &mut bytes);
            if !bytes.is_empty() {
                self.transmit(id, Direction::ToClient, bytes.into(), now);
            }
            if state == ConnState::Closed {
                self.network.by_connection.remove(&connection);
                if let Some(link) = self.network.links.get_mut(&id) {
                    link.connection = None;
                    if !link.lost_to_client {
                        let at = link.last_to_client.max(now + SHORTEST_WAY);
                        self.network.schedule(at, Arrival::EndToClient(id));
                    }
                }
                self.network.forget_dead(id);
            }
        }
    }

    /// Bytes begin to travel.
    pub(super) fn transmit(
        &mut self,
        id: WireId,
        direction: Direction,
        mut bytes: bytes::Bytes,
        now: Duration,
    ) {
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        let (last, lost) = match direction {
            Direction::ToBroker => (&mut link.last_to_broker, &mut link.lost_to_broker),
            Direction::ToClient => (&mut link.last_to_client, &mut link.lost_to_client),
        };
        let transit = self
            .faults
            .network
            .transit(now, (id, link.node), direction, bytes.len());
        if *lost {
            return;
        }
        *lost |= transit.lost_after.is_some();
        let broken = transit.broken_after.filter(|_| !*lost);
        let arrives = match (transit.lost_after, broken) {
            (Some(most), _) | (None, Some((most, Break::Reset | Break::End))) => most,
            (None, None | Some((_, Break::ClientOnly))) => bytes.len(),
        };
        bytes.truncate(arrives);
        let mut at = (*last).max(now + transit.delay);
        let mut pieces = Vec::new();
        let mut cut = 0;
        while !bytes.is_empty() {
            let most = if cut < transit.cut_first {
                transit.piece.min(transit.rest_piece)
            } else {
                transit.rest_piece
            };
            let piece = bytes.split_to(most.clamp(1, bytes.len()));
            cut += piece.len();
            pieces.push((at, piece));
            at += transit.between_pieces;
        }
        *last = at;
        for (at, piece) in pieces {
            let arrival = match direction {
                Direction::ToBroker => Arrival::ToBroker(id, piece),
                Direction::ToClient => Arrival::ToClient(id, piece),
            };
            self.network.schedule(at, arrival);
        }
        match broken {
            Some((_, Break::Reset)) => self.network.schedule(at, Arrival::Reset(id)),
            Some((_, Break::End)) => {
                self.network.schedule(at, Arrival::EndToClient(id));
                self.network.schedule(at, Arrival::EndToBroker(id));
            }
            Some((_, Break::ClientOnly)) => {
                self.network
                    .schedule(now + SHORTEST_WAY, Arrival::ResetClient(id));
            }
            None => {}
        }
    }

    /// A connect begins. True: it is through already.
    pub(super) fn begin_connect(&mut self, node: i32) -> std::io::Result<(WireId, bool)> {
        let now = self.now();
        let id = self.network.open(node);
        match self.faults.network.connect(now, (id, node)) {
            ConnectFate::After(after) => self.network.schedule(now + after, Arrival::Connect(id)),
            ConnectFate::AtOnce => {
                self.arrive_connect(id, now);
                let state = self.network.links.get(&id).map(|link| link.state);
                if let Some(LinkState::Failed(kind)) = state {
                    self.network.links.remove(&id);
                    return Err(kind.into());
                }
                return Ok((id, true));
            }
            ConnectFate::ThenReset(after, reset) => {
                self.network.schedule(now + after, Arrival::Connect(id));
                self.network
                    .schedule(now + after + reset, Arrival::Reset(id));
            }
            ConnectFate::Refused(after) => {
                self.network.schedule(now + after, Arrival::Refused(id));
            }
            ConnectFate::Hang => {}
            ConnectFate::Fails(kind) => {
                self.network.links.remove(&id);
                return Err(kind.into());
            }
        }
        Ok((id, false))
    }
}

/// The cluster counts milliseconds since 1970.
pub(super) fn cluster_ms(now: Duration) -> i64 {
    CLUSTER_EPOCH_MS + i64::try_from(now.as_millis()).expect("short")
}

pub(super) fn from_cluster_ms(at_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(at_ms.saturating_sub(CLUSTER_EPOCH_MS)).unwrap_or(0))
}

/// As mio does: what is not whole is rounded up.
fn whole_milliseconds(timeout: Duration) -> Duration {
    let ms = timeout.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// The client's wall clock begins there too.
const CLUSTER_EPOCH_MS: i64 = 1_700_000_000_000;
pub(super) const SHORTEST_WAY: Duration = Duration::from_micros(50);
/// What a turn of the Sender costs.
const TURN: Duration = Duration::from_micros(1);
