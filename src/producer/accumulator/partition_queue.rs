//! The rules of one partition's queue of batches, without any lock or clock.
//!
//! Java's counterpart: the deque inside `RecordAccumulator`. Thread: whoever holds the queue's lock.
//! Invariants: `BatchId`s strictly ascend; only the last batch is open.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::buffer_pool::{BufferPool, PooledBuffer};
use super::callback_slots::CallbackSlots;
use super::flush::FlushToken;
use super::produce_request_result::ProduceRequestResult;
use super::producer_batch::{NewBatch, ProducerBatch};
use crate::cluster::TopicPartition;
use crate::planted::{Plant, planted};
use crate::producer::batch_id::{BatchId, SlotId};
use crate::producer::callback::Callback;
use crate::record::RecordView;

/// Batches of one partition in the order in which they go.
#[derive(Debug)]
pub(super) struct PartitionQueue {
    batches: VecDeque<ProducerBatch>,
    /// The number that the next batch's first record gets.
    next_record: u64,
}

/// How an append to what is there came out.
#[derive(Debug)]
pub(super) enum Fit {
    Appended(Appended),
    /// The last batch is sealed or there is none: a new one is needed. `sealed`: just now.
    NeedsBatch {
        sealed: bool,
    },
}

/// A record that found its place.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) result: Arc<ProduceRequestResult>,
    /// Its number in the batch.
    pub(super) index: u32,
    /// What it takes.
    pub(super) bytes: usize,
    /// Whether its batch is full now.
    pub(super) sealed: bool,
}

/// What the Sender needs to know of a queue to decide when it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadState {
    /// Sealed, or followed by another batch.
    pub(super) full: bool,
    pub(super) created: Instant,
    pub(super) tries: u32,
    pub(super) last_attempt: Option<Instant>,
    pub(super) leader_epoch: i32,
    pub(super) deadline: Instant,
}

/// What a new batch is made of.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) chunks: Vec<PooledBuffer>,
    pub(super) callbacks: CallbackSlots,
    pub(super) created: Instant,
    pub(super) deadline: Instant,
    pub(super) flush_token: FlushToken,
}

impl PartitionQueue {
    pub(super) fn new() -> Self {
        Self {
            batches: VecDeque::new(),
            next_record: 0,
        }
    }

    /// Appends to the open batch, if there is one and the record fits; one that is full is sealed.
    pub(super) fn try_append(
        &mut self,
        record: &RecordView<'_>,
        callback: &mut Option<Callback<'_>>,
        limit: usize,
        pool: &Arc<BufferPool>,
    ) -> Fit {
        match self.append_to_last(record, callback, limit, pool) {
            Some(appended) => Fit::Appended(appended),
            None => {
                let sealed = self.batches.back().is_some_and(ProducerBatch::is_open);
                self.seal_last();
                Fit::NeedsBatch { sealed }
            }
        }
    }

    /// The same, but a batch that the record does not fit into stays as it is: one that is full now is
    /// sealed.
    #[inline]
    pub(super) fn append_to_last(
        &mut self,
        record: &RecordView<'_>,
        callback: &mut Option<Callback<'_>>,
        limit: usize,
        pool: &Arc<BufferPool>,
    ) -> Option<Appended> {
        let last = self.batches.back_mut()?;
        let (index, bytes) = last.try_append(record, callback, limit, pool)?;
        let result = Arc::clone(last.result());
        let sealed = last.size() >= limit;
        if sealed {
            self.seal_last();
        }
        Some(Appended {
            result,
            index,
            bytes,
            sealed,
        })
    }

    fn seal_last(&mut self) {
        if let Some(last) = self.batches.back_mut().filter(|last| last.is_open()) {
            last.seal();
            self.next_record += u64::from(last.record_count());
        }
    }

    /// Opens a batch at the end.
    pub(super) fn push_new(
        &mut self,
        slot: SlotId,
        topic_partition: TopicPartition,
        material: Material,
    ) {
        self.seal_last();
        let new = NewBatch {
            id: BatchId {
                slot,
                first_record: self.next_record,
            },
            topic_partition,
            created: material.created,
            deadline: material.deadline,
            flush_token: material.flush_token,
        };
        self.batches
            .push_back(ProducerBatch::new(new, material.chunks, material.callbacks));
    }

    /// Takes the last batch out again if nothing was appended to it; how many that were.
    pub(super) fn pop_empty(&mut self) -> usize {
        match self.batches.back() {
            Some(last) if last.record_count() == 0 => {
                drop(self.batches.pop_back());
                1
            }
            _ => 0,
        }
    }

    pub(super) fn head(&self) -> Option<&ProducerBatch> {
        self.batches.front()
    }

    pub(super) fn get(&self, place: usize) -> Option<&ProducerBatch> {
        self.batches.get(place)
    }

    pub(super) fn head_state(&self) -> Option<HeadState> {
        self.batches.front().map(|head| HeadState {
            full: self.batches.len() > 1 || !head.is_open(),
            created: head.created(),
            tries: head.tries(),
            last_attempt: head.last_attempt(),
            leader_epoch: head.leader_epoch(),
            deadline: head.deadline(),
        })
    }

    /// Takes out the first batch, sealed.
    pub(super) fn pop_front(&mut self) -> Option<ProducerBatch> {
        self.remove(0)
    }

    /// Takes out the batch at a place, sealed.
    pub(super) fn remove(&mut self, place: usize) -> Option<ProducerBatch> {
        if place + 1 == self.batches.len() {
            self.seal_last();
        }
        self.batches.remove(place)
    }

    /// Puts a batch back to where its number belongs.
    pub(super) fn insert(&mut self, batch: ProducerBatch) {
        if planted(Plant::R32) || planted(Plant::RetryOrder) {
            // librdkafka #623: behind what came later.
            self.seal_last();
            return self.batches.push_back(batch);
        }
        if planted(Plant::R30) {
            // KAFKA-8483: in an order that is no order.
            return self.batches.push_front(batch);
        }
        let at = self
            .batches
            .partition_point(|other| other.id() < batch.id());
        debug_assert!(!batch.is_open(), "what was drained is sealed");
        self.batches.insert(at, batch);
    }

    /// Puts the pieces of a batch where their numbers belong.
    pub(super) fn insert_pieces(&mut self, pieces: Vec<ProducerBatch>) {
        if planted(Plant::PieceOrder) {
            // Each one at the head, first things first.
            let pieces = pieces.into_iter();
            return pieces.for_each(|piece| self.batches.push_front(piece));
        }
        pieces.into_iter().for_each(|piece| self.insert(piece));
    }

    /// Lets the second batch go before the first; false if there is none (R29).
    pub(super) fn overtake(&mut self) -> bool {
        let may = self.batches.len() > 1;
        if may {
            self.seal_last();
            self.batches.swap(0, 1);
        }
        may
    }

    /// Where the last batch is, if it is open (R31).
    pub(super) fn last_if_open(&self) -> Option<usize> {
        let last = self.batches.len().checked_sub(1)?;
        self.batches.get(last)?.is_open().then_some(last)
    }

    /// Takes out the first batch that was sent before (R02).
    #[cfg(feature = "planted")]
    pub(super) fn take_retried(&mut self) -> Option<ProducerBatch> {
        let at = self.batches.iter().position(|it| it.attempts() > 0)?;
        self.batches.remove(at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes out what was never handed to a connection, the open batch included.
    pub(super) fn take_unsent(&mut self, out: &mut Vec<ProducerBatch>) {
        self.seal_last();
        for batch in std::mem::take(&mut self.batches) {
            if batch.attempts() == 0 {
                out.push(batch);
            } else {
                self.batches.push_back(batch);
            }
        }
    }

    pub(super) fn drain_all(&mut self) -> impl Iterator<Item = ProducerBatch> {
        self.seal_last();
        std::mem::take(&mut self.batches).into_iter()
    }
}
