//! What tells a [`super::Selector`] that sockets are ready: the operating system, through mio, or in
//! tests a simulated network.
//!
//! Thread: Sender. Locks: none in production. This and `transport.rs` are the only files of the
//! room that name mio's sockets; the rest runs unchanged over simulated ones.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use mio::{Events, Poll, Registry, Token};

use super::selectable::Wakeup;
#[cfg(any(test, fuzzing))]
use super::simulated::{SharedWire, WireEvent};
use super::transport::{SocketBuffers, Transport};

/// One source of readiness.
#[derive(Debug)]
pub(super) enum Poller {
    System {
        poll: Poll,
        events: Events,
    },
    #[cfg(any(test, fuzzing))]
    Simulated {
        wire: SharedWire,
        events: Vec<WireEvent>,
    },
}

/// What became possible on a socket since the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) token: Token,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// It failed, or one of its directions is closed.
    pub(super) has_ended: bool,
}

/// Where sockets tell what they wait for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Registrar<'a> {
    System(&'a Registry),
    /// A simulated socket knows its network.
    #[cfg(any(test, fuzzing))]
    Simulated,
}

impl Poller {
    /// The operating system's, and what wakes it.
    pub(super) fn system() -> io::Result<(Self, Wakeup)> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let events = Events::with_capacity(EVENTS_PER_POLL);
        Ok((Self::System { poll, events }, Wakeup::new(Some(waker))))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn simulated(wire: SharedWire) -> (Self, Wakeup) {
        let events = Vec::new();
        (Self::Simulated { wire, events }, Wakeup::new(None))
    }

    pub(super) fn registrar(&self) -> Registrar<'_> {
        match self {
            Self::System { poll, .. } => Registrar::System(poll.registry()),
            #[cfg(any(test, fuzzing))]
            Self::Simulated { .. } => Registrar::Simulated,
        }
    }

    /// Begins to connect. True: it is connected already.
    pub(super) fn connect(
        &self,
        address: SocketAddr,
        buffers: SocketBuffers,
    ) -> io::Result<(Transport, bool)> {
        match self {
            Self::System { .. } => Transport::connect(address, buffers),
            #[cfg(any(test, fuzzing))]
            Self::Simulated { wire, .. } => Transport::simulated(wire, address),
        }
    }

    /// Waits for events; a timeout below a millisecond is rounded up by mio, so none can spin.
    pub(super) fn select(&mut self, timeout: Duration, wakeup: &Wakeup) -> io::Result<()> {
        // Only a poller that will really sleep has to be woken by a system call.
        let sleeps = !timeout.is_zero() && wakeup.begin_sleep();
        let timeout = if sleeps { timeout } else { Duration::ZERO };
        let result = match self {
            Self::System { poll, events } => {
                #[cfg(test)]
                super::transport::calls::count(|calls| calls.selects += 1);
                poll.poll(events, Some(timeout))
            }
            #[cfg(any(test, fuzzing))]
            Self::Simulated { wire, events } => {
                events.clear();
                super::simulated::lock(wire).select(timeout, wakeup, events);
                Ok(())
            }
        };
        wakeup.end_sleep();
        match result {
            // To go on waiting would take a clock, to know for how long. The caller has one.
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.forget_events();
                Ok(())
            }
            other => other,
        }
    }

    fn forget_events(&mut self) {
        match self {
            Self::System { events, .. } => events.clear(),
            #[cfg(any(test, fuzzing))]
            Self::Simulated { events, .. } => events.clear(),
        }
    }

    /// What the last `select` brought; the waker's own event is among it and names no channel.
    pub(super) fn for_each_event(&self, mut take: impl FnMut(Readiness)) {
        match self {
            Self::System { events, .. } => {
                for event in events {
                    take(Readiness {
                        token: event.token(),
                        is_readable: event.is_readable(),
                        is_writable: event.is_writable(),
                        has_ended: event.is_error()
                            || event.is_read_closed()
                            || event.is_write_closed(),
                    });
                }
            }
            #[cfg(any(test, fuzzing))]
            Self::Simulated { events, .. } => {
                for event in events {
                    take(Readiness {
                        token: Token(event.token),
                        is_readable: event.is_readable,
                        is_writable: event.is_writable,
                        has_ended: event.has_ended,
                    });
                }
            }
        }
    }
}

/// No channel's: its place is beyond any that a slab can have.
const WAKER: Token = Token(usize::MAX);
const EVENTS_PER_POLL: usize = 256;
