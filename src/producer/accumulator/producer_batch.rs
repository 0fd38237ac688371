//! A batch: records of one partition that live and die together. One owner; everyone else knows
//! its `BatchId`.
//!
//! Java's counterpart: `ProducerBatch`. Thread: application while open, then Sender. Locks: none.

use std::time::Instant;

use bytes::Bytes;

use crate::cluster::TopicPartition;
use crate::error::{Error, Persistence};
use crate::producer::batch_id::BatchId;
use crate::record::ProducerState;

/// Records of one partition on their way.
#[derive(Debug)]
pub(crate) struct ProducerBatch {}

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
    /// Records that were the cause, by index, with a reason of their own (KIP-467).
    pub(crate) record_errors: Vec<(u32, Error)>,
}

impl ProducerBatch {
    pub(crate) fn id(&self) -> BatchId {
        todo!("accumulator room")
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        todo!("accumulator room")
    }

    pub(crate) fn record_count(&self) -> u32 {
        todo!("accumulator room")
    }

    /// Bytes on the wire, header included.
    pub(crate) fn size(&self) -> usize {
        todo!("accumulator room")
    }

    pub(crate) fn created(&self) -> Instant {
        todo!("accumulator room")
    }

    /// When `delivery.timeout.ms` is over.
    pub(crate) fn deadline(&self) -> Instant {
        todo!("accumulator room")
    }

    /// The largest timestamp of its records.
    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        todo!("accumulator room")
    }

    /// How many times it was handed to a connection.
    pub(crate) fn attempts(&self) -> u32 {
        todo!("accumulator room")
    }

    /// Notes an attempt that begins: the bytes are handed to a connection.
    pub(crate) fn begin_attempt(&mut self, _now: Instant, _leader_epoch: i32) {
        todo!("accumulator room")
    }

    /// Notes that the latest attempt certainly did not append (D3's table, or no byte was written).
    pub(crate) fn attempt_proved_not_written(&mut self) {
        todo!("accumulator room")
    }

    /// `NotWritten` if every attempt was proved not written, else `Unknown` (D3).
    pub(crate) fn persistence(&self) -> Persistence {
        todo!("accumulator room")
    }

    /// The whole batch as bytes for one attempt: 61 bytes of header with the state and the CRC,
    /// then the records' chunks, shared, never copied. Cached while the state stays the same.
    pub(crate) fn encode(&mut self, _state: Option<ProducerState>) -> Vec<Bytes> {
        todo!("accumulator room")
    }

    /// Ends it well: callbacks in order (each under `catch_unwind`), then handles, then flushes.
    pub(crate) fn complete(self, _ack: BatchAck) {
        todo!("accumulator room")
    }

    /// Ends it badly, in the same order; the error gets the batch's persistence.
    pub(crate) fn fail(self, _failure: BatchFailure) {
        todo!("accumulator room")
    }
}
