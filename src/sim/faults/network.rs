//! What goes wrong between the client and the brokers: the network asks here at each of its decisions.
//!
//! Thread: the one that simulates. Locks: none. Without faults: 100 µs each way, everything in one piece.

use std::io;
use std::time::Duration;

use super::FaultPlan;
use crate::network::WireId;

/// What becomes of an attempt to connect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ConnectFate {
    /// Connected after that time, if the broker takes it then.
    After(Duration),
    /// Refused after that time.
    Refused(Duration),
    /// Nothing ever comes back.
    Hang,
    /// The call itself fails.
    Fails(io::ErrorKind),
}

/// What becomes of bytes that were handed to the network.
#[derive(Debug, Clone)]
pub(crate) struct Transit {
    /// How long the first piece takes; order is kept whatever is drawn.
    pub(crate) delay: Duration,
    /// The largest piece in which they arrive, and how much later each next piece is.
    pub(crate) piece: usize,
    pub(crate) between_pieces: Duration,
    /// They vanish, and all later ones in this direction with them.
    pub(crate) lost: bool,
    /// The connection is reset once that many of these bytes have arrived.
    pub(crate) reset_after: Option<usize>,
}

/// How much of a write is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    /// When fewer than offered are taken: how long the socket stays full.
    pub(crate) full_for: Duration,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToBroker,
    ToClient,
}

/// The network's faults that are in force.
#[derive(Debug)]
pub(crate) struct NetworkFaults;

impl NetworkFaults {
    pub(crate) fn new(_plans: &[FaultPlan]) -> Self {
        Self
    }

    pub(crate) fn connect(&mut self, _now: Duration, _link: (WireId, i32)) -> ConnectFate {
        ConnectFate::After(Duration::from_micros(100))
    }

    pub(crate) fn transit(
        &mut self,
        _now: Duration,
        _link: (WireId, i32),
        _direction: Direction,
        _bytes: usize,
    ) -> Transit {
        Transit {
            delay: Duration::from_micros(100),
            piece: usize::MAX,
            between_pieces: Duration::ZERO,
            lost: false,
            reset_after: None,
        }
    }

    /// How much of what it offers the client's socket takes.
    pub(crate) fn room(&mut self, _now: Duration, _link: (WireId, i32), offered: usize) -> Room {
        Room {
            bytes: offered,
            full_for: Duration::ZERO,
        }
    }

    /// How much of what has arrived one `read` gives, at least 1.
    pub(crate) fn readable(&mut self, _now: Duration, _id: WireId, available: usize) -> usize {
        available
    }

    /// How long after its last byte the broker hears that the client closed.
    pub(crate) fn end_delay(&mut self, _now: Duration, _link: (WireId, i32)) -> Duration {
        Duration::from_micros(100)
    }

    /// As on Linux, or as elsewhere.
    pub(crate) fn short_read_empties(&self) -> bool {
        true
    }
}
