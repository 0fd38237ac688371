//! The producer as applications see it.
//!
//! Java's counterpart: `KafkaProducer`. Thread: application. Locks: see `pending_send.rs`. A face: two
//! serializers, and the engine that all faces share.
//!
//! On a topic that is known `send` allocates nothing, takes one lock (its partition's queue), and
//! reads the clock once, if the record brings no timestamp. That read is the system's wall clock
//! (about 25 ns through the vDSO): the coarse clock, at a third of that, may be 4 ms behind, and a
//! thread that ticks would wake up for nothing and could be late.

use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::accumulator::MemoryTicket;
use super::callback::Callback;
use super::close_error::CloseError;
use super::config::ProducerConfig;
use super::engine::Engine;
use super::partition_info::{PartitionInfo, partitions_of};
use super::pending_send::{Draft, Need, PendingSend, Step, TopicStep};
use super::send_error::SendError;
use super::send_handle::SendHandle;
use super::serializer::{BytesSerializer, Field};
use super::{DeliveryError, ProducerRecord, RecordMetadata};
use crate::error::{Error, ErrorKind};
use crate::sync::Parker;
use crate::time::deadline;

/// Sends records to Kafka. Cheap to clone; may be used by many threads at once.
///
/// It owns one thread, `kafka-producer-network-thread | {client.id}`, which does all sending and
/// receiving and runs the callbacks (or has them run by one more thread, if so configured). Everything
/// that was accepted by `send` ends in exactly one
/// outcome, within `delivery.timeout.ms`.
///
/// `KS` and `VS` are the serializers. The default ones take everything that is bytes; for other types
/// see [`with_serializers`](Self::with_serializers). All clones and faces share threads, memory and
/// connections.
///
/// **Dropping** the last of them waits until everything accepted has its outcome, at most for
/// `delivery.timeout.ms`; [`close`](Self::close) does it with a limit of your own. Dropped inside a
/// callback or while the thread panics, it does not wait; what was accepted still goes out.
///
/// ```no_run
/// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let producer = KafkaProducer::new(ProducerConfig::new("localhost:9092"))?;
/// let handle = producer.send(ProducerRecord::new("events", "hello").key("user-7"))?;
/// println!("{}", handle.get()?);
/// # Ok(())
/// # }
/// ```
pub struct KafkaProducer<KS = BytesSerializer, VS = BytesSerializer> {
    engine: Arc<Engine>,
    serializers: Arc<(KS, VS)>,
}

impl KafkaProducer {
    /// Starts a producer for keys and values that are bytes. Connects to nobody yet, and does not
    /// block: brokers that cannot be reached are found out by the first send.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a wrong configuration; [`ErrorKind::Internal`] if the operating
    /// system has no thread or no descriptor left.
    pub fn new(config: ProducerConfig) -> Result<Self, Error> {
        let engine = Engine::start(&config)?;
        drop(config);
        Ok(Self::over(engine))
    }

    /// The first face of an engine.
    pub(super) fn over(engine: Engine) -> Self {
        Self {
            engine: Arc::new(engine),
            serializers: Arc::new((BytesSerializer, BytesSerializer)),
        }
    }
}

impl<KS, VS> KafkaProducer<KS, VS> {
    /// Returns another face of the same producer, with other serializers.
    ///
    /// ```no_run
    /// # use kafka_producer::*;
    /// # struct Order { id: u32 }
    /// # struct OrderSerializer;
    /// # impl Serializer<Order> for OrderSerializer {
    /// #     fn serialize<'a>(&'a self, _: &SerializeContext<'_>, order: &'a Order, out: &mut Output<'a>)
    /// #         -> Result<(), SerializeError> {
    /// #         out.buffer().extend_from_slice(&order.id.to_be_bytes());
    /// #         Ok(())
    /// #     }
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let producer = KafkaProducer::new(ProducerConfig::new("localhost:9092"))?;
    /// let orders = producer.with_serializers(BytesSerializer::default(), OrderSerializer);
    /// let _ = orders.send(ProducerRecord::new("orders", Order { id: 7 }).key("customer"))?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_serializers<KS2, VS2>(&self, key: KS2, value: VS2) -> KafkaProducer<KS2, VS2> {
        KafkaProducer {
            engine: Arc::clone(&self.engine),
            serializers: Arc::new((key, value)),
        }
    }

    /// Sends a record: puts it into a batch for its partition, from where the network thread takes
    /// it. The outcome comes by the handle.
    ///
    /// It blocks only while the topic's metadata is not known or `buffer.memory` is used up, at most
    /// for `max.block.ms` in all; then it fails. It runs the serializers, on this thread.
    ///
    /// # Errors
    /// Whatever kept the record from being accepted; the record is in the error. Among others:
    /// [`ErrorKind::Timeout`] (no metadata), [`ErrorKind::BufferExhausted`], [`ErrorKind::RecordTooLarge`],
    /// [`ErrorKind::Serialization`], [`ErrorKind::InvalidTopic`], [`ErrorKind::TopicAuthorization`],
    /// [`ErrorKind::Closed`], and [`ErrorKind::WouldDeadlock`] where it would have to wait inside a callback.
    #[inline]
    pub fn send<'t, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
    ) -> Result<SendHandle, SendError<'t, K, V>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        self.send_or_wait(record, None)
    }

    /// Sends a record, and calls the closure once its outcome is known.
    ///
    /// The closure runs on the network thread, before the handle is done. If this call fails, it is
    /// never called. It costs one allocation, unless it captures nothing: see [`send_with`](Self::send_with).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_with_callback<'t, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
        callback: impl FnOnce(Result<&RecordMetadata, &DeliveryError>) + Send + 'static,
    ) -> Result<SendHandle, SendError<'t, K, V>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        self.send_or_wait(record, Some(Callback::once(callback)))
    }

    /// Sends a record with any form of callback, among them the one that costs nothing per record:
    /// `(&shared, tag)`, where `shared` is an `Arc<dyn DeliveryCallback>` that serves many records.
    ///
    /// Else as [`send_with_callback`](Self::send_with_callback).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_with<'t, 'c, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
        callback: impl Into<Callback<'c>>,
    ) -> Result<SendHandle, SendError<'t, K, V>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        self.send_or_wait(record, Some(callback.into()))
    }

    /// Sends a record if that is possible at once; never waits.
    ///
    /// # Errors
    /// As [`send`](Self::send). Without metadata for the topic it fails with [`ErrorKind::Timeout`], and
    /// asks for it, so that a later try works; without room with [`ErrorKind::BufferExhausted`].
    #[inline]
    pub fn try_send<'t, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
    ) -> Result<SendHandle, SendError<'t, K, V>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        self.send_or_give_up(record, None)
    }

    /// Sends a record with any form of callback if that is possible at once; never waits.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    #[inline]
    pub fn try_send_with<'t, 'c, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
        callback: impl Into<Callback<'c>>,
    ) -> Result<SendHandle, SendError<'t, K, V>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        self.send_or_give_up(record, Some(callback.into()))
    }

    #[inline]
    fn send_or_wait<'t, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
        callback: Option<Callback<'_>>,
    ) -> Result<SendHandle, SendError<'t, K, V>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        let mut draft = self.draft(&record, callback);
        let outcome = match draft.step(&self.engine, &mut MemoryTicket::default(), None) {
            Step::Accepted(handle) => return Ok(handle),
            Step::Failed(error) => Err(error),
            Step::Needs(need) => self.wait(&mut draft, need),
        };
        drop(draft);
        outcome.map_err(|error| SendError::new(error, record))
    }

    #[inline]
    fn send_or_give_up<'t, K, V, M, N>(
        &self,
        record: ProducerRecord<'t, K, V>,
        callback: Option<Callback<'_>>,
    ) -> Result<SendHandle, SendError<'t, K, V>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        let mut draft = self.draft(&record, callback);
        let outcome = match draft.step(&self.engine, &mut MemoryTicket::default(), None) {
            Step::Accepted(handle) => return Ok(handle),
            Step::Failed(error) => Err(error),
            Step::Needs(need) => self.try_again(&mut draft, need),
        };
        drop(draft);
        outcome.map_err(|error| SendError::new(error, record))
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn serializers(&self) -> &(KS, VS) {
        &self.serializers
    }

    #[inline]
    fn draft<'r, 't, 'c, K, V>(
        &'r self,
        record: &'r ProducerRecord<'t, K, V>,
        callback: Option<Callback<'c>>,
    ) -> Draft<'r, 't, 'c, K, V, KS, VS> {
        Draft {
            record,
            serializers: &self.serializers,
            serialized: None,
            callback,
        }
    }

    /// The rest of a `send` that has to wait: steps, and parks this thread between them.
    #[cold]
    fn wait<K, V, M, N>(
        &self,
        draft: &mut Draft<'_, '_, '_, K, V, KS, VS>,
        need: Need,
    ) -> Result<SendHandle, Error>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        if self.engine.must_not_wait() {
            let would_wait = |kind| matches!(kind, ErrorKind::Timeout | ErrorKind::BufferExhausted);
            return self.try_again(draft, need).map_err(|error| {
                if would_wait(error.kind()) {
                    Engine::would_deadlock("send").with_source(error)
                } else {
                    error
                }
            });
        }
        let engine = &*self.engine;
        let time = &engine.shared.time;
        let mut pending = PendingSend::new(time.now(), engine.max_block);
        let parker = Parker::new();
        let waker = parker.waker();
        loop {
            match draft.poll_bounded(engine, &mut pending, &waker, time.now()) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => parker.park_until(time, Some(pending.until)),
            }
        }
    }

    /// The rest of a `try_send`: metadata may be there by now, else it is asked for.
    #[cold]
    fn try_again<K, V, M, N>(
        &self,
        draft: &mut Draft<'_, '_, '_, K, V, KS, VS>,
        mut need: Need,
    ) -> Result<SendHandle, Error>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        let engine = &*self.engine;
        let now = engine.shared.time.now();
        let target = draft.target();
        let mut pending = PendingSend::new(now, Duration::ZERO);
        if let Need::Topic = need {
            match pending.poll_topic(engine, target, Waker::noop(), now) {
                TopicStep::Known => match draft.step(engine, &mut pending.memory, None) {
                    Step::Accepted(handle) => return Ok(handle),
                    Step::Failed(error) => return Err(error),
                    Step::Needs(another) => need = another,
                },
                TopicStep::Pending => {}
                TopicStep::Failed(error) => return Err(error),
            }
        }
        Err(pending.timed_out(engine, need, target, now))
    }

    /// Sends everything accepted so far without waiting for `linger.ms`, and blocks until all of it
    /// has its outcome, callbacks included. Records sent meanwhile are not waited for.
    ///
    /// It takes at most `delivery.timeout.ms`. Whether records were delivered is told by their
    /// handles and callbacks.
    ///
    /// # Errors
    /// [`ErrorKind::WouldDeadlock`] inside a callback.
    pub fn flush(&self) -> Result<(), Error> {
        self.flush_until(None)
    }

    /// As [`flush`](Self::flush), but waits no longer than `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if records without an outcome are left; they go on.
    /// [`ErrorKind::WouldDeadlock`] inside a callback.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.flush_until(Some(timeout))
    }

    fn flush_until(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let engine = &*self.engine;
        if engine.must_not_wait() {
            return Err(Engine::would_deadlock("flush"));
        }
        let time = &engine.shared.time;
        let until = timeout.map(|timeout| deadline(time.now(), timeout));
        let mut ticket = engine.shared.accumulator.begin_flush();
        let parker = Parker::new();
        let waker = parker.waker();
        while !ticket.poll(&waker) {
            if until.is_some_and(|until| time.now() >= until) {
                let left = engine.shared.accumulator.incomplete_batches();
                let ms = timeout.unwrap_or_default().as_millis();
                let text = format!(
                    "flush took longer than {ms} ms: {left} batches have no outcome yet (linger.ms does \
                     not count, delivery.timeout.ms does)"
                );
                return Err(Error::new(ErrorKind::Timeout, text));
            }
            parker.park_until(time, until);
        }
        Ok(())
    }

    /// Gives up every record of a topic that was never handed to a connection: its outcome is
    /// [`ErrorKind::Purged`] and [`NotWritten`](crate::Persistence::NotWritten), and gives the record
    /// back ([`DeliveryError::record`]). Returns how many records that are.
    ///
    /// What was sent, and waits for its answer or to be sent again, goes on: it may be written already,
    /// and its outcome says so. Sends that wait for room go on as well, and find more of it. Works from
    /// any thread, inside callbacks too, and never waits: the outcomes are told by the network thread
    /// right after, as always in the order of sending; [`flush`](Self::flush) waits for them.
    pub fn purge(&self, topic: &str) -> usize {
        self.engine.shared.accumulator.purge(Some(topic))
    }

    /// As [`purge`](Self::purge), of all topics.
    pub fn purge_all(&self) -> usize {
        self.engine.shared.accumulator.purge(None)
    }

    /// Returns the partitions of a topic; blocks until they are known, at most for `max.block.ms`.
    /// Asking may create the topic, where brokers do that by themselves.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if the topic is not known by then, [`ErrorKind::InvalidTopic`],
    /// [`ErrorKind::TopicAuthorization`], [`ErrorKind::Closed`]; [`ErrorKind::WouldDeadlock`] where it
    /// would have to wait inside a callback.
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>, Error> {
        let engine = &*self.engine;
        let time = &engine.shared.time;
        let mut pending = PendingSend::new(time.now(), engine.max_block);
        let parker = Parker::new();
        let waker = parker.waker();
        loop {
            match self.poll_partitions(topic, &mut pending, &waker) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => parker.park_until(time, Some(pending.until)),
            }
        }
    }

    /// `partitions_for` as far as it comes without waiting; an error once `max.block.ms` is over.
    pub(super) fn poll_partitions(
        &self,
        topic: &str,
        pending: &mut PendingSend,
        waker: &Waker,
    ) -> Poll<Result<Vec<PartitionInfo>, Error>> {
        let engine = &*self.engine;
        let shared = &engine.shared;
        let known = || {
            let cluster = shared.metadata.cluster();
            let info = cluster
                .topic(topic)
                .filter(|info| !info.partitions.is_empty());
            info.map(|info| partitions_of(info, &cluster))
        };
        if let Some(partitions) = known() {
            return Poll::Ready(Ok(partitions));
        }
        let (target, now) = ((topic, None), shared.time.now());
        match pending.poll_topic(engine, target, waker, now) {
            TopicStep::Known => Poll::Ready(Ok(known().unwrap_or_default())),
            TopicStep::Failed(error) => Poll::Ready(Err(error)),
            TopicStep::Pending if engine.must_not_wait() => {
                Poll::Ready(Err(Engine::would_deadlock("partitions_for")))
            }
            TopicStep::Pending if now >= pending.until => {
                Poll::Ready(Err(pending.timed_out(engine, Need::Topic, target, now)))
            }
            TopicStep::Pending => Poll::Pending,
        }
    }

    /// Closes the producer, for all its clones: accepts nothing more, sends what was accepted, and
    /// after `timeout` gives up what is left. Callbacks run meanwhile; where they have a thread of their
    /// own and it is not through by then, they go on by themselves. Records that failed say so by their
    /// handles and
    /// callbacks, with what is known of them; the error gives all of them back that failed since the
    /// call. Closing again is no error.
    ///
    /// # Errors
    /// [`CloseError`]: of kind [`ErrorKind::Timeout`] if something was given up, else of the kind of the
    /// first record that was not delivered. Inside a callback only a `timeout` of zero is possible, and
    /// does not wait; else [`ErrorKind::WouldDeadlock`], and nothing is closed.
    pub fn close(&self, timeout: Duration) -> Result<(), CloseError> {
        self.engine.close(timeout)
    }

    /// Returns whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.engine.is_closed()
    }

    /// Returns how often a broker turned out to lack records that it had acknowledged to this producer:
    /// it gave out an offset that was acknowledged before, or it refused the batch right behind an
    /// acknowledged one as out of order. Each time is an error in the log, too, which names the partition
    /// and the offsets. Zero is no proof that nothing was lost.
    ///
    /// Never blocks; may be called from any thread. Java has no counterpart.
    #[must_use]
    pub fn data_losses(&self) -> u64 {
        self.engine.shared.data_losses()
    }

    /// Returns the `client.id`, given or made up.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.engine.client_id
    }
}

impl<KS, VS> Clone for KafkaProducer<KS, VS> {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            serializers: Arc::clone(&self.serializers),
        }
    }
}

impl<KS, VS> fmt::Debug for KafkaProducer<KS, VS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducer")
            .field("client_id", &self.engine.client_id)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "kafka_producer_tests.rs"]
mod tests;
