//! A send as a `Future`: the same steps as `send`, returned instead of parked.
//!
//! Java has no counterpart. Thread: any. Locks: as `pending_send.rs`. Waiting for metadata or for
//! room needs no thread: the task's waker stands in the line (docs/DESIGN.md, "Blocking is a state
//! machine plus a waiter").

use std::task::{Poll, Waker};

use super::callback::Callback;
use super::pending_send::{Draft, PendingSend, Serialized};
use super::send_error::SendError;
use super::send_handle::SendHandle;
use super::serializer::Field;
use super::{KafkaProducer, ProducerRecord};
use crate::error::Error;

/// What is kept between polls.
pub(super) struct Waiting<'t, 'c, K, V> {
    /// `None` once the outcome was given.
    record: Option<ProducerRecord<'t, K, V>>,
    callback: Option<Callback<'c>>,
    serialized: Option<Serialized<'static>>,
    pending: PendingSend,
}

impl<KS, VS> KafkaProducer<KS, VS> {
    /// Sends a record as soon as that is possible, without blocking a thread: the future is ready
    /// once the record is accepted (its outcome then comes by the handle, a future too).
    ///
    /// It needs no particular runtime, and has no timer of its own: `max.block.ms` does not count here.
    /// Whoever polls it sets the limit, by the runtime's timeout for example, and drops the future to
    /// give up, which drops the record. Nothing happens before the first poll. From then on it stands in
    /// line for metadata and memory, first come, first served with all other sends: one that is kept and
    /// not polled any more keeps its place, and what it was given, until it is dropped.
    ///
    /// # Errors
    /// As [`send`](Self::send), but for the waits that end.
    pub fn send_when_ready<'t, 'c, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
        callback: Option<Callback<'c>>,
    ) -> impl Future<Output = Result<SendHandle, SendError<'t, K, V>>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        let mut waiting = Waiting::new(self, record, callback);
        std::future::poll_fn(move |context| {
            let outcome = waiting.step(self, context.waker(), Bound::None);
            outcome.map(|outcome| waiting.finish(outcome))
        })
    }
}

/// Whether `max.block.ms` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    None,
    #[cfg(any(test, fuzzing))]
    MaxBlock,
}

impl<'t, 'c, K, V> Waiting<'t, 'c, K, V> {
    pub(super) fn new<KS, VS>(
        producer: &KafkaProducer<KS, VS>,
        record: ProducerRecord<'t, K, V>,
        callback: Option<Callback<'c>>,
    ) -> Self {
        let engine = producer.engine();
        Self {
            record: Some(record),
            callback,
            serialized: None,
            pending: PendingSend::new(engine.shared.time.now(), engine.max_block),
        }
    }

    /// As a blocking `send` goes on, for who simulates one.
    #[cfg(any(test, fuzzing))]
    pub(super) fn poll_bounded<KS, VS, M, N>(
        &mut self,
        producer: &KafkaProducer<KS, VS>,
        waker: &Waker,
    ) -> Poll<Result<SendHandle, SendError<'t, K, V>>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        let outcome = self.step(producer, waker, Bound::MaxBlock);
        outcome.map(|outcome| self.finish(outcome))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn pending(&self) -> &PendingSend {
        &self.pending
    }

    fn step<KS, VS, M, N>(
        &mut self,
        producer: &KafkaProducer<KS, VS>,
        waker: &Waker,
        bound: Bound,
    ) -> Poll<Result<SendHandle, Error>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        // Polled again after it was ready: it stays pending, as it has nothing to say.
        let Some(record) = &self.record else {
            return Poll::Pending;
        };
        let engine = producer.engine();
        let mut draft = Draft {
            record,
            serializers: producer.serializers(),
            serialized: self.serialized.take(),
            callback: self.callback.take(),
        };
        let now = engine.shared.time.now();
        let outcome = match bound {
            Bound::None => draft.poll(engine, &mut self.pending, waker, now),
            #[cfg(any(test, fuzzing))]
            Bound::MaxBlock => draft.poll_bounded(engine, &mut self.pending, waker, now),
        };
        let Draft {
            serialized,
            callback,
            ..
        } = draft;
        if outcome.is_pending() {
            self.serialized = serialized.map(Serialized::into_owned);
            self.callback = callback;
        }
        outcome
    }

    fn finish(
        &mut self,
        outcome: Result<SendHandle, Error>,
    ) -> Result<SendHandle, SendError<'t, K, V>> {
        match (outcome, self.record.take()) {
            (Err(error), Some(record)) => Err(SendError::new(error, record)),
            (Ok(handle), _) => Ok(handle),
            (Err(_), None) => unreachable!("the record is there until the outcome is"),
        }
    }
}

impl<K, V> std::fmt::Debug for Waiting<'_, '_, K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
