//! The simulated network: connections as two streams of bytes that travel, in order, for as long as
//! the faults say, in pieces as large as they say, or not at all.
//!
//! Thread: the one that simulates. Locks: none. Invariants: bytes of one direction of a connection
//! arrive in the order in which they were written, or not; what a client wrote before it closed
//! arrives all the same, however late (its system sends on); nothing arrives after a reset.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use kafka_test_support::ConnId;

use crate::network::{WireId, WireInterest};

/// All connections, and what is on its way.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) links: BTreeMap<WireId, Link>,
    /// Who listens where.
    pub(super) listeners: BTreeMap<SocketAddr, i32>,
    /// The connections of the cluster, back to ours.
    pub(super) by_connection: BTreeMap<ConnId, WireId>,
    /// What happens when; the number keeps what is due at the same time in order.
    agenda: BTreeMap<(Duration, u64), Arrival>,
    /// Links with a change of readiness to tell.
    pub(super) edges: BTreeSet<WireId>,
    /// Links of which readiness is told that they need not have.
    pub(super) spurious: BTreeSet<WireId>,
    /// Nodes that stand still: bytes for them wait in their sockets.
    pub(super) paused: BTreeSet<i32>,
    entries: u64,
    next_id: u64,
}

/// Something that comes to its end in the network.
#[derive(Debug, Clone)]
pub(super) enum Arrival {
    /// The handshake is through at the broker's machine.
    Connect(WireId),
    Refused(WireId),
    ToBroker(WireId, Bytes),
    ToClient(WireId, Bytes),
    /// The broker closed, after all it had sent.
    EndToClient(WireId),
    /// The connection breaks, for both sides.
    Reset(WireId),
    /// It breaks for the client; what the client wrote travels on.
    ResetClient(WireId),
    /// The client closed, after all it had sent.
    EndToBroker(WireId),
    /// The client's socket takes bytes again.
    Writable(WireId),
}

/// How the client's end of a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    Connecting,
    Connected,
    Failed(io::ErrorKind),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: i32,
    pub(super) state: LinkState,
    /// The broker's end; none before the broker took it, and after it is gone.
    pub(super) connection: Option<ConnId>,
    /// False once the client closed it.
    pub(super) is_open: bool,
    /// Arrived, not read yet.
    pub(super) inbox: VecDeque<u8>,
    /// Nothing comes after the inbox.
    pub(super) has_ended: bool,
    pub(super) full_until: Option<Duration>,
    pub(super) registered: Option<(usize, WireInterest)>,
    /// When the last byte so far arrives, each way.
    pub(super) last_to_broker: Duration,
    pub(super) last_to_client: Duration,
    pub(super) lost_to_broker: bool,
    pub(super) lost_to_client: bool,
    /// For a broker that stands still.
    pub(super) held: VecDeque<Bytes>,
    pub(super) end_held: bool,
    /// Bytes of frames that are not whole yet, as written and as read by the client.
    pub(super) written: Frames,
    pub(super) read: Frames,
}

impl Link {
    fn new(node: i32) -> Self {
        Self {
            node,
            state: LinkState::Connecting,
            connection: None,
            is_open: true,
            inbox: VecDeque::new(),
            has_ended: false,
            full_until: None,
            registered: None,
            last_to_broker: Duration::ZERO,
            last_to_client: Duration::ZERO,
            lost_to_broker: false,
            lost_to_client: false,
            held: VecDeque::new(),
            end_held: false,
            written: Frames::default(),
            read: Frames::default(),
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        self.state != LinkState::Connecting
            && (!self.inbox.is_empty()
                || self.has_ended
                || matches!(self.state, LinkState::Failed(_)))
    }

    pub(super) fn is_writable(&self) -> bool {
        self.state != LinkState::Connecting && self.full_until.is_none()
    }
}

impl Network {
    pub(super) fn open(&mut self, node: i32) -> WireId {
        let id = WireId(self.next_id);
        self.next_id += 1;
        self.links.insert(id, Link::new(node));
        id
    }

    pub(super) fn schedule(&mut self, at: Duration, arrival: Arrival) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), arrival);
    }

    pub(super) fn next_event(&self) -> Option<Duration> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Arrival> {
        let entry = self.agenda.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Whether there is readiness to tell of.
    pub(super) fn has_events(&self) -> bool {
        !self.edges.is_empty() || !self.spurious.is_empty()
    }

    /// The readiness of a link changed: tell of it if somebody listens.
    pub(super) fn touch(&mut self, id: WireId) {
        if let Some(link) = self.links.get(&id) {
            if link.is_open && link.registered.is_some() {
                self.edges.insert(id);
            }
        }
    }

    /// Forgets links that neither side has any more.
    pub(super) fn forget_dead(&mut self, id: WireId) {
        if let Some(link) = self.links.get(&id) {
            if !link.is_open && link.connection.is_none() && link.held.is_empty() && !link.end_held
            {
                self.links.remove(&id);
                self.edges.remove(&id);
            }
        }
    }

    /// Connections that the client holds open.
    pub(super) fn open_links(&self) -> usize {
        self.links.values().filter(|link| link.is_open).count()
    }
}

/// Cuts a stream into frames, for who watches it.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    start: usize,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a part of a frame is there.
    pub(super) fn has_rest(&self) -> bool {
        self.start < self.bytes.len()
    }

    /// The size that the frame claims that is not whole yet.
    pub(super) fn claimed_size(&self) -> Option<i32> {
        let size = self.bytes.get(self.start..self.start + 4)?;
        size.try_into().ok().map(i32::from_be_bytes)
    }

    /// The next whole frame, without its size.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let size = self.bytes.get(self.start..self.start + 4)?;
        let size = usize::try_from(i32::from_be_bytes(size.try_into().ok()?)).ok()?;
        let from = self.start + 4;
        let frame = self.bytes.get(from..from.checked_add(size)?)?;
        self.start = from + size;
        Some(frame)
    }
}
