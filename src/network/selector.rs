//! All connections of one client on one thread, over mio (Java: `Selector`).
//!
//! Thread: Sender, but for the [`Wakeup`]. Locks: none. mio is edge-triggered: what an event told is
//! remembered in the channel until the socket says `WouldBlock`. So a `send` on a channel known to
//! be writable is written at once, in the call, and costs one system call and no registration; a
//! response costs one `epoll_wait` and one `read`.
//! Invariants: a channel is in `to_visit` if and only if it has work that no event will tell of;
//! with nothing known to be done `poll` waits for its whole timeout.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Token;

use super::channels::{Channels, index_of};
use super::idle::IdleExpiry;
use super::kafka_channel::{CompletedSend, FrameLimits, KafkaChannel};
use super::poller::Poller;
use super::selectable::{
    ChannelState, Disconnected, NetworkSend, PollOutcome, Received, Selectable, Wakeup,
};
#[cfg(any(test, fuzzing))]
use super::simulated::SharedWire;
use super::transport::{SocketBuffers, Transport};
use crate::cluster::NodeId;

/// What a [`Selector`] needs to know; the defaults are Kafka's.
#[derive(Debug, Clone)]
pub(crate) struct SelectorConfig {
    /// `send.buffer.bytes`; -1 leaves it to the operating system.
    pub(crate) send_buffer_bytes: i32,
    /// `receive.buffer.bytes`; -1 leaves it to the operating system.
    pub(crate) receive_buffer_bytes: i32,
    /// `connections.max.idle.ms`; `None` is never.
    pub(crate) connections_max_idle: Option<Duration>,
    /// No response is larger; what claims to be is not one.
    pub(crate) max_frame_bytes: usize,
    /// The same until [`Selectable::mark_valid`] says that the peer speaks Kafka's protocol.
    pub(crate) max_first_frame_bytes: usize,
}

impl Default for SelectorConfig {
    fn default() -> Self {
        Self {
            send_buffer_bytes: 128 * 1024,
            receive_buffer_bytes: 32 * 1024,
            connections_max_idle: Some(Duration::from_secs(9 * 60)),
            max_frame_bytes: 100 * 1024 * 1024,
            max_first_frame_bytes: 512 * 1024,
        }
    }
}

/// The production [`Selectable`].
#[derive(Debug)]
pub(crate) struct Selector {
    config: SelectorConfig,
    poller: Poller,
    wakeup: Wakeup,
    channels: Channels,
    idle: IdleExpiry,
    to_visit: Vec<Token>,
    /// Empty between polls; kept for its memory.
    visiting: Vec<Token>,
    /// Written since the last poll, by `send` itself.
    completed: Vec<CompletedSend>,
    /// Sends to nodes without a channel.
    unreachable: Vec<Disconnected>,
    /// Where bytes are read into before they are cut into frames.
    scratch: Box<[u8]>,
}

impl Selector {
    /// # Errors
    /// If the operating system gives no selector, or no way to wake it.
    pub(crate) fn new(config: SelectorConfig) -> io::Result<Self> {
        let (poller, wakeup) = Poller::system()?;
        Ok(Self::over(poller, wakeup, config))
    }

    /// Over a network that a test makes up.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn simulated(config: SelectorConfig, wire: SharedWire) -> Self {
        let (poller, wakeup) = Poller::simulated(wire);
        Self::over(poller, wakeup, config)
    }

    fn over(poller: Poller, wakeup: Wakeup, config: SelectorConfig) -> Self {
        Self {
            poller,
            wakeup,
            channels: Channels::default(),
            idle: IdleExpiry::new(config.connections_max_idle),
            to_visit: Vec::new(),
            visiting: Vec::new(),
            completed: Vec::new(),
            unreachable: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            config,
        }
    }

    /// Reports what is known already; true if the poll must not wait.
    fn report_known(&mut self, out: &mut PollOutcome) -> bool {
        let mut known = !self.to_visit.is_empty() || !self.unreachable.is_empty();
        for completed in self.completed.drain(..) {
            known |= !completed.may_wait;
            out.completed_sends.push((completed.node, completed.id));
        }
        out.disconnected.append(&mut self.unreachable);
        known
    }

    fn take_events(&mut self) {
        let Self {
            poller,
            channels,
            idle,
            to_visit,
            ..
        } = self;
        poller.for_each_event(|event| {
            // The waker's own token names no channel.
            if let Some(channel) = channels.get_mut(event.token) {
                channel.on_event(event);
                idle.used(index_of(event.token));
                enqueue(to_visit, event.token, channel);
            }
        });
    }

    fn visit_all(&mut self, out: &mut PollOutcome) {
        let mut visiting = std::mem::take(&mut self.visiting);
        std::mem::swap(&mut visiting, &mut self.to_visit);
        for token in visiting.drain(..) {
            self.visit(token, out);
        }
        self.visiting = visiting;
    }

    /// Does what can be done on one channel: connect, read, write, and end it if that failed.
    fn visit(&mut self, token: Token, out: &mut PollOutcome) {
        let limits = self.frame_limits();
        let Some(channel) = self.channels.get_mut(token) else {
            return;
        };
        channel.is_queued = false;
        if channel.finish_connect() {
            log::debug!("node {}: connected", channel.node());
            out.connected.push(channel.node());
            self.idle.has_come(index_of(token), 1);
        }
        let node = channel.node();
        let before = out.receives.len();
        let mut receive = |frame| out.receives.push(Received { node, frame });
        // A channel that failed in `send` is read once more: see `KafkaChannel::read`.
        if channel.is_readable() || channel.has_failed() {
            channel.read(&mut self.scratch, limits, &mut receive);
        }
        let had_failed = channel.has_failed();
        if let Some(completed) = channel.write() {
            out.completed_sends.push((completed.node, completed.id));
        }
        if channel.has_failed() && !had_failed {
            channel.read(&mut self.scratch, limits, &mut receive);
        }
        let answers = out.receives.len() - before;
        self.idle.has_come(index_of(token), answers);
        self.settle(token);
        if self
            .channels
            .get_mut(token)
            .is_some_and(|it| it.has_failed())
        {
            self.end(token, out);
        }
    }

    /// After any step on a channel: tells the operating system what it waits for now, and
    /// remembers to come back if no event will say so.
    fn settle(&mut self, token: Token) {
        let Some(channel) = self.channels.get_mut(token) else {
            return;
        };
        if !channel.has_failed() {
            if let Err(error) = channel.sync_registration(self.poller.registrar(), token) {
                channel.fail_with(&error);
            }
        }
        if channel.has_failed() || channel.is_readable() {
            enqueue(&mut self.to_visit, token, channel);
        }
    }

    fn end(&mut self, token: Token, out: &mut PollOutcome) {
        if let Some(channel) = self.remove(token) {
            let disconnected = channel.close(self.poller.registrar());
            log::debug!("node {}: {}", disconnected.node, disconnected.reason);
            // Connected and lost in one poll is lost; the caller need not sort it out.
            out.connected.retain(|node| *node != disconnected.node);
            out.disconnected.push(disconnected);
        }
    }

    /// Takes in a socket that connects, or (`at_once`) has connected already.
    fn adopt(
        &mut self,
        node: NodeId,
        address: SocketAddr,
        (transport, at_once): (Transport, bool),
        now: Instant,
    ) -> io::Result<()> {
        let mut channel = KafkaChannel::new(node, address, transport, at_once);
        let token = self.channels.vacant_token();
        channel.sync_registration(self.poller.registrar(), token)?;
        if at_once {
            enqueue(&mut self.to_visit, token, &mut channel);
        }
        self.channels.insert(channel);
        self.idle.opened(index_of(token), now);
        self.idle.awaits(index_of(token));
        Ok(())
    }

    fn remove(&mut self, token: Token) -> Option<KafkaChannel> {
        let channel = self.channels.remove(token)?;
        self.idle.closed(index_of(token));
        self.to_visit.retain(|queued| *queued != token);
        Some(channel)
    }

    fn close_expired(&mut self, now: Instant, out: &mut PollOutcome) {
        let Some(index) = self.idle.expired(now) else {
            return;
        };
        let token = self.channels.token_at(index);
        if let Some(channel) = self.channels.get_mut(token) {
            let idle_ms = self
                .config
                .connections_max_idle
                .unwrap_or_default()
                .as_millis();
            channel.fail(
                ChannelState::Expired,
                format!("closed after {idle_ms} ms without use (connections.max.idle.ms)"),
            );
        }
        self.end(token, out);
    }

    fn frame_limits(&self) -> FrameLimits {
        FrameLimits {
            max_frame_bytes: self.config.max_frame_bytes,
            max_first_frame_bytes: self
                .config
                .max_first_frame_bytes
                .min(self.config.max_frame_bytes),
        }
    }
}

impl Selectable for Selector {
    fn connect(&mut self, node: NodeId, address: SocketAddr, now: Instant) -> io::Result<()> {
        let is_unreported = self.unreachable.iter().any(|it| it.node == node);
        if is_unreported || self.channels.token_of(node).is_some() {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                format!("node {node} has a connection, or one whose end is not reported yet"),
            ));
        }
        let buffers = SocketBuffers {
            send_bytes: self.config.send_buffer_bytes,
            receive_bytes: self.config.receive_buffer_bytes,
        };
        let connecting = self.poller.connect(address, buffers)?;
        self.adopt(node, address, connecting, now)
    }

    fn is_channel_ready(&self, node: NodeId) -> bool {
        self.channels
            .by_node(node)
            .is_some_and(KafkaChannel::is_ready)
    }

    fn send(&mut self, send: NetworkSend) -> bool {
        let node = send.node;
        let Some(token) = self.channels.token_of(node) else {
            if self.unreachable.iter().all(|it| it.node != node) {
                self.unreachable.push(Disconnected {
                    node,
                    state: ChannelState::NotConnected,
                    reason: format!("node {node} has no connection"),
                    send_begun: false,
                });
            }
            return false;
        };
        if send.send.may_wait() {
            self.idle.awaits(index_of(token));
        }
        let completed = self.channels.get_mut(token).and_then(|channel| {
            channel.set_send(send);
            channel.write()
        });
        let is_written = completed.is_some();
        self.completed.extend(completed);
        self.idle.used(index_of(token));
        self.settle(token);
        is_written
    }

    fn poll(&mut self, timeout: Duration, now: Instant, out: &mut PollOutcome) -> io::Result<()> {
        out.clear();
        self.idle.begin_poll(now);
        let timeout = if self.report_known(out) {
            Duration::ZERO
        } else {
            self.idle.limit(timeout, now)
        };
        self.poller.select(timeout, &self.wakeup)?;
        self.take_events();
        self.visit_all(out);
        self.close_expired(now, out);
        Ok(())
    }

    fn close(&mut self, node: NodeId) {
        self.completed.retain(|completed| completed.node != node);
        self.unreachable.retain(|it| it.node != node);
        if let Some(token) = self.channels.token_of(node) {
            if let Some(channel) = self.remove(token) {
                drop(channel.close(self.poller.registrar()));
            }
        }
    }

    fn mark_valid(&mut self, node: NodeId) {
        if let Some(token) = self.channels.token_of(node) {
            if let Some(channel) = self.channels.get_mut(token) {
                channel.mark_valid();
            }
        }
    }

    fn wakeup(&self) -> Wakeup {
        self.wakeup.clone()
    }
}

fn enqueue(to_visit: &mut Vec<Token>, token: Token, channel: &mut KafkaChannel) {
    if !channel.is_queued {
        channel.is_queued = true;
        to_visit.push(token);
    }
}

/// Many small responses, or a good part of a large one, per read.
const SCRATCH_BYTES: usize = 64 * 1024;

#[cfg(test)]
#[path = "selector_tests/mod.rs"]
mod tests;
