//! The seam between the client and the wire: [`Selectable`] is what `NetworkClient` asks of a
//! selector; in production `Selector` over mio, in the simulator a network of bytes.
//!
//! Java's counterpart: `Selectable`. Thread: Sender, except [`Wakeup`] (any). Locks: none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Send;
use crate::cluster::NodeId;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};

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
    /// there, the next `poll` reports the node as disconnected. Returns whether all of it was
    /// written at once, so that the channel can take another before `poll` reports the completion.
    fn send(&mut self, send: NetworkSend) -> bool;

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
    /// What the models of interleavings have instead.
    #[cfg(interleave)]
    modelled: Option<std::task::Waker>,
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
            #[cfg(interleave)]
            modelled: None,
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
            #[cfg(interleave)]
            self.wake_modelled();
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

    /// Whether the poller sleeps, or is about to.
    #[cfg(any(test, interleave))]
    pub(crate) fn is_asleep(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == SLEEPING
    }

    /// Whether somebody called since the poller ran last: for pollers that have no waker.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_called(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == NOTIFIED
    }

    /// How many times the operating system was asked to wake the poller.
    #[cfg(any(test, interleave))]
    pub(crate) fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }
}

#[cfg(interleave)]
#[path = "wakeup_interleaving_tests.rs"]
pub(crate) mod interleaving_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begin_sleep_after_a_wake_is_refused_once() {
        let wakeup = Wakeup::new(None);
        wakeup.wake();
        assert!(!wakeup.begin_sleep());
        wakeup.end_sleep();
        assert!(wakeup.begin_sleep(), "the note was taken");
        wakeup.end_sleep();
        assert_eq!(wakeup.writes(), 0);
    }

    #[test]
    fn wake_asks_the_operating_system_only_for_the_first_of_many_to_a_sleeper() {
        let wakeup = Wakeup::new(None);
        assert!(wakeup.begin_sleep());
        for _ in 0..10 {
            wakeup.clone().wake();
        }
        assert_eq!(wakeup.writes(), 1);
        wakeup.end_sleep();
        wakeup.wake();
        assert_eq!(wakeup.writes(), 1, "it runs");
        assert!(!wakeup.begin_sleep(), "but it is told");
    }

    /// One step of the poller or of a waker; a waker's two accesses are separate steps, as other
    /// threads can come in between.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct Model {
        state: u8,
        work: bool,
        seen: bool,
        signal: bool,
        poller: u8,
        waker: u8,
    }

    impl Model {
        /// The poller: 0 looks for work, 1 begins to sleep, 2 sleeps until signalled, 3 ends.
        fn step_poller(mut self) -> Option<Self> {
            match self.poller {
                0 => {
                    self.seen |= self.work;
                    self.poller = 1;
                }
                1 if self.state == RUNNING => {
                    self.state = SLEEPING;
                    self.poller = 2;
                }
                1 => self.poller = 3,
                2 if self.signal => {
                    self.signal = false;
                    self.poller = 3;
                }
                2 => return None,
                _ => {
                    self.state = RUNNING;
                    self.poller = 0;
                }
            }
            Some(self)
        }

        /// The waker: 0 makes work, 1 looks, 2 swaps, 3 signals, 4 is done.
        fn step_waker(mut self) -> Option<Self> {
            match self.waker {
                0 => {
                    self.work = true;
                    self.waker = 1;
                }
                1 => self.waker = if self.state == NOTIFIED { 4 } else { 2 },
                2 => {
                    self.waker = if self.state == SLEEPING { 3 } else { 4 };
                    self.state = NOTIFIED;
                }
                3 => {
                    self.signal = true;
                    self.waker = 4;
                }
                _ => return None,
            }
            Some(self)
        }
    }

    /// Every interleaving of the protocol, accesses taken as sequentially consistent (the fences
    /// are there to make them so): where the waker is done and the poller sleeps for good, the work
    /// was seen.
    #[test]
    fn wake_in_every_interleaving_lets_the_poller_see_the_work() {
        let mut queue = Vec::new();
        for state in [RUNNING, NOTIFIED] {
            queue.push(Model {
                state,
                work: false,
                seen: false,
                signal: false,
                poller: 0,
                waker: 0,
            });
        }
        let mut known = std::collections::BTreeSet::new();
        let mut asleep = 0;
        while let Some(model) = queue.pop() {
            if !known.insert(model) {
                continue;
            }
            let steps = [model.step_poller(), model.step_waker()];
            if steps.iter().all(Option::is_none) {
                assert!(model.seen, "asleep for good with work undone: {model:?}");
                asleep += 1;
            }
            queue.extend(steps.into_iter().flatten());
        }
        assert!(asleep > 0 && known.len() > 20);
    }
}
