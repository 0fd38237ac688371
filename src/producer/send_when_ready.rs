//! A send as a `Future`: the same steps as `send`, returned instead of parked.
//!
//! Java has no counterpart. Thread: any. Locks: as `pending_send.rs`. Waiting for metadata or for
//! room needs no thread: the task's waker stands in the line (docs/DESIGN.md, "Blocking is a state
//! machine plus a waiter").

use std::task::{Poll, Waker};

use super::callback::Callback;
use super::engine::Engine;
use super::pending_send::{Draft, PendingSend, Serialized, Step, TopicStep};
use super::send_error::SendError;
use super::send_handle::SendHandle;
use super::serializer::Field;
use super::{KafkaProducer, ProducerRecord};
use crate::error::Error;

/// What is kept between polls.
struct Waiting<'t, 'c, K, V> {
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
    /// It needs no particular runtime. It has no timer: `max.block.ms` does not count here; drop the
    /// future to give up, which drops the record. Nothing happens before the first poll.
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
        let mut waiting = Waiting {
            record: Some(record),
            callback,
            serialized: None,
            pending: PendingSend::new(self.engine().shared.time.now(), self.engine().max_block),
        };
        std::future::poll_fn(move |context| {
            let outcome = waiting.poll(self, context.waker());
            outcome.map(|outcome| waiting.finish(outcome))
        })
    }
}

impl<'t, K, V> Waiting<'t, '_, K, V> {
    fn poll<KS, VS, M, N>(
        &mut self,
        producer: &KafkaProducer<KS, VS>,
        waker: &Waker,
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
        let outcome = poll(&mut draft, engine, &mut self.pending, waker);
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

fn poll<K, V, KS, VS, M, N>(
    draft: &mut Draft<'_, '_, '_, K, V, KS, VS>,
    engine: &Engine,
    pending: &mut PendingSend,
    waker: &Waker,
) -> Poll<Result<SendHandle, Error>>
where
    K: Field<KS, M>,
    V: Field<VS, N>,
{
    let target = (draft.record.topic.as_str(), draft.record.partition);
    loop {
        match draft.step(engine, &mut pending.memory, Some(waker)) {
            Step::Accepted(handle) => return Poll::Ready(Ok(handle)),
            Step::Failed(error) => return Poll::Ready(Err(error)),
            Step::NeedsMemory(_) => return Poll::Pending,
            Step::NeedsTopic => {
                let now = engine.shared.time.now();
                match pending.poll_topic(engine, target, waker, now) {
                    TopicStep::Known => {}
                    TopicStep::Pending => return Poll::Pending,
                    TopicStep::Failed(error) => return Poll::Ready(Err(error)),
                }
            }
        }
    }
}
