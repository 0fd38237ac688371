//! A [`Selectable`] without a network: the test is the peer. Time passes while it waits, and only then.
//!
//! Thread: any. Locks: the clock's.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::cluster::NodeId;
use crate::network::{
    ChannelState, Disconnected, NetworkSend, PollOutcome, Received, Selectable, Wakeup,
};
use crate::protocol::Reader;
use crate::time::MockTime;

/// A request as the peer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenRequest {
    pub(super) api_key: i16,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

#[derive(Debug)]
pub(super) struct MockChannel {
    pub(super) is_connected: bool,
    writing: Option<u64>,
    /// Not answered yet, the oldest first.
    pub(super) unanswered: Vec<SeenRequest>,
}

#[derive(Debug)]
pub(super) struct MockSelector {
    time: Arc<MockTime>,
    pub(super) channels: BTreeMap<NodeId, MockChannel>,
    next: PollOutcome,
    /// Every connection that was begun.
    pub(super) connects: Vec<(NodeId, SocketAddr)>,
    pub(super) valid: BTreeSet<NodeId>,
    /// How long each poll was to wait.
    pub(super) timeouts: Vec<Duration>,
    /// Connections are made by the next poll.
    pub(super) accepts: bool,
    /// Sends are written by the next poll.
    pub(super) writes: bool,
    /// Connections cannot even be begun.
    pub(super) is_unreachable: bool,
    pub(super) is_channel_ready: bool,
    wakeup: Wakeup,
}

impl MockSelector {
    pub(super) fn new(time: Arc<MockTime>) -> Self {
        Self {
            time,
            channels: BTreeMap::new(),
            next: PollOutcome::default(),
            connects: Vec::new(),
            valid: BTreeSet::new(),
            timeouts: Vec::new(),
            accepts: true,
            writes: true,
            is_unreachable: false,
            is_channel_ready: true,
            wakeup: Wakeup::new(None),
        }
    }

    /// The peer sends a frame.
    pub(super) fn receive(&mut self, node: NodeId, frame: Vec<u8>) {
        let frame = Bytes::from(frame);
        self.next.receives.push(Received { node, frame });
    }

    /// The peer answers its oldest request; `body` comes after the correlation id.
    pub(super) fn answer(&mut self, node: NodeId, body: &[u8]) {
        let channel = self.channels.get_mut(&node).expect("a connection");
        let request = channel.unanswered.remove(0);
        let mut frame = request.correlation_id.to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.receive(node, frame);
    }

    /// The connection ends.
    pub(super) fn end(&mut self, node: NodeId, state: ChannelState, send_begun: bool) {
        self.channels.remove(&node).expect("a connection");
        self.next.disconnected.push(Disconnected {
            node,
            state,
            reason: "ended by the test".to_owned(),
            send_begun,
        });
    }

    pub(super) fn unanswered(&self, node: NodeId) -> &[SeenRequest] {
        self.channels
            .get(&node)
            .map_or(&[], |channel| channel.unanswered.as_slice())
    }
}

fn read_request(frame: &[u8]) -> SeenRequest {
    let (length, rest) = frame.split_at(4);
    assert_eq!(length, u32::try_from(rest.len()).unwrap().to_be_bytes());
    let mut input = Reader::new(rest);
    SeenRequest {
        api_key: input.i16().unwrap(),
        version: input.i16().unwrap(),
        correlation_id: input.i32().unwrap(),
    }
}

impl Selectable for MockSelector {
    fn connect(&mut self, node: NodeId, address: SocketAddr, _now: Instant) -> io::Result<()> {
        assert!(
            !self.channels.contains_key(&node),
            "node {node} has a connection"
        );
        self.connects.push((node, address));
        if self.is_unreachable {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no route"));
        }
        let channel = MockChannel {
            is_connected: false,
            writing: None,
            unanswered: Vec::new(),
        };
        self.channels.insert(node, channel);
        Ok(())
    }

    fn is_channel_ready(&self, node: NodeId) -> bool {
        let channel = self.channels.get(&node);
        self.is_channel_ready && channel.is_some_and(|channel| channel.is_connected)
    }

    fn send(&mut self, send: NetworkSend) -> bool {
        let channel = self.channels.get_mut(&send.node).expect("a connection");
        assert!(
            channel.is_connected && channel.writing.is_none(),
            "written over a send"
        );
        channel.writing = Some(send.id);
        let request = read_request(&send.send.bytes_left());
        channel.unanswered.push(request);
        // It is written by `poll`, like one that the socket did not take whole.
        false
    }

    fn poll(&mut self, timeout: Duration, _now: Instant, out: &mut PollOutcome) -> io::Result<()> {
        out.clear();
        self.timeouts.push(timeout);
        std::mem::swap(out, &mut self.next);
        for (node, channel) in &mut self.channels {
            if self.accepts && !channel.is_connected {
                channel.is_connected = true;
                out.connected.push(*node);
            }
            if self.writes {
                let written = channel.writing.take();
                out.completed_sends.extend(written.map(|id| (*node, id)));
            }
        }
        let is_idle = out.connected.is_empty()
            && out.completed_sends.is_empty()
            && out.receives.is_empty()
            && out.disconnected.is_empty();
        if is_idle && timeout < Duration::MAX {
            self.time.advance(timeout);
        }
        Ok(())
    }

    fn close(&mut self, node: NodeId) {
        self.channels.remove(&node);
        self.next.receives.retain(|received| received.node != node);
        self.next.disconnected.retain(|ended| ended.node != node);
    }

    fn mark_valid(&mut self, node: NodeId) {
        self.valid.insert(node);
    }

    fn wakeup(&self) -> Wakeup {
        self.wakeup.clone()
    }
}
