//! A network without sockets whose peers do what the fuzzer says: the real framing over bytes that are
//! put in by hand.
//!
//! Thread: the fuzzer's. Locks: none.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::broker_answers::SeenRequest;
use crate::cluster::NodeId;
use crate::network::{
    ChannelState, Disconnected, NetworkReceive, NetworkSend, PollOutcome, Received, Selectable,
    Wakeup,
};
use crate::time::MockTime;

/// The selector, and the other end of every connection.
#[derive(Debug)]
pub(super) struct ScriptedNetwork {
    time: Arc<MockTime>,
    wakeup: Wakeup,
    channels: BTreeMap<NodeId, Channel>,
    next: PollOutcome,
    /// The last poll neither brought anything nor waited.
    pub(super) was_idle: bool,
}

#[derive(Debug)]
struct Channel {
    is_connected: bool,
    /// The send in progress.
    writing: Option<u64>,
    unanswered: Vec<SeenRequest>,
    receive: NetworkReceive,
}

impl ScriptedNetwork {
    pub(super) fn new(time: Arc<MockTime>) -> Self {
        Self {
            time,
            wakeup: Wakeup::new(None),
            channels: BTreeMap::new(),
            next: PollOutcome::default(),
            was_idle: false,
        }
    }

    /// The nodes that have a connection, or try.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.channels.keys().copied().collect()
    }

    pub(super) fn has_channel(&self, node: NodeId) -> bool {
        self.channels.contains_key(&node)
    }

    /// Whether the last byte that the peer sent was the last one of a frame.
    pub(super) fn is_between_frames(&self, node: NodeId) -> bool {
        let channel = self.channels.get(&node);
        channel.is_some_and(|channel| channel.receive.in_progress().is_none())
    }

    pub(super) fn oldest_unanswered(&self, node: NodeId) -> Option<SeenRequest> {
        self.channels.get(&node)?.unanswered.first().copied()
    }

    /// The peer takes the connection.
    pub(super) fn accept(&mut self, node: NodeId) {
        if let Some(channel) = self.channels.get_mut(&node) {
            if !channel.is_connected {
                channel.is_connected = true;
                self.next.connected.push(node);
            }
        }
    }

    /// The socket takes the rest of the send in progress.
    pub(super) fn finish_send(&mut self, node: NodeId) {
        if let Some(channel) = self.channels.get_mut(&node) {
            let written = channel.writing.take().map(|id| (node, id));
            self.next.completed_sends.extend(written);
        }
    }

    /// Bytes of the peer arrive; how many frames they made whole.
    pub(super) fn deliver(&mut self, node: NodeId, mut bytes: &[u8]) -> usize {
        let Some(channel) = self.channels.get_mut(&node) else {
            return 0;
        };
        if !channel.is_connected {
            return 0;
        }
        let mut frames = 0;
        loop {
            match channel.receive.read_from(&mut bytes, MAX_FRAME) {
                Ok(Some(frame)) => {
                    frames += 1;
                    if !channel.unanswered.is_empty() {
                        channel.unanswered.remove(0);
                    }
                    self.next.receives.push(Received { node, frame });
                }
                Ok(None) => return frames,
                Err(_) => {
                    self.end(node, ChannelState::Garbage);
                    return frames;
                }
            }
        }
    }

    /// The connection ends.
    pub(super) fn end(&mut self, node: NodeId, state: ChannelState) {
        if let Some(channel) = self.channels.remove(&node) {
            self.next.disconnected.push(Disconnected {
                node,
                state,
                reason: "ended by the fuzzer".to_owned(),
                send_begun: channel.writing.is_some(),
            });
        }
    }
}

impl Selectable for ScriptedNetwork {
    fn connect(&mut self, node: NodeId, address: SocketAddr, _: Instant) -> io::Result<()> {
        assert!(!self.has_channel(node), "node {node} has a connection");
        if address.port() % 16 == 1 {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let channel = Channel {
            is_connected: false,
            writing: None,
            unanswered: Vec::new(),
            receive: NetworkReceive::new(),
        };
        self.channels.insert(node, channel);
        Ok(())
    }

    fn is_channel_ready(&self, node: NodeId) -> bool {
        let channel = self.channels.get(&node);
        channel.is_some_and(|channel| channel.is_connected)
    }

    fn send(&mut self, send: NetworkSend) -> bool {
        let Some(channel) = self.channels.get_mut(&send.node) else {
            panic!("a request to node {} without a connection", send.node);
        };
        assert!(channel.is_connected, "a request before the connection");
        assert!(channel.writing.is_none(), "written over a send");
        channel.writing = Some(send.id);
        channel.unanswered.push(seen(&send.send.bytes_left()));
        false
    }

    fn poll(&mut self, timeout: Duration, _: Instant, out: &mut PollOutcome) -> io::Result<()> {
        out.clear();
        std::mem::swap(out, &mut self.next);
        let is_idle = out.connected.is_empty()
            && out.completed_sends.is_empty()
            && out.receives.is_empty()
            && out.disconnected.is_empty();
        self.was_idle = is_idle && timeout.is_zero();
        if is_idle {
            self.time.advance(timeout.min(LONGEST_WAIT));
        }
        Ok(())
    }

    fn close(&mut self, node: NodeId) {
        self.channels.remove(&node);
        self.next.receives.retain(|received| received.node != node);
        self.next.disconnected.retain(|ended| ended.node != node);
        self.next.completed_sends.retain(|(of, _)| *of != node);
        self.next.connected.retain(|connected| *connected != node);
    }

    fn wakeup(&self) -> Wakeup {
        self.wakeup.clone()
    }
}

/// What the other end sees of a request.
fn seen(frame: &[u8]) -> SeenRequest {
    let (size, rest) = frame.split_first_chunk().expect("a request has a size");
    let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(0);
    assert_eq!(size, rest.len(), "its size");
    SeenRequest::of(rest).expect("a request has a header")
}

/// The limit on what peers send.
pub(super) const MAX_FRAME: usize = 64 * 1024;

/// A wait that only an event would end is cut short.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
