//! One connection to one node: at most one [`Send`] and one frame in progress (Java: `KafkaChannel`).
//!
//! ```text
//! connecting --writable, no error--> ready --any failure--> failed (reported by the next poll)
//!      \------------ error ---------------------------------/
//! ```
//! Thread: Sender. Locks: none. Invariants: `interest` is Java's set, CONNECT, then READ, with
//! WRITE while a send is unfinished; `readable` and `writable` remember edges and are cleared only
//! by `WouldBlock` or by what epoll(7) calls the same, a short read or write; not writable means
//! that a send is unfinished and WRITABLE is registered.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;

use bytes::Bytes;
use mio::Token;

use super::interest_ops::InterestOps;
use super::network_receive::NetworkReceive;
use super::poller::{Readiness, Registrar};
use super::selectable::{ChannelState, Disconnected, NetworkSend};
use super::send::{Send, Written};
use super::transport::Transport;
use crate::cluster::NodeId;
use crate::planted::{Plant, planted};

/// A connection and what is under way on it.
#[derive(Debug)]
pub(super) struct KafkaChannel {
    node: NodeId,
    address: SocketAddr,
    transport: Transport,
    is_connected: bool,
    /// A first valid response came; frames may be large from now on.
    is_valid: bool,
    interest: InterestOps,
    /// What the operating system was told last; `None` before the first time.
    registered: Option<InterestOps>,
    readable: bool,
    writable: bool,
    /// The peer will send no more, so a short read proves nothing: the end is yet to be read.
    read_closed: bool,
    /// Whether the selector's list of channels to visit holds this one.
    pub(super) is_queued: bool,
    send: Option<(u64, Send)>,
    receive: NetworkReceive,
    failure: Option<Failure>,
}

/// Why a channel ended.
#[derive(Debug)]
pub(super) struct Failure {
    state: ChannelState,
    reason: String,
}

/// How large frames may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameLimits {
    pub(super) max_frame_bytes: usize,
    pub(super) max_first_frame_bytes: usize,
}

/// A send that was written out whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct CompletedSend {
    pub(super) node: NodeId,
    pub(super) id: u64,
    /// Nobody waits for this report.
    pub(super) may_wait: bool,
}

impl KafkaChannel {
    /// `at_once`: the connect has ended already, so the first visit finishes it without an event.
    pub(super) fn new(
        node: NodeId,
        address: SocketAddr,
        transport: Transport,
        at_once: bool,
    ) -> Self {
        Self {
            node,
            address,
            transport,
            is_connected: false,
            is_valid: false,
            interest: InterestOps::CONNECT,
            registered: None,
            readable: false,
            writable: at_once,
            read_closed: false,
            is_queued: false,
            send: None,
            receive: NetworkReceive::new(),
            failure: None,
        }
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_connected && self.failure.is_none()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether there is something to read that no event will tell of again.
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    #[cfg(test)]
    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn mark_valid(&mut self) {
        self.is_valid = true;
    }

    /// Remembers what the operating system told.
    pub(super) fn on_event(&mut self, event: Readiness) {
        self.readable |= event.is_readable || event.has_ended;
        self.writable |= event.is_writable || event.has_ended;
        self.read_closed |= event.has_ended;
    }

    /// Takes the one send a channel may have in progress; a second one is an error of the caller
    /// that ends the channel, as in Java (`FAILED_SEND`).
    pub(super) fn set_send(&mut self, send: NetworkSend) {
        if self.failure.is_some() {
            return;
        }
        // rskafka #103 left half a frame there, and went on.
        if self.send.is_some() && !planted(Plant::R18) {
            log::error!(
                "node {}: a send was begun while another was in progress",
                self.node
            );
            self.fail(
                self.reached(),
                "a send was begun while another was in progress".to_owned(),
            );
            return;
        }
        self.send = Some((send.id, send.send));
        self.interest = self.interest.with(InterestOps::WRITE);
    }

    /// Goes on with a connect after an event. True: connected just now.
    pub(super) fn finish_connect(&mut self) -> bool {
        if self.is_connected || self.failure.is_some() || !(self.readable || self.writable) {
            return false;
        }
        match self.transport.finish_connect() {
            Ok(true) => {
                self.is_connected = true;
                self.interest = self
                    .interest
                    .without(InterestOps::CONNECT)
                    .with(InterestOps::READ);
                self.writable = true;
                true
            }
            Ok(false) => {
                self.readable = false;
                self.writable = false;
                self.read_closed = false;
                false
            }
            Err(error) => {
                self.fail(ChannelState::NotConnected, describe(&error));
                false
            }
        }
    }

    /// Writes what the socket takes, if it is known to take anything.
    pub(super) fn write(&mut self) -> Option<CompletedSend> {
        if !self.is_ready() || !self.writable {
            return None;
        }
        let (id, send) = self.send.as_mut()?;
        match send.write_to(&mut self.transport) {
            Ok(Written::Whole) => {
                let completed = CompletedSend {
                    node: self.node,
                    id: *id,
                    may_wait: send.may_wait(),
                };
                self.send = None;
                self.interest = self.interest.without(InterestOps::WRITE);
                Some(completed)
            }
            Ok(Written::Blocked) => {
                self.writable = false;
                None
            }
            Err(error) => {
                self.fail(ChannelState::Connected, describe(&error));
                None
            }
        }
    }

    /// Reads what is there, for at most [`READS_PER_POLL`] times `scratch`, and hands over each
    /// frame that is whole. A channel that failed is read as well: what arrived before a write
    /// failed may be the answers to what was written earlier.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        limits: FrameLimits,
        mut receive: impl FnMut(Bytes),
    ) {
        if !self.is_connected {
            return;
        }
        let max_frame_bytes = if self.is_valid {
            limits.max_frame_bytes
        } else {
            limits.max_first_frame_bytes
        };
        for _ in 0..READS_PER_POLL {
            let count = match self.transport.read(scratch) {
                Ok(0) => {
                    self.readable = false;
                    return self.fail(ChannelState::Connected, self.describe_end());
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.readable = false;
                    return self.fail(ChannelState::Connected, describe(&error));
                }
            };
            let mut arrived = scratch.get(..count).unwrap_or_default();
            loop {
                match self.receive.read_from(&mut arrived, max_frame_bytes) {
                    Ok(Some(frame)) => receive(frame),
                    Ok(None) => break,
                    Err(invalid) => {
                        self.readable = false;
                        return self.fail(ChannelState::Garbage, invalid.0);
                    }
                }
            }
            let is_short = count < scratch.len();
            if is_short && !self.read_closed && self.transport.short_read_empties() {
                self.readable = false;
                return;
            }
        }
    }

    /// Tells the operating system what the channel waits for, if that has changed: interest in
    /// WRITE only while the socket is known to be full.
    pub(super) fn sync_registration(
        &mut self,
        registrar: Registrar<'_>,
        token: Token,
    ) -> io::Result<()> {
        // A send that is left over on a connected channel was tried: the socket is full.
        let wanted = if self.is_connected {
            self.interest
        } else {
            InterestOps::CONNECT
        };
        match self.registered {
            Some(registered) if registered == wanted => return Ok(()),
            Some(_) => self.transport.reregister(registrar, token, wanted)?,
            None => self.transport.register(registrar, token, wanted)?,
        }
        self.registered = Some(wanted);
        Ok(())
    }

    /// Ends the channel; the first reason is the one that counts.
    pub(super) fn fail(&mut self, state: ChannelState, reason: String) {
        if self.failure.is_none() {
            self.failure = Some(Failure { state, reason });
        }
    }

    pub(super) fn fail_with(&mut self, error: &io::Error) {
        self.fail(self.reached(), describe(error));
    }

    fn reached(&self) -> ChannelState {
        if self.is_connected {
            ChannelState::Connected
        } else {
            ChannelState::NotConnected
        }
    }

    /// Closes the socket.
    pub(super) fn close(mut self, registrar: Registrar<'_>) -> Disconnected {
        if self.registered.is_some() {
            // A failure changes nothing: the socket is closed next.
            let _ = self.transport.deregister(registrar);
        }
        let failure = self.failure.unwrap_or(Failure {
            state: ChannelState::Connected,
            reason: "closed".to_owned(),
        });
        Disconnected {
            node: self.node,
            state: failure.state,
            reason: format!("{}: {}", self.address, failure.reason),
            send_begun: self.send.is_some_and(|(_, send)| send.has_begun()),
        }
    }

    fn describe_end(&self) -> String {
        match self.receive.in_progress() {
            Some((arrived, Some(size))) => format!(
                "connection closed by the peer in the middle of a frame \
                 ({arrived} of {size} bytes)"
            ),
            Some((arrived, None)) => format!(
                "connection closed by the peer in the middle of a frame ({arrived} bytes of its size)"
            ),
            None if self.is_valid => "connection closed by the peer".to_owned(),
            None => "connection closed by the peer before its first valid response \
                     (a listener that speaks TLS does so: security.protocol)"
                .to_owned(),
        }
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset by the peer".to_owned(),
        ErrorKind::BrokenPipe => "connection closed by the peer during a write".to_owned(),
        ErrorKind::TimedOut => "connection timed out (by the operating system)".to_owned(),
        _ => error.to_string(),
    }
}

/// How often one channel is read before the others have their turn.
const READS_PER_POLL: usize = 16;
