//! One latch per batch: the outcome of all its records, and who waits for it.
//!
//! Java's counterpart: `ProduceRequestResult`. Thread: any. Locks: its own, a leaf; wakers are
//! called outside of it. Handles look their record up by index, so a record costs one reference.

use std::sync::{Arc, OnceLock};
use std::task::Waker;

use bytes::Bytes;

use crate::cluster::TopicPartition;
use crate::error::Error;
use crate::producer::delivery_error::{DeliveryError, FailedBatch};
use crate::producer::receipt::Receipt;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The outcome of one batch, to be.
#[derive(Debug)]
pub(crate) struct ProduceRequestResult {
    topic_partition: TopicPartition,
    done: AtomicBool,
    outcome: OnceLock<BatchOutcome>,
    waiters: Mutex<Waiters>,
}

/// What became of a batch.
#[derive(Debug)]
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
    list: Vec<(u64, Waker)>,
    finished: bool,
}

impl ProduceRequestResult {
    pub(crate) fn new(topic_partition: TopicPartition) -> Self {
        Self {
            topic_partition,
            done: AtomicBool::new(false),
            outcome: OnceLock::new(),
            waiters: Mutex::new(Waiters::default()),
        }
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The outcome, once callbacks have run.
    #[inline]
    pub(crate) fn outcome(&self) -> Option<&BatchOutcome> {
        if self.done.load(Ordering::Acquire) {
            self.outcome.get()
        } else {
            None
        }
    }

    /// Sets the outcome; only the first one counts. Waiters are not told yet.
    pub(crate) fn set(&self, outcome: BatchOutcome) -> &BatchOutcome {
        self.outcome.get_or_init(|| outcome)
    }

    /// Tells all who wait, and all who will.
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::Release);
        let list = {
            let mut waiters = self.waiters.lock();
            waiters.finished = true;
            std::mem::take(&mut waiters.list)
        };
        list.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Registers or renews a waiter. False: it is done, nothing was registered.
    pub(crate) fn wait(&self, id: &mut Option<u64>, waker: &Waker) -> bool {
        // Cloned before the lock is taken and dropped after it: wakers are the user's code.
        let mut waker = waker.clone();
        let mut waiters = self.waiters.lock();
        if waiters.finished {
            *id = None;
            return false;
        }
        let known = id.and_then(|id| waiters.list.iter_mut().find(|(other, _)| *other == id));
        if let Some((_, old)) = known {
            std::mem::swap(old, &mut waker);
        } else {
            let new = waiters.next_id;
            waiters.next_id += 1;
            waiters.list.push((new, waker));
            *id = Some(new);
        }
        true
    }

    /// The waiter is gone.
    pub(crate) fn forget(&self, id: u64) {
        let mut waiters = self.waiters.lock();
        let at = waiters.list.iter().position(|(other, _)| *other == id);
        let gone = at.map(|at| waiters.list.remove(at));
        drop(waiters);
        drop(gone);
    }

    #[cfg(any(test, interleave))]
    pub(crate) fn waiter_count(&self) -> usize {
        self.waiters.lock().list.len()
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
