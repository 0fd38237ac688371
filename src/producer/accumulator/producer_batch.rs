//! A batch: records of one partition that live and die together. One owner; everyone else knows
//! its `BatchId`.
//!
//! Java's counterpart: `ProducerBatch`. Thread: application while open, then Sender. Locks: none of
//! its own (while open it lies in its partition's queue).
//! ```text
//! open --seal--> sealed --encode--> on its way --complete(self) | fail(self)--> gone
//!                  ^-------------------- split(self): its pieces ----'
//! ```
//! Invariants: it ends exactly once; one that is dropped on the way ends with an internal error. A
//! piece is the whole in all but its records: times, deadline, attempts and their proofs, result.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::buffer_pool::{BufferPool, PooledBuffer};
use super::callback_slots::{CallbackSlots, RecordFacts};
use super::flush::FlushToken;
use super::produce_request_result::{BatchOutcome, ProduceRequestResult, failed_batch};
use crate::cluster::{NodeId, TopicPartition};
use crate::error::{Error, ErrorKind, Persistence};
use crate::planted::{Plant, planted};
use crate::producer::batch_id::BatchId;
use crate::producer::callback::Callback;
use crate::producer::delivery_error::FailedBatch;
use crate::producer::receipt::Receipt;
use crate::record::{
    BATCH_OVERHEAD, BatchBuilder, BatchHeader, BatchReader, ProducerState, RecordView,
    numbered_from_zero, take_front,
};

/// Records of one partition on their way; a pointer, as it moves from owner to owner.
#[derive(Debug)]
pub(crate) struct ProducerBatch(Box<Inner>);

#[derive(Debug)]
struct Inner {
    id: BatchId,
    body: Body,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    record_count: u32,
    result: Arc<ProduceRequestResult>,
    /// The index of its first record in `result`: not 0 in pieces alone.
    first_index: u32,
    callbacks: CallbackSlots,
    created: Instant,
    deadline: Instant,
    attempts: u32,
    proved_not_written: u32,
    /// Attempts whose answer split it: they were no retries.
    splits: u32,
    last_attempt: Option<Instant>,
    last_failure: Option<Error>,
    leader_epoch: i32,
    receipt: Receipt,
    encoded: Option<(Option<ProducerState>, Bytes)>,
    numbering: Numbering,
    /// Counts as outstanding until it is dropped, which is after callbacks and waiters.
    flush_token: FlushToken,
    ended: bool,
}

#[derive(Debug)]
enum Body {
    Open(BatchBuilder<PooledBuffer>),
    /// `size`: of the records as they are sent.
    Sealed {
        chunks: Vec<Bytes>,
        size: usize,
    },
}

/// How the records are numbered in the chunks.
#[derive(Debug)]
enum Numbering {
    /// From 0, as they have to be.
    AsAppended,
    /// They are a later part of a batch: what is sent is a copy, which lives as long as an attempt.
    /// It does not count as `buffer.memory`, as the chunks it was made of still do.
    Copied(Option<Bytes>),
}

/// What the broker said of a batch it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchAck {
    /// -1: taken, but nobody knows where (acks=0, DUPLICATE_SEQUENCE_NUMBER).
    pub(crate) base_offset: i64,
    /// -1: records keep their own timestamps.
    pub(crate) log_append_time_ms: i64,
}

/// Why a batch ends without an acknowledgement.
#[derive(Debug)]
pub(crate) struct BatchFailure {
    pub(crate) error: Error,
    /// Records that were the cause, by index in order, with a reason of their own (KIP-467).
    pub(crate) record_errors: Vec<(u32, Error)>,
}

/// Where and when a batch begins.
#[derive(Debug)]
pub(crate) struct NewBatch {
    pub(crate) id: BatchId,
    pub(crate) topic_partition: TopicPartition,
    pub(crate) created: Instant,
    pub(crate) deadline: Instant,
    pub(crate) flush_token: FlushToken,
}

impl ProducerBatch {
    /// An open batch over `chunks`.
    pub(super) fn new(new: NewBatch, chunks: Vec<PooledBuffer>, callbacks: CallbackSlots) -> Self {
        Self(Box::new(Inner {
            id: new.id,
            body: Body::Open(BatchBuilder::new(chunks)),
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            record_count: 0,
            result: Arc::new(ProduceRequestResult::new(new.topic_partition)),
            first_index: 0,
            callbacks,
            created: new.created,
            deadline: new.deadline,
            attempts: 0,
            proved_not_written: 0,
            splits: 0,
            last_attempt: None,
            last_failure: None,
            leader_epoch: -1,
            receipt: Receipt::of_new_batch(new.created),
            encoded: None,
            numbering: Numbering::AsAppended,
            flush_token: new.flush_token,
            ended: false,
        }))
    }

    /// Appends if the record fits into what `limit` bytes and memory allow; the first one always
    /// fits. Gives the record's index and bytes. The callback is taken only then.
    #[inline]
    pub(crate) fn try_append(
        &mut self,
        record: &RecordView<'_>,
        callback: &mut Option<Callback<'_>>,
        limit: usize,
        pool: &Arc<BufferPool>,
    ) -> Option<(u32, usize)> {
        let Body::Open(builder) = &mut self.0.body else {
            return None;
        };
        let framing = builder.framing(record);
        let index = builder.record_count();
        if index > 0 && BATCH_OVERHEAD + builder.written() + framing.size() > limit {
            return None;
        }
        while builder.room() < framing.size() {
            builder.add_chunk(pool.try_chunk_for(self.0.callbacks.share())?);
        }
        if callback.is_some() && !self.0.callbacks.has_room() {
            return None;
        }
        builder.append(record, &framing);
        if let Some(callback) = callback.take() {
            let timestamp_delta_ms = record
                .timestamp_ms
                .wrapping_sub(builder.base_timestamp_ms());
            let facts = RecordFacts {
                index,
                timestamp_delta_ms,
                key_size: record.key_size,
                value_size: record.value_size,
            };
            self.0.callbacks.push(callback, facts);
        }
        Some((index, framing.size()))
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.0.body, Body::Open(_))
    }

    /// No record joins any more.
    pub(crate) fn seal(&mut self) {
        if let Body::Open(builder) = &mut self.0.body {
            let builder = std::mem::replace(builder, BatchBuilder::new(Vec::new()));
            self.0.base_timestamp_ms = builder.base_timestamp_ms();
            self.0.max_timestamp_ms = builder.max_timestamp_ms();
            self.0.record_count = builder.record_count();
            let size = builder.written();
            let mut chunks = builder.into_chunks();
            if planted(Plant::ReleasedEarly) {
                chunks.iter_mut().for_each(PooledBuffer::release_early);
            }
            let chunks = chunks.into_iter().map(Bytes::from_owner).collect();
            self.0.body = Body::Sealed { chunks, size };
        }
    }

    pub(crate) fn id(&self) -> BatchId {
        self.0.id
    }

    pub(crate) fn result(&self) -> &Arc<ProduceRequestResult> {
        &self.0.result
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        self.0.result.topic_partition()
    }

    pub(crate) fn record_count(&self) -> u32 {
        match &self.0.body {
            Body::Open(builder) => builder.record_count(),
            Body::Sealed { .. } => self.0.record_count,
        }
    }

    /// Bytes on the wire, header included.
    pub(crate) fn size(&self) -> usize {
        BATCH_OVERHEAD
            + match &self.0.body {
                Body::Open(builder) => builder.written(),
                Body::Sealed { size, .. } => *size,
            }
    }

    pub(crate) fn created(&self) -> Instant {
        self.0.created
    }

    /// When `delivery.timeout.ms` is over.
    pub(crate) fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// The largest timestamp of its records.
    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.0.max_timestamp_ms
    }

    /// How many times it was handed to a connection.
    pub(crate) fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How many of them were the first, or came after one that failed: what `retries` limits.
    pub(crate) fn tries(&self) -> u32 {
        self.0.attempts - self.0.splits
    }

    /// Whether it is a piece of a batch that was split.
    pub(crate) fn is_piece(&self) -> bool {
        self.0.splits > 0
    }

    /// When it was last handed to a connection, or put back.
    pub(crate) fn last_attempt(&self) -> Option<Instant> {
        self.0.last_attempt
    }

    /// The leader's epoch at the latest attempt.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.0.leader_epoch
    }

    /// Notes an attempt that begins: the bytes are handed to a connection.
    pub(crate) fn begin_attempt(&mut self, now: Instant, leader_epoch: i32) {
        self.0.attempts += 1;
        self.0.last_attempt = Some(now);
        self.0.leader_epoch = leader_epoch;
        self.0.receipt.begin_attempt(now);
    }

    /// Notes which broker the next attempt goes to.
    pub(crate) fn goes_to(&mut self, node: NodeId) {
        self.0.receipt.broker = Some(node);
    }

    /// Notes when the latest attempt was written, and when it was answered, if it was.
    pub(crate) fn attempt_ended(&mut self, written: Option<Instant>, answered: Option<Instant>) {
        self.0.receipt.attempt_ended(written, answered);
    }

    /// Why the latest attempt failed that was not the last one; told if time runs out after it.
    pub(crate) fn last_failure(&self) -> Option<&Error> {
        self.0.last_failure.as_ref()
    }

    /// Notes why an attempt failed after which there is to be another.
    pub(crate) fn attempt_failed(&mut self, why: Error) {
        self.0.last_failure = Some(why);
    }

    /// Backoff counts from here.
    pub(crate) fn put_back(&mut self, now: Instant) {
        self.0.last_attempt = Some(now);
        self.drop_copy();
    }

    fn drop_copy(&mut self) {
        if let Numbering::Copied(copy) = &mut self.0.numbering {
            *copy = None;
        }
    }

    /// Notes that the latest attempt certainly did not append (a code that proves it, or no byte
    /// was written).
    pub(crate) fn attempt_proved_not_written(&mut self) {
        self.0.proved_not_written += 1;
        debug_assert!(
            self.0.proved_not_written <= self.0.attempts,
            "one proof an attempt"
        );
    }

    /// Whether an attempt before the latest one may have been appended.
    pub(crate) fn may_be_a_repetition(&self) -> bool {
        self.0.proved_not_written + 1 < self.0.attempts
    }

    /// `NotWritten` if every attempt was proved not written, else `Unknown`.
    pub(crate) fn persistence(&self) -> Persistence {
        if self.0.proved_not_written == self.0.attempts {
            Persistence::NotWritten
        } else {
            Persistence::Unknown
        }
    }

    /// The whole batch as bytes for one attempt: 61 bytes of header with the state and the CRC,
    /// then the records' chunks, shared, never copied. Kept while the state stays the same.
    pub(crate) fn encode(&mut self, state: Option<ProducerState>) -> Vec<Bytes> {
        self.seal();
        let Body::Sealed { chunks, .. } = &self.0.body else {
            return Vec::new();
        };
        let copy = match &mut self.0.numbering {
            Numbering::AsAppended => None,
            Numbering::Copied(copy) => Some(copy.get_or_insert_with(|| {
                numbered_from_zero(chunks).expect("they were read when the batch was split")
            })),
        };
        let chunks = match &copy {
            None => chunks.as_slice(),
            Some(copy) => std::slice::from_ref(&**copy),
        };
        if planted(Plant::R41) && self.0.attempts > 1 {
            // librdkafka #4736: built again, it came out different.
            self.0.encoded = None;
            self.0.base_timestamp_ms += 1;
            self.0.max_timestamp_ms += 1;
        }
        let header = match &self.0.encoded {
            Some((encoded_for, header)) if *encoded_for == state => header.clone(),
            _ => {
                let header = BatchHeader {
                    record_count: self.0.record_count,
                    base_timestamp_ms: self.0.base_timestamp_ms,
                    max_timestamp_ms: self.0.max_timestamp_ms,
                    state,
                };
                Bytes::copy_from_slice(&header.encode(chunks))
            }
        };
        self.0.encoded = Some((state, header.clone()));
        std::iter::once(header)
            .chain(chunks.iter().cloned())
            .collect()
    }

    /// Whether anybody is called when it ends.
    pub(crate) fn has_callbacks(&self) -> bool {
        !self.0.callbacks.is_empty()
    }

    /// It was acknowledged, and ends later: its bytes are nobody's any more.
    pub(crate) fn release_body(&mut self) {
        self.seal();
        self.0.body = Body::Sealed {
            chunks: Vec::new(),
            size: 0,
        };
        self.0.encoded = None;
        self.drop_copy();
    }

    /// Where to split it so that a piece of several records has no more than half of the bytes, nor
    /// more than `most`: the indexes of the first records of the second and later pieces.
    pub(crate) fn split_points(&self, most: usize) -> Vec<u32> {
        let Body::Sealed { chunks, size } = &self.0.body else {
            return Vec::new();
        };
        let most = most.min(size / 2);
        let mut reader = BatchReader::new(chunks);
        let (mut points, mut first, mut bytes) = (Vec::new(), 0, 0);
        for index in 0..self.0.record_count {
            let Some(record) = reader.measure() else {
                break;
            };
            if index > first && bytes + record.bytes_at(index - first) > most {
                points.push(index);
                (first, bytes) = (index, 0);
            }
            bytes += record.bytes_at(index - first);
        }
        points
    }

    /// Splits it at these points, which ascend; every attempt so far was proved not written. The pieces
    /// share its bytes, do not linger and do not back off, and their handles, callbacks and flushes
    /// are those of its records (Java: `ProducerBatch.split`).
    pub(crate) fn split(mut self, points: &[u32]) -> Vec<Self> {
        self.seal();
        let inner = &mut *self.0;
        let mut rest = match &mut inner.body {
            Body::Sealed { chunks, .. } => VecDeque::from(std::mem::take(chunks)),
            Body::Open(_) => VecDeque::new(),
        };
        inner.encoded = None;
        let in_result = points.iter().map(|point| inner.first_index + point);
        inner.result.split(inner.first_index, in_result);
        let callbacks = inner.callbacks.split(points);
        let ends = points.iter().copied().chain([inner.record_count]);
        let mut pieces = Vec::with_capacity(callbacks.len());
        let mut first = 0;
        for (end, callbacks) in ends.zip(callbacks) {
            pieces.push(inner.piece(first..end, &mut rest, callbacks));
            first = end;
        }
        inner.ended = true;
        pieces
    }

    /// Ends it well: callbacks in order (each under `catch_unwind`), then handles, then flushes.
    pub(crate) fn complete(mut self, ack: BatchAck) {
        self.0.ended = true;
        self.release_body();
        self.0.callbacks.run_acked(
            self.0.result.topic_partition(),
            ack,
            self.0.base_timestamp_ms,
            self.0.receipt,
        );
        let outcome = BatchOutcome::Acked {
            base_offset: ack.base_offset,
            log_append_time_ms: ack.log_append_time_ms,
            receipt: self.0.receipt,
        };
        self.0.result.finish(self.0.first_index, outcome);
    }

    /// Ends it badly, in the same order; the errors get the batch's persistence. Gives what is left.
    pub(crate) fn fail(mut self, failure: BatchFailure) -> Arc<FailedBatch> {
        self.end_badly(failure)
    }

    fn end_badly(&mut self, failure: BatchFailure) -> Arc<FailedBatch> {
        self.seal();
        self.0.ended = true;
        self.0.encoded = None;
        self.drop_copy();
        let body = match &mut self.0.body {
            Body::Sealed { chunks, .. } => std::mem::take(chunks),
            Body::Open(_) => Vec::new(),
        };
        #[cfg(feature = "planted")]
        if planted(Plant::R01) {
            // KAFKA-19012: the pool had its buffers back while a connection was still writing them.
            body.iter()
                .for_each(|chunk| crate::planted::note_given_back(chunk));
        }
        let persistence = self.persistence();
        let own = |(index, error): (u32, Error)| (index, error.with_persistence(persistence));
        let batch = failed_batch(
            self.0.result.topic_partition(),
            (self.0.base_timestamp_ms, self.0.record_count),
            body,
            failure.error.with_persistence(persistence),
            failure.record_errors.into_iter().map(own).collect(),
            self.0.receipt,
        );
        self.0.callbacks.run_failed(&batch);
        let outcome = BatchOutcome::Failed(Arc::clone(&batch));
        self.0.result.finish(self.0.first_index, outcome);
        batch
    }
}

impl Inner {
    /// The piece of these records, which are at the front of `rest`.
    fn piece(
        &self,
        records: Range<u32>,
        rest: &mut VecDeque<Bytes>,
        callbacks: CallbackSlots,
    ) -> ProducerBatch {
        let (mut bytes, mut size, mut max_timestamp_ms) = (0, 0, i64::MIN);
        let mut reader = BatchReader::new(rest.make_contiguous());
        for index in 0..records.end - records.start {
            let record = reader
                .measure()
                .expect("records that were appended read back");
            let timestamp_ms = self
                .base_timestamp_ms
                .wrapping_add(record.timestamp_delta_ms);
            bytes += record.bytes;
            size += record.bytes_at(index);
            max_timestamp_ms = max_timestamp_ms.max(timestamp_ms);
        }
        let is_numbered = matches!(self.numbering, Numbering::AsAppended) && records.start == 0;
        let chunks = take_front(rest, bytes);
        ProducerBatch(Box::new(Self {
            id: BatchId {
                slot: self.id.slot,
                first_record: self.id.first_record + u64::from(records.start),
            },
            body: Body::Sealed { chunks, size },
            // Deltas stay as they are.
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms,
            record_count: records.end - records.start,
            result: Arc::clone(&self.result),
            first_index: self.first_index + records.start,
            callbacks,
            created: self.created,
            deadline: self.deadline,
            attempts: self.attempts,
            proved_not_written: self.proved_not_written,
            splits: self.splits + 1,
            last_attempt: None,
            last_failure: self.last_failure.clone(),
            leader_epoch: self.leader_epoch,
            receipt: self.receipt,
            encoded: None,
            numbering: if is_numbered {
                Numbering::AsAppended
            } else {
                Numbering::Copied(None)
            },
            flush_token: self.flush_token.split(),
            ended: false,
        }))
    }
}

impl Drop for ProducerBatch {
    fn drop(&mut self) {
        if !self.0.ended {
            let text = format!(
                "the batch for {} was dropped on its way",
                self.topic_partition()
            );
            let error = Error::new(ErrorKind::Internal, text);
            self.end_badly(BatchFailure {
                error,
                record_errors: Vec::new(),
            });
        }
    }
}
