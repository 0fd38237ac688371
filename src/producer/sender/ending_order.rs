//! Callbacks run in the order of sending, partition by partition: a batch whose outcome is known
//! before that of an earlier one is held until that one has its own.
//!
//! Java has no counterpart: it promises the order, and breaks it whenever an answer is lost. Thread:
//! Sender. Locks: none. Invariant: whoever is held waits for a batch on its way or in its queue,
//! whose deadline is no later than its own. Batches without callbacks wait for nobody, and nobody
//! for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::producer::accumulator::{BatchAck, BatchFailure, ProducerBatch};
use crate::producer::batch_id::{BatchId, SlotId};
use crate::producer::shared::Shared;

/// A batch with its outcome, which its owners do not know yet.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) batch: ProducerBatch,
    pub(super) outcome: Result<BatchAck, BatchFailure>,
}

impl Ended {
    /// Tells its owners: callbacks, then handles, then flushes. A failure while closing is kept as well.
    pub(super) fn tell(self, shared: &Shared) {
        match self.outcome {
            Ok(ack) => self.batch.complete(ack),
            Err(failure) => {
                let is_kept = shared.keeps_failures();
                let failed = self.batch.fail(failure);
                if is_kept {
                    shared.keep_failed(failed);
                }
            }
        }
    }
}

/// Who has to be told before whom.
#[derive(Debug, Default)]
pub(super) struct EndingOrder {
    /// With callbacks, sent at least once (in pieces: as a whole), and without an outcome.
    open: BTreeSet<BatchId>,
    held: BTreeMap<BatchId, Ended>,
}

impl EndingOrder {
    /// It is sent, for the first time or again.
    pub(super) fn on_sent(&mut self, batch: &ProducerBatch) {
        if batch.has_callbacks() {
            self.open.insert(batch.id());
        }
    }

    /// It goes on as its pieces: who waited for it waits for them, sent or not.
    pub(super) fn on_split(&mut self, id: BatchId, pieces: &[ProducerBatch]) {
        self.open.remove(&id);
        let heard = pieces.iter().filter(|piece| piece.has_callbacks());
        self.open.extend(heard.map(ProducerBatch::id));
    }

    /// It has its outcome. `None`: it is held.
    pub(super) fn on_outcome(&mut self, mut ended: Ended) -> Option<Ended> {
        let id = ended.batch.id();
        self.open.remove(&id);
        if !ended.batch.has_callbacks() || self.may_end(id) {
            return Some(ended);
        }
        if ended.outcome.is_ok() {
            ended.batch.release_body();
        }
        self.held.insert(id, ended);
        None
    }

    /// The next one of a partition that waits for nobody any more.
    pub(super) fn next(&mut self, slot: SlotId) -> Option<Ended> {
        let id = *self.held.range(first_of(slot)..).next()?.0;
        if id.slot != slot || !self.may_end(id) {
            return None;
        }
        self.held.remove(&id)
    }

    /// All that are held, in order; nobody waits any more.
    pub(super) fn take_all(&mut self) -> Vec<Ended> {
        self.open.clear();
        std::mem::take(&mut self.held).into_values().collect()
    }

    fn may_end(&self, id: BatchId) -> bool {
        self.open.range(first_of(id.slot)..id).next().is_none()
    }
}

fn first_of(slot: SlotId) -> BatchId {
    BatchId {
        slot,
        first_record: 0,
    }
}
