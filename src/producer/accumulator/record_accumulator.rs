//! The application's side of the accumulator: append, flush, close.
//!
//! Java's counterpart: `RecordAccumulator`. Thread: application. Locks: the partition's queue, then
//! (never under it for a wait) the buffer pool.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::ProduceRequestResult;
use crate::cluster::{Cluster, TopicInfo};
use crate::error::Error;
use crate::network::Wakeup;
use crate::producer::callback::Callback;
use crate::random::Random;
use crate::record::Header;
use crate::time::Time;

/// The keys the accumulator goes by.
#[derive(Debug, Clone)]
pub(crate) struct AccumulatorConfig {
    /// `batch.size` (0 means 1: a batch per record)
    pub(crate) batch_size: usize,
    /// `linger.ms`
    pub(crate) linger: Duration,
    /// `buffer.memory`
    pub(crate) buffer_memory: usize,
    /// `delivery.timeout.ms`
    pub(crate) delivery_timeout: Duration,
    /// `retry.backoff.ms`
    pub(crate) retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub(crate) retry_backoff_max: Duration,
}

/// Shared by all application threads; the Sender has a [`super::Drainer`] over the same state.
#[derive(Debug)]
pub(crate) struct RecordAccumulator {}

/// A topic as appenders see it: its slots (one per partition) and the sticky partition.
#[derive(Debug)]
pub(crate) struct Topic {}

/// A serialized record on its way into a batch.
#[derive(Debug)]
pub(crate) struct RecordToAppend<'a> {
    /// `None`: the built-in sticky partitioner chooses.
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header],
    /// Taken when the record is appended, left otherwise.
    pub(crate) callback: Option<Callback>,
}

/// What an attempt to append came to.
#[derive(Debug)]
pub(crate) enum Append {
    Appended {
        result: Arc<ProduceRequestResult>,
        index: u32,
        partition: i32,
    },
    /// No room: the ticket has its place in the line, its waker will be called.
    Blocked,
    /// The topic's partitions changed under us: look the topic up again.
    Stale,
    Failed(Error),
}

/// One appender's place in the pool's line, and what it was given; gives both back when dropped.
#[derive(Debug, Default)]
pub(crate) struct MemoryTicket {}

/// One flush: done when every record accepted before it has its outcome and its callbacks have run.
#[derive(Debug)]
pub(crate) struct FlushTicket {}

impl RecordAccumulator {
    pub(crate) fn new(
        _config: AccumulatorConfig,
        _time: Time,
        _random: Random,
        _wakeup: Wakeup,
    ) -> Arc<Self> {
        todo!("accumulator room")
    }

    /// The topic, if its partitions are known: the fast path, no lock.
    pub(crate) fn topic(&self, _name: &str) -> Option<Arc<Topic>> {
        todo!("accumulator room")
    }

    /// Takes in what metadata says of a topic (slots are added, never removed).
    pub(crate) fn learn_topic(&self, _info: &TopicInfo, _cluster: &Cluster) -> Arc<Topic> {
        todo!("accumulator room")
    }

    /// Appends the record, never waiting. `waker`: `None` takes no place in the line (`try_send`).
    /// Wakes the Sender if a batch became full or is new. The size was checked before.
    pub(crate) fn try_append(
        &self,
        _topic: &Arc<Topic>,
        _record: &mut RecordToAppend<'_>,
        _ticket: &mut MemoryTicket,
        _waker: Option<&Waker>,
    ) -> Append {
        todo!("accumulator room")
    }

    /// The error for a wait for memory that ran out.
    pub(crate) fn exhausted(&self, _needed: usize, _waited: Duration) -> Error {
        todo!("accumulator room")
    }

    /// An upper bound on what a record needs in a batch of its own (B51).
    pub(crate) fn estimate_upper_bound(_record: &RecordToAppend<'_>) -> usize {
        todo!("accumulator room")
    }

    /// Makes everything appended so far sendable at once.
    pub(crate) fn begin_flush(self: &Arc<Self>) -> FlushTicket {
        todo!("accumulator room")
    }

    /// Appends fail from now on, waiters too; what is queued becomes sendable at once.
    pub(crate) fn close(&self) {
        todo!("accumulator room")
    }

    /// Records accepted and without an outcome yet.
    pub(crate) fn incomplete_records(&self) -> u64 {
        todo!("accumulator room")
    }
}

impl Topic {
    pub(crate) fn name(&self) -> &Arc<str> {
        todo!("accumulator room")
    }

    pub(crate) fn partition_count(&self) -> i32 {
        todo!("accumulator room")
    }
}

impl FlushTicket {
    /// Whether it is done; if not, the waker will be called.
    pub(crate) fn poll(&mut self, _waker: &Waker) -> bool {
        todo!("accumulator room")
    }
}
