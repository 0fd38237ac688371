//! What is not sent yet is given up: taken out of its queues by whoever purges, ended by the Sender.
//!
//! Java has no counterpart (librdkafka: `rd_kafka_purge`). Thread: any; the Sender takes. Locks: that of
//! the list, and under it one queue's at a time: whoever aborts everything holds the list's meanwhile,
//! so that no batch is between a queue and the list then. Invariant: a batch was never handed to a
//! connection, and never stamped; it counts as queued until the Sender has it.

use std::sync::Arc;

use super::topic::Slot;
use super::{ProducerBatch, RecordAccumulator};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Batches that wait to be ended.
#[derive(Debug, Default)]
pub(super) struct Purged {
    batches: Mutex<Vec<ProducerBatch>>,
    /// To be looked at without the lock.
    any: AtomicBool,
}

impl Purged {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<ProducerBatch>> {
        self.batches.lock()
    }

    /// All there are, for the Sender to end.
    pub(super) fn take(&self) -> Vec<ProducerBatch> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut batches = self.lock();
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut batches)
    }
}

impl RecordAccumulator {
    /// Takes out what was never handed to a connection, of one topic or of all, for the Sender to end
    /// as not written. Gives the number of records. Who waits for room goes on waiting, and gets it.
    pub(crate) fn purge(&self, topic: Option<&str>) -> usize {
        let slots: Vec<Arc<Slot>> = match topic {
            Some(topic) => self.slots_of(topic),
            None => self.all_slots(),
        };
        let mut records = 0;
        let mut purged = self.purged.lock();
        for slot in slots {
            let before = purged.len();
            slot.queue.lock().take_unsent(&mut purged);
            let taken = purged.iter().skip(before);
            records += taken
                .map(|batch| batch.record_count() as usize)
                .sum::<usize>();
        }
        if records > 0 {
            self.purged.any.store(true, Ordering::Release);
        }
        drop(purged);
        if records > 0 {
            self.wake_sender();
        }
        records
    }
}
