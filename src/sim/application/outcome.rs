//! What callbacks and handles say is written down, and compared: callbacks are called once and in
//! order, and a handle says what its callback said.
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::faults::ClientFaults;
use super::super::ledger::{End, Entry, RecordId, SharedLedger};
use super::super::payload::{RecordSpec, SimRecord};
use super::super::scenario::Scenario;
use super::topics::Topics;
use crate::error::{ErrorKind, Persistence};
use crate::producer::{DeliveryError, KafkaProducer, RecordMetadata, UndeliveredRecord};
use crate::time::MockTime;

/// What all threads and callbacks of the application share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ledger: SharedLedger,
    pub(super) clock: Arc<MockTime>,
    pub(super) topics: Topics,
    pub(super) limits: Limits,
    /// The clone that callbacks have, until the application lets go of the producer.
    pub(super) producer: Mutex<Option<KafkaProducer>>,
    pub(super) faults: Mutex<Option<ClientFaults>>,
    /// Until when the thread of the callbacks is busy, if they have one.
    pub(super) callbacks_busy_until: Mutex<Option<Duration>>,
    last_told: Mutex<LastTold>,
}

/// The configuration, as far as the application has to know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// No record may be larger.
    pub(super) most_record: usize,
    /// Smaller ones fit: memory is given out in chunks of up to 16 KiB.
    pub(super) surely_fits: usize,
    /// Each topic may fill its share, and there is memory left for every other one.
    pub(super) shares_suffice: bool,
    pub(super) delivery_timeout: Duration,
    pub(super) max_block: Duration,
    /// The number of threads: what is sent from callbacks counts as from that one.
    pub(super) callbacks_thread: usize,
}

impl Limits {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let config = &scenario.config;
        let (memory, topics) = (config.memory_of_a_topic(), scenario.cluster.topics.len());
        Self {
            most_record: config.max_request_size.min(memory),
            surely_fits: config.max_request_size.min(memory.saturating_sub(CHUNK)),
            shares_suffice: memory < config.buffer_memory
                && memory.saturating_mul(topics) <= config.buffer_memory,
            delivery_timeout: Duration::from_millis(config.delivery_timeout_ms),
            max_block: Duration::from_millis(config.max_block_ms),
            callbacks_thread: scenario.threads.len(),
        }
    }
}

/// Which record of a thread was the last whose outcome was told, by partition.
#[derive(Debug, Default)]
struct LastTold {
    records: BTreeMap<(usize, usize, i32), RecordId>,
    /// Many records have the same text.
    text: Option<Arc<str>>,
}

impl Shared {
    pub(super) fn new(
        (ledger, clock): (SharedLedger, Arc<MockTime>),
        topics: Topics,
        limits: Limits,
    ) -> Self {
        Self {
            ledger,
            clock,
            topics,
            limits,
            producer: Mutex::default(),
            faults: Mutex::default(),
            callbacks_busy_until: Mutex::default(),
            last_told: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Who says how the application's own code misbehaves.
    pub(super) fn faults(&self) -> Option<ClientFaults> {
        lock(&self.faults).clone()
    }

    pub(super) fn violation(&self, property: &'static str, text: String) {
        let now = self.now();
        self.ledger.lock().violation(property, now, text);
    }

    /// A callback was called for a record.
    pub(super) fn note_callback(
        &self,
        id: RecordId,
        result: Result<&RecordMetadata, &DeliveryError>,
    ) {
        let (now, end) = (self.now(), self.end_of(id, result));
        let mut ledger = self.ledger.lock();
        let is_closing = ledger.closed_at.is_some();
        let entry = ledger.entry(id);
        entry.failed_while_closing = is_closing && matches!(end, End::Failed { .. });
        let (calls, refused) = (entry.callbacks.len(), entry.refused);
        let place = (entry.thread, entry.spec.topic);
        let (End::Acked { partition, .. } | End::Failed { partition, .. }) = end;
        if entry.callbacks.is_empty() {
            entry.callbacks.reserve_exact(1);
        }
        entry.callbacks.push((now, end));
        if calls > 0 {
            ledger.violation("P5", now, format!("callback of record {id}: called again"));
        }
        if let Some(kind) = refused {
            let text = format!("callback of record {id}: called although send failed: {kind:?}");
            ledger.violation("P5", now, text);
        }
        let key = (place.0, place.1, partition);
        let before = lock(&self.last_told).records.insert(key, id);
        if before.is_some_and(|before| before > id) {
            let text = format!("record {id} was told after {before:?} of the same thread, {key:?}");
            ledger.violation("P5", now, text);
        }
    }

    /// A handle that is done says so.
    pub(super) fn note_handle(&self, id: RecordId, result: &Result<RecordMetadata, DeliveryError>) {
        let (now, end) = (self.now(), self.end_of(id, result.as_ref()));
        let mut ledger = self.ledger.lock();
        let entry = ledger.entry(id);
        let (wanted, told) = (entry.wants_callback, entry.callbacks.first().cloned());
        entry.handle = Some((now, end.clone()));
        match told {
            None if wanted => {
                let text = format!("record {id}: its handle is done, its callback has not run");
                ledger.violation("P5", now, text);
            }
            Some((_, other)) if !other.says_the_same(&end) => {
                let text = format!("record {id}: its handle says {end:?}, its callback {other:?}");
                ledger.violation("P5", now, text);
            }
            _ => {}
        }
    }

    /// In the words of the ledger; looks at what the outcome says of the record itself on the way.
    fn end_of(&self, id: RecordId, result: Result<&RecordMetadata, &DeliveryError>) -> End {
        self.check_receipt(id, result);
        match result {
            Ok(metadata) => {
                self.check_metadata(id, metadata);
                End::Acked {
                    partition: metadata.partition(),
                    offset: metadata.offset(),
                    timestamp_ms: metadata.timestamp_ms(),
                }
            }
            Err(error) => {
                // Copying the record out of its batch takes time: some of them do.
                if id % 16 == 0 {
                    self.check_undelivered(id, error.record().as_ref());
                }
                End::Failed {
                    partition: error.partition(),
                    persistence: error.persistence(),
                    kind: error.kind(),
                    text: self.shared_text(error),
                }
            }
        }
    }

    fn shared_text(&self, error: &DeliveryError) -> Arc<str> {
        let text = error.to_string();
        let mut last = lock(&self.last_told);
        match &last.text {
            Some(known) if **known == *text => Arc::clone(known),
            _ => Arc::clone(last.text.insert(text.into())),
        }
    }

    /// The stages that a record passed come one after the other, and fit its outcome.
    fn check_receipt(&self, id: RecordId, result: Result<&RecordMetadata, &DeliveryError>) {
        let receipt = match result {
            Ok(metadata) => Some(metadata.receipt()),
            // A handle that would wait inside a callback knows of none.
            Err(error) => error.receipt(),
        };
        let Some(receipt) = receipt else {
            return;
        };
        let sent = receipt.attempts() > 0;
        let stages = [receipt.drained(), receipt.written(), receipt.answered()];
        let in_order = stages.iter().flatten().is_sorted()
            && stages.iter().flatten().all(|at| *at >= receipt.appended());
        let fits = match result {
            Ok(_) => sent && stages[1].is_some(),
            Err(error) => sent || error.persistence() == Persistence::NotWritten,
        };
        let is_whole = sent == stages[0].is_some() && sent == receipt.broker().is_some();
        if !(in_order && fits && is_whole && (sent || stages == [None; 3])) {
            let text = format!("record {id}: {receipt:?} does not fit its outcome {result:?}");
            self.violation("P5", text);
        }
    }

    fn check_metadata(&self, id: RecordId, metadata: &RecordMetadata) {
        let mut ledger = self.ledger.lock();
        let spec = &ledger.entry(id).spec;
        let topic = self.topics.name(spec.topic);
        let key_bytes = spec.key().map(|key| key.len());
        let is_right = metadata.topic() == topic
            && spec.partition.is_none_or(|it| it == metadata.partition())
            && metadata.serialized_key_size() == key_bytes
            && metadata.serialized_value_size() == spec.value_bytes;
        if !is_right {
            let text = format!("record {id} ({spec:?}): acknowledged as {metadata:?}");
            let now = self.now();
            ledger.violation("P1", now, text);
        }
    }

    /// What comes back after a failure is what was sent.
    pub(super) fn check_undelivered(&self, id: RecordId, undelivered: Option<&UndeliveredRecord>) {
        let entry = self.ledger.lock().entry(id).clone();
        let sent = entry.spec.record(self.topics.name(entry.spec.topic));
        let is_same = undelivered.is_some_and(|back| {
            *back.topic == *sent.topic.as_str()
                && sent.partition.is_none_or(|it| it == back.partition)
                && (entry.is_probe || back.timestamp_ms == entry.stamped_ms)
                && (&back.key, &back.value) == (&sent.key, &sent.value)
                && back.headers == sent.headers
        });
        if !is_same {
            let text = format!(
                "record {id} ({:?}): given back as {undelivered:?}",
                entry.spec
            );
            self.violation("P5", text);
        }
    }

    /// A send failed: the record comes back as it was, and the reason is a possible one.
    pub(super) fn note_refusal(&self, id: RecordId, kind: ErrorKind, record: &SimRecord) {
        let now = self.now();
        let spec = {
            let mut ledger = self.ledger.lock();
            let entry = ledger.entry(id);
            entry.refused = Some(kind);
            entry.spec.clone()
        };
        if *record != spec.record(self.topics.name(spec.topic)) {
            let text = format!("record {id} ({spec:?}): came back changed from a send that failed");
            self.violation("P5", text);
        }
        let is_invalid =
            spec.partition.is_some_and(|it| it < 0) || spec.timestamp_ms.is_some_and(|it| it < 0);
        let has_to_be = if is_invalid {
            Some(ErrorKind::InvalidArgument)
        } else if self.topics.is_impossible(spec.topic) {
            Some(ErrorKind::InvalidTopic)
        } else {
            None
        };
        let too_large_without_cause = kind == ErrorKind::RecordTooLarge
            && spec.payload_bytes() + MOST_FRAMING < self.limits.surely_fits;
        if has_to_be.is_some_and(|it| it != kind) || too_large_without_cause {
            let text = format!("record {id} ({spec:?}): refused as {kind:?}");
            self.ledger.lock().violation("P5", now, text);
        }
    }

    /// A send had no room, and said why: other topics are no reason where each has a share to itself.
    pub(super) fn note_lack_of_room(&self, id: RecordId, why: &crate::error::Error) {
        let names_share = why.to_string().contains("buffer.memory.share.per.topic");
        if why.kind() == ErrorKind::BufferExhausted && self.limits.shares_suffice && !names_share {
            let text = format!("record {id} had no room for what other topics hold: {why}");
            self.violation("P12", text);
        }
    }

    /// A send went through: nothing is accepted that never can go.
    pub(super) fn note_acceptance(&self, id: RecordId) {
        let (now, wall_clock_ms) = (self.now(), self.clock.wall_clock_ms());
        let mut ledger = self.ledger.lock();
        let was_closed = ledger.closed_at.is_some();
        let entry = ledger.entry(id);
        entry.accepted_at = Some(now);
        entry.stamped_ms = entry.spec.timestamp_ms.unwrap_or(wall_clock_ms);
        let cannot_go = self.cannot_go(&entry.spec);
        if cannot_go || was_closed {
            let closed = if was_closed { " after close" } else { "" };
            let text = format!("record {id} ({:?}): accepted{closed}", entry.spec);
            ledger.violation("P5", now, text);
        }
    }

    /// Nobody will call a callback any more: all have been.
    pub(super) fn look_for_open_callbacks(&self, now: Duration) {
        let mut ledger = self.ledger.lock();
        let is_open = |entry: &&Entry| {
            entry.accepted_at.is_some() && entry.wants_callback && entry.callbacks.is_empty()
        };
        if let Some(entry) = ledger.entries.iter().find(is_open) {
            let text = format!("callback of record {}: never called", entry.spec.id);
            ledger.violation("P5", now, text);
        }
    }

    fn cannot_go(&self, spec: &RecordSpec) -> bool {
        spec.payload_bytes() > self.limits.most_record
            || spec.partition.is_some_and(|it| it < 0)
            || spec.timestamp_ms.is_some_and(|it| it < 0)
            || self.topics.is_impossible(spec.topic)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What batch, record and headers take besides key and value, at most.
const MOST_FRAMING: usize = 1_000;

/// What `buffer.memory` is given out in, at most.
const CHUNK: usize = 16 * 1024;
