//! One latch per batch: the outcome of all its records, and who waits for it.
//!
//! Java's counterpart: `ProduceRequestResult`. Thread: any. Locks: its own, a leaf; wakers are
//! called outside of it. Handles look their record up by index, so a record costs one reference.
//! A batch that is split keeps the latch: each piece tells its outcome to those who wait for its
//! records (Java chains a future to each piece's). Invariant: an outcome is told once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use bytes::Bytes;

use crate::cluster::TopicPartition;
use crate::error::Error;
use crate::producer::delivery_error::{DeliveryError, FailedBatch};
use crate::producer::receipt::Receipt;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, Ordering};

/// The outcome of one batch, to be.
#[derive(Debug)]
pub(crate) struct ProduceRequestResult {
    topic_partition: TopicPartition,
    /// `OPEN`, `DONE`, or `IN_PIECES`: then the waiters know more.
    stage: AtomicU8,
    outcome: OnceLock<BatchOutcome>,
    waiters: Mutex<Waiters>,
}

/// What became of a batch.
#[derive(Debug, Clone)]
pub(crate) enum BatchOutcome {
    Acked {
        base_offset: i64,
        log_append_time_ms: i64,
        receipt: Receipt,
    },
    Failed(Arc<FailedBatch>),
}

#[derive(Debug, Default)]
struct Waiters {
    next_id: u64,
    list: Vec<Waiter>,
    finished: bool,
    /// By the index of their first record; empty unless the batch was split.
    pieces: BTreeMap<u32, Option<BatchOutcome>>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    /// Of the record it waits for.
    index: u32,
    waker: Waker,
}

const OPEN: u8 = 0;
const DONE: u8 = 1;
const IN_PIECES: u8 = 2;

impl ProduceRequestResult {
    pub(crate) fn new(topic_partition: TopicPartition) -> Self {
        Self {
            topic_partition,
            stage: AtomicU8::new(OPEN),
            outcome: OnceLock::new(),
            waiters: Mutex::new(Waiters::default()),
        }
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The outcome of the record with this index, once callbacks have run; with it the record's index
    /// in what had that outcome, the batch or its piece.
    #[inline]
    pub(crate) fn outcome(&self, index: u32) -> Option<(BatchOutcome, u32)> {
        match self.stage.load(Ordering::Acquire) {
            OPEN => None,
            DONE => self.outcome.get().map(|outcome| (outcome.clone(), index)),
            _ => self.outcome_of_piece(index),
        }
    }

    #[cold]
    fn outcome_of_piece(&self, index: u32) -> Option<(BatchOutcome, u32)> {
        let waiters = self.waiters.lock();
        let (first, outcome) = waiters.pieces.range(..=index).next_back()?;
        Some((outcome.clone()?, index - first))
    }

    /// The piece that begins with the record `first` (0 is the whole) goes on as one piece more than
    /// there are `points`, which are the indexes of the first records of the others.
    pub(crate) fn split(&self, first: u32, points: impl Iterator<Item = u32>) {
        let mut waiters = self.waiters.lock();
        waiters.pieces.insert(first, None);
        waiters.pieces.extend(points.map(|point| (point, None)));
        self.stage.store(IN_PIECES, Ordering::Release);
    }

    /// Sets the outcome of the batch, or of the piece that begins with the record `first`; only the
    /// first one counts. Tells all who wait for it, and all who will.
    pub(crate) fn finish(&self, first: u32, outcome: BatchOutcome) {
        let mut late = None;
        let woken = {
            let mut waiters = self.waiters.lock();
            if let Some(piece) = waiters.pieces.get_mut(&first) {
                if piece.is_none() {
                    *piece = Some(outcome);
                } else {
                    late = Some(outcome);
                }
                waiters.take_those_of_piece(first)
            } else {
                late = self.outcome.set(outcome).err();
                self.stage.store(DONE, Ordering::Release);
                waiters.finished = true;
                std::mem::take(&mut waiters.list)
            }
        };
        drop(late);
        woken.into_iter().for_each(|waiter| waiter.waker.wake());
    }

    /// Registers or renews a waiter for a record. False: it is done, nothing was registered.
    pub(crate) fn wait(&self, index: u32, id: &mut Option<u64>, waker: &Waker) -> bool {
        // Cloned before the lock is taken and dropped after it: wakers are the user's code.
        let mut waker = waker.clone();
        let mut waiters = self.waiters.lock();
        if waiters.is_finished(index) {
            *id = None;
            return false;
        }
        let known = id.and_then(|id| waiters.list.iter_mut().find(|other| other.id == id));
        if let Some(known) = known {
            std::mem::swap(&mut known.waker, &mut waker);
        } else {
            let new = waiters.next_id;
            waiters.next_id += 1;
            *id = Some(new);
            waiters.list.push(Waiter {
                id: new,
                index,
                waker,
            });
        }
        true
    }

    /// The waiter is gone.
    pub(crate) fn forget(&self, id: u64) {
        let mut waiters = self.waiters.lock();
        let at = waiters.list.iter().position(|other| other.id == id);
        let gone = at.map(|at| waiters.list.remove(at));
        drop(waiters);
        drop(gone);
    }

    #[cfg(any(test, interleave))]
    pub(crate) fn waiter_count(&self) -> usize {
        self.waiters.lock().list.len()
    }
}

impl Waiters {
    fn is_finished(&self, index: u32) -> bool {
        let piece = self.pieces.range(..=index).next_back();
        self.finished || piece.is_some_and(|(_, outcome)| outcome.is_some())
    }

    /// Takes out those who wait for a record of the piece.
    fn take_those_of_piece(&mut self, first: u32) -> Vec<Waiter> {
        let next = self.pieces.range(first + 1..).next();
        let end = next.map_or(u32::MAX, |(next, _)| *next);
        let all = std::mem::take(&mut self.list).into_iter();
        let (of_piece, others) = all.partition(|waiter| (first..end).contains(&waiter.index));
        self.list = others;
        of_piece
    }
}

/// What `fail` needs to know to let every record tell its own story.
pub(crate) fn failed_batch(
    topic_partition: &TopicPartition,
    (base_timestamp_ms, record_count): (i64, u32),
    body: Vec<Bytes>,
    error: Error,
    record_errors: Vec<(u32, Error)>,
    receipt: Receipt,
) -> Arc<FailedBatch> {
    Arc::new(FailedBatch {
        topic_partition: topic_partition.clone(),
        base_timestamp_ms,
        record_count,
        body,
        error,
        record_errors,
        receipt: Some(receipt),
    })
}

impl BatchOutcome {
    /// The failure of one record.
    pub(crate) fn delivery_error(batch: &Arc<FailedBatch>, index: u32) -> DeliveryError {
        DeliveryError::new(Arc::clone(batch), index)
    }
}
