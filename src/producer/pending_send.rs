//! One record on its way into a batch: a state that is stepped, and what it may have to wait for.
//!
//! Java's counterparts: `KafkaProducer.doSend`, `waitOnMetadata`. Thread: application. Locks: the
//! queue's, in the append. Never waits itself: `send` parks a thread between steps, a `Future`
//! returns, `try_send` gives up (docs/DESIGN.md, "Blocking is a state machine plus a waiter").
//! ```text
//! topic known? --no--> needs Topic --metadata-+
//!      | yes  <-------------------------------+
//! serialize (once), choose the partition, check the size
//!      |
//! append --no room--> needs Memory, in line --granted--> append
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::ProducerRecord;
use super::accumulator::{Append, MemoryTicket, RecordToAppend, Topic};
use super::callback::{Callback, panic_text};
use super::engine::Engine;
use super::partitioner::partition_for_key;
use super::send_handle::{RecordSizes, SendHandle};
use super::serializer::{Field, Output, SerializeContext, SerializeError};
use crate::client::{MetadataTicket, TopicAwait};
use crate::cluster::check_topic_name;
use crate::error::{Error, ErrorKind};
use crate::record::{Headers, RecordView};
use crate::time::deadline;

/// A record and what became of it so far.
pub(super) struct Draft<'r, 't, 'c, K, V, KS, VS> {
    pub(super) record: &'r ProducerRecord<'t, K, V>,
    pub(super) serializers: &'r (KS, VS),
    /// Key and value, once they are bytes.
    pub(super) serialized: Option<Serialized<'r>>,
    pub(super) callback: Option<Callback<'c>>,
}

/// A key and a value as bytes.
#[derive(Debug)]
pub(super) struct Serialized<'r> {
    key: Output<'r>,
    value: Output<'r>,
}

/// What one step came to.
#[derive(Debug)]
pub(super) enum Step {
    Accepted(SendHandle),
    Failed(Error),
    Needs(Need),
}

/// What a record cannot go without.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// The topic, or the partition that was asked for, is not known.
    Topic,
    /// With a waker, the ticket is in line. An upper bound on what is needed.
    Memory(usize),
    /// The same, in the line of a topic that has its share already.
    Share(usize),
}

impl<'r, K, V, KS, VS> Draft<'r, '_, '_, K, V, KS, VS> {
    /// Goes as far as it can without waiting. Without a waker it takes no place in the line.
    #[inline]
    pub(super) fn step<M, N>(
        &mut self,
        engine: &Engine,
        memory: &mut MemoryTicket,
        waker: Option<&Waker>,
    ) -> Step
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        let record = self.record;
        if let Err(error) = check(record.partition, record.timestamp_ms) {
            return Step::Failed(error);
        }
        let topic_name = record.topic.as_str();
        let accumulator = &engine.shared.accumulator;
        let stepped = accumulator.with_topic(topic_name, |topic| {
            let serialized = match &self.serialized {
                Some(serialized) => serialized,
                None => match serialize(record, self.serializers) {
                    Ok(serialized) => self.serialized.insert(serialized),
                    Err(error) => return Step::Failed(error),
                },
            };
            let facts = Facts {
                partition: record.partition,
                timestamp_ms: record.timestamp_ms,
                headers: &record.headers,
            };
            let bytes = (serialized.key.as_bytes(), serialized.value.as_bytes());
            let callback = &mut self.callback;
            append(engine, topic, (&facts, bytes, callback), memory, waker)
        });
        stepped.unwrap_or(Step::Needs(Need::Topic))
    }

    /// Goes on after something it may have waited for; pending, the waker stands where that comes from.
    #[cold]
    pub(super) fn poll<M, N>(
        &mut self,
        engine: &Engine,
        pending: &mut PendingSend,
        waker: &Waker,
        now: Instant,
    ) -> Poll<Result<SendHandle, Error>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        loop {
            let need = match self.step(engine, &mut pending.memory, Some(waker)) {
                Step::Accepted(handle) => return Poll::Ready(Ok(handle)),
                Step::Failed(error) => return Poll::Ready(Err(error)),
                Step::Needs(need) => need,
            };
            pending.waits_for = need;
            match need {
                Need::Memory(_) | Need::Share(_) => return Poll::Pending,
                Need::Topic => match pending.poll_topic(engine, self.target(), waker, now) {
                    // It may be forgotten in this very moment, so the next step decides.
                    TopicStep::Known => {}
                    TopicStep::Pending => return Poll::Pending,
                    TopicStep::Failed(error) => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// As `poll`, and an error once `max.block.ms` is over.
    #[cold]
    pub(super) fn poll_bounded<M, N>(
        &mut self,
        engine: &Engine,
        pending: &mut PendingSend,
        waker: &Waker,
        now: Instant,
    ) -> Poll<Result<SendHandle, Error>>
    where
        K: Field<KS, M>,
        V: Field<VS, N>,
    {
        let outcome = self.poll(engine, pending, waker, now);
        if outcome.is_pending() && now >= pending.until {
            let error = pending.timed_out(engine, pending.waits_for, self.target(), now);
            return Poll::Ready(Err(error));
        }
        outcome
    }

    /// What has to be known before the record can go.
    pub(super) fn target(&self) -> (&'r str, Option<i32>) {
        (self.record.topic.as_str(), self.record.partition)
    }
}

impl Serialized<'_> {
    /// The same, nothing borrowed any more.
    pub(super) fn into_owned(self) -> Serialized<'static> {
        Serialized {
            key: self.key.into_owned(),
            value: self.value.into_owned(),
        }
    }
}

/// What a record says besides topic, key and value.
struct Facts<'a> {
    partition: Option<i32>,
    timestamp_ms: Option<i64>,
    headers: &'a Headers,
}

type Bytes<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// Runs the serializers, key first, so that a panic in one is an error like any other.
#[inline]
fn serialize<'r, K, V, KS, VS, M, N>(
    record: &'r ProducerRecord<'_, K, V>,
    (key_serializer, value_serializer): &'r (KS, VS),
) -> Result<Serialized<'r>, Error>
where
    K: Field<KS, M>,
    V: Field<VS, N>,
{
    let mut serialized = Serialized {
        key: Output::null(),
        value: Output::null(),
    };
    let context = |is_key| SerializeContext {
        topic: record.topic.as_str(),
        is_key,
        headers: &record.headers,
    };
    let mut is_key = true;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let Serialized { key, value } = &mut serialized;
        let key_context = context(true);
        record
            .key
            .serialize_with(key_serializer, &key_context, key)?;
        is_key = false;
        let value_context = context(false);
        record
            .value
            .serialize_with(value_serializer, &value_context, value)
    }));
    match ran {
        Ok(Ok(())) => Ok(serialized),
        Ok(Err(error)) => Err(serialization_failed(&context(is_key), error)),
        Err(panic) => {
            let text = panic_text(&*panic);
            let panicked = SerializeError::new(format!("the serializer panicked: {text}"));
            Err(serialization_failed(&context(is_key), panicked))
        }
    }
}

/// Names the field; what the serializer said is the source, and in the text as well.
#[cold]
fn serialization_failed(context: &SerializeContext<'_>, error: SerializeError) -> Error {
    let field = if context.is_key { "key" } else { "value" };
    let text = format!(
        "cannot serialize the {field} of a record for topic {}: {error}",
        context.topic
    );
    Error::new(ErrorKind::Serialization, text).with_boxed_source(error.into_source())
}

/// Partition, size, timestamp, and into the batch.
#[inline]
fn append(
    engine: &Engine,
    topic: &Topic,
    (facts, (key, value), callback): (&Facts<'_>, Bytes<'_>, &mut Option<Callback<'_>>),
    memory: &mut MemoryTicket,
    waker: Option<&Waker>,
) -> Step {
    if let Some(error) = engine.shared.fatal_error() {
        return Step::Failed(error);
    }
    let timestamp_ms = facts
        .timestamp_ms
        .unwrap_or_else(|| engine.shared.time.wall_clock_ms());
    let view = RecordView::new(timestamp_ms, key, value, facts.headers.as_slice());
    if !view.is_within(engine.most_record_bytes) {
        let size = view.upper_bound();
        if size > engine.most_record_bytes {
            return Step::Failed(engine.too_large(size));
        }
    }
    let partition = match (facts.partition, key) {
        (None, Some(key)) if !engine.ignore_keys => {
            Some(partition_for_key(key, topic.partition_count()))
        }
        (partition, _) => partition,
    };
    let record = RecordToAppend { partition, view };
    let accumulator = &engine.shared.accumulator;
    match accumulator.try_append(topic, &record, callback, memory, waker) {
        Append::Appended { result, index } => {
            let sizes = RecordSizes {
                timestamp_ms,
                serialized_key_size: view.key_size,
                serialized_value_size: view.value_size,
            };
            Step::Accepted(SendHandle::new(result, index, sizes))
        }
        Append::Blocked => Step::Needs(Need::Memory(view.upper_bound())),
        Append::BlockedByShare => Step::Needs(Need::Share(view.upper_bound())),
        Append::UnknownPartition => Step::Needs(Need::Topic),
        Append::Failed(error) => Step::Failed(error),
    }
}

/// What is wrong whatever the cluster says.
#[inline]
fn check(partition: Option<i32>, timestamp_ms: Option<i64>) -> Result<(), Error> {
    if let Some(partition @ ..0) = partition {
        return Err(invalid(format!("partition {partition} is negative")));
    }
    if let Some(timestamp_ms @ ..0) = timestamp_ms {
        return Err(invalid(format!(
            "timestamp {timestamp_ms} is negative: it counts milliseconds since 1970"
        )));
    }
    Ok(())
}

#[cold]
fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, text)
}

/// A send that could not go at once: since when, until when, and its places in the lines.
#[derive(Debug)]
pub(super) struct PendingSend {
    started: Instant,
    pub(super) until: Instant,
    metadata: MetadataTicket,
    pub(super) memory: MemoryTicket,
    /// What it stopped at last.
    waits_for: Need,
}

/// How a wait for a topic stands.
#[derive(Debug)]
pub(super) enum TopicStep {
    /// The accumulator knows it now.
    Known,
    Pending,
    Failed(Error),
}

impl PendingSend {
    /// `max.block.ms` begins: one deadline over metadata and memory.
    pub(super) fn new(now: Instant, max_block: Duration) -> Self {
        Self {
            started: now,
            until: deadline(now, max_block),
            metadata: MetadataTicket::default(),
            memory: MemoryTicket::default(),
            waits_for: Need::Topic,
        }
    }

    /// Asks for the topic to be known, and teaches the accumulator.
    pub(super) fn poll_topic(
        &mut self,
        engine: &Engine,
        (topic, partition): (&str, Option<i32>),
        waker: &Waker,
        now: Instant,
    ) -> TopicStep {
        if let Err(error) = check_topic_name(topic) {
            return TopicStep::Failed(error);
        }
        // Whoever waits for metadata should not hold up who waits for room.
        self.memory.release();
        let metadata = &engine.shared.metadata;
        match metadata.await_topic(topic, partition, &mut self.metadata, waker, now) {
            TopicAwait::Ready(cluster) => match cluster.topic(topic) {
                Some(info) if !info.partitions.is_empty() => {
                    self.metadata = MetadataTicket::default();
                    engine.shared.accumulator.learn_topic(info);
                    TopicStep::Known
                }
                _ => TopicStep::Failed(no_partitions(topic)),
            },
            TopicAwait::Pending => TopicStep::Pending,
            TopicAwait::Failed(error) => TopicStep::Failed(error),
        }
    }

    /// Whether a poll would find that it had only to be called: known of room alone.
    #[cfg(any(test, fuzzing))]
    pub(super) fn may_go_on(&self) -> bool {
        self.memory.may_go_on()
    }

    /// Whether it stopped for want of metadata.
    #[cfg(any(test, fuzzing))]
    pub(super) fn waits_for_topic(&self) -> bool {
        matches!(self.waits_for, Need::Topic)
    }

    /// Why the wait is over at `now`.
    pub(super) fn timed_out(
        &self,
        engine: &Engine,
        waits_for: Need,
        (topic, partition): (&str, Option<i32>),
        now: Instant,
    ) -> Error {
        let waited = now.saturating_duration_since(self.started);
        match waits_for {
            Need::Memory(needed) => engine.shared.accumulator.exhausted(needed, waited),
            Need::Share(needed) => {
                let accumulator = &engine.shared.accumulator;
                accumulator.share_exhausted(topic, needed, waited)
            }
            Need::Topic => engine.shared.metadata.timed_out(topic, partition, waited),
        }
    }
}

#[cold]
fn no_partitions(topic: &str) -> Error {
    let text = format!("topic {topic} has no partitions, as far as the cluster says");
    Error::new(ErrorKind::UnknownTopicOrPartition, text)
}
