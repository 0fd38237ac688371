//! The log of one partition: batches as they arrived, read only when somebody looks.

use bytes::Bytes;

/// A record as a consumer would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, if it has one.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// In the producer's order.
    pub headers: Vec<StoredHeader>,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub sequence: i32,
}

/// A header of a [`StoredRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHeader {
    /// Its key.
    pub key: String,
    /// Its value, if it has one.
    pub value: Option<Bytes>,
}

/// A batch in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// How many records it holds.
    pub count: i32,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// The bytes from the producer; offset and append time are those of this struct.
    pub bytes: Bytes,
    /// The append time, for topics with `LogAppendTime`.
    pub append_time: Option<i64>,
}
