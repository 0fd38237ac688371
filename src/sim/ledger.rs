//! What the application did and what it was told: one entry for every record it tried to send.
//!
//! Thread: the one that simulates. Locks: its own, a leaf: callbacks write here while the world is not held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::payload::RecordSpec;
use crate::error::{ErrorKind, Persistence};

/// Names a record in its payload; the index of its entry.
pub(crate) type RecordId = u64;

/// Everything the application knows.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    pub(crate) blocking_calls: Vec<BlockingCall>,
    /// Broken promises that were seen at once.
    pub(crate) violations: Vec<Violation>,
}

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) spec: RecordSpec,
    pub(crate) thread: usize,
    pub(crate) called_at: Duration,
    pub(crate) accepted_at: Option<Duration>,
    pub(crate) refused: Option<ErrorKind>,
    pub(crate) wants_callback: bool,
    /// By its callback, each time it was called.
    pub(crate) callbacks: Vec<(Duration, End)>,
    /// By its handle, if that was looked at.
    pub(crate) handle: Option<(Duration, End)>,
}

/// What an outcome said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Acked {
        partition: i32,
        offset: Option<i64>,
        timestamp_ms: i64,
    },
    Failed {
        partition: i32,
        persistence: Persistence,
        kind: ErrorKind,
        text: String,
    },
}

/// A call that may block, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct BlockingCall {
    pub(crate) name: &'static str,
    pub(crate) began: Duration,
    /// By then it has to be over.
    pub(crate) timeout: Option<Duration>,
    pub(crate) ended: Option<Duration>,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// `P1` to `P13` of the guarantee table (docs/DESIGN.md).
    pub(crate) property: &'static str,
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// Held by applications, callbacks and the oracle.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    pub(crate) fn violation(&mut self, property: &'static str, at: Duration, text: String) {
        self.violations.push(Violation { property, at, text });
    }
}
