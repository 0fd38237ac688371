//! How the Sender's life ends: gracefully when everything has its outcome, by force, by a fatal
//! error, or by a panic of our own; in each case nothing that was accepted is left hanging.
//!
//! Java's counterpart: the end of `Sender.run`, `abortBatches`, `forceClose`. Thread: Sender.
//! Locks: none while callbacks run.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::ending_order::Ended;
use super::outcome::count;
use super::sender::{RequestTag, Sender};
use crate::client::KafkaClient;
use crate::error::{Error, ErrorKind};
use crate::planted::{Plant, planted};
use crate::producer::accumulator::ProducerBatch;
use crate::producer::shared::Stage;

impl<C: KafkaClient<RequestTag>> Sender<C> {
    /// Runs until closed and done; a panic ends every batch and makes later sends fail.
    pub(crate) fn run(mut self) {
        log::debug!("{}: the Sender thread begins", self.config.client_id);
        let run = catch_unwind(AssertUnwindSafe(|| self.run_until_closed()));
        if let Err(panic) = run {
            self.end_after_panic(&*panic);
        }
        self.shared.metadata.close();
        log::debug!("{}: the Sender thread ends", self.config.client_id);
    }

    fn run_until_closed(&mut self) {
        while !self.is_done() {
            let now = self.shared.time.now();
            self.run_once(now);
        }
    }

    /// Whether nothing is left to do; with force, what is left ends now.
    pub(in crate::producer) fn is_done(&mut self) -> bool {
        match self.shared.stage() {
            Stage::Running | Stage::Closing => self.has_closed_gracefully(),
            Stage::Forced => {
                let text = "the producer was closed by force before the record was acknowledged \
                            (the timeout of close)";
                let error = Error::new(ErrorKind::Aborted, text);
                let now = self.shared.time.now();
                self.abort_everything(&error, now);
                // KAFKA-6768: what was asked of a broker is waited for.
                !(planted(Plant::R54) && self.identity_request.is_in_flight())
            }
        }
    }

    /// Whether it is closing, and everything accepted has its outcome.
    pub(super) fn has_closed_gracefully(&self) -> bool {
        self.shared.stage() == Stage::Closing
            && self.in_flight.is_empty()
            && self.drainer.is_drained_for_good()
    }

    /// Ends everything, queued and on its way, in the order of sending. What a callback sends
    /// meanwhile is ended by the next call.
    pub(super) fn abort_everything(&mut self, error: &Error, now: Instant) {
        let mut batches = Vec::new();
        self.in_flight.take_all(&mut batches);
        self.drainer.abort_all(&mut batches);
        self.abort(batches, error, now);
    }

    /// Ends everything that is queued.
    pub(super) fn abort_queued(&mut self, error: &Error, now: Instant) {
        let mut batches = Vec::new();
        self.drainer.abort_all(&mut batches);
        self.abort(batches, error, now);
    }

    fn abort(&mut self, mut batches: Vec<ProducerBatch>, error: &Error, now: Instant) {
        batches.sort_by_key(ProducerBatch::id);
        for batch in batches {
            self.fail(batch, error.clone().into(), false, now);
        }
    }

    /// Ends what somebody purged: it never left its queue.
    pub(super) fn end_purged(&mut self, now: Instant) {
        let mut purged = self.drainer.take_purged(now);
        purged.sort_by_key(ProducerBatch::id);
        for batch in purged {
            let text = format!(
                "{} for {} purged before they were sent",
                count(batch.record_count(), "record"),
                batch.topic_partition()
            );
            self.fail(
                batch,
                Error::new(ErrorKind::Purged, text).into(),
                false,
                now,
            );
        }
    }

    /// A bug of ours. What the panic unwound through has dropped its batches, which ends them; the
    /// rest ends here, as simply as can be, because nobody knows what state we are in.
    fn end_after_panic(&mut self, panic: &(dyn Any + Send)) {
        let words = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let text = format!("the Sender thread panicked, which is a bug of this library: {words}");
        let error = Error::new(ErrorKind::Internal, text);
        self.shared.set_fatal(&error);
        self.shared.begin_close();
        let mut batches = Vec::new();
        let _ = catch_unwind(AssertUnwindSafe(|| self.in_flight.take_all(&mut batches)));
        let _ = catch_unwind(AssertUnwindSafe(|| self.drainer.abort_all(&mut batches)));
        let failed = batches.into_iter().map(|batch| Ended {
            batch,
            outcome: Err(error.clone().into()),
        });
        let mut ended = self.ending_order.take_all();
        ended.extend(failed);
        ended.sort_by_key(|ended| ended.batch.id());
        for ended in ended {
            let _ = catch_unwind(AssertUnwindSafe(|| self.tell(ended)));
        }
    }
}
