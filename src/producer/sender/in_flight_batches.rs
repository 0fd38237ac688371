//! The one owner of batches that are on their way; everyone else knows their `BatchId`.
//!
//! Java's counterpart: `inFlightBatches` of `Sender`. Thread: Sender. Locks: none.
//! Invariant: a batch is in its queue, in here, or ended; a response for one that is not in here
//! comes after its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::producer::accumulator::ProducerBatch;
use crate::producer::batch_id::BatchId;

/// Batches that were handed to a connection and have no answer yet.
#[derive(Debug, Default)]
pub(super) struct InFlightBatches {
    batches: BTreeMap<BatchId, ProducerBatch>,
    deadlines: BTreeSet<(Instant, BatchId)>,
    /// Of the request whose end is being taken in: when it was written, and answered.
    times: (Option<Instant>, Option<Instant>),
    /// The first deadline there ever was (R59).
    #[cfg(feature = "planted")]
    earliest: Option<Instant>,
}

impl InFlightBatches {
    pub(super) fn insert(&mut self, batch: ProducerBatch) {
        #[cfg(feature = "planted")]
        self.earliest.get_or_insert(batch.deadline());
        self.deadlines.insert((batch.deadline(), batch.id()));
        let before = self.batches.insert(batch.id(), batch);
        debug_assert!(before.is_none(), "a batch is on its way once");
    }

    /// A request has ended, and what it carried will be removed: when it was written and answered.
    pub(super) fn request_ended(&mut self, written: Option<Instant>, answered: Option<Instant>) {
        self.times = (written, answered);
    }

    /// Its request has ended. `None`: it ended before.
    pub(super) fn remove(&mut self, id: BatchId) -> Option<ProducerBatch> {
        let mut batch = self.batches.remove(&id)?;
        let (written, answered) = self.times;
        batch.attempt_ended(written, answered);
        self.deadlines.remove(&(batch.deadline(), id));
        Some(batch)
    }

    /// Takes out those whose delivery timeout has passed.
    pub(super) fn take_expired(&mut self, now: Instant, out: &mut Vec<ProducerBatch>) {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > now {
                return;
            }
            self.deadlines.pop_first();
            out.extend(self.batches.remove(&id));
        }
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self, out: &mut Vec<ProducerBatch>) {
        self.deadlines.clear();
        out.extend(std::mem::take(&mut self.batches).into_values());
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        #[cfg(feature = "planted")]
        if crate::planted::planted(crate::planted::Plant::R59) {
            // KAFKA-7311: it was set at the first batch, and never again.
            return self.earliest;
        }
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}
