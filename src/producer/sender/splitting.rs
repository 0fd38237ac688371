//! Batches that go on in pieces: one that is too large for its topic, and one of which the broker
//! names the records that it does not take (KIP-467).
//!
//! Java's counterpart: `splitAndReenqueue` of `RecordAccumulator`; it never sends the rest of a batch
//! whose other records were refused. Thread: Sender. Locks: none while callbacks run.
//! Invariants: only what is certainly in no log is split, and it leaves its sequences behind: they
//! are used again if nothing was numbered after them, else its partition goes on under a new epoch
//! once all of it is resolved (`transaction/sequences.rs`). Splitting is no retry: it counts for no
//! `retries` and waits for no backoff. It ends: pieces have half of the bytes, or fewer culprits.

use std::collections::BTreeMap;
use std::time::Instant;

use super::ending_order::Ended;
use super::outcome::{attempt_text, rejected, too_large};
use super::produce::SentTopic;
use super::sender::{RequestTag, Sender};
use crate::client::KafkaClient;
use crate::error::Persistence;
use crate::producer::accumulator::{BatchFailure, ProducerBatch};
use crate::producer::batch_id::SlotId;
use crate::producer::transaction::Ending;
use crate::protocol::ErrorCode;
use crate::protocol::messages::PartitionProduceResponse;
use crate::record::BATCH_OVERHEAD;

type Answer<'a> = (ErrorCode, &'a PartitionProduceResponse);

impl<C: KafkaClient<RequestTag>> Sender<C> {
    /// The topic, or a segment of its log, takes no batch of this size. Several records go in pieces, a
    /// single one fails (B94, B95), and so does what an earlier attempt may have appended: the same
    /// bytes would be refused for their size again and again, whether they are in the log or not.
    pub(super) fn on_too_large(
        &mut self,
        mut batch: ProducerBatch,
        topic: &SentTopic,
        (code, answer): Answer<'_>,
        now: Instant,
    ) {
        let context = attempt_text(&batch, now);
        let is_single = batch.record_count() == 1;
        if !is_single && batch.persistence() == Persistence::NotWritten {
            let points = batch.split_points(self.taken_sizes.on_too_large(&batch));
            log::debug!(
                "{}, going on in {} pieces",
                code.to_error(&context),
                points.len() + 1
            );
            batch.attempt_failed(code.to_error("the last answer"));
            let pieces = self.split(batch, &points, now);
            return self.put_in_place(pieces, topic, now);
        }
        let context = too_large(&context, batch.size(), is_single);
        let failure = rejected(&context, code, answer, batch.record_count());
        self.fail(batch, failure, false, now);
    }

    /// Those records that are to blame fail at once, each for its own reason, and the others go again
    /// without them; all of them fail if all are to blame, if the broker names none, or if an earlier
    /// attempt may have been appended.
    pub(super) fn on_invalid_records(
        &mut self,
        mut batch: ProducerBatch,
        topic: &SentTopic,
        (code, answer): Answer<'_>,
        now: Instant,
    ) {
        let count = batch.record_count();
        let failure = rejected(&attempt_text(&batch, now), code, answer, count);
        let culprits = failure.record_errors.len();
        let is_partial = culprits > 0 && u32::try_from(culprits).is_ok_and(|some| some < count);
        if !is_partial || batch.persistence() != Persistence::NotWritten {
            return self.fail(batch, failure, false, now);
        }
        log::debug!(
            "{culprits} of {count} records for {} are refused ({}), the others go again",
            batch.topic_partition(),
            code.name()
        );
        batch.attempt_failed(code.to_error("the last answer, because of other records"));
        let stretches = Stretch::of(count, failure);
        let points: Vec<u32> = stretches.iter().skip(1).map(|it| it.first).collect();
        let pieces = self.split(batch, &points, now);
        let (mut innocent, mut guilty) = (Vec::new(), Vec::new());
        for (piece, stretch) in pieces.into_iter().zip(stretches) {
            match stretch.failure {
                None => innocent.push(piece),
                Some(failure) => guilty.push(Ended {
                    batch: piece,
                    outcome: Err(failure),
                }),
            }
        }
        self.put_in_place(innocent, topic, now);
        guilty.into_iter().for_each(|ended| self.end(ended));
    }

    /// The pieces, which nobody holds yet, in place of the batch wherever it was known.
    fn split(&mut self, batch: ProducerBatch, points: &[u32], now: Instant) -> Vec<ProducerBatch> {
        let id = batch.id();
        let pieces = batch.split(points);
        self.ending_order.on_split(id, &pieces);
        if self.config.idempotence {
            self.sequences.on_ended(id, Ending::NotWritten);
        }
        self.drainer.unblock(id.slot, now);
        pieces
    }

    /// `topic`: which the whole was sent to.
    fn put_in_place(&mut self, pieces: Vec<ProducerBatch>, topic: &SentTopic, now: Instant) {
        let pieces: Vec<ProducerBatch> = pieces
            .into_iter()
            .filter_map(|piece| self.unless_left_behind(piece, topic, now))
            .collect();
        if let Some(slot) = pieces.first().map(|piece| piece.id().slot) {
            self.drainer.reenqueue_pieces(slot, pieces, now);
        }
    }
}

/// The largest piece that each partition took, so that its next batch that is too large is not
/// halved step by step again. Nothing is kept where nothing was split.
#[derive(Debug, Default)]
pub(super) struct TakenSizes(BTreeMap<SlotId, usize>);

impl TakenSizes {
    /// The broker took it.
    pub(super) fn on_taken(&mut self, batch: &ProducerBatch) {
        let (slot, size) = (batch.id().slot, batch.size());
        if batch.is_piece() {
            let known = self.0.entry(slot).or_insert(size);
            *known = size.max(*known);
        } else if !self.0.is_empty() && self.0.get(&slot).is_some_and(|known| *known < size) {
            // The topic takes larger ones again.
            self.0.remove(&slot);
        }
    }

    /// How many bytes of records a piece shall have at most. No less than a sixteenth of the batch: what
    /// was taken may have been small by itself.
    fn on_too_large(&mut self, batch: &ProducerBatch) -> usize {
        let size = batch.size();
        match self.0.get(&batch.id().slot) {
            Some(known) if *known < size => {
                let records = known.saturating_sub(BATCH_OVERHEAD);
                records.max((size - BATCH_OVERHEAD) / 16)
            }
            Some(_) => {
                self.0.remove(&batch.id().slot);
                usize::MAX
            }
            None => usize::MAX,
        }
    }
}

/// Records in a row that share their fate.
struct Stretch {
    first: u32,
    /// `None`: they are innocent.
    failure: Option<BatchFailure>,
}

impl Stretch {
    /// All records, in order; the failure's own records are to blame.
    fn of(record_count: u32, failure: BatchFailure) -> Vec<Self> {
        let mut stretches: Vec<Self> = Vec::new();
        let mut next = 0;
        for (index, reason) in failure.record_errors {
            if index > next {
                stretches.push(Self::innocent(next));
            }
            next = index + 1;
            match stretches.last_mut() {
                Some(Self {
                    first,
                    failure: Some(before),
                }) => before.record_errors.push((index - *first, reason)),
                _ => stretches.push(Self {
                    first: index,
                    failure: Some(BatchFailure {
                        error: failure.error.clone(),
                        record_errors: vec![(0, reason)],
                    }),
                }),
            }
        }
        if next < record_count {
            stretches.push(Self::innocent(next));
        }
        stretches
    }

    fn innocent(first: u32) -> Self {
        Self {
            first,
            failure: None,
        }
    }
}
