//! What leaves its queue without being sent: it has expired, was purged, its topic is gone, or all is over.
//!
//! Java's counterpart: `expiredBatches` and `abortBatches` of `RecordAccumulator`. Thread: Sender. Locks:
//! one partition's queue at a time; while all is taken out, that of the purged ones besides.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::schedule::Timer;
use super::topic::Slot;
use super::{Drainer, ProducerBatch};
use crate::producer::batch_id::SlotId;
use crate::sync::atomic::Ordering;

impl Drainer {
    /// Takes out queued batches whose delivery timeout has passed (B89), oldest first.
    pub(crate) fn expire(&mut self, now: Instant, out: &mut Vec<ProducerBatch>) {
        let mut looked = Vec::new();
        while let Some((slot, timer)) = self.schedule.pop_due(now) {
            if timer == Timer::Expiry {
                self.expire_slot(slot, now, out);
            }
            looked.push(slot);
        }
        looked.into_iter().for_each(|slot| {
            self.leave_ring(slot);
            self.look(slot, now);
        });
    }

    fn expire_slot(&mut self, slot: SlotId, now: Instant, out: &mut Vec<ProducerBatch>) {
        let Some(view) = self.slots.get(&slot) else {
            return;
        };
        let mut queue = view.slot.queue.lock();
        while queue.head().is_some_and(|head| head.deadline() <= now) {
            self.accumulator
                .queued_batches
                .fetch_sub(1, Ordering::AcqRel);
            out.extend(queue.pop_front());
        }
    }

    /// Takes out what is queued for a topic, open batches included, partition by partition.
    pub(crate) fn take_topic(&mut self, topic: &str, now: Instant, out: &mut Vec<ProducerBatch>) {
        for slot in self.accumulator.slots_of(topic) {
            self.take_all_of(&slot, out);
            self.look(slot.id, now);
        }
    }

    /// Takes over what was purged since the last time.
    pub(crate) fn take_purged(&mut self, now: Instant) -> Vec<ProducerBatch> {
        let purged = self.accumulator.purged.take();
        if purged.is_empty() {
            return purged;
        }
        self.accumulator
            .queued_batches
            .fetch_sub(purged.len(), Ordering::AcqRel);
        let slots: BTreeSet<SlotId> = purged.iter().map(|batch| batch.id().slot).collect();
        for slot in slots {
            self.leave_ring(slot);
            self.look(slot, now);
        }
        purged
    }

    /// Takes out everything that is queued, open batches included (force close, fatal error).
    pub(crate) fn abort_all(&self, out: &mut Vec<ProducerBatch>) {
        let accumulator = Arc::clone(&self.accumulator);
        let mut purged = accumulator.purged.lock();
        accumulator
            .queued_batches
            .fetch_sub(purged.len(), Ordering::AcqRel);
        out.append(&mut purged);
        for slot in accumulator.all_slots() {
            self.take_all_of(&slot, out);
        }
    }

    fn take_all_of(&self, slot: &Slot, out: &mut Vec<ProducerBatch>) {
        let before = out.len();
        out.extend(slot.queue.lock().drain_all());
        self.accumulator
            .queued_batches
            .fetch_sub(out.len() - before, Ordering::AcqRel);
    }

    /// A batch of the slot that waits to be sent again (R02).
    #[cfg(feature = "planted")]
    pub(crate) fn take_retried(&mut self, slot: SlotId) -> Option<ProducerBatch> {
        let batch = self.view(slot)?.queue.lock().take_retried()?;
        self.accumulator
            .queued_batches
            .fetch_sub(1, Ordering::AcqRel);
        Some(batch)
    }

    /// Whether any batch is queued, open ones included.
    pub(crate) fn has_queued(&self) -> bool {
        self.accumulator.queued_batches.load(Ordering::Acquire) > 0
    }

    /// Whether nothing is queued and nothing can be any more; only asked once it is closed. Takes
    /// every queue's lock, so that an append that was admitted before the close is seen.
    pub(crate) fn is_drained_for_good(&self) -> bool {
        !self.has_queued()
            && self
                .accumulator
                .all_slots()
                .iter()
                .all(|slot| slot.queue.lock().is_empty())
    }
}
