//! What follows from a broker's code for one batch, and the words for those whose batch failed.
//!
//! Java's counterpart: the branches of `Sender.completeBatch`. Thread: Sender. Locks: none.

use std::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::planted::{Plant, planted};
use crate::producer::accumulator::{BatchFailure, ProducerBatch};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{PartitionProduceResponse, RecordError};

/// What follows from a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log; `offset_known` unless the broker only recognised a repetition.
    Complete { offset_known: bool },
    /// The same request may succeed later.
    Retry,
    /// It is about identity and sequence: the sequences decide.
    Refused,
    /// Pieces of it may be small enough.
    TooLarge,
    /// Some of its records are to blame, perhaps: the others may be taken without them (KIP-467).
    InvalidRecords,
    /// Nothing will help this batch.
    Fail,
    /// Nothing will help any batch.
    FailAll,
}

impl Verdict {
    pub(super) fn of(code: ErrorCode, idempotence: bool) -> Self {
        match code {
            ErrorCode::NONE => Self::Complete { offset_known: true },
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Self::Complete {
                offset_known: false,
            },
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_EPOCH
                if idempotence =>
            {
                Self::Refused
            }
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::PRODUCER_FENCED
                if idempotence =>
            {
                Self::FailAll
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => Self::TooLarge,
            ErrorCode::INVALID_RECORD | ErrorCode::INVALID_TIMESTAMP => Self::InvalidRecords,
            code if code.is_retriable() => Self::Retry,
            _ => Self::Fail,
        }
    }
}

/// "could not produce 3 records to topic-0 after 120000 ms and 4 attempts".
pub(super) fn attempt_text(batch: &ProducerBatch, now: Instant) -> String {
    let waited = now.saturating_duration_since(batch.created()).as_millis();
    format!(
        "could not produce {} to {} after {waited} ms and {}",
        count(batch.record_count(), "record"),
        batch.topic_partition(),
        count(batch.attempts(), "attempt"),
    )
}

/// The error of a batch whose delivery timeout is over.
/// `refusal`: why there was no producer id.
pub(super) fn expired(
    batch: &ProducerBatch,
    on_the_way: bool,
    refusal: Option<&Error>,
    now: Instant,
) -> Error {
    let why = batch
        .last_failure()
        .or_else(|| refusal.filter(|_| batch.attempts() == 0));
    let waited = now.saturating_duration_since(batch.created()).as_millis();
    let attempts = count(batch.attempts(), "attempt");
    let mut fate = match (batch.attempts(), on_the_way) {
        (0, _) => "never sent".to_owned(),
        (_, true) => format!("the last of {attempts} unanswered"),
        (_, false) => format!("waiting to be sent again after {attempts}"),
    };
    if let Some(why) = why {
        fate = format!("{fate}; {why}");
    }
    let text = format!(
        "{} for {} expired after {waited} ms: {fate} (delivery.timeout.ms)",
        count(batch.record_count(), "record"),
        batch.topic_partition(),
    );
    // Time alone would not have helped.
    let kind = match why {
        Some(why) if why.kind() == ErrorKind::UnsupportedVersion => ErrorKind::UnsupportedVersion,
        _ => ErrorKind::Timeout,
    };
    let error = Error::new(kind, text);
    match why {
        Some(why) => error.with_source(why.clone()),
        None => error,
    }
}

/// What was tried with a batch that is too large and cannot go in pieces; the code names the key.
pub(super) fn too_large(context: &str, bytes: usize, is_single: bool) -> String {
    let why = if is_single {
        "is of one record"
    } else {
        "may have been written by an attempt without an answer"
    };
    format!("{context}: the batch of {bytes} bytes {why}")
}

/// The failure that a partition's answer means, with each guilty record's own reason (B97).
pub(super) fn rejected(
    context: &str,
    code: ErrorCode,
    answer: &PartitionProduceResponse,
    record_count: u32,
) -> BatchFailure {
    let context = match &answer.error_message {
        Some(message) => format!("{context}, the broker says {message:?}"),
        None => context.to_owned(),
    };
    let mut record_errors: Vec<(u32, Error)> = answer
        .record_errors
        .iter()
        .filter_map(|error| record_error(&context, code, answer, error))
        .filter(|(index, _)| *index < record_count)
        .collect();
    record_errors.sort_by_key(|(index, _)| *index);
    record_errors.dedup_by_key(|(index, _)| *index);
    let error = if record_errors.is_empty() {
        code.to_error(&context)
    } else {
        code.to_error(&format!("{context}, because of other records of its batch"))
    };
    BatchFailure {
        error,
        record_errors,
    }
}

/// With a single guilty record the partition's code is that record's; with several, all that is
/// known of each is that it is invalid.
fn record_error(
    context: &str,
    code: ErrorCode,
    answer: &PartitionProduceResponse,
    error: &RecordError,
) -> Option<(u32, Error)> {
    let index = u32::try_from(error.batch_index).ok()?;
    let context = match &error.message {
        Some(message) => format!("{context}, because of this record: {message}"),
        None => format!("{context}, because of this record"),
    };
    let code = if answer.record_errors.len() == 1 {
        code
    } else {
        ErrorCode::INVALID_RECORD
    };
    Some((index, code.to_error(&context)))
}

/// A time that equals the batch's largest timestamp says nothing if an earlier attempt may have been
/// appended: brokers answer a repetition with it on topics that keep the records' own times (R79).
pub(super) fn log_append_time_ms(batch: &ProducerBatch, answered_ms: i64) -> i64 {
    // R79: Java believes it.
    if batch.may_be_a_repetition()
        && !planted(Plant::R79)
        && answered_ms == batch.max_timestamp_ms()
    {
        -1
    } else {
        answered_ms
    }
}

pub(super) fn count(number: u32, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdict_of_sequence_codes_without_idempotence_is_to_fail() {
        for code in [45, 47, 59, 31, 35, 49, 90] {
            assert_eq!(Verdict::of(ErrorCode(code), false), Verdict::Fail, "{code}");
        }
    }

    #[test]
    fn verdict_of_every_code_follows_the_table_but_for_sequences_and_fatal_ones() {
        for code in -2..200 {
            let verdict = Verdict::of(ErrorCode(code), true);
            let expected = match code {
                0 => Verdict::Complete { offset_known: true },
                46 => Verdict::Complete {
                    offset_known: false,
                },
                45 | 47 | 59 => Verdict::Refused,
                31 | 35 | 49 | 90 => Verdict::FailAll,
                10 | 18 => Verdict::TooLarge,
                32 | 87 => Verdict::InvalidRecords,
                _ if ErrorCode(code).is_retriable() => Verdict::Retry,
                _ => Verdict::Fail,
            };
            assert_eq!(verdict, expected, "{code}");
        }
    }
}
