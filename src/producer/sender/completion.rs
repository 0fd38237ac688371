//! From a produce response, or the lack of one, to each batch's outcome: ended, or back to its queue.
//!
//! Java's counterpart: `Sender.handleProduceResponse`, `completeBatch`, `failBatch`. Thread: Sender.
//! Locks: none; a batch's callbacks run after sequences and queue know of its end, and after those
//! of earlier batches (`ending_order.rs`). Invariant: a batch ends `NotWritten` only if every attempt
//! was answered with a proof (docs/DESIGN.md).

use std::time::Instant;

use super::ending_order::Ended;
use super::outcome::{Verdict, attempt_text, expired, log_append_time_ms, rejected};
use super::produce::{Answered, ProduceTag, SentPartition, SentTopic};
use super::sender::{RequestTag, Sender};
use crate::client::{KafkaClient, Outcome};
use crate::cluster::Node;
use crate::error::{Error, ErrorKind, Persistence};
use crate::planted::{Plant, planted};
use crate::producer::accumulator::{BatchAck, BatchFailure, ProducerBatch};
use crate::producer::transaction::{Ending, SequenceVerdict};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{ApiResponse, PartitionProduceResponse};

/// How an attempt ended without an answer.
struct Unanswered {
    kind: ErrorKind,
    /// Certainly no byte of it reached a broker.
    proved: bool,
    error: Error,
}

impl<C: KafkaClient<RequestTag>> Sender<C> {
    pub(super) fn on_produce_outcome(&mut self, tag: &ProduceTag, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Response(ApiResponse::Produce(mut response)) => {
                let endpoints = std::mem::take(&mut response.node_endpoints);
                for answered in tag.match_with(&mut response) {
                    if planted(Plant::R57) && self.is_known_otherwise(answered.topic) {
                        // KAFKA-19397: nobody was left to complete it.
                        std::mem::forget(self.in_flight.remove(answered.sent.batch));
                        continue;
                    }
                    self.on_answered(answered, &endpoints, now);
                }
            }
            Outcome::Response(_) => {
                let error = Error::new(ErrorKind::Protocol, "the response is another API's");
                self.on_unanswered(tag, ErrorKind::Protocol, (false, error), now);
            }
            Outcome::Sent => {
                for (_, sent) in tag.sent() {
                    self.on_written(sent, now);
                }
            }
            Outcome::Disconnected {
                maybe_written,
                error,
            } => self.on_unanswered(tag, ErrorKind::Network, (!maybe_written, error), now),
            Outcome::TimedOut { error } => {
                self.on_unanswered(tag, ErrorKind::Timeout, (false, error), now);
            }
            // Nothing was sent. The client asks the node again what it has.
            Outcome::UnsupportedVersion(error) => {
                self.on_unanswered(tag, ErrorKind::UnsupportedVersion, (true, error), now);
            }
        }
        if self.guarantees_order_by_muting() {
            for (_, sent) in tag.sent() {
                self.drainer.unmute(sent.batch.slot, now);
            }
        }
    }

    /// acks=0: the bytes are written, and that is all anybody will know (B108).
    fn on_written(&mut self, sent: SentPartition, now: Instant) {
        if let Some(batch) = self.in_flight.remove(sent.batch) {
            self.drainer.unblock(sent.batch.slot, now);
            let outcome = Ok(BatchAck {
                base_offset: -1,
                log_append_time_ms: -1,
            });
            self.end(Ended { batch, outcome });
        }
    }

    fn on_unanswered(
        &mut self,
        tag: &ProduceTag,
        kind: ErrorKind,
        (proved, error): (bool, Error),
        now: Instant,
    ) {
        self.shared.metadata.request_update();
        for (topic, sent) in tag.sent() {
            let unanswered = Unanswered {
                kind,
                proved,
                error: error.clone(),
            };
            self.on_attempt_unanswered((topic, sent), &unanswered, now);
        }
    }

    fn on_attempt_unanswered(
        &mut self,
        (topic, sent): (&SentTopic, SentPartition),
        why: &Unanswered,
        now: Instant,
    ) {
        let Some(mut batch) = self.in_flight.remove(sent.batch) else {
            log::debug!(
                "the end of a request for a batch that had ended: {}",
                why.error
            );
            return;
        };
        if why.proved {
            batch.attempt_proved_not_written();
        }
        if self.may_retry(&batch, now) {
            log::warn!("{}, trying again: {}", attempt_text(&batch, now), why.error);
            batch.attempt_failed(why.error.clone());
            self.put_back(batch, (topic, sent), why.proved, now);
            return;
        }
        let text = format!("{}: {}", self.last_attempt_text(&batch, now), why.error);
        let error = Error::new(why.kind, text).with_source(why.error.clone());
        self.fail(batch, error.into(), false, now);
    }

    fn on_answered(&mut self, answered: Answered<'_>, endpoints: &[Node], now: Instant) {
        let Answered {
            topic,
            sent,
            answer,
        } = answered;
        let Some(answer) = answer else {
            let text = "the response has nothing on this partition";
            let unanswered = Unanswered {
                kind: ErrorKind::Protocol,
                proved: false,
                error: Error::new(ErrorKind::Protocol, text),
            };
            self.on_attempt_unanswered((topic, sent), &unanswered, now);
            return;
        };
        let code = ErrorCode(answer.error_code);
        self.learn_leader(topic, &answer, endpoints);
        let verdict = Verdict::of(code, self.config.idempotence);
        if let Verdict::Complete { offset_known } = verdict {
            self.on_acknowledged(topic, sent, &answer, (offset_known, now));
            return;
        }
        let Some(mut batch) = self.in_flight.remove(sent.batch) else {
            log::debug!(
                "{} for a batch of {} that had ended",
                code.name(),
                topic.name
            );
            return;
        };
        if code.proves_not_written() {
            batch.attempt_proved_not_written();
        }
        #[cfg(feature = "planted")]
        if planted(Plant::R07) && code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            self.sequences.forget(|slot| slot == sent.batch.slot);
        }
        let retry = self.may_retry(&batch, now);
        let told = (code, &answer);
        match verdict {
            Verdict::Complete { .. } => {}
            Verdict::Retry if retry => {
                let text = attempt_text(&batch, now);
                log::warn!("{}, trying again", code.to_error(&text));
                batch.attempt_failed(code.to_error("the last answer"));
                if code == ErrorCode::UNKNOWN_TOPIC_ID {
                    self.sequences.on_topic_id_unknown(sent.batch);
                }
                let answered = code.proves_not_written() || code == ErrorCode::UNKNOWN_TOPIC_ID;
                self.put_back(batch, (topic, sent), answered, now);
            }
            Verdict::Refused if retry => self.on_refused(batch, (topic, sent), told, now),
            Verdict::TooLarge => self.on_too_large(batch, topic, told, now),
            Verdict::InvalidRecords => self.on_invalid_records(batch, topic, told, now),
            Verdict::Retry | Verdict::Refused | Verdict::Fail | Verdict::FailAll => {
                self.fail_as_answered(batch, verdict, told, now);
            }
        }
    }

    /// There is no other attempt after this answer.
    fn fail_as_answered(
        &mut self,
        batch: ProducerBatch,
        verdict: Verdict,
        (code, answer): (ErrorCode, &PartitionProduceResponse),
        now: Instant,
    ) {
        let text = match verdict {
            Verdict::Retry | Verdict::Refused => self.last_attempt_text(&batch, now),
            _ => attempt_text(&batch, now),
        };
        let failure = rejected(&text, code, answer, batch.record_count());
        if verdict == Verdict::FailAll {
            self.shared.set_fatal(&failure.error);
        }
        self.fail(batch, failure, verdict == Verdict::Refused, now);
    }

    /// Whether metadata has another topic of this name by now, or none (R57).
    fn is_known_otherwise(&self, topic: &SentTopic) -> bool {
        let cluster = self.shared.metadata.cluster();
        let known = cluster.topic(&topic.name);
        !topic.id.is_zero() && known.is_none_or(|known| known.id != topic.id)
    }

    /// Metadata learns that it is stale, and, if the broker says so, what is right (KIP-951).
    fn learn_leader(
        &mut self,
        topic: &SentTopic,
        answer: &PartitionProduceResponse,
        endpoints: &[Node],
    ) {
        if !ErrorCode(answer.error_code).refreshes_metadata() {
            return;
        }
        if let Some(leader) = answer.current_leader {
            self.shared
                .metadata
                .update_leader(&topic.name, answer.index, leader, endpoints);
        }
        self.shared.metadata.request_update();
    }

    /// An answer that comes after the batch expired is still evidence for its successors.
    fn on_acknowledged(
        &mut self,
        topic: &SentTopic,
        sent: SentPartition,
        answer: &PartitionProduceResponse,
        (offset_known, now): (bool, Instant),
    ) {
        let base_offset = if offset_known { answer.base_offset } else { -1 };
        let lost = match sent.state {
            Some(state) => {
                self.sequences
                    .on_acked(sent.batch, state, sent.record_count, base_offset)
            }
            None => self.acked_offsets.on_acked(topic, &sent, base_offset),
        };
        if let Some(acked_to) = lost {
            let now_at = format!("takes the next ones at offset {base_offset}");
            self.report_data_loss((&topic.name, sent.index), acked_to, &now_at);
        }
        self.drainer.unblock(sent.batch.slot, now);
        let Some(batch) = self.in_flight.remove(sent.batch) else {
            log::debug!(
                "an acknowledgement for a batch of {}-{} that had expired",
                topic.name,
                sent.index
            );
            return;
        };
        self.taken_sizes.on_taken(&batch);
        let log_append_time_ms = if offset_known {
            log_append_time_ms(&batch, answer.log_append_time_ms)
        } else {
            -1
        };
        let outcome = Ok(BatchAck {
            base_offset,
            log_append_time_ms,
        });
        self.end(Ended { batch, outcome });
    }

    /// The broker does not take the batch's identity or sequence; the sequences know why.
    fn on_refused(
        &mut self,
        mut batch: ProducerBatch,
        (topic, sent): (&SentTopic, SentPartition),
        (code, answer): (ErrorCode, &PartitionProduceResponse),
        now: Instant,
    ) {
        let context = attempt_text(&batch, now);
        let log_start_offset = answer.log_start_offset;
        match self
            .sequences
            .on_refused(sent.batch, code, log_start_offset)
        {
            SequenceVerdict::RetryUnchanged => {
                log::debug!("{}, behind another one", code.to_error(&context));
            }
            SequenceVerdict::Restamp { .. } if planted(Plant::R40) => {
                // librdkafka #4438: "sequence desynchronization".
                let failure = rejected(&context, code, answer, batch.record_count());
                self.shared.set_fatal(&failure.error);
                self.fail(batch, failure, true, now);
                return;
            }
            SequenceVerdict::Restamp { .. } if planted(Plant::R39) => {
                // Before KIP-360 nothing else could be done.
                let failure = rejected(&context, code, answer, batch.record_count());
                self.shared.set_fatal(&failure.error);
                self.fail(batch, failure, true, now);
                return;
            }
            SequenceVerdict::Restamp { lost } => {
                log::warn!("{}, going on under a new epoch", code.to_error(&context));
                if let (Some(acked_to), Some(state)) = (lost, sent.state) {
                    let how = format!("misses what comes before {state:?}");
                    self.report_data_loss((&topic.name, sent.index), acked_to, &how);
                }
            }
            SequenceVerdict::EndUnknown | SequenceVerdict::Late => {
                let context = format!("{context}, of which one had no answer that proves anything");
                let failure = rejected(&context, code, answer, batch.record_count());
                self.fail(batch, failure, true, now);
                return;
            }
        }
        batch.attempt_failed(code.to_error("the last answer"));
        if let Some(batch) = self.unless_left_behind(batch, topic, now) {
            self.drainer.reenqueue(batch, now);
            self.drainer.unblock(sent.batch.slot, now);
        }
    }

    /// `acked_to`: the last offset that was acknowledged, or -1 if it was acknowledged without one.
    fn report_data_loss(&self, (topic, partition): (&str, i32), acked_to: i64, broker: &str) {
        self.shared.note_data_loss();
        let acked = match acked_to {
            0.. => format!("up to offset {acked_to}"),
            _ => "without an offset".to_owned(),
        };
        log::error!(
            "data loss: records of {topic}-{partition} that were acknowledged {acked} are not there any \
             more: the broker {broker}"
        );
    }

    /// The same bytes again, after a backoff and in order.
    fn put_back(
        &mut self,
        batch: ProducerBatch,
        (topic, sent): (&SentTopic, SentPartition),
        answered: bool,
        now: Instant,
    ) {
        let Some(batch) = self.unless_left_behind(batch, topic, now) else {
            return;
        };
        if self.config.idempotence {
            self.sequences.on_put_back(sent.batch, answered);
        }
        #[cfg(feature = "planted")]
        if planted(Plant::R02) {
            self.lose_the_one_before(sent.batch.slot, now);
        }
        self.drainer.reenqueue(batch, now);
        self.drainer.unblock(sent.batch.slot, now);
    }

    /// Dekaf #1570: the object in the retry list was in use again, for the next batch of its kind.
    #[cfg(feature = "planted")]
    fn lose_the_one_before(&mut self, slot: crate::producer::batch_id::SlotId, now: Instant) {
        if let Some(lost) = self.drainer.take_retried(slot) {
            self.forget(&lost, Ending::NotWritten, now);
            let outcome = Ok(BatchAck {
                base_offset: -1,
                log_append_time_ms: -1,
            });
            let batch = lost;
            self.end(Ended { batch, outcome });
        }
    }

    fn may_retry(&self, batch: &ProducerBatch, now: Instant) -> bool {
        batch.tries() <= self.config.retries
            && now < batch.deadline()
            && self.shared.fatal_error().is_none()
    }

    /// Which key would have allowed one more.
    fn last_attempt_text(&self, batch: &ProducerBatch, now: Instant) -> String {
        let key = if now >= batch.deadline() {
            "delivery.timeout.ms"
        } else {
            "retries"
        };
        format!("{} ({key})", attempt_text(batch, now))
    }

    pub(super) fn end_expired(&mut self, batch: ProducerBatch, on_the_way: bool, now: Instant) {
        let refusal = self.identity_request.refusal().cloned();
        let error = expired(&batch, on_the_way, refusal.as_ref(), now);
        self.fail(batch, error.into(), false, now);
    }

    /// The topic was made again, and the old one may have this batch: it does not move over.
    pub(super) fn end_of_another_topic(&mut self, batch: ProducerBatch, now: Instant) {
        let text = format!(
            "{}: the topic was deleted and created again meanwhile",
            attempt_text(&batch, now)
        );
        let error = Error::new(ErrorKind::UnknownTopicOrPartition, text);
        self.fail(batch, error.into(), false, now);
    }

    /// Ends a batch badly. `refused`: because of its sequence, which nobody else may use then.
    pub(super) fn fail(
        &mut self,
        batch: ProducerBatch,
        failure: BatchFailure,
        refused: bool,
        now: Instant,
    ) {
        let ending = match batch.persistence() {
            Persistence::Unknown => Ending::Unknown,
            Persistence::NotWritten if refused => Ending::RefusedBySequence,
            Persistence::NotWritten => Ending::NotWritten,
        };
        log::debug!("{}", failure.error);
        self.forget(&batch, ending, now);
        let outcome = Err(failure);
        self.end(Ended { batch, outcome });
    }

    /// Tells its owners, once those of earlier batches of its partition know, and then those who
    /// had to wait for that.
    pub(super) fn end(&mut self, ended: Ended) {
        let slot = ended.batch.id().slot;
        let mut next = self.ending_order.on_outcome(ended);
        while let Some(ended) = next {
            self.tell(ended);
            next = self.ending_order.next(slot);
        }
    }

    pub(super) fn tell(&self, ended: Ended) {
        self.callbacks.tell(ended, &self.shared);
    }
}

impl From<Error> for BatchFailure {
    fn from(error: Error) -> Self {
        Self {
            error,
            record_errors: Vec::new(),
        }
    }
}
