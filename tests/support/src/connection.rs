//! Connections: bytes to frames, answers to bytes, and the order of both.
//!
//! Like a real broker a connection handles one request at a time: the next is looked at only when
//! the answer to the one before has left. So a delayed or held answer delays all that follows.

use bytes::{Buf, BytesMut};

use crate::cluster::{Cluster, ConnId, ConnState};
use crate::history::{Event, What};

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: i32,
    inbound: BytesMut,
    outbound: Vec<u8>,
    /// Answers that the next one overtakes.
    overtaken: Vec<u8>,
    pause: Pause,
    closed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Pause {
    None,
    /// The answer leaves then.
    Until(i64, Outcome),
    /// The answer leaves when released.
    Held(Outcome),
    /// Nothing more is ever read.
    Mute,
}

/// What becomes of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) bytes: Vec<u8>,
    pub(crate) close: bool,
    pub(crate) hold: bool,
    /// Nothing is ever answered.
    pub(crate) mute: bool,
    /// The answer comes after the next one.
    pub(crate) overtaken: bool,
    /// Nothing follows the answer.
    pub(crate) ends: bool,
    pub(crate) delay_ms: i64,
    /// After the answer nothing is read for so long.
    pub(crate) throttle_ms: i64,
}

impl Outcome {
    pub(crate) fn close() -> Self {
        Self {
            close: true,
            ..Self::default()
        }
    }

    pub(crate) fn mute() -> Self {
        Self {
            mute: true,
            ..Self::default()
        }
    }
}

impl Cluster {
    /// A client connects to a node; `None` if the node is down or refuses.
    pub fn connect(&mut self, node: i32, now_ms: i64) -> Option<ConnId> {
        self.advance(now_ms);
        if !self
            .nodes
            .get(&node)
            .is_some_and(|node| node.up && !node.refuses)
        {
            return None;
        }
        let id = ConnId(self.next_connection);
        self.next_connection += 1;
        *self.accepted.entry(node).or_insert(0) += 1;
        self.connections.insert(
            id,
            Connection {
                node,
                inbound: BytesMut::new(),
                outbound: Vec::new(),
                overtaken: Vec::new(),
                pause: Pause::None,
                closed: false,
            },
        );
        self.record(id, node, What::Opened);
        Some(id)
    }

    /// The client closed the connection; what it sent before has its effect.
    pub fn disconnect(&mut self, connection: ConnId, now_ms: i64) {
        self.advance(now_ms);
        if let Some(gone) = self.connections.remove(&connection) {
            if let Pause::Until(at_ms, _) = gone.pause {
                self.timers.remove(&(at_ms, connection));
            }
            if !gone.closed {
                self.record(connection, gone.node, What::Closed);
            }
        }
        self.dirty.remove(&connection);
    }

    /// Bytes from a client, cut anyhow.
    pub fn receive(&mut self, connection: ConnId, bytes: &[u8], now_ms: i64) {
        self.advance(now_ms);
        if let Some(to) = self.connections.get_mut(&connection) {
            if !to.closed && to.pause != Pause::Mute {
                to.inbound.extend_from_slice(bytes);
                self.pump(connection);
            }
        }
    }

    /// Lets time pass; returns when something happens next by itself.
    pub fn advance(&mut self, now_ms: i64) -> Option<i64> {
        while let Some(at_ms) = self.next_event().filter(|at_ms| *at_ms <= now_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            let change = self.scheduled.keys().next().copied();
            if let Some(key) = change.filter(|(change_at, _)| *change_at == at_ms) {
                let change = self.scheduled.remove(&key);
                change.into_iter().for_each(|change| self.apply(change));
            } else if let Some((_, id)) = self.timers.pop_first() {
                self.resume(id);
                self.pump(id);
            }
        }
        self.now_ms = self.now_ms.max(now_ms);
        self.next_event()
    }

    /// When something happens next by itself.
    pub fn next_event(&self) -> Option<i64> {
        let change = self.scheduled.keys().next().map(|(at_ms, _)| *at_ms);
        let timer = self.timers.first().map(|(at_ms, _)| *at_ms);
        [change, timer].into_iter().flatten().min()
    }

    /// Takes the bytes that wait for a client.
    pub fn output(&mut self, connection: ConnId, out: &mut Vec<u8>) -> ConnState {
        self.dirty.remove(&connection);
        let Some(from) = self.connections.get_mut(&connection) else {
            return ConnState::Closed;
        };
        out.append(&mut from.outbound);
        if from.closed {
            self.connections.remove(&connection);
            ConnState::Closed
        } else {
            ConnState::Open
        }
    }

    /// Connections whose [`Cluster::output`] has something new.
    pub fn with_output(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.dirty.iter().copied()
    }

    /// Handles the frames that are complete, until an answer has to wait.
    fn pump(&mut self, id: ConnId) {
        loop {
            let most = self.config.socket_request_max_bytes;
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            if connection.closed || connection.pause != Pause::None {
                return;
            }
            let Some(mut size) = connection.inbound.get(..4) else {
                return;
            };
            let size = size.get_i32();
            let node = connection.node;
            let Some(size) = usize::try_from(size).ok().filter(|size| *size <= most) else {
                self.record(id, node, What::Refused(format!("a frame of {size} bytes")));
                self.close(id);
                return;
            };
            if connection.inbound.len() < 4 + size {
                return;
            }
            connection.inbound.advance(4);
            let frame = connection.inbound.split_to(size).freeze();
            let outcome = self.handle(id, node, frame);
            self.settle(id, outcome);
        }
    }

    fn settle(&mut self, id: ConnId, outcome: Outcome) {
        let now_ms = self.now_ms;
        let connection = self.connections.get_mut(&id);
        // The request itself may have stopped its node.
        let Some(connection) = connection.filter(|connection| !connection.closed) else {
            return;
        };
        if outcome.mute {
            connection.pause = Pause::Mute;
        } else if outcome.hold {
            connection.pause = Pause::Held(outcome);
        } else if outcome.delay_ms > 0 {
            let at_ms = now_ms.saturating_add(outcome.delay_ms);
            connection.pause = Pause::Until(at_ms, outcome);
            self.timers.insert((at_ms, id));
        } else {
            self.deliver(id, outcome);
        }
    }

    fn deliver(&mut self, id: ConnId, outcome: Outcome) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if outcome.overtaken {
            connection.overtaken.extend_from_slice(&outcome.bytes);
        } else if !outcome.bytes.is_empty() {
            if connection.outbound.is_empty() {
                connection.outbound = outcome.bytes;
            } else {
                connection.outbound.extend_from_slice(&outcome.bytes);
            }
            connection.outbound.append(&mut connection.overtaken);
            self.dirty.insert(id);
        }
        if outcome.close {
            self.close(id);
        } else if outcome.ends {
            connection.pause = Pause::Mute;
        } else if outcome.throttle_ms > 0 {
            let at_ms = self.now_ms.saturating_add(outcome.throttle_ms);
            connection.pause = Pause::Until(at_ms, Outcome::default());
            self.timers.insert((at_ms, id));
        }
    }

    /// Lets the answer leave that a connection waits for.
    fn resume(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match std::mem::replace(&mut connection.pause, Pause::None) {
            Pause::Until(_, outcome) | Pause::Held(outcome) => self.deliver(id, outcome),
            still @ (Pause::None | Pause::Mute) => connection.pause = still,
        }
    }

    pub(crate) fn release_held(&mut self) {
        let held: Vec<ConnId> = self
            .connections
            .iter()
            .filter(|(_, connection)| matches!(connection.pause, Pause::Held(_)))
            .map(|(id, _)| *id)
            .collect();
        for id in held {
            self.resume(id);
            self.pump(id);
        }
    }

    /// Lets every answer leave that waits, and ends the connections that answer nothing.
    pub(crate) fn release_all(&mut self) {
        self.timers.clear();
        let paused = |connection: &Connection| connection.pause != Pause::None;
        let ids: Vec<ConnId> = self
            .connections
            .iter()
            .filter_map(|(id, connection)| paused(connection).then_some(*id))
            .collect();
        for id in ids {
            let connection = self.connections.get_mut(&id);
            match connection.map(|connection| &mut connection.pause) {
                Some(Pause::Until(_, outcome) | Pause::Held(outcome)) => outcome.throttle_ms = 0,
                Some(Pause::Mute) => self.reset(id),
                Some(Pause::None) | None => {}
            }
            self.resume(id);
            self.pump(id);
        }
        for (id, connection) in &mut self.connections {
            if !connection.overtaken.is_empty() {
                connection.outbound.append(&mut connection.overtaken);
                self.dirty.insert(*id);
            }
        }
    }

    /// Ends a connection after the bytes that wait.
    fn close(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.closed {
            return;
        }
        connection.closed = true;
        connection.inbound.clear();
        if let Pause::Until(at_ms, _) = std::mem::replace(&mut connection.pause, Pause::None) {
            self.timers.remove(&(at_ms, id));
        }
        let node = connection.node;
        self.dirty.insert(id);
        self.record(id, node, What::Closed);
    }

    /// Ends a connection and loses what waits for it.
    pub(crate) fn reset(&mut self, id: ConnId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.outbound.clear();
        }
        self.close(id);
    }

    pub(crate) fn record(&mut self, connection: ConnId, node: i32, what: What) {
        self.history.push(Event {
            at_ms: self.now_ms,
            node,
            connection,
            what,
        });
    }
}
