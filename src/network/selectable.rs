//! The seam between the client and the wire: [`Selectable`] is what `NetworkClient` asks of a
//! selector; in production `Selector` over mio, in the simulator a network of bytes.
//!
//! Java's counterpart: `Selectable`. Thread: Sender, except [`Wakeup`] (any). Locks: none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Send;
use crate::cluster::NodeId;

/// Multiplexes the connections to all nodes on one thread.
pub(crate) trait Selectable {
    /// Begins to connect. The end comes from `poll`: `connected` or `disconnected`.
    ///
    /// # Errors
    /// If not even the attempt could be made; then nothing is left behind.
    fn connect(&mut self, node: NodeId, address: SocketAddr, now: Instant) -> io::Result<()>;

    /// Whether the channel exists, is connected and (later) authenticated.
    fn is_channel_ready(&self, node: NodeId) -> bool;

    /// Queues the one send a channel may have in progress. On a channel that failed or is not
    /// there, the next `poll` reports the node as disconnected.
    fn send(&mut self, send: NetworkSend);

    /// Waits for at most `timeout` for something to happen and does what can be done; `out` is
    /// cleared first. `now` is read by the caller before the wait.
    ///
    /// # Errors
    /// If the operating system's selector itself fails.
    fn poll(&mut self, timeout: Duration, now: Instant, out: &mut PollOutcome) -> io::Result<()>;

    /// Closes at once; no `disconnected` is reported for it.
    fn close(&mut self, node: NodeId);

    /// The node gave a first valid response: from now on its frames may be as large as responses
    /// are, and not only as large as a first one. Only a selector of real sockets has to care.
    fn mark_valid(&mut self, node: NodeId) {
        let _ = node;
    }

    /// What other threads wake `poll` with.
    fn wakeup(&self) -> Wakeup;
}

/// Bytes for one node; `id` comes back in [`PollOutcome::completed_sends`] once all are written.
#[derive(Debug)]
pub(crate) struct NetworkSend {
    pub(crate) node: NodeId,
    pub(crate) id: u64,
    pub(crate) send: Send,
}

/// What one `poll` brought; owned by the caller and reused.
#[derive(Debug, Default)]
pub(crate) struct PollOutcome {
    pub(crate) connected: Vec<NodeId>,
    /// The end of these comes after all that the same outcome says of the same node: its frames
    /// arrived before, its sends were written before.
    pub(crate) disconnected: Vec<Disconnected>,
    /// `(node, id)` of each send that was written out whole.
    pub(crate) completed_sends: Vec<(NodeId, u64)>,
    pub(crate) receives: Vec<Received>,
}

impl PollOutcome {
    pub(crate) fn clear(&mut self) {
        self.connected.clear();
        self.disconnected.clear();
        self.completed_sends.clear();
        self.receives.clear();
    }
}

/// One whole frame, without its length.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) node: NodeId,
    pub(crate) frame: Bytes,
}

/// A channel that ended without having been asked to.
#[derive(Debug)]
pub(crate) struct Disconnected {
    pub(crate) node: NodeId,
    /// How far it had come.
    pub(crate) state: ChannelState,
    /// In words, for logs and errors: "connection refused", "frame of 352518912 bytes ...".
    pub(crate) reason: String,
    /// Whether any byte of the send that was in progress reached the socket.
    pub(crate) send_begun: bool,
}

/// How far a channel had come when it ended (Java: `ChannelState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// The TCP connection was never made.
    NotConnected,
    /// Connected, and then lost or closed because of an error.
    Connected,
    /// Closed by us after `connections.max.idle.ms`.
    Expired,
    /// The peer does not speak Kafka's protocol: what arrived cannot be a frame.
    Garbage,
}

/// Ends a `poll` from any thread, with a system call only if the poller really sleeps.
///
/// Sleeping, running and notified are one atomic: a waker that finds the Sender running only
/// leaves a note (9 ns instead of a write to an eventfd), and the poller looks at the note before
/// it sleeps.
#[derive(Debug, Clone)]
pub(crate) struct Wakeup(Arc<WakeupInner>);

#[derive(Debug)]
struct WakeupInner {
    state: AtomicU8,
    writes: AtomicU64,
    waker: Option<mio::Waker>,
}

const RUNNING: u8 = 0;
const SLEEPING: u8 = 1;
const NOTIFIED: u8 = 2;

impl Wakeup {
    /// `None` for a poller that never sleeps (the simulator, mocks).
    pub(crate) fn new(waker: Option<mio::Waker>) -> Self {
        Self(Arc::new(WakeupInner {
            state: AtomicU8::new(RUNNING),
            writes: AtomicU64::new(0),
            waker,
        }))
    }

    /// Makes the `poll` in progress, or else the next one, return at once.
    #[inline]
    pub(crate) fn wake(&self) {
        // Orders the caller's state change before the look at the note, against `end_sleep`.
        fence(Ordering::SeqCst);
        if self.0.state.load(Ordering::Acquire) == NOTIFIED {
            return;
        }
        if self.0.state.swap(NOTIFIED, Ordering::AcqRel) == SLEEPING {
            self.0.writes.fetch_add(1, Ordering::Relaxed);
            if let Some(waker) = &self.0.waker {
                // Fails only if the poll itself is gone, and then nobody is left to wake.
                let _ = waker.wake();
            }
        }
    }

    /// The poller is about to sleep. False: somebody called, do not.
    pub(crate) fn begin_sleep(&self) -> bool {
        self.0
            .state
            .compare_exchange(RUNNING, SLEEPING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The poller runs again; the note, if any, is taken.
    pub(crate) fn end_sleep(&self) {
        self.0.state.swap(RUNNING, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// How many times the operating system was asked to wake the poller.
    pub(crate) fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }
}
