//! A record that was accepted and not delivered: why, what is known of its fate, and the record.
//!
//! Java has no counterpart: there the record is gone (docs/DESIGN.md, "The shape of the API").
//! Thread: any. Locks: none.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::receipt::Receipt;
use crate::cluster::TopicPartition;
use crate::error::{Error, ErrorKind, Persistence};
use crate::record::{BatchReader, Headers};

/// A record that was accepted and could not be delivered.
///
/// It keeps the batch's memory until it is dropped: that memory counts as `buffer.memory`.
#[derive(Clone)]
pub struct DeliveryError {
    batch: Arc<FailedBatch>,
    index: u32,
}

/// A batch that failed: one error for all, and for some their own.
#[derive(Debug)]
pub(crate) struct FailedBatch {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) base_timestamp_ms: i64,
    pub(crate) record_count: u32,
    /// The records as bytes, without the batch's header.
    pub(crate) body: Vec<Bytes>,
    pub(crate) error: Error,
    /// By index, in order.
    pub(crate) record_errors: Vec<(u32, Error)>,
    /// None for an error about a handle.
    pub(crate) receipt: Option<Receipt>,
}

/// A record given back, as the bytes it was serialized to.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndeliveredRecord {
    /// The topic it was sent to.
    pub topic: Arc<str>,
    /// The partition that was chosen for it.
    pub partition: i32,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The serialized key, or null.
    pub key: Option<Bytes>,
    /// The serialized value, or null.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
}

impl DeliveryError {
    pub(crate) fn new(batch: Arc<FailedBatch>, index: u32) -> Self {
        Self { batch, index }
    }

    /// An error about a handle rather than a batch: there is no record to give back.
    pub(crate) fn without_record(topic_partition: TopicPartition, error: Error) -> Self {
        let (base_timestamp_ms, body, record_errors) = (0, Vec::new(), Vec::new());
        let batch = FailedBatch {
            topic_partition,
            base_timestamp_ms,
            record_count: 0,
            body,
            error,
            record_errors,
            receipt: None,
        };
        Self::new(Arc::new(batch), 0)
    }

    /// Returns why it failed.
    #[must_use]
    pub fn error(&self) -> &Error {
        let own = &self.batch.record_errors;
        own.binary_search_by_key(&self.index, |(index, _)| *index)
            .ok()
            .and_then(|at| own.get(at))
            .map_or(&self.batch.error, |(_, error)| error)
    }

    /// Returns the sort of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error().kind()
    }

    /// Returns whether the record is certainly not written, or nobody can know.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        self.error().persistence().unwrap_or(Persistence::Unknown)
    }

    /// Returns the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.batch.topic_partition.topic
    }

    /// Returns the partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.batch.topic_partition.partition
    }

    /// Returns how far it got: attempts, broker, and when it passed which stage; `None` if this is
    /// about a handle that may not wait, and not about the record.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        self.batch.receipt.as_ref()
    }

    /// Returns the record as bytes, copied from its batch; `None` if this is about a handle that
    /// may not wait, and not about the record.
    #[must_use]
    pub fn record(&self) -> Option<UndeliveredRecord> {
        let mut reader = BatchReader::new(&self.batch.body);
        for _ in 0..self.index {
            reader.skip()?;
        }
        let record = reader.read()?;
        Some(UndeliveredRecord {
            topic: Arc::clone(&self.batch.topic_partition.topic),
            partition: self.batch.topic_partition.partition,
            timestamp_ms: self
                .batch
                .base_timestamp_ms
                .wrapping_add(record.timestamp_delta_ms),
            key: record.key,
            value: record.value,
            headers: record.headers,
        })
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error(), f)
    }
}

impl fmt::Debug for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryError")
            .field(
                "topic_partition",
                &format_args!("{}", self.batch.topic_partition),
            )
            .field("error", self.error())
            .finish()
    }
}

impl std::error::Error for DeliveryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error())
    }
}

/// Sizes only: payloads do not belong in logs.
impl fmt::Debug for UndeliveredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: &Option<Bytes>| bytes.as_ref().map(Bytes::len);
        f.debug_struct("UndeliveredRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("timestamp_ms", &self.timestamp_ms)
            .field("key_bytes", &size(&self.key))
            .field("value_bytes", &size(&self.value))
            .field("headers", &self.headers.len())
            .finish()
    }
}
