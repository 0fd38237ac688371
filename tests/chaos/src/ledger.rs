//! What became of every record, as the producer told it.
//!
//! Locks: one per sending thread, for its entries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_producer::{DeliveryCallback, DeliveryError, Persistence, RecordMetadata};

use crate::payload::RecordId;

/// What the producer said of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing yet.
    Open,
    /// Acknowledged; the offset is absent where the broker did not tell it.
    Acked { partition: i32, offset: Option<i64> },
    /// It failed, and is certainly in no log.
    NotWritten,
    /// It failed, and may be in the log.
    Unknown,
    /// `send` did not take it.
    Refused,
}

/// A record and its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) topic: u8,
    pub(crate) fate: Fate,
    pub(crate) is_late: bool,
    sent: Instant,
}

impl Entry {
    #[cfg(test)]
    pub(crate) fn new(topic: u8, fate: Fate) -> Self {
        Self {
            topic,
            fate,
            is_late: false,
            sent: Instant::now(),
        }
    }
}

/// All records of a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// A record that has no outcome after so much time is late.
    limit: Duration,
    threads: Vec<Mutex<Vec<Entry>>>,
    acked: AtomicU64,
    /// Of whom callback and handle told different things, or the callback nothing or twice.
    contradictions: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn new(threads: u32, limit: Duration) -> Self {
        Self {
            limit,
            threads: (0..threads).map(|_| Mutex::default()).collect(),
            acked: AtomicU64::new(0),
            contradictions: Mutex::default(),
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// The record is about to be sent; numbers of a thread come in order.
    pub(crate) fn sending(&self, id: RecordId, topic: u8) {
        let mut entries = self.entries(id.thread);
        assert_eq!(index(id.number), entries.len(), "numbers have gaps");
        entries.push(Entry {
            topic,
            fate: Fate::Open,
            is_late: false,
            sent: Instant::now(),
        });
    }

    /// `send` has taken the record now: its time runs from here, it may have waited for room.
    pub(crate) fn accepted(&self, id: RecordId) -> Instant {
        let now = Instant::now();
        self.entries(id.thread)[index(id.number)].sent = now;
        now
    }

    /// `send` has not taken the record.
    pub(crate) fn refused(&self, id: RecordId) {
        self.end(id, Fate::Refused);
    }

    /// What its handle says.
    pub(crate) fn handle_said(
        &self,
        id: RecordId,
        outcome: &Result<RecordMetadata, DeliveryError>,
    ) {
        let said = fate(outcome.as_ref());
        let known = self.entries(id.thread)[index(id.number)].fate;
        if said != known {
            self.contradiction(format!(
                "{id:?}: its handle says {said:?}, its callback {known:?}"
            ));
        }
    }

    /// The record has no outcome after all the time that it has.
    pub(crate) fn late(&self, id: RecordId) {
        self.entries(id.thread)[index(id.number)].is_late = true;
    }

    /// Everything, each thread's in its order of sending, and what did not agree.
    pub(crate) fn into_parts(self) -> (Vec<Vec<Entry>>, Vec<String>) {
        let threads = self.threads.into_iter();
        (
            threads
                .map(|entries| entries.into_inner().unwrap_or_else(PoisonError::into_inner))
                .collect(),
            self.contradictions
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn end(&self, id: RecordId, fate: Fate) {
        let mut entries = self.entries(id.thread);
        let entry = &mut entries[index(id.number)];
        entry.is_late |= entry.sent.elapsed() > self.limit;
        let before = std::mem::replace(&mut entry.fate, fate);
        drop(entries);
        if before != Fate::Open {
            self.contradiction(format!("{id:?}: told {before:?} and then {fate:?}"));
        }
    }

    fn contradiction(&self, text: String) {
        let list = self.contradictions.lock();
        list.unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn entries(&self, thread: u32) -> MutexGuard<'_, Vec<Entry>> {
        let entries = self.threads[index(thread)].lock();
        entries.unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeliveryCallback for Ledger {
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        if result.is_ok() {
            self.acked.fetch_add(1, Ordering::Relaxed);
        }
        self.end(RecordId::from_tag(tag), fate(result));
    }
}

fn fate(result: Result<&RecordMetadata, &DeliveryError>) -> Fate {
    match result {
        Ok(metadata) => Fate::Acked {
            partition: metadata.partition(),
            offset: metadata.offset(),
        },
        Err(error) if error.persistence() == Persistence::NotWritten => Fate::NotWritten,
        Err(_) => Fate::Unknown,
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a machine of 32 bits at least")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RecordId = RecordId {
        thread: 0,
        number: 0,
    };

    const ACKED: Fate = Fate::Acked {
        partition: 1,
        offset: Some(2),
    };

    fn sent(limit: Duration) -> Ledger {
        let ledger = Ledger::new(1, limit);
        ledger.sending(ID, 0);
        ledger.accepted(ID);
        ledger
    }

    #[test]
    fn record_that_ends_in_time_is_not_late() {
        let ledger = sent(Duration::from_secs(60));
        ledger.end(ID, ACKED);
        let (entries, contradictions) = ledger.into_parts();
        assert_eq!((entries[0][0].fate, entries[0][0].is_late), (ACKED, false));
        assert!(contradictions.is_empty());
    }

    #[test]
    fn record_that_ends_after_its_time_is_late() {
        let ledger = sent(Duration::ZERO);
        ledger.end(ID, ACKED);
        let (entries, _) = ledger.into_parts();
        assert!(entries[0][0].is_late);
    }

    #[test]
    fn record_that_is_told_of_twice_contradicts_itself() {
        let ledger = sent(Duration::from_secs(60));
        ledger.end(ID, ACKED);
        ledger.end(ID, ACKED);
        let (_, contradictions) = ledger.into_parts();
        assert_eq!(contradictions.len(), 1);
    }
}
