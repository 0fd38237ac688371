//! Batches that go on in pieces: one that is too large for its topic, and one of which the broker
//! names the records that it does not take (KIP-467).
//!
//! Java's counterpart: `splitAndReenqueue` of `RecordAccumulator`; it never sends the rest of a batch
//! whose other records were refused. Thread: Sender. Locks: none while callbacks run.
//! Invariants: only what is certainly in no log is split, and it leaves its sequences behind: they
//! are used again if nothing was numbered after them, else its partition goes on under a new epoch
//! once all of it is resolved (`transaction/sequences.rs`). Splitting is no retry: it counts for no
//! `retries` and waits for no backoff. It ends: pieces have half of the bytes, or fewer culprits.

use std::time::Instant;

use super::ending_order::Ended;
use super::outcome::{attempt_text, rejected, too_large};
use super::produce::{SentPartition, SentTopic};
use super::sender::{RequestTag, Sender};
use crate::client::KafkaClient;
use crate::error::Persistence;
use crate::producer::accumulator::{BatchFailure, ProducerBatch};
use crate::producer::transaction::Ending;
use crate::protocol::ErrorCode;
use crate::protocol::messages::PartitionProduceResponse;

type Answer<'a> = (ErrorCode, &'a PartitionProduceResponse);

impl<C: KafkaClient<RequestTag>> Sender<C> {
    /// The topic, or a segment of its log, takes no batch of this size. Several records go in pieces, a
    /// single one fails (B94, B95). If an earlier attempt may have been appended, the same bytes go again.
    pub(super) fn on_too_large(
        &mut self,
        mut batch: ProducerBatch,
        (topic, sent): (&SentTopic, SentPartition),
        (code, answer): Answer<'_>,
        now: Instant,
    ) {
        let context = attempt_text(&batch, now);
        let is_single = batch.record_count() == 1;
        if !is_single && batch.persistence() == Persistence::NotWritten {
            let points = batch.split_points(usize::MAX);
            log::debug!(
                "{}, going on in {} pieces",
                code.to_error(&context),
                points.len() + 1
            );
            batch.attempt_failed(code.to_error("the last answer"));
            let Some(batch) = self.unless_left_behind(batch, topic, now) else {
                return;
            };
            let pieces = self.split(batch, &points, now);
            return self.put_in_place(pieces, now);
        }
        if !is_single && self.may_retry(&batch, now) {
            let error = code.to_error(&context);
            log::warn!("{error}, trying again, as an earlier attempt had no answer");
            batch.attempt_failed(code.to_error("the last answer"));
            return self.put_back(batch, (topic, sent), true, now);
        }
        let context = if is_single {
            too_large(&context, batch.size())
        } else {
            self.last_attempt_text(&batch, now)
        };
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
        let Some(batch) = self.unless_left_behind(batch, topic, now) else {
            return;
        };
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
        self.put_in_place(innocent, now);
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

    fn put_in_place(&mut self, pieces: Vec<ProducerBatch>, now: Instant) {
        if let Some(slot) = pieces.first().map(|piece| piece.id().slot) {
            self.drainer.reenqueue_pieces(slot, pieces, now);
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
