//! The Sender's side of the accumulator: which nodes have work, and the work.
//!
//! Java's counterpart: `ready` and `drain` of `RecordAccumulator`. Thread: Sender, which owns it.
//! Locks: one partition's queue at a time.

use std::sync::Arc;
use std::time::Instant;

use super::{ProducerBatch, RecordAccumulator};
use crate::cluster::{Cluster, NodeId, TopicPartition, Uuid};
use crate::producer::batch_id::{BatchId, SlotId};
use crate::record::ProducerState;

/// Owned by the Sender.
#[derive(Debug)]
pub(crate) struct Drainer {}

/// Who has work now, and when to look again.
#[derive(Debug, Default)]
pub(crate) struct ReadyCheck {
    /// Nodes that lead a partition with a batch to send now; in a deterministic, rotating order.
    pub(crate) nodes: Vec<NodeId>,
    /// When linger, backoff or delivery timeout next change that; `None` if nothing is queued.
    pub(crate) next_check: Option<Instant>,
    /// Topics with data for a partition without a known leader.
    pub(crate) unknown_leader_topics: Vec<Arc<str>>,
}

/// The batch that would go next, shown to whoever admits it.
#[derive(Debug)]
pub(crate) struct BatchHead<'a> {
    pub(crate) id: BatchId,
    pub(crate) topic_partition: &'a TopicPartition,
    pub(crate) topic_id: Uuid,
    pub(crate) record_count: u32,
    /// 0 for a batch that was never handed to a connection.
    pub(crate) attempts: u32,
}

/// Whether a batch may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrainVerdict {
    /// It goes; `None` without idempotence.
    Send(Option<ProducerState>),
    /// Not this partition, until `unblock` is called for it; others of the node go on.
    SkipPartition,
    /// Nothing more for this node in this pass (no producer id yet).
    StopNode,
}

/// A batch on its way out.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) batch: ProducerBatch,
    pub(crate) state: Option<ProducerState>,
    pub(crate) topic_id: Uuid,
    /// The leader's epoch as known now, for the batch to remember.
    pub(crate) leader_epoch: i32,
}

impl Drainer {
    pub(crate) fn new(_accumulator: Arc<RecordAccumulator>) -> Self {
        todo!("accumulator room")
    }

    /// Takes in what appenders activated and what the clock brought (B79..B81). Cost follows
    /// partitions with data (D9); a partition that was skipped does not count until unblocked.
    pub(crate) fn ready(&mut self, _cluster: &Arc<Cluster>, _now: Instant) -> ReadyCheck {
        todo!("accumulator room")
    }

    /// Takes at most one batch per partition the node leads, up to `max_size` bytes in all (a
    /// larger one goes alone), from where the last drain of this node stopped (B82, B83).
    pub(crate) fn drain(
        &mut self,
        _node: NodeId,
        _max_size: usize,
        _now: Instant,
        _admit: &mut dyn FnMut(&BatchHead<'_>) -> DrainVerdict,
        _out: &mut Vec<Drained>,
    ) {
        todo!("accumulator room")
    }

    /// Puts a batch back for another attempt after its backoff, in the order of `BatchId`.
    pub(crate) fn reenqueue(&mut self, _batch: ProducerBatch, _now: Instant) {
        todo!("accumulator room")
    }

    /// What `admit` may depend on has changed for this partition (a batch of it ended).
    pub(crate) fn unblock(&mut self, _slot: SlotId) {
        todo!("accumulator room")
    }

    /// What `admit` may depend on has changed for all (a producer id came).
    pub(crate) fn unblock_all(&mut self) {
        todo!("accumulator room")
    }

    /// No batch of this partition goes until `unmute`: order with one request in flight (B86).
    pub(crate) fn mute(&mut self, _slot: SlotId) {
        todo!("accumulator room")
    }

    pub(crate) fn unmute(&mut self, _slot: SlotId) {
        todo!("accumulator room")
    }

    /// Takes out queued batches whose delivery timeout has passed (B89), oldest first.
    pub(crate) fn expire(&mut self, _now: Instant, _out: &mut Vec<ProducerBatch>) {
        todo!("accumulator room")
    }

    /// Takes out everything that is queued, open batches included (force close, fatal error).
    pub(crate) fn abort_all(&mut self, _out: &mut Vec<ProducerBatch>) {
        todo!("accumulator room")
    }

    /// Whether any batch is queued, open ones included.
    pub(crate) fn has_queued(&self) -> bool {
        todo!("accumulator room")
    }
}
