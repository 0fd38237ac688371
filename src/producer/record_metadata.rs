//! Where an acknowledged record lies (Java: `RecordMetadata`).
//!
//! Thread: any. Locks: none.

use std::fmt;
use std::sync::Arc;

use super::receipt::Receipt;

/// The place of an acknowledged record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) serialized_key_size: i32,
    pub(crate) serialized_value_size: i32,
    pub(crate) receipt: Receipt,
}

impl RecordMetadata {
    /// Returns the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Returns the offset; `None` where nobody said (acks=0, or a repetition that the broker
    /// recognised without telling where the first one lies). Java has -1 for that.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        (self.offset >= 0).then_some(self.offset)
    }

    /// Returns the record's timestamp in milliseconds since 1970: its own, or the broker's where
    /// the topic says so (`message.timestamp.type=LogAppendTime`).
    #[must_use]
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// Returns the bytes of the serialized key; `None` if it was null.
    #[must_use]
    pub fn serialized_key_size(&self) -> Option<usize> {
        usize::try_from(self.serialized_key_size).ok()
    }

    /// Returns the bytes of the serialized value; `None` if it was null.
    #[must_use]
    pub fn serialized_value_size(&self) -> Option<usize> {
        usize::try_from(self.serialized_value_size).ok()
    }

    /// Returns how it got there: attempts, broker, and when it passed which stage.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

/// `topic-partition@offset`, as in Java.
impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}@{}", self.topic, self.partition, self.offset)
    }
}
