//! The seam below the selector: a network of bytes that a test makes up. The real `Selector`,
//! `KafkaChannel`, `Send` and `NetworkReceive` run over it; only sockets and epoll are replaced.
//!
//! Thread: the one that simulates. Locks: the wire's own, so that both sides can hold it; it is held
//! during one call, and during a whole `select`, in which time passes.
//! Readiness is edge-triggered as mio's is: an event tells of a change, and `register` looks afresh.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::selectable::Wakeup;

/// Names one connection of a [`Wire`]; none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WireId(pub(crate) u64);

/// What a connection waits for, as it tells the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireInterest {
    /// Bytes or an end to read.
    pub(crate) read: bool,
    /// Room to write, or the end of a connect.
    pub(crate) write: bool,
}

/// A change of readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireEvent {
    /// As given to [`Wire::register`].
    pub(crate) token: usize,
    pub(crate) is_readable: bool,
    pub(crate) is_writable: bool,
    /// It failed, or the peer closed one of its directions.
    pub(crate) has_ended: bool,
}

/// All sockets of one client and the time that passes while it waits for them.
pub(crate) trait Wire: Debug + Send {
    /// Begins to connect. True: it is connected already.
    ///
    /// # Errors
    /// If not even the attempt can be made (no route, no descriptor).
    fn connect(&mut self, address: SocketAddr) -> io::Result<(WireId, bool)>;

    /// Whether a connect has ended well. False: not yet.
    ///
    /// # Errors
    /// Why it ended badly.
    fn finish_connect(&mut self, id: WireId) -> io::Result<bool>;

    /// As a non-blocking `read`: 0 at the end of the stream, `WouldBlock` where nothing is there.
    ///
    /// # Errors
    /// Those of a socket.
    fn read(&mut self, id: WireId, into: &mut [u8]) -> io::Result<usize>;

    /// As a non-blocking gathering write; less than offered means full.
    ///
    /// # Errors
    /// Those of a socket.
    fn write(&mut self, id: WireId, from: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Says what to tell of, from now on and at once if it is so already.
    fn register(&mut self, id: WireId, token: usize, interest: WireInterest);

    /// The client drops the socket.
    fn close(&mut self, id: WireId);

    /// Whether a read that brought fewer bytes than asked for has emptied the socket, so that the
    /// next bytes are an event.
    fn short_read_empties(&self) -> bool;

    /// Lets time pass until something is ready, `wakeup` is called, or `timeout` is over.
    fn select(&mut self, timeout: Duration, wakeup: &Wakeup, events: &mut Vec<WireEvent>);
}

/// Held by the selector, by each of its transports, and by who simulates.
pub(crate) type SharedWire = Arc<Mutex<dyn Wire>>;

/// A panic on the other side is told by the test that had it.
pub(super) fn lock(wire: &SharedWire) -> MutexGuard<'_, dyn Wire + 'static> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client's end of one connection.
#[derive(Debug)]
pub(super) struct WireStream {
    pub(super) wire: SharedWire,
    pub(super) id: WireId,
}

impl Drop for WireStream {
    fn drop(&mut self) {
        lock(&self.wire).close(self.id);
    }
}
