//! What the application did and what it was told: one entry for every record it tried to send.
//!
//! Thread: the one that simulates. Locks: its own, a leaf: callbacks write here while the world is not held.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::payload::RecordSpec;
use super::trace::Digest;
use crate::error::{ErrorKind, Persistence};
use crate::producer::{DeliveryError, RecordMetadata};

/// Names a record in its payload; the index of its entry.
pub(crate) type RecordId = u64;

/// Everything the application knows.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Calls that did not return at once, and all `flush`, `close` and drop of the last clone.
    pub(crate) blocking_calls: Vec<BlockingCall>,
    /// Time in which the Sender thread was inside of user code that took its time (D16).
    pub(crate) user_code: Vec<(Duration, Duration)>,
    /// Time that callbacks took on a thread of their own: the Sender was not held up by it.
    pub(crate) callback_thread_busy: Vec<(Duration, Duration)>,
    /// How many records calls of `purge` gave up.
    pub(crate) purged: usize,
    /// What callbacks did besides, and what came of it.
    pub(crate) in_callbacks: Vec<(RecordId, &'static str, Option<ErrorKind>)>,
    /// When nothing more was accepted, if so: `close`, or the last clone dropped.
    pub(crate) closed_at: Option<Duration>,
    /// Broken promises that were seen at once.
    pub(crate) violations: Vec<Violation>,
}

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) spec: RecordSpec,
    /// Which thread; beyond the last: a callback, or `probes::PROBER`.
    pub(crate) thread: usize,
    pub(crate) called_at: Duration,
    pub(crate) accepted_at: Option<Duration>,
    /// Its timestamp as the producer stamped it, if it was accepted: exactly that is sent.
    pub(crate) stamped_ms: i64,
    pub(crate) refused: Option<ErrorKind>,
    /// Sent on each partition once everything is healed.
    pub(crate) is_probe: bool,
    pub(crate) wants_callback: bool,
    /// By its callback, each time it was called.
    pub(crate) callbacks: Vec<(Duration, End)>,
    /// By its handle, if that was looked at when it was done.
    pub(crate) handle: Option<(Duration, End)>,
    /// By the error of `close`, if it was among those given back.
    pub(crate) given_back: Option<Persistence>,
    /// Its callback said so once nothing more was accepted.
    pub(crate) failed_while_closing: bool,
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
        /// One for all records of a batch.
        text: Arc<str>,
    },
}

/// A call that may block, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct BlockingCall {
    pub(crate) name: &'static str,
    pub(crate) began: Duration,
    /// By then it has to be over; without one, `delivery.timeout.ms` is the limit.
    pub(crate) timeout: Option<Duration>,
    pub(crate) ended: Option<Duration>,
    /// It did not return: what was to be polled was dropped.
    pub(crate) is_abandoned: bool,
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

impl Entry {
    pub(crate) fn new(spec: RecordSpec, thread: usize, called_at: Duration) -> Self {
        Self {
            spec,
            thread,
            called_at,
            accepted_at: None,
            stamped_ms: 0,
            refused: None,
            is_probe: false,
            wants_callback: false,
            callbacks: Vec::new(),
            handle: None,
            given_back: None,
            failed_while_closing: false,
        }
    }

    /// What the application was told of it, by whatever way.
    pub(crate) fn end(&self) -> Option<&(Duration, End)> {
        self.callbacks.first().or(self.handle.as_ref())
    }
}

impl End {
    /// What a handle or a callback was given.
    pub(crate) fn of(result: Result<&RecordMetadata, &DeliveryError>) -> Self {
        match result {
            Ok(metadata) => Self::Acked {
                partition: metadata.partition(),
                offset: metadata.offset(),
                timestamp_ms: metadata.timestamp_ms(),
            },
            Err(error) => Self::Failed {
                partition: error.partition(),
                persistence: error.persistence(),
                kind: error.kind(),
                text: error.to_string().into(),
            },
        }
    }

    /// The same to the application: texts may name times.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Failed {
                    partition,
                    persistence,
                    kind,
                    ..
                },
                Self::Failed {
                    partition: other_partition,
                    persistence: other_persistence,
                    kind: other_kind,
                    ..
                },
            ) => (partition, persistence, kind) == (other_partition, other_persistence, other_kind),
            (one, other) => one == other,
        }
    }
}

impl Ledger {
    pub(crate) fn violation(&mut self, property: &'static str, at: Duration, text: String) {
        self.violations.push(Violation { property, at, text });
    }

    /// A callback, or what it called, ended otherwise than as usual.
    pub(crate) fn note_in_callback(
        &mut self,
        id: RecordId,
        what: &'static str,
        came_of_it: Option<ErrorKind>,
    ) {
        self.in_callbacks.push((id, what, came_of_it));
    }

    /// The entry of a record.
    pub(crate) fn entry(&mut self, id: RecordId) -> &mut Entry {
        &mut self.entries[index(id)]
    }

    /// The number that the next record gets.
    pub(crate) fn next_id(&self) -> RecordId {
        RecordId::try_from(self.entries.len()).expect("64 bits")
    }

    /// Of what the application was told, without times: the same if a fault made no difference.
    pub(crate) fn outcome_hash(&self) -> u64 {
        let mut digest = Digest::default();
        self.in_callbacks.hash(&mut digest);
        for entry in &self.entries {
            (entry.refused, entry.handle.is_some()).hash(&mut digest);
            match entry.end() {
                Some((
                    _,
                    End::Acked {
                        partition, offset, ..
                    },
                )) => {
                    (partition, offset).hash(&mut digest);
                }
                Some((
                    _,
                    End::Failed {
                        persistence, kind, ..
                    },
                )) => {
                    (persistence, kind).hash(&mut digest);
                }
                None => {}
            }
        }
        digest.value()
    }
}

/// Where the entry of a record is.
pub(crate) fn index(id: RecordId) -> usize {
    usize::try_from(id).expect("64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_hash_tells_what_a_callback_was_told_besides() {
        let mut ledger = Ledger::default();
        let plain = ledger.outcome_hash();
        ledger.note_in_callback(1, "flush_timeout", Some(ErrorKind::WouldDeadlock));
        let told = ledger.outcome_hash();
        assert_ne!(plain, told);
        ledger.note_in_callback(2, "panic", None);
        assert_ne!(ledger.outcome_hash(), told);
    }
}
