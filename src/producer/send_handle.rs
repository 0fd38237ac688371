//! The promise that `send` returns.
//!
//! Java's counterpart: `FutureRecordMetadata`. Thread: any. Locks: the result's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::accumulator::{BatchOutcome, ProduceRequestResult};
use super::callback::in_callback;
use super::{DeliveryError, RecordMetadata};
use crate::cluster::TopicPartition;
use crate::error::{Error, ErrorKind, Persistence};
use crate::sync::Parker;
use crate::time::{Time, deadline};

/// Becomes the outcome of one record: wait for it, look at it, or `await` it. Dropping it cancels
/// nothing. It waits at most for `delivery.timeout.ms`, after which every record has an outcome.
///
/// As a `Future` it needs no particular runtime: it only calls the waker it is given.
#[derive(Debug)]
pub struct SendHandle {
    result: Arc<ProduceRequestResult>,
    index: u32,
    timestamp_ms: i64,
    serialized_key_size: i32,
    serialized_value_size: i32,
    waiter: Option<u64>,
}

/// What a handle knows of its record besides the batch's result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSizes {
    pub(crate) timestamp_ms: i64,
    pub(crate) serialized_key_size: i32,
    pub(crate) serialized_value_size: i32,
}

impl SendHandle {
    #[inline]
    pub(crate) fn new(result: Arc<ProduceRequestResult>, index: u32, sizes: RecordSizes) -> Self {
        Self {
            result,
            index,
            timestamp_ms: sizes.timestamp_ms,
            serialized_key_size: sizes.serialized_key_size,
            serialized_value_size: sizes.serialized_value_size,
            waiter: None,
        }
    }

    /// Returns whether the record has its outcome, and its callback has run. Never waits.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.result.outcome(self.index).is_some()
    }

    /// Returns the outcome if there is one. Never waits.
    #[must_use]
    pub fn try_get(&self) -> Option<Result<RecordMetadata, DeliveryError>> {
        self.result
            .outcome(self.index)
            .map(|(outcome, index)| self.mine(&outcome, index))
    }

    /// Waits for the outcome: at most for `delivery.timeout.ms` after `send`.
    ///
    /// # Errors
    /// Why the record was not delivered. Inside a callback, where waiting would be for ever, an
    /// unfinished handle gives [`ErrorKind::WouldDeadlock`] and the record goes on.
    pub fn get(mut self) -> Result<RecordMetadata, DeliveryError> {
        match self.wait(None) {
            Some(outcome) => outcome,
            None => Err(self.would_deadlock()),
        }
    }

    /// Waits for the outcome, but no longer than `timeout`; `None` if there is none by then.
    /// Inside a callback it does not wait at all.
    #[must_use]
    pub fn get_timeout(
        &mut self,
        timeout: Duration,
    ) -> Option<Result<RecordMetadata, DeliveryError>> {
        self.wait(Some(timeout))
    }

    /// `None`: not done in time, or waiting is forbidden here.
    fn wait(&mut self, timeout: Option<Duration>) -> Option<Result<RecordMetadata, DeliveryError>> {
        if self.is_done() || in_callback() {
            return self.try_get();
        }
        let time = Time::default();
        let until = timeout.map(|timeout| deadline(time.now(), timeout));
        let parker = Parker::new();
        let waker = parker.waker();
        while self.result.wait(self.index, &mut self.waiter, &waker) {
            parker.park_until(&time, until);
            if until.is_some_and(|until| time.now() >= until) {
                break;
            }
        }
        self.try_get()
    }

    /// `index`: of its record in the batch, or piece of one, that had this outcome.
    fn mine(&self, outcome: &BatchOutcome, index: u32) -> Result<RecordMetadata, DeliveryError> {
        match outcome {
            BatchOutcome::Acked {
                base_offset,
                log_append_time_ms,
                receipt,
            } => {
                let TopicPartition { topic, partition } = self.result.topic_partition().clone();
                Ok(RecordMetadata {
                    topic,
                    partition,
                    offset: offset_of(*base_offset, index),
                    timestamp_ms: timestamp_of(*log_append_time_ms, self.timestamp_ms),
                    serialized_key_size: self.serialized_key_size,
                    serialized_value_size: self.serialized_value_size,
                    receipt: *receipt,
                })
            }
            BatchOutcome::Failed(batch) => Err(BatchOutcome::delivery_error(batch, index)),
        }
    }

    fn would_deadlock(&self) -> DeliveryError {
        let text = format!(
            "get on an unfinished handle for {} inside a callback would wait for the thread it runs on",
            self.result.topic_partition()
        );
        let error =
            Error::new(ErrorKind::WouldDeadlock, text).with_persistence(Persistence::Unknown);
        DeliveryError::without_record(self.result.topic_partition().clone(), error)
    }
}

/// -1 stays -1: unknown for the batch is unknown for its records. What no broker can mean does not
/// wrap round.
#[inline]
pub(crate) fn offset_of(base_offset: i64, index: u32) -> i64 {
    if base_offset < 0 {
        -1
    } else {
        base_offset.saturating_add(i64::from(index))
    }
}

/// The broker's time where it gave one, else the record's own (B99).
#[inline]
pub(crate) fn timestamp_of(log_append_time_ms: i64, own_ms: i64) -> i64 {
    if log_append_time_ms >= 0 {
        log_append_time_ms
    } else {
        own_ms
    }
}

impl Future for SendHandle {
    type Output = Result<RecordMetadata, DeliveryError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(outcome) = this.try_get() {
            return Poll::Ready(outcome);
        }
        if this.result.wait(this.index, &mut this.waiter, cx.waker()) {
            return Poll::Pending;
        }
        this.try_get().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for SendHandle {
    #[inline]
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.result.forget(waiter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_of_a_record_past_the_last_offset_there_is_does_not_wrap_round() {
        assert_eq!(offset_of(7, 3), 10);
        assert_eq!(offset_of(-1, 3), -1);
        assert_eq!(offset_of(i64::MAX - 1, 3), i64::MAX);
    }
}
