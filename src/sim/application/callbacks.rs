//! The application's callbacks: they write down what they are told, and then behave as drawn.
//!
//! Thread: the one that simulates, inside the Sender's turn. Locks: the ledger's, for moments; the
//! world is not held, and not touched.

use std::sync::Arc;
use std::time::Duration;

use super::super::faults::CallbackMood;
use super::super::ledger::{Entry, RecordId};
use super::super::payload::{Key, Mark, RecordSpec};
use super::outcome::{Shared, lock};
use crate::error::ErrorKind;
use crate::producer::{Callback, DeliveryCallback, DeliveryError, KafkaProducer, RecordMetadata};

/// The one object that is shared by many records.
#[derive(Debug)]
pub(super) struct Listener(pub(super) Arc<Shared>);

impl DeliveryCallback for Listener {
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        run(&self.0, tag, result);
    }
}

/// A closure for one record.
pub(super) fn once(shared: &Arc<Shared>, id: RecordId) -> Callback<'static> {
    let shared = Arc::clone(shared);
    Callback::once(move |result| run(&shared, id, result))
}

fn run(shared: &Arc<Shared>, id: RecordId, result: Result<&RecordMetadata, &DeliveryError>) {
    shared.note_callback(id, result);
    let (now, faults) = (shared.now(), shared.faults());
    match faults.map_or(CallbackMood::Plain, |faults| faults.mood(now)) {
        CallbackMood::Plain => {}
        CallbackMood::Sleep(time) => sleep(shared, now, time),
        CallbackMood::Panic => {
            shared.ledger.lock().note_in_callback(id, "panic", None);
            std::panic::resume_unwind(Box::new("a callback of the application"))
        }
        CallbackMood::Send => with_producer(shared, |producer| drop(send(shared, producer, id))),
        CallbackMood::Flush => with_producer(shared, |producer| flush(shared, producer, id)),
        CallbackMood::Close => with_producer(shared, |producer| close(shared, producer, id)),
        CallbackMood::Get => with_producer(shared, |producer| get(shared, producer, id)),
    }
}

/// On the Sender thread time passes meanwhile; on a thread of its own that one is busy, and nobody else.
fn sleep(shared: &Shared, now: Duration, time: Duration) {
    let mut busy = lock(&shared.callbacks_busy_until);
    let Some(busy_until) = busy.as_mut() else {
        shared.clock.advance(time);
        shared.ledger.lock().user_code.push((now, now + time));
        return;
    };
    let from = now.max(*busy_until);
    *busy_until = from + time;
    let times = &mut shared.ledger.lock().callback_thread_busy;
    times.push((from, from + time));
}

fn with_producer(shared: &Shared, act: impl FnOnce(&KafkaProducer)) {
    let producer = lock(&shared.producer).clone();
    if let Some(producer) = producer {
        act(&producer);
    }
}

/// Sends another record; it may be refused, but never for having waited in vain.
fn send(
    shared: &Arc<Shared>,
    producer: &KafkaProducer,
    cause: RecordId,
) -> Option<crate::producer::SendHandle> {
    let now = shared.now();
    let (id, spec) = {
        let mut ledger = shared.ledger.lock();
        let thread = shared.limits.callbacks_thread;
        // No chains without end.
        let sent = ledger.entries.iter().rev().take(2 * MOST_SENT);
        if sent.filter(|entry| entry.thread == thread).count() >= MOST_SENT {
            return None;
        }
        let id = ledger.next_id();
        let mut entry = Entry::new(spec(shared, id, cause), thread, now);
        entry.wants_callback = true;
        let spec = entry.spec.clone();
        ledger.entries.push(entry);
        (id, spec)
    };
    let record = spec.record(shared.topics.name(spec.topic));
    match producer.send_with(record, once(shared, id)) {
        Ok(handle) => {
            shared.note_acceptance(id);
            Some(handle)
        }
        Err(refused) => {
            let kind = refused.kind();
            if matches!(kind, ErrorKind::Timeout | ErrorKind::BufferExhausted) {
                let text = format!("send in a callback failed as if it had waited: {refused}");
                shared.violation("P13", text);
            }
            shared.note_refusal(id, kind, &refused.into_record());
            None
        }
    }
}

fn spec(shared: &Shared, id: RecordId, cause: RecordId) -> RecordSpec {
    let at = |many: usize| usize::try_from(cause).expect("64 bits") % many;
    let topic = at(shared.topics.plans().len());
    let spec = RecordSpec {
        id,
        topic,
        partition: None,
        key: if cause % 3 == 0 {
            Key::Null
        } else {
            Key::Common(7)
        },
        value_bytes: Some(at(100)),
        headers: 0,
        timestamp_ms: None,
        mark: Mark::Value,
    };
    spec.settle(shared.topics.brokers_stamp(topic), false)
}

/// Waiting for everything would be waiting for oneself.
fn flush(shared: &Shared, producer: &KafkaProducer, id: RecordId) {
    if !refuses_to_wait(shared, producer, id) {
        return;
    }
    let kind = producer.flush().err().map(|error| error.kind());
    if kind != Some(ErrorKind::WouldDeadlock) {
        shared.violation("P13", format!("flush in a callback: {kind:?}"));
    }
}

/// Asked with the one call that comes back even if it does not refuse: the others would wait for
/// the only thread there is.
fn refuses_to_wait(shared: &Shared, producer: &KafkaProducer, id: RecordId) -> bool {
    let outcome = producer.flush_timeout(Duration::ZERO);
    let kind = outcome.err().map(|error| error.kind());
    let refuses = kind == Some(ErrorKind::WouldDeadlock);
    let mut ledger = shared.ledger.lock();
    ledger.note_in_callback(id, "flush_timeout", kind);
    drop(ledger);
    if !refuses {
        shared.violation("P13", format!("flush_timeout in a callback: {kind:?}"));
    }
    refuses
}

/// With a timeout it is refused, and nothing is closed; with none it does not wait.
fn close(shared: &Shared, producer: &KafkaProducer, id: RecordId) {
    if !refuses_to_wait(shared, producer, id) {
        return;
    }
    let was_closed = producer.is_closed();
    let kind = producer
        .close(Duration::from_secs(1))
        .err()
        .map(|error| error.kind());
    if kind != Some(ErrorKind::WouldDeadlock) || producer.is_closed() != was_closed {
        shared.violation("P13", format!("close(1 s) in a callback: {kind:?}"));
    }
    let now = shared.now();
    shared.ledger.lock().closed_at.get_or_insert(now);
    let outcome = producer.close(Duration::ZERO);
    if outcome.is_err() || !producer.is_closed() {
        shared.violation("P13", format!("close(0) in a callback: {outcome:?}"));
    }
}

/// A handle that cannot be done yet, and metadata that is not there.
fn get(shared: &Arc<Shared>, producer: &KafkaProducer, id: RecordId) {
    if !refuses_to_wait(shared, producer, id) {
        return;
    }
    if let Some(mut handle) = send(shared, producer, id) {
        let done = handle.get_timeout(Duration::from_secs(1));
        if done.is_some() {
            let text = format!("get_timeout in a callback, of a record just sent: {done:?}");
            shared.violation("P13", text);
        }
        let kind = handle.get().err().map(|error| error.kind());
        if kind != Some(ErrorKind::WouldDeadlock) {
            shared.violation("P13", format!("get in a callback: {kind:?}"));
        }
    }
    let topic = shared.topics.name(shared.topics.unknown());
    let asked = producer.partitions_for(topic).map_err(|error| error.kind());
    if asked.is_ok()
        || asked
            .as_ref()
            .is_err_and(|kind| *kind == ErrorKind::Timeout)
    {
        let text = format!("partitions_for an unknown topic in a callback: {asked:?}");
        shared.violation("P13", text);
    }
}

/// By callbacks, of what was sent last.
const MOST_SENT: usize = 200;
